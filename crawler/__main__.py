"""The command `lora-crawl`, also as `python -m crawler`."""

import gc

#: So many objects are made before the collector looks for cycles among them. A command makes some
#: 100,000 until it begins, none of them garbage; with Python's own 700 looking at them again and
#: again is a tenth of the start.
_COLLECT_AFTER = 150_000


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    gc.set_threshold(_COLLECT_AFTER)
    from crawler.cli.app import app  # noqa: PLC0415 - what it imports is the start

    app()


if __name__ == "__main__":
    main()
