"""The first bytes of a file, judged: the one way from bytes to an outcome."""

from dataclasses import dataclass
from datetime import datetime

from crawler.decode.recipe import decode
from crawler.errors import HeaderError
from crawler.model import Decoded, Fetched, Outcome, Result
from crawler.safetensors.reader import needed_bytes, parse_header


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


#: Bytes kept of a file that is no safetensors file: enough to see again what it was.
KEPT_FOREIGN_BYTES = 512

#: Bytes kept of a file whose header has no usable length.
KEPT_BROKEN_BYTES = 64 * 1024


def result_of(fetched: Fetched, now: datetime) -> Result:
    """What is stored for a file that was fetched, or refused. Never raises."""
    if fetched.refusal is not None:
        return Result(
            target=fetched.target,
            outcome=fetched.refusal,
            reason=fetched.reason,
            attempts=fetched.tries,
            transient=fetched.transient,
            fetched_at=now,
            early_access_until=fetched.early_access_until,
            file_bytes=fetched.file_bytes,
        )
    judgement = judge(fetched.prefix, fetched.file_bytes)
    return Result(
        target=fetched.target,
        outcome=judgement.outcome,
        reason=judgement.reason,
        attempts=fetched.tries,
        fetched_at=now,
        header=fetched.prefix[: _kept_bytes(fetched, judgement.outcome)],
        file_bytes=fetched.file_bytes,
        decoded=judgement.decoded,
    )


def _kept_bytes(fetched: Fetched, outcome: Outcome) -> int:
    if outcome is Outcome.NOT_SAFETENSORS:
        return KEPT_FOREIGN_BYTES
    try:
        return needed_bytes(fetched.prefix, file_bytes=fetched.file_bytes)
    except HeaderError:
        return KEPT_BROKEN_BYTES
