"""The command `lora-crawl`, also as `python -m crawler`."""

import gc
import os
import sys

#: Objects that are created before the garbage collector runs. A command creates about 100,000 while
#: it starts, none of them garbage; with Python's default of 700 the collector takes a tenth of the
#: start.
_COLLECT_AFTER = 150_000


def main() -> None:
    """Run the command line; end the process with its exit code."""
    _open_closed_streams()
    gc.set_threshold(_COLLECT_AFTER)
    from crawler.cli.app import app  # noqa: PLC0415 - after the threshold is set

    try:
        app(prog_name="lora-crawl")
    finally:
        # The interpreter would look for garbage among all objects before it ends, which takes as long
        # as half of their imports.
        gc.freeze()


def _open_closed_streams() -> None:
    """Open the null device where stdin, stdout or stderr was closed, as by `2>&-`.

    Python has None in their place. The next files would get their numbers, and what is printed.
    """
    streams = ("stdin", "stdout", "stderr")
    if None not in (sys.stdin, sys.stdout, sys.stderr):
        return
    while (number := os.open(os.devnull, os.O_RDWR)) < len(streams):
        opened = os.fdopen(number, "w" if number else "r", encoding="utf-8", errors="replace")
        setattr(sys, streams[number], opened)
    os.close(number)


if __name__ == "__main__":
    main()
