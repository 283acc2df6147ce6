"""What the writer stores for one file."""

from dataclasses import dataclass
from datetime import datetime

from crawler.model.files import Outcome, Target
from crawler.model.recipe import Decoded


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one file ended, ready to be stored.

    Attributes:
        target: The file.
        reason: The outcome in words, empty where the outcome says it all.
        attempts: How often the file was asked for this time, added to what is stored.
        transient: With `failed`: it was the network or a server, not the file.
        next_try_at: With `pending`: not before this time. None means at once, or never again.
        header: The 8 bytes of the length and the JSON as read, or what there was of them; empty when
            nothing was read.
        file_bytes: The file's true length, None when no server told it.
        decoded: None unless the header is sound.
    """

    target: Target
    outcome: Outcome
    reason: str = ""
    attempts: int = 1
    transient: bool = False
    next_try_at: datetime | None = None
    fetched_at: datetime
    early_access_until: datetime | None = None
    header: bytes = b""
    file_bytes: int | None = None
    decoded: Decoded | None = None
