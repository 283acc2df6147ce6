"""When requests go out: evenly spaced, and again after a failure that may pass."""

import asyncio
import math
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from crawler.errors import LoraCrawlError, UsageError

T = TypeVar("T")

#: Returns once the next request may go out.
Turn = Callable[[], Awaitable[object]]

#: Tells others that the API wants no request for so many seconds.
Hold = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Waits before a retry, in seconds.

    Attributes:
        shortest: After the first failure; it doubles with every further one, with jitter.
        longest: The limit of the doubling.
        longest_asked: The limit of a `Retry-After`, so that no server can stop a crawl for a day.
    """

    shortest: float = 1.0
    longest: float = 30.0
    longest_asked: float = 300.0


#: The waits while a person looks on: three retries of a request together take some two seconds.
BRIEF_WAITS = Waits(shortest=0.2, longest=1.0)


class RequestError(LoraCrawlError):
    """A request without a usable response. A source turns it into a SiteError or an outcome.

    Its text names hosts and causes, never a query, a signature or a key.

    Args:
        cause: What went wrong, in words.
        again: Whether the same request may succeed later.
        after: Seconds that the server asks to wait, None when it does not say.
        status: The HTTP status, None when there was none.
        unreachable: No connection was possible.
    """

    def __init__(
        self,
        cause: str,
        *,
        again: bool = True,
        after: float | None = None,
        status: int | None = None,
        unreachable: bool = False,
    ) -> None:
        super().__init__(cause)
        self.cause = cause
        self.again = again
        self.after = after
        self.status = status
        self.unreachable = unreachable


class SlowError(RequestError):
    """A response that took too long, which is the server's trouble and not that of one request."""

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} is too slow")


class HurriedError(RequestError):
    """A request that was given up because the run is stopping; it says nothing of the site."""

    def __init__(self) -> None:
        super().__init__("the run stopped meanwhile", again=False)


def even_turns(rate: float) -> Turn:
    """A limiter that lets a request through every 1/rate seconds, at most rate + 1 in any second.

    Args:
        rate: Requests a second; 0 means no limit.

    Raises:
        UsageError: The rate is negative or not finite.
    """
    if not math.isfinite(rate) or rate < 0:
        raise UsageError(f"{rate} requests a second is not a rate; 0 means no limit")
    if rate == 0:
        return partial(asyncio.sleep, 0)
    following = -math.inf  # when the next turn begins, on the event loop's clock
    taken = deque[float](maxlen=max(int(rate), 1))  # when the latest turns were taken

    async def turn() -> None:
        nonlocal following
        clock = asyncio.get_running_loop().time
        # Turns have fixed times, so one that is taken late does not delay the others.
        begins = max(clock(), following)
        following = begins + 1 / rate
        await asyncio.sleep(begins - clock())
        # A busy event loop makes several turns late, which would then come at once.
        while (  # noqa: ASYNC110 - it waits for a time
            len(taken) == taken.maxlen and (early := taken[0] + 1 - clock()) > 0
        ):
            await asyncio.sleep(early)
        taken.append(clock())

    return turn


def retry_after(text: str | None, now: datetime | None = None) -> float | None:
    """The seconds of a `Retry-After` header, which is a number or a date; None without one."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])  # longer numbers mean "never"
    try:
        when = parsedate_to_datetime(text)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())
    except (ValueError, OverflowError):
        return None


def pause(waits: Waits, failures: int, asked: float | None) -> float:
    """Seconds to wait after this many failures; a `Retry-After` takes precedence.

    The jitter keeps fetchers that failed together from retrying together.
    """
    if asked is not None:
        return min(asked, waits.longest_asked) + random.uniform(0, waits.shortest)  # noqa: S311 - jitter
    grown = min(waits.shortest * 2 ** min(failures, 30), waits.longest)
    return random.uniform(max(waits.shortest, grown / 2), grown)  # noqa: S311 - jitter


async def with_retries(
    once: Callable[[], Coroutine[object, object, T]],
    *,
    tries: int,
    waits: Waits,
    patience: float = math.inf,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    tell: Callable[[str], object] = lambda _: None,
) -> T:
    """The result of `once`, which is called again while a RequestError allows a retry.

    Args:
        once: The request.
        tries: Calls of `once` at most.
        waits: The time between them.
        patience: Seconds of failed calls, without the waits, after which there is no other.
        sleep: Waits for some seconds.
        tell: Gets a sentence before each retry.

    Raises:
        RequestError: The last one, once the tries are used up or a retry cannot help.
    """

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.after if isinstance(error, RequestError) else None
        return pause(waits, state.attempt_number, asked)

    clock = asyncio.get_running_loop().time
    worked = 0.0

    async def timed() -> T:
        nonlocal worked
        began = clock()
        try:
            return await once()
        finally:
            worked += clock() - began

    def before_sleep(state: RetryCallState) -> None:
        if state.outcome is not None and not state.outcome.cancelled():
            seconds = round(state.upcoming_sleep)
            when = f" in {seconds} s" if seconds else ""
            number = f"{state.attempt_number + 1} of {tries}"
            tell(f"{state.outcome.exception()}; trying again{when} ({number})")

    retrying = AsyncRetrying(
        retry=retry_if_exception(lambda error: isinstance(error, RequestError) and error.again),
        wait=wait,
        stop=lambda state: state.attempt_number >= tries or worked >= patience,
        sleep=sleep,
        before_sleep=before_sleep,
        reraise=True,
    )
    return await retrying(timed)
