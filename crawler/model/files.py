"""Files on their way through a run: targets, fetched headers, results, and local files."""

from dataclasses import dataclass, field
from datetime import datetime

from crawler.model.header import TensorList
from crawler.model.outcome import Outcome
from crawler.model.recipe import Decoded


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A pending file, as a fetcher receives it.

    Attributes:
        sha256: As the site gives it; None when it gives none.
        deferred: An earlier run could not read it, perhaps because of the site.
        attempts: Requests for it before.
    """

    file_id: int
    version_id: int
    file_name: str
    base_model: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    deferred: bool = False
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class HeaderBytes:
    """The first bytes of a file.

    Attributes:
        prefix: At least the whole header with its length, if the file has one.
        file_bytes: The file's length, None when the server does not give it.
    """

    prefix: bytes
    file_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A fetched header, or the reason for having none. It never holds an API key or a signed URL.

    Attributes:
        refusal: The outcome when there are no header bytes, else None. `pending` when the file may be
            available but would cost a download that is not allowed.
        reason: Why it was refused, in words; else empty.
        transient: The refusal may be the site's, not the file's: the network, a server, storage.
        prefix: The first bytes of the file, at least the whole header if it has one.
        file_bytes: The file's length by Content-Range or Content-Length, None when neither was sent.
        host: The storage host that the link leads to; empty when there was no link.
        early_access_until: With `early_access`, the date that the site names, if any.
        tries: Requests for the file.
        counted_downloads: Links that the site resolved; it counts each as a download.
        storage_requests: Requests to storage hosts.
        bytes_read: Body bytes received from storage.
    """

    target: Target
    refusal: Outcome | None = None
    reason: str = ""
    transient: bool = False
    prefix: bytes = b""
    file_bytes: int | None = None
    host: str = field(default="", compare=False)
    early_access_until: datetime | None = None
    tries: int = 1
    counted_downloads: int = 0
    storage_requests: int = 0
    bytes_read: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of one file in this run, ready to be stored.

    Attributes:
        reason: Explains the outcome, in words; empty when it needs no explanation.
        attempts: Requests for it, to be added to the stored number.
        transient: The outcome may be the site's doing, not the file's.
        host: As in `Fetched`.
        provisional: It is not certain whose doing it is: the file is stored as `pending`.
        next_try_at: With `pending`: not to be tried before this time; None means at once.
        header: The 8 bytes of the length and the JSON, or as much of them as there is; empty when
            nothing was read.
        tensor_list: Where `header` has its tensor list; None if it is not sound or not written as usual.
        file_bytes: The file's length, None when unknown.
        decoded: None unless the header is sound.
    """

    target: Target
    outcome: Outcome
    reason: str = ""
    attempts: int = 1
    transient: bool = False
    host: str = field(default="", compare=False)
    provisional: bool = False
    next_try_at: datetime | None = None
    fetched_at: datetime
    early_access_until: datetime | None = None
    header: bytes = b""
    tensor_list: TensorList | None = None
    file_bytes: int | None = None
    decoded: Decoded | None = None


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A regular file on this machine.

    Attributes:
        path: Absolute, with symbolic links of its folder resolved.
        mtime_ns: Last modification, in nanoseconds since 1970; None beyond 64 bits.
    """

    path: str
    size_bytes: int
    mtime_ns: int | None

    @property
    def stored_path(self) -> str:
        r"""The path as text for both databases; bytes that are not UTF-8 become text like `\udcff`."""
        return self.path.encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class FileHashes:
    """Hashes of a file, in upper-case hexadecimal digits.

    Attributes:
        weights: SHA-256 of everything after the header; None without a sound header.
    """

    sha256: str
    weights: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalResult:
    """The result for one local file, ready to be stored.

    Attributes:
        result: Its target's id is negative.
        hashes: None when they were not requested.
        claimed_weights: SHA-256 of the weights as the header claims it; None without a usable claim.
    """

    file: LocalFile
    result: Result
    hashes: FileHashes | None = None
    claimed_weights: str | None = None
