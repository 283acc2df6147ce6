"""Files on their way through a run: targets, outcomes, results, and files of this machine."""

from dataclasses import dataclass
from datetime import datetime

from crawler.model.outcome import Outcome
from crawler.model.recipe import Decoded


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A pending file, as a fetcher takes it.

    Attributes:
        sha256: Of its bytes as the site gives it, None when it gives none.
        deferred: It was put off, because the site seemed to be down.
        attempts: How often it was asked for in earlier runs.
    """

    file_id: int
    version_id: int
    file_name: str
    base_model: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    deferred: bool = False
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
        counted_downloads: Downloads that the site counted for this: resolved links.
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
    counted_downloads: int = 0
    storage_requests: int = 0
    bytes_read: int = 0


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


@dataclass(frozen=True, slots=True)
class LocalFile:
    """An ordinary file, where it lies and how it looks from outside.

    Attributes:
        path: Absolute, its folder without symbolic links, as the system spells it.
        mtime_ns: When it was last changed, in nanoseconds since 1970; None beyond 64 bits.
    """

    path: str
    size_bytes: int
    mtime_ns: int | None

    @property
    def stored_path(self) -> str:
        r"""The path as text that both databases hold: what is no UTF-8 stands as `\udcff`."""
        return self.path.encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class FileHashes:
    """What the bytes of a file come to, in upper-case hexadecimal digits.

    Attributes:
        weights: SHA-256 of all that follows the header; None when there is no sound header.
    """

    sha256: str
    weights: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalResult:
    """What the writer stores for one file on this machine.

    Attributes:
        result: How reading it ended; its target's id is negative.
        hashes: None when they were not asked for.
        claimed_weights: SHA-256 of the weights as the header claims it, None when it claims none
            that can be trusted.
    """

    file: LocalFile
    result: Result
    hashes: FileHashes | None = None
    claimed_weights: str | None = None
