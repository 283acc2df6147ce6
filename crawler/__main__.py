"""The command `lora-crawl`, also as `python -m crawler`."""

from crawler.cli.app import app


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    app()


if __name__ == "__main__":
    main()
