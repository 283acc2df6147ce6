"""How a crawl is doing: a live display on a terminal, a plain line now and then elsewhere."""

import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import anyio

from crawler.cli.output.cells import bar, count, duration, number, rounded, size
from crawler.cli.output.console import Voice, open_console
from crawler.errors import StoppedError
from crawler.model.outcome import READ
from crawler.sync.progress import SyncTally

#: Seconds between two lines where no terminal shows a live display.
LINE_SECONDS = 10

_BAR_WIDTH = 24

#: What is shown: the share that is done, None while it is not known, and lines of text.
Picture = tuple[float | None, Sequence[str]]


def shows_live(voice: Voice) -> bool:
    """Whether there is a live display, which nothing else may write into."""
    return not voice.quiet and sys.stderr.isatty()


@contextmanager
def live_display(voice: Voice, picture: Callable[[], Picture]) -> Iterator[None]:
    """Show `picture` while the block runs, if `shows_live`; a line that does not fit is cut."""
    if not shows_live(voice):
        yield
        return
    from rich.live import Live
    from rich.text import Text

    def render() -> Text:
        share, lines = picture()
        first = [] if share is None else [f"{bar(share, _BAR_WIDTH):·<{_BAR_WIDTH}}"]
        # An empty line at the end: there a terminal echoes `^C`, which would push a full line down.
        return Text("\n".join([*first, *lines, " "]), no_wrap=True, overflow="ellipsis")

    console = open_console(sys.stderr)
    with Live(console=console, get_renderable=render, refresh_per_second=4, transient=True):
        yield


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

    def ask() -> None:
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

    try:
        with handling_signals(ask), live_display(voice, shown):
            yield going
    except KeyboardInterrupt:
        raise StoppedError("stopped; what was stored stays, the same command goes on") from None


#: What the first Ctrl-C is answered with.
STOPPING = "stopping: finishing what is in flight; Ctrl-C again stops at once"

#: Seconds after which a rate and a remaining time say something.
_SETTLED_SECONDS = 2


def listing_line(tally: SyncTally) -> str:
    """`listing    300 of 500 models`."""
    models = number(tally.models)
    of = f" of {number(tally.limit)}" if tally.limit else ""
    state = "listing" if tally.listing and not tally.stopping else "listed"
    return f"{state:9}{models}{of} {'model' if models == '1' and not of else 'models'}"


def reading_line(tally: SyncTally) -> str:
    """`reading   210 of 472 files · 35/s · 12.3 MB · 8 seconds left`."""
    done, total = tally.files, tally.files + tally.pending
    parts = [f"{number(done)} of {count(total, 'file')}"]
    if tally.seconds > _SETTLED_SECONDS and done:
        speed = done / tally.seconds
        parts.append(f"{speed:.0f}/s" if speed >= 10 else f"{speed:.1f}/s")  # noqa: PLR2004
    if tally.bytes_read:
        parts.append(size(tally.bytes_read))
    if not tally.stopping and tally.pending and done and tally.seconds > _SETTLED_SECONDS:
        left = tally.pending * tally.seconds / done
        parts.append(
            f"{duration(left)} left" + (", and what is still to be listed" if tally.listing else "")
        )
    return f"{'reading':9}{' · '.join(parts)}"


def outcome_line(tally: SyncTally) -> str:
    """`380 decoded · 40 no metadata · 3 login required`."""
    shown = [
        f"{number(amount)} {outcome.value.replace('_', ' ')}"
        for outcome, amount in sorted(
            tally.outcomes.items(), key=lambda pair: (pair[0] not in READ, -pair[1])
        )
    ]
    return f"{'':9}{' · '.join(shown)}" if shown else ""


def picture_of(tally: SyncTally) -> Picture:
    """How the crawl is doing, for the live display."""
    total = tally.files + tally.pending
    rows = [listing_line(tally), reading_line(tally), outcome_line(tally)]
    if tally.stopping:
        rows.append(STOPPING)
    return tally.files / total if total else 0.0, [row for row in rows if row]


async def tell_now_and_then(tally: SyncTally, voice: Voice) -> None:
    """Print a plain line every few seconds, unless a live display says it all."""
    if voice.quiet or shows_live(voice):
        return
    while True:
        await anyio.sleep(LINE_SECONDS)
        voice.notice(
            " · ".join(line.strip() for line in (listing_line(tally), reading_line(tally)))
        )
