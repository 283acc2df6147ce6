"""How a crawl is doing: a live display on a terminal, a plain line now and then elsewhere."""

import anyio

from crawler.cli.live import LINE_SECONDS, Picture, shows_live
from crawler.cli.output.console import Voice
from crawler.cli.output.words import count, duration, number, size
from crawler.model import Outcome
from crawler.sync.progress import Tally

#: What the first Ctrl-C is answered with.
STOPPING = "stopping: finishing what is in flight; Ctrl-C again stops at once"

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
    if not tally.stopping and tally.pending and done and tally.seconds > _SETTLED_SECONDS:
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


def picture_of(tally: Tally) -> Picture:
    """How the crawl is doing, for the live display."""
    total = tally.files + tally.pending
    rows = [listing_line(tally), reading_line(tally), outcome_line(tally)]
    if tally.stopping:
        rows.append(STOPPING)
    return tally.files / total if total else 0.0, [row for row in rows if row]


async def tell_now_and_then(tally: Tally, voice: Voice) -> None:
    """Print a plain line every few seconds, unless a live display says it all."""
    if voice.quiet or shows_live(voice):
        return
    while True:
        await anyio.sleep(LINE_SECONDS)
        voice.notice(
            " · ".join(line.strip() for line in (listing_line(tally), reading_line(tally)))
        )
