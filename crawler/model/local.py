"""Files on this machine, as a scan finds them and hands them on."""

from dataclasses import dataclass

from crawler.model.result import Result


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
