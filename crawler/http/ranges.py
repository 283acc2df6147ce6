"""Read the header of a stored file with few, short ranges.

FirstRange chooses the length of the first range from the headers seen so far, so that it holds almost
every header. `read_header` asks for that range, and for a second one if the header is longer. It checks
every response: a server may send other bytes, or the whole file.
"""

import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager

from crawler.errors import HeaderError
from crawler.http.response import Response
from crawler.http.retry import RequestError
from crawler.model import HeaderBytes
from crawler.model.header import LENGTH_BYTES
from crawler.safetensors.reader import needed_bytes

#: First range until MIN_SEEN headers were seen, in bytes: most LoRA headers are shorter.
DEFAULT_FIRST_BYTES = 288 * 1024

#: Headers of a base model below which nothing is concluded from them.
MIN_SEEN = 20

#: Headers remembered for each base model: enough for a percentile, few enough to follow a change.
MAX_SEEN = 1000

#: Percentage of files whose header the first range holds.
PERCENTILE = 98

#: Step, minimum and maximum of the first range, in bytes.
STEP_BYTES = 16 * 1024
LEAST_BYTES = 32 * 1024
MOST_BYTES = 2 * 1024 * 1024

#: Bytes that show the length of a header, or which other format a file has.
SNIFF_BYTES = 4096

#: Opens the bytes from the first to the last index, both included.
OpenRange = Callable[[int, int], AbstractAsyncContextManager[Response]]

_CONTENT_RANGE = re.compile(r"bytes\s+(\d{1,19})-(\d{1,19})/(?:(\d{1,19})|\*)", re.IGNORECASE)
_EMPTY_RANGE = re.compile(r"bytes\s+\*/(\d{1,19})", re.IGNORECASE)

_OK, _PARTIAL, _NOT_SATISFIABLE = 200, 206, 416


class HeaderTooLongError(RequestError):
    """The header is longer than `max_header` bytes; this is a property of the file."""


