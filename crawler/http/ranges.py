"""The first bytes of a stored file, and no more of it than its header needs."""

import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from crawler.errors import HeaderError
from crawler.http.response import Answer
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

#: Steps and bounds of the answer, in bytes.
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
OpenRange = Callable[[int, int], AbstractAsyncContextManager[Answer]]

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
    async with open_range(0, first_bytes - 1) as answer:
        start, file_bytes = await _first(answer, first_bytes, needed, max_header)
    try:
        end = _end(start, file_bytes, needed, max_header)
    except HeaderError:
        return HeaderBytes(start[:SNIFF_BYTES], file_bytes)
    if end <= len(start):
        return HeaderBytes(start[:end], file_bytes)
    async with open_range(len(start), end - 1) as answer:
        rest = await _rest(answer, len(start), end, file_bytes)
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
    answer: Answer, asked: int, needed: Needed, max_header: int
) -> tuple[bytes, int | None]:
    """What came of asking for the first bytes, and the file's length."""
    if answer.status == _NOT_SATISFIABLE:
        told = _EMPTY_RANGE.fullmatch(answer.header("Content-Range").strip())
        if told is None:
            raise RequestError(f"{answer.host} gives no bytes and does not say how many it has")
        if int(told[1]) > 0:
            raise RequestError(f"{answer.host} has the bytes and does not give them")
        return b"", 0
    _demand_plain(answer)
    if answer.status == _OK:
        return await _whole(answer, needed, max_header)
    first, last, file_bytes = _span(answer)
    if first != 0 or last >= asked:
        raise RequestError(f"{answer.host} sends bytes {first} to {last}, not the first {asked}")
    if last + 1 < min(asked, SNIFF_BYTES, file_bytes or 0):
        raise RequestError(f"{answer.host} sends only {last + 1} of the bytes asked for")
    return await _exactly(answer, last + 1), file_bytes


async def _whole(answer: Answer, needed: Needed, max_header: int) -> tuple[bytes, int | None]:
    """The beginning of a whole file, up to the header's end."""
    file_bytes = answer.content_length
    gathered = bytearray()
    goal = SNIFF_BYTES
    known = False
    while True:
        while len(gathered) < goal and (piece := await answer.piece()):
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
    if file_bytes is None and answer.is_chunked:
        file_bytes = len(gathered)
    if file_bytes is None and known:
        raise RequestError(f"{answer.host} cut its answer short")
    return bytes(gathered), file_bytes


async def _rest(answer: Answer, start: int, end: int, file_bytes: int | None) -> bytes:
    """The bytes from `start` up to `end` of the same file."""
    _demand_plain(answer)
    if answer.status == _OK:
        _demand_same(answer, file_bytes, answer.content_length)
        return await _behind(answer, start, end)
    first, last, total = _span(answer)
    if (first, last) != (start, end - 1):
        raise RequestError(f"{answer.host} sends bytes {first} to {last}, not {start} to {end - 1}")
    _demand_same(answer, file_bytes, total)
    return await _exactly(answer, end - start)


async def _exactly(answer: Answer, count: int) -> bytes:
    """A body of so many bytes; raises RequestError when there are more or fewer."""
    gathered = bytearray()
    while piece := await answer.piece():
        gathered += piece
        if len(gathered) > count:
            raise RequestError(f"{answer.host} sends more bytes than it announced")
    if len(gathered) < count:
        raise RequestError(f"{answer.host} cut its answer short")
    return bytes(gathered)


async def _behind(answer: Answer, start: int, end: int) -> bytes:
    """The bytes from `start` up to `end` of a body that begins with the file; the rest is not kept."""
    gathered = bytearray()
    passed = 0
    while passed < end:
        piece = await answer.piece()
        if not piece:
            raise RequestError(f"{answer.host} cut its answer short")
        gathered += piece[max(0, start - passed) : end - passed]
        passed += len(piece)
    return bytes(gathered)


def _span(answer: Answer) -> tuple[int, int, int | None]:
    """First byte, last byte and file length of a partial answer."""
    if answer.status != _PARTIAL:
        raise answer.refusal()
    found = _CONTENT_RANGE.fullmatch(answer.header("Content-Range").strip())
    if found is None:
        raise RequestError(f"{answer.host} does not say which bytes it sends")
    first, last = int(found[1]), int(found[2])
    total = int(found[3]) if found[3] else None
    if last < first or (total is not None and last >= total):
        raise RequestError(f"{answer.host} sends bytes {first} to {last} of {total}")
    if answer.content_length not in (None, last - first + 1):
        raise RequestError(
            f"{answer.host} announces {answer.content_length} bytes for another range"
        )
    return first, last, total


def _demand_plain(answer: Answer) -> None:
    encoding = answer.header("Content-Encoding").strip().lower()
    if answer.status in (_OK, _PARTIAL) and encoding not in ("", "identity"):
        raise RequestError(f"{answer.host} sends a file compressed, which its ranges do not allow")


def _demand_same(answer: Answer, before: int | None, now: int | None) -> None:
    if before is not None and now is not None and before != now:
        raise RequestError(
            f"{answer.host} gives the file {now:,} bytes, and {before:,} a moment before"
        )
