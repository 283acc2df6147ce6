"""Long work on this machine: shown while it runs, and ended by Ctrl-C in good order."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from crawler.cli.live import LINE_SECONDS, Picture, live_display, shows_live
from crawler.cli.output.console import Voice
from crawler.cli.output.words import count, duration, number, rounded
from crawler.errors import StoppedError

#: Seconds after which a rate and a remaining time say something.
_SETTLED_SECONDS = 2

#: What the first Ctrl-C is answered with.
_STOPPING = "stopping: storing what has been read; Ctrl-C again stops at once"


def progress_line(done: int, total: int, noun: str, seconds: float) -> str:
    """`210 of 472 headers · 35/s · 8 seconds left`."""
    parts = [f"{number(done)} of {count(total, noun)}"]
    if done and seconds > _SETTLED_SECONDS:
        parts.append(f"{rounded(done / seconds, 2)}/s")
        if done < total:
            parts.append(f"{duration((total - done) * seconds / done)} left")
    return " · ".join(parts)


@contextmanager
def at_work(
    voice: Voice, picture: Callable[[], Picture], *, on_stop: Callable[[], None]
) -> Iterator[Callable[[], bool]]:
    """A block of work that says how it is doing on stderr and heeds Ctrl-C.

    Args:
        voice: How much is said.
        picture: How the work is doing, asked for again and again.
        on_stop: Called once when the work is asked to end.

    Yields:
        To be called after each piece of work: False asks for an end.

    Raises:
        StoppedError: A second Ctrl-C ended the block where it was.
    """
    asked, told = 0, False
    next_line = time.monotonic() + LINE_SECONDS
    shows_lines = not voice.quiet and not shows_live(voice)

    def shown() -> Picture:
        share, lines = picture()
        return share, [*lines, _STOPPING] if asked else lines

    def ask(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise KeyboardInterrupt

    def going() -> bool:
        nonlocal told, next_line
        if asked and not told:
            told = True
            on_stop()
            if not shows_live(voice):
                voice.notice(_STOPPING)
        if shows_lines and time.monotonic() >= next_line:
            next_line = time.monotonic() + LINE_SECONDS
            voice.notice(" · ".join(picture()[1]))
        return not asked

    before = [(which, signal.signal(which, ask)) for which in (signal.SIGINT, signal.SIGTERM)]
    try:
        with live_display(voice, shown):
            yield going
    except KeyboardInterrupt:
        raise StoppedError("stopped; what was stored stays, the same command goes on") from None
    finally:
        for which, handler in before:
            signal.signal(which, handler)