class FirstRange:
    """The length of the first range for each base model.

    Args:
        seen: Known header lengths by base model, in bytes, with the 8 bytes of the length.
    """

    def __init__(self, seen: Mapping[str | None, Iterable[int]] | None = None) -> None:
        self._seen: dict[str | None, deque[int]] = defaultdict(lambda: deque(maxlen=MAX_SEEN))
        for base_model, lengths in (seen or {}).items():
            self._seen[base_model].extend(lengths)

    def learn(self, base_model: str | None, header_bytes: int) -> None:
        """Remember the length of one header."""
        self._seen[base_model].append(header_bytes)

    def bytes_for(self, base_model: str | None) -> int:
        """How many bytes to request first for a file of this base model."""
        seen = self._seen.get(base_model, ())
        if len(seen) < MIN_SEEN:
            return DEFAULT_FIRST_BYTES
        rank = -(-len(seen) * PERCENTILE // 100)
        steps = -(-sorted(seen)[rank - 1] // STEP_BYTES)
        return min(max(steps * STEP_BYTES, LEAST_BYTES), MOST_BYTES)


async def read_header(open_range: OpenRange, *, first_bytes: int, max_header: int) -> HeaderBytes:
    """The header of a file, in one request if it fits into the first range, else in two.

    The result is exactly the header, or the first SNIFF_BYTES of a file without one. A whole file
    instead of a range is read up to the end of the header, then the connection is closed. A header of
    more than `max_header` bytes is not read.

    Raises:
        RequestError: The server failed, refused or contradicted itself, or the header is too long.
    """
    async with open_range(0, first_bytes - 1) as response:
        start, file_bytes = await _first(response, first_bytes, max_header)
    try:
        end = _end(start, file_bytes, max_header)
    except HeaderError:
        return HeaderBytes(start[:SNIFF_BYTES], file_bytes)
    if end <= len(start):
        return HeaderBytes(start[:end], file_bytes)
    async with open_range(len(start), end - 1) as response:
        rest = await _rest(response, len(start), end, file_bytes)
    return HeaderBytes(start + rest, file_bytes)


def _end(start: bytes, file_bytes: int | None, max_header: int) -> int:
    """The index after the header.

    Raises:
        HeaderError: The file has no header.
        HeaderTooLongError: The header is longer than allowed.
    """
    end = needed_bytes(start, file_bytes=file_bytes)
    length = end - LENGTH_BYTES
    if length > max_header:
        raise HeaderTooLongError(
            f"its header has {length:,} bytes, more than the {max_header:,} of --max-header",
            again=False,
        )
    return end


async def _first(response: Response, asked: int, max_header: int) -> tuple[bytes, int | None]:
    """The first bytes and the length of the file."""
    if response.status == _NOT_SATISFIABLE:
        empty = _EMPTY_RANGE.fullmatch(response.header("Content-Range").strip())
        if empty is None:
            raise RequestError(f"{response.host} sends no bytes and does not say how many it has")
        if int(empty[1]) > 0:
            raise RequestError(f"{response.host} has the bytes but does not send them")
        return b"", 0
    _demand_uncompressed(response)
    if response.status == _OK:
        return await _start_of_whole(response, max_header)
    first, last, file_bytes = _span(response)
    if first != 0 or last >= asked:
        raise RequestError(f"{response.host} sends bytes {first} to {last}, not the first {asked}")
    if last + 1 < min(asked, SNIFF_BYTES, file_bytes or 0):
        raise RequestError(f"{response.host} sends only {last + 1} of the bytes asked for")
    return await _exactly(response, last + 1), file_bytes


async def _start_of_whole(response: Response, max_header: int) -> tuple[bytes, int | None]:
    """The start of a whole file, with all of its header, and the length of the file."""
    file_bytes = response.content_length
    start, wanted = await response.take(SNIFF_BYTES), SNIFF_BYTES
    if len(start) == SNIFF_BYTES:
        try:
            wanted = max(SNIFF_BYTES, _end(start, file_bytes, max_header))
        except HeaderError:
            return start, file_bytes
        start += await response.take(wanted - SNIFF_BYTES)
    if len(start) < wanted and file_bytes is None:  # the body ends here
        if "chunked" in response.header("Transfer-Encoding").lower():  # such a body marks its end
            return start, len(start)
        if wanted > SNIFF_BYTES:
            raise RequestError(f"{response.host} cut its response short")
    return start, file_bytes


async def _rest(response: Response, start: int, end: int, file_bytes: int | None) -> bytes:
    """The bytes from `start` up to `end` of the same file."""
    _demand_uncompressed(response)
    if response.status == _OK:
        _demand_same_length(response, file_bytes, response.content_length)
        await response.take(start)
        return await _complete(response, end - start)
    first, last, total = _span(response)
    if (first, last) != (start, end - 1):
        raise RequestError(
            f"{response.host} sends bytes {first} to {last}, not {start} to {end - 1}"
        )
    _demand_same_length(response, file_bytes, total)
    return await _exactly(response, end - start)


async def _exactly(response: Response, count: int) -> bytes:
    """A body of exactly `count` bytes."""
    body = await _complete(response, count)
    if await response.take(1):
        raise RequestError(f"{response.host} sends more bytes than it announced")
    return body


async def _complete(response: Response, count: int) -> bytes:
    """The next `count` bytes of a body."""
    taken = await response.take(count)
    if len(taken) < count:
        raise RequestError(f"{response.host} cut its response short")
    return taken


def _span(response: Response) -> tuple[int, int, int | None]:
    """First byte, last byte and file length (None if unknown) of a partial response."""
    if response.status != _PARTIAL:
        raise response.refusal()
    found = _CONTENT_RANGE.fullmatch(response.header("Content-Range").strip())
    if found is None:
        raise RequestError(f"{response.host} does not say which bytes it sends")
    first, last = int(found[1]), int(found[2])
    total = int(found[3]) if found[3] else None
    if last < first or (total is not None and last >= total):
        raise RequestError(f"{response.host} sends bytes {first} to {last} of {total}")
    if response.content_length not in (None, last - first + 1):
        raise RequestError(
            f"{response.host} announces {response.content_length} bytes for another range"
        )
    return first, last, total


def _demand_uncompressed(response: Response) -> None:
    encoding = response.header("Content-Encoding").strip().lower()
    if response.status in (_OK, _PARTIAL) and encoding not in ("", "identity"):
        raise RequestError(f"{response.host} sends the file compressed, which ranges do not allow")


def _demand_same_length(response: Response, before: int | None, now: int | None) -> None:
    if before is not None and now is not None and before != now:
        raise RequestError(
            f"{response.host} says the file has {now:,} bytes, and {before:,} a moment before"
        )
