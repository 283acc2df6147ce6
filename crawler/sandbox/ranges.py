"""`Range` of HTTP, as far as object storages go: a single span of bytes."""

import re
from dataclasses import dataclass

# up to 18 digits fit into 64 bits; no storage reads more
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes from `start` up to, not including, `end`; `partial` when a range was asked for."""

    start: int
    end: int
    partial: bool


def span(asked: str | None, size: int) -> Span | None:
    """What a `Range` header means for a body of `size` bytes.

    Several ranges and nonsense mean the whole body (RFC 9110, 14.2); None means that none of the
    bytes asked for exist.
    """
    match = _RANGE.fullmatch(asked or "")
    if match is None or match[0] == "bytes=-":
        return Span(0, size, partial=False)
    first, last = match.groups()
    if not first:  # the last so many bytes
        wanted = min(int(last), size)
        return Span(size - wanted, size, partial=True) if wanted else None
    start = int(first)
    if last and int(last) < start:
        return Span(0, size, partial=False)
    if start >= size:
        return None
    return Span(start, min(int(last) + 1, size) if last else size, partial=True)
