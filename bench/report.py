"""The results as a page of the documentation, and the machine that they were measured on."""

import os
import platform
import sqlite3
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

from bench import nginx
from bench.measure import NOTHING, Line, Sizes

PACKAGES = ("lora-crawl", "huggingface_hub", "orjson", "safetensors", "sqlite-utils", "typer")
INTRODUCTION = """\
# Benchmarks

What lora-crawl costs beside other programs that do the same work. This page is written by

    pip install --group bench
    python -m bench

in a checkout, with nginx installed (`apt-get install nginx-light`). `python -m bench --help` lists the
measurements, which can be run one by one, and their sizes.

Both sides of a comparison run in turns on the same machine, {rounds} times. The table shows the median of
the ratios, with the lowest and the highest in brackets. A ratio of times below 1 means that lora-crawl is
faster, a ratio of files, requests or rows per second above 1. Programs are measured as whole processes from
start to end, on both sides; of `orjson.loads` only the calls count.

The catalogue is made up: {files:,} files with a mean header of 154 KB, distinct metadata with 150 tags
each, and 38 tensor lists. nginx serves the list, the download redirects and the ranges on loopback, and
huggingface_hub reads the same files from it without a redirect. Larger catalogues list the same files again
under other ids. The database with {million:,} files is made up too.
"""


def page(lines: Sequence[Line], sizes: Sizes) -> str:
    """The page in Markdown."""
    parts = [
        INTRODUCTION.format(rounds=sizes.rounds, files=sizes.files, million=sizes.million),
        "| what | beside | result | goal | |",
        "|---|---|---|---|---|",
        *(f"| {' | '.join(_cells(line))} |" for line in lines),
        "",
        "## The figures behind the ratios",
        "",
        *(f"- {line.what}: {line.detail}." for line in lines if line.detail),
        "",
        "## The machine",
        "",
        *(f"- {fact}" for fact in machine()),
    ]
    return "\n".join(parts) + "\n"


def text(line: Line) -> str:
    """One result for a terminal."""
    what, beside, result, goal, met = _cells(line)
    peer = "" if beside == NOTHING else f" beside {beside}"
    return f"{what}{peer}: {result}, goal {goal}: {met}" + (f" ({line.detail})" * bool(line.detail))


def machine() -> Iterable[str]:
    """Processor, memory, system, versions, load and date."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    said = subprocess.run(
        [nginx.path() or "nginx", "-v"], capture_output=True, text=True, check=True
    )
    yield f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB of memory"
    yield f"{platform.system()} {platform.release()}, {said.stderr.partition(':')[2].strip()}"
    yield f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    yield ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    load, now = os.getloadavg()[0], datetime.now(UTC)
    yield f"load average {load:.1f} at the end, {now:%Y-%m-%d}"


def _cells(line: Line) -> tuple[str, str, str, str, str]:
    unit = f" {line.unit}" if line.unit else ""
    low, high = _number(min(line.values)), _number(max(line.values))
    spread = f" ({low} to {high})" if low != high else ""
    goal = f"{'at least' if line.least else 'at most'} {_number(line.goal)}{unit}"
    middle = median(line.values)
    met = middle >= line.goal if line.least else middle <= line.goal
    result = f"{_number(middle)}{unit}{spread}"
    return line.what, line.beside, result, goal, "met" if met else "missed"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value >= 10 else f"{value:.2f}"


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    rows = path.read_text().splitlines() if path.exists() else ()
    names = (row.partition(":")[2].strip() for row in rows if row.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
