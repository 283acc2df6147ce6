"""The first bytes of a stored file, and no more of it than its header needs."""

import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from crawler.errors import HeaderError
from crawler.http.response import Response
from crawler.http.retry import RequestError

#: Asked for until enough headers were seen: most LoRA headers are shorter.
DEFAULT_FIRST_BYTES = 288 * 1024

#: Fewer headers than these say little about the next one.
MIN_SEEN = 20

#: Headers remembered for each base model: enough for a percentile, few enough to follow a change.
MAX_SEEN = 1000

#: Base models remembered; the site has about a hundred, and its text is not trusted.
MAX_BASE_MODELS = 1000

#: The share of files that one request must do for; the others take a second one.
PERCENTILE = 98

#: Steps and bounds of the response, in bytes.
STEP_BYTES = 16 * 1024
LEAST_BYTES = 32 * 1024
MOST_BYTES = 2 * 1024 * 1024


class FirstRange:
    """The size of the first range for each base model.

    Args:
        seen: Header lengths known from before, by base model, in bytes with the 8 of the length.
    """

    def __init__(self, seen: Mapping[str | None, Iterable[int]] | None = None) -> None:
        self._seen: dict[str | None, deque[int]] = defaultdict(lambda: deque(maxlen=MAX_SEEN))
        for base_model, lengths in (seen or {}).items():
            self._seen[base_model].extend(lengths)

    def learn(self, base_model: str | None, header_bytes: int) -> None:
        """Remember how long one header was."""
        if base_model in self._seen or len(self._seen) < MAX_BASE_MODELS:
            self._seen[base_model].append(header_bytes)

    def bytes_for(self, base_model: str | None) -> int:
        """How many bytes to ask for at first."""
        seen = self._seen.get(base_model, ())
        if len(seen) < MIN_SEEN:
            return DEFAULT_FIRST_BYTES
        rank = -(-len(seen) * PERCENTILE // 100)
        steps = -(-sorted(seen)[rank - 1] // STEP_BYTES)
        return min(max(steps * STEP_BYTES, LEAST_BYTES), MOST_BYTES)


#: Bytes by which a file that has no header is judged, and after which a header's length is known.
SNIFF_BYTES = 4096

#: Opens the bytes from the first to the last index, both included.
OpenRange = Callable[[int, int], AbstractAsyncContextManager[Response]]

_CONTENT_RANGE = re.compile(r"bytes\s+(\d{1,19})-(\d{1,19})/(?:(\d{1,19})|\*)", re.IGNORECASE)
_EMPTY_RANGE = re.compile(r"bytes\s+\*/(\d{1,19})", re.IGNORECASE)

_OK, _PARTIAL, _NOT_SATISFIABLE = 200, 206, 416


class Needed(Protocol):
    """What tells by a file's beginning how many of its bytes hold the header."""

    def __call__(self, start: bytes, *, file_bytes: int | None = None) -> int:
        """The index behind the header; raises HeaderError when the bytes are no file with one."""


@dataclass(frozen=True, slots=True)
class HeaderBytes:
    """A file's beginning.

    Attributes:
        prefix: Exactly the header where there is one, else some first bytes.
        file_bytes: The file's length, None when the server does not tell.
    """

    prefix: bytes
    file_bytes: int | None


async def read_header(
    open_range: OpenRange, *, first_bytes: int, needed: Needed, max_header: int
) -> HeaderBytes:
    """The header of a file, with one request if it fits into the first bytes, else with two.

    A server that sends the whole file in place of a range is read up to the header's end and left.

    Args:
        open_range: Asks for a range; every call must reach the same file.
        first_bytes: How much to ask for at first.
        needed: Tells where the header ends.
        max_header: Longest header that is read, in bytes.

    Raises:
        RequestError: The server failed, refused or contradicted itself, or the header is too long.
    """
    async with open_range(0, first_bytes - 1) as response:
        start, file_bytes = await _first(response, first_bytes, needed, max_header)
    try:
        end = _end(start, file_bytes, needed, max_header)
    except HeaderError:
        return HeaderBytes(start[:SNIFF_BYTES], file_bytes)
    if end <= len(start):
        return HeaderBytes(start[:end], file_bytes)
    async with open_range(len(start), end - 1) as response:
        rest = await _rest(response, len(start), end, file_bytes)
    return HeaderBytes(start + rest, file_bytes)


def _end(start: bytes, file_bytes: int | None, needed: Needed, max_header: int) -> int:
    """The index behind the header; raises RequestError when it is longer than allowed."""
    end = needed(start, file_bytes=file_bytes)
    if end - 8 > max_header:
        raise RequestError(
            f"its header has {end - 8:,} bytes, more than the {max_header:,} of --max-header",
            again=False,
        )
    return end


async def _first(
    response: Response, asked: int, needed: Needed, max_header: int
) -> tuple[bytes, int | None]:
    """What came of asking for the first bytes, and the file's length."""
    if response.status == _NOT_SATISFIABLE:
        told = _EMPTY_RANGE.fullmatch(response.header("Content-Range").strip())
        if told is None:
            raise RequestError(f"{response.host} gives no bytes and does not say how many it has")
        if int(told[1]) > 0:
            raise RequestError(f"{response.host} has the bytes and does not give them")
        return b"", 0
    _demand_plain(response)
    if response.status == _OK:
        return await _whole(response, needed, max_header)
    first, last, file_bytes = _span(response)
    if first != 0 or last >= asked:
        raise RequestError(f"{response.host} sends bytes {first} to {last}, not the first {asked}")
    if last + 1 < min(asked, SNIFF_BYTES, file_bytes or 0):
        raise RequestError(f"{response.host} sends only {last + 1} of the bytes asked for")
    return await _exactly(response, last + 1), file_bytes


async def _whole(response: Response, needed: Needed, max_header: int) -> tuple[bytes, int | None]:
    """The beginning of a whole file, up to the header's end."""
    file_bytes = response.content_length
    gathered = bytearray()
    goal = SNIFF_BYTES
    known = False
    while True:
        while len(gathered) < goal and (piece := await response.piece()):
            gathered += piece
        if len(gathered) < goal:  # the file ends here
            break
        if known:
            return bytes(gathered[:goal]), file_bytes
        try:
            goal = _end(bytes(gathered[:SNIFF_BYTES]), file_bytes, needed, max_header)
        except HeaderError:
            return bytes(gathered[:SNIFF_BYTES]), file_bytes
        known = True
    if file_bytes is None and response.is_chunked:
        file_bytes = len(gathered)
    if file_bytes is None and known:
        raise RequestError(f"{response.host} cut its response short")
    return bytes(gathered), file_bytes


async def _rest(response: Response, start: int, end: int, file_bytes: int | None) -> bytes:
    """The bytes from `start` up to `end` of the same file."""
    _demand_plain(response)
    if response.status == _OK:
        _demand_same(response, file_bytes, response.content_length)
        return await _behind(response, start, end)
    first, last, total = _span(response)
    if (first, last) != (start, end - 1):
        raise RequestError(
            f"{response.host} sends bytes {first} to {last}, not {start} to {end - 1}"
        )
    _demand_same(response, file_bytes, total)
    return await _exactly(response, end - start)


async def _exactly(response: Response, count: int) -> bytes:
    """A body of so many bytes; raises RequestError when there are more or fewer."""
    gathered = bytearray()
    while piece := await response.piece():
        gathered += piece
        if len(gathered) > count:
            raise RequestError(f"{response.host} sends more bytes than it announced")
    if len(gathered) < count:
        raise RequestError(f"{response.host} cut its response short")
    return bytes(gathered)


async def _behind(response: Response, start: int, end: int) -> bytes:
    """The bytes from `start` up to `end` of a body that begins with the file; the rest is not kept."""
    gathered = bytearray()
    passed = 0
    while passed < end:
        piece = await response.piece()
        if not piece:
            raise RequestError(f"{response.host} cut its response short")
        gathered += piece[max(0, start - passed) : end - passed]
        passed += len(piece)
    return bytes(gathered)


def _span(response: Response) -> tuple[int, int, int | None]:
    """First byte, last byte and file length of a partial response."""
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


def _demand_plain(response: Response) -> None:
    encoding = response.header("Content-Encoding").strip().lower()
    if response.status in (_OK, _PARTIAL) and encoding not in ("", "identity"):
        raise RequestError(
            f"{response.host} sends a file compressed, which its ranges do not allow"
        )


def _demand_same(response: Response, before: int | None, now: int | None) -> None:
    if before is not None and now is not None and before != now:
        raise RequestError(
            f"{response.host} gives the file {now:,} bytes, and {before:,} a moment before"
        )
