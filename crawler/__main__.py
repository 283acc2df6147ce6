"""The command `lora-crawl`, also as `python -m crawler`."""

import gc

#: Objects that are created before the garbage collector runs. A command creates about 100,000 while
#: it starts, none of them garbage; with Python's default of 700 the collector takes a tenth of the
#: start.
_COLLECT_AFTER = 150_000


def main() -> None:
    """Run the command line; end the process with its exit code."""
    gc.set_threshold(_COLLECT_AFTER)
    from crawler.cli.app import app  # noqa: PLC0415 - after the threshold is set

    try:
        app()
    finally:
        # The interpreter would look for garbage among all objects before it ends, which takes as long
        # as half of their imports.
        gc.freeze()


if __name__ == "__main__":
    main()
