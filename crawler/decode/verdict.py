"""The first bytes of a file, judged: the one way from bytes to an outcome."""

from dataclasses import dataclass

from crawler.decode.recipe import decode
from crawler.errors import HeaderError
from crawler.model import Decoded, Outcome
from crawler.safetensors.reader import parse_header


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the first bytes of a file came to.

    Attributes:
        reason: Why the outcome is not `decoded`, in words; else empty.
        decoded: None unless the header is sound.
    """

    outcome: Outcome
    reason: str
    decoded: Decoded | None


def judge(prefix: bytes, file_bytes: int | None) -> Judgement:
    """Decode a file by its first bytes. Never raises, whatever the bytes are.

    Args:
        prefix: The file's beginning, at least its whole header if it has one.
        file_bytes: The file's length, None when unknown: then the body's length is not judged.
    """
    try:
        header = parse_header(prefix, file_bytes=file_bytes)
    except HeaderError as error:
        if error.foreign:
            return Judgement(Outcome.NOT_SAFETENSORS, error.detail, None)
        return Judgement(Outcome.BAD_HEADER, error.detail, None)
    decoded = decode(header)
    reason = "" if decoded.outcome is Outcome.DECODED else "the header says nothing of the training"
    return Judgement(decoded.outcome, reason, decoded)
