"""How a file must end: what a crawl's database is compared with."""

from collections.abc import Mapping

from crawler.model import Outcome
from crawler.sandbox.entries import Body, Traits, Upload
from crawler.sandbox.headers import HUGE_HEADER_BYTES

_READINGS: Mapping[Body, Outcome] = {
    Body.TRAINED: Outcome.DECODED,
    Body.GIANT: Outcome.DECODED,
    Body.SILENT: Outcome.NO_METADATA,
    Body.BAD: Outcome.BAD_HEADER,
}


def is_listed(traits: Traits, *, mature: bool) -> bool:
    """Whether a walk without filters shows a model, in the ordinary pass or, if asked, in either."""
    passes = traits.in_ordinary_pass or (mature and traits.in_mature_pass)
    return passes and traits.mode != "Archived"


def outcome(upload: Upload, *, key: bool, max_header: int) -> Outcome:
    """How a file ends for a perfect reader.

    Args:
        upload: The file.
        key: Whether a valid API key is sent.
        max_header: The longest header that is read, in bytes.
    """
    refusal = upload.refusal
    if refusal is Outcome.LOGIN_REQUIRED and key:
        refusal = None
    if refusal is Outcome.FORBIDDEN and not key:
        refusal = Outcome.LOGIN_REQUIRED
    if not upload.name.endswith(".safetensors"):
        return Outcome.NOT_SAFETENSORS
    if refusal is not None:
        return refusal
    if upload.body is Body.HUGE:
        return Outcome.FAILED if max_header < HUGE_HEADER_BYTES else Outcome.NO_METADATA
    return _READINGS.get(upload.body, Outcome.NOT_SAFETENSORS)
