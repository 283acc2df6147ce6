"""How a crawl is doing: a live display on a terminal, a plain line now and then elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from crawler.cli.console import Voice, open_console
from crawler.cli.words import bar, count, duration, number, size
from crawler.crawl.tally import Tally
from crawler.model import Outcome

#: Seconds between two lines where no terminal shows a live display.
LINE_SECONDS = 10

_BAR_WIDTH = 24

#: Seconds after which a rate and a remaining time say something.
_SETTLED_SECONDS = 2

#: Outcomes of a sound header.
READ = (Outcome.DECODED, Outcome.NO_METADATA)


def listing_line(tally: Tally) -> str:
    """`listing    300 of 500 models`."""
    models = number(tally.models)
    of = f" of {number(tally.limit)}" if tally.limit else ""
    state = "listing" if tally.listing and not tally.stopping else "listed"
    return f"{state:9}{models}{of} {'model' if models == '1' and not of else 'models'}"


def reading_line(tally: Tally) -> str:
    """`reading   210 of 472 files · 35/s · 12.3 MB · 8 seconds left`."""
    done, total = tally.files, tally.files + tally.pending
    parts = [f"{number(done)} of {count(total, 'file')}"]
    if tally.seconds > _SETTLED_SECONDS and done:
        speed = done / tally.seconds
        parts.append(f"{speed:.0f}/s" if speed >= 10 else f"{speed:.1f}/s")  # noqa: PLR2004
    if tally.bytes_read:
        parts.append(size(tally.bytes_read))
    if tally.stopping:
        parts.append("finishing what is in flight")
    elif tally.pending and done and tally.seconds > _SETTLED_SECONDS:
        left = tally.pending * tally.seconds / done
        parts.append(
            f"{duration(left)} left" + (", and what is still to be listed" if tally.listing else "")
        )
    return f"{'reading':9}{' · '.join(parts)}"


def outcome_line(tally: Tally) -> str:
    """`380 decoded · 40 no metadata · 3 login required`."""
    shown = [
        f"{number(amount)} {outcome.value.replace('_', ' ')}"
        for outcome, amount in sorted(
            tally.outcomes.items(), key=lambda pair: (pair[0] not in READ, -pair[1])
        )
    ]
    return f"{'':9}{' · '.join(shown)}" if shown else ""


@contextmanager
def live_display(tally: Tally, voice: Voice) -> Iterator[None]:
    """Show `tally` on stderr while the block runs, if that is a terminal."""
    if voice.quiet or not sys.stderr.isatty():
        yield
        return
    from rich.live import Live
    from rich.text import Text

    def picture() -> Text:
        total = tally.files + tally.pending
        share = bar(tally.files / total if total else 0.0, _BAR_WIDTH)
        rows = [listing_line(tally), reading_line(tally), outcome_line(tally)]
        return Text("\n".join([f"{share:·<{_BAR_WIDTH}}", *filter(None, rows)]))

    console = open_console(sys.stderr)
    with Live(console=console, get_renderable=picture, refresh_per_second=4, transient=True):
        yield


async def tell_now_and_then(tally: Tally, voice: Voice) -> None:
    """Print a plain line every few seconds, unless stderr is a terminal with a display."""
    if voice.quiet or sys.stderr.isatty():
        return
    while True:
        await anyio.sleep(LINE_SECONDS)
        voice.notice(
            " · ".join(line.strip() for line in (listing_line(tally), reading_line(tally)))
        )
