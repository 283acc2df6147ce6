"""How a file ended, and what a fetcher takes in and gives back."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Outcome(StrEnum):
    """Every file has one of these."""

    PENDING = "pending"
    DECODED = "decoded"
    NO_METADATA = "no_metadata"
    NOT_SAFETENSORS = "not_safetensors"
    BAD_HEADER = "bad_header"
    LOGIN_REQUIRED = "login_required"
    EARLY_ACCESS = "early_access"
    DOWNLOADS_DISABLED = "downloads_disabled"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    ARCHIVED = "archived"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A pending file, as a fetcher takes it.

    Attributes:
        sha256: Of its bytes as the site gives it, None when it gives none.
        put_off: It was put off, because the site seemed to be down.
        attempts: How often it was asked for in earlier runs.
    """

    file_id: int
    version_id: int
    file_name: str
    base_model: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    put_off: bool = False
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What came of fetching one file's header. Nothing in it holds a key or a signed URL.

    Attributes:
        target: The file.
        refusal: The outcome when no header bytes were had, else None; `pending` when the file can be
            had and was not, for what it would cost.
        reason: The refusal in words a person understands, else empty.
        transient: With `failed`: it was the network or a server at every try, not the file.
        prefix: The first bytes of the file, at least the whole header where the file has one.
        file_bytes: The file's true length from Content-Range or Content-Length, None when not given.
        early_access_until: With `early_access`, when the site named a date.
        tries: How often the file was asked for.
        counted: Downloads that the site counted for this: resolved links.
        storage_requests: Requests to storage hosts.
        bytes_read: Body bytes that travelled from storage.
    """

    target: Target
    refusal: Outcome | None = None
    reason: str = ""
    transient: bool = False
    prefix: bytes = b""
    file_bytes: int | None = None
    early_access_until: datetime | None = None
    tries: int = 1
    counted: int = 0
    storage_requests: int = 0
    bytes_read: int = 0
