"""From the first bytes of a file to the row that is stored."""

from datetime import datetime

from crawler.decode.verdict import judge
from crawler.errors import HeaderError
from crawler.model import Fetched, Outcome, Result
from crawler.safetensors.reader import needed_bytes

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
