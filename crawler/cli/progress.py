"""Show progress: a live display on a terminal, else a plain line every few seconds."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import anyio

from crawler.answers.outcomes import in_order, spoken
from crawler.answers.text import count, duration, number, rounded, size
from crawler.cli.output.console import Voice, open_console
from crawler.errors import StoppedError
from crawler.sync.progress import SyncTally, Tally

#: Seconds between two lines where there is no live display.
LINE_SECONDS = 10

#: Seconds before the rate and the time left are stable enough to show.
_SETTLED_SECONDS = 2

#: Printed after the first Ctrl-C.
STOPPING = "stopping: finishing what is in progress; press Ctrl-C again to stop at once"

#: Printed at the end of a run that was stopped, and after it what continues it, unless an error told that.
KEPT, AGAIN = "All stored data is kept.", "Run the same command again to continue."

#: Seconds that everything may take to end after the second Ctrl-C. Cancelling the tasks takes a tenth
#: of a second; a commit or statistics that take longer are left to the database, as by a kill.
LAST_SECONDS = 0.5

#: Seconds to print the last line, in case nobody reads it.
_LAST_LINE_SECONDS = 0.1

#: What a display shows: the share that is done (None while unknown), and lines of text.
Picture = tuple[float | None, Sequence[str]]


def shows_live(voice: Voice) -> bool:
    """Whether there is a live display; nothing else may write to the terminal then."""
    return not voice.quiet and sys.stderr.isatty()


@contextmanager
def live_display(voice: Voice, picture: Callable[[], Picture]) -> Iterator[None]:
    """Show `picture` during the block if `shows_live`; a line that does not fit is cut."""
    if not shows_live(voice):
        yield
        return
    from rich.console import Group
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    def render() -> Group:
        share, lines = picture()
        bars = [] if share is None else [ProgressBar(1, share, width=24)]
        # The terminal echoes `^C` on the empty last line, where it pushes no text down.
        text = Text("\n".join([*lines, " "]), no_wrap=True, overflow="ellipsis")
        return Group(*bars, text)

    console = open_console(sys.stderr)
    with Live(console=console, get_renderable=render, refresh_per_second=4, transient=True):
        yield


@contextmanager
def handling_signals(handle: Callable[[], object]) -> Iterator[None]:
    """Call `handle` in the main thread for each Ctrl-C or termination signal during the block.

    This works on Windows too, where an event loop has no signal handlers of its own.
    """

    def call(_signal: int, _frame: FrameType | None) -> None:
        handle()

    before = [(which, signal.signal(which, call)) for which in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for which, handler in before:
            signal.signal(which, handler)


@contextmanager
def ending_soon(exit_code: int) -> Iterator[Callable[[], None]]:
    """End the process LAST_SECONDS after the function that is yielded was called.

    It ends as if it was killed, unless the block ends before: what was committed is kept, and nothing
    waits for a thread, a lock or a lookup.
    """

    def end() -> None:
        stderr = 2
        show_cursor = "\x1b[?25h" if os.isatty(stderr) else ""  # which a live display hides
        line = f"{show_cursor}{KEPT} {AGAIN}\n".encode()
        last = threading.Thread(target=os.write, args=[stderr, line], daemon=True)
        last.start()
        last.join(_LAST_LINE_SECONDS)
        os._exit(exit_code)

    clock = threading.Timer(LAST_SECONDS, end)
    clock.daemon = True
    try:
        yield lambda: None if clock.ident else clock.start()
    finally:
        clock.cancel()


@contextmanager
def at_work(
    voice: Voice, tally: Tally, picture: Callable[[], Picture]
) -> Iterator[Callable[[], bool]]:
    """Show the progress of a block of work; the first Ctrl-C sets `tally.stopping`.

    Yields:
        A function to call after each piece of work; it returns False when the work must stop.

    Raises:
        StoppedError: A second Ctrl-C ended the block at once.
    """
    announced = False
    next_line = time.monotonic() + LINE_SECONDS

    def stop() -> None:
        if tally.stopping:
            raise KeyboardInterrupt
        tally.stopping = True

    def shown() -> Picture:
        share, lines = picture()
        return share, [*lines, STOPPING] if tally.stopping else lines

    def going() -> bool:
        nonlocal announced, next_line
        if not shows_live(voice):
            if tally.stopping and not announced:
                announced = True
                voice.notice(STOPPING)
            if time.monotonic() >= next_line:
                next_line = time.monotonic() + LINE_SECONDS
                voice.notice(" · ".join(picture()[1]))
        return not tally.stopping

    try:
        with handling_signals(stop), live_display(voice, shown):
            yield going
    except KeyboardInterrupt:
        raise StoppedError("stopped; run the same command again to continue") from None


def progress_line(done: int, total: int, noun: str, seconds: float) -> str:
    """`210 of 472 headers · 35/s · 8 seconds left`."""
    amount = f"{number(done)} of {count(total, noun)}"
    return " · ".join([amount, *_speed(done, seconds), *_time_left(done, total, seconds)])


def _speed(done: int, seconds: float) -> list[str]:
    return [f"{rounded(done / seconds, 2)}/s"] if done and seconds > _SETTLED_SECONDS else []


def _time_left(done: int, total: int, seconds: float) -> list[str]:
    if not 0 < done < total or seconds <= _SETTLED_SECONDS:
        return []
    return [f"{duration((total - done) * seconds / done)} left"]


def picture_of(tally: SyncTally) -> Picture:
    """The state of a sync, for the live display."""
    total = tally.files + tally.pending
    lines = [*_listing(tally), _reading(tally)]
    if tally.outcomes:
        amounts = (f"{number(n)} {spoken(outcome)}" for outcome, n in in_order(tally.outcomes))
        lines.append(" " * 9 + " · ".join(amounts))
    if tally.stopping:
        lines.append(STOPPING)
    if tally.is_worker or tally.enqueued is not None:  # which do not know how much is to be read
        return None, lines
    return tally.files / total if total else 0.0, lines


def _listing(tally: SyncTally) -> list[str]:
    """`listing  300 of 500 models`; of a worker what it waits for, if anything."""
    if tally.is_worker:
        return [tally.waiting] if tally.waiting else []
    state = "listing" if tally.listing and not tally.stopping else "listed"
    of = f"{number(tally.models)} of " if tally.limit else ""
    return [f"{state:9}{of}{count(tally.limit or tally.models, 'model')}"]


def _reading(tally: SyncTally) -> str:
    """`reading  210 of 472 files · 35/s · 12.3 MB · 8 seconds left`; for a fleet `queued   472 files`."""
    if tally.enqueued is not None:
        return f"queued   {count(tally.enqueued, 'file')}"
    done, total = tally.files, tally.files + tally.pending
    of = "" if tally.is_worker else f"{number(done)} of "
    parts = [f"{of}{count(total, 'file')}", *_speed(done, tally.seconds)]
    if tally.bytes_read:
        parts.append(size(tally.bytes_read))
    if not (tally.stopping or tally.is_worker):
        more = "at least " if tally.listing else ""
        parts += [f"{more}{left}" for left in _time_left(done, total, tally.seconds)]
    return f"reading  {' · '.join(parts)}"


async def print_now_and_then(tally: SyncTally, voice: Voice) -> None:
    """Print a plain line every few seconds, unless there is a live display."""
    while not voice.quiet and not shows_live(voice):
        await anyio.sleep(LINE_SECONDS)
        voice.notice(" · ".join((*_listing(tally), _reading(tally))))
