"""A display on stderr that is drawn anew while work runs, where that is a terminal."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from crawler.cli.output.console import Voice, open_console
from crawler.cli.output.words import bar

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
