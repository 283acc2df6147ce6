"""Watch one long crawl: `python -m bench.soak [--models N] [--place PLACE]`.

nginx serves a catalogue of so many models, each with one file, and one `sync` without a limit of requests
reads it whole. For each part of the files the table shows what it took: the time and CPU of 1,000 files, the
memory of the process then, and the size of the database. All of them should be flat but the size, which
should grow by the same amount each time.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from bench.crawling import serving
from bench.measure import COMMANDS, MB, Bench, Sizes, environment
from crawler.store.connect.database import open_for_reading, open_for_writing

#: Rows of the table.
PARTS = 20

#: For 1,000 files, at that moment, and for one file.
COLUMNS = ("seconds", "CPU seconds", "memory MB", "database MB", "KB a file")

_TICK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Sample:
    """The crawl at one moment.

    Attributes:
        files: Headers that were requested so far.
        seconds: Since the process began.
        cpu: Seconds of CPU, user and system.
        memory: Bytes of memory of its own, without what it shares with files.
        database: Bytes of the database, with its log.
    """

    files: int = 0
    seconds: float = 0
    cpu: float = 0
    memory: int = 0
    database: int = 0


def main() -> int:
    """Crawl, and print the table; returns the exit code of the crawl."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="lora-crawl-soak-") as temporary:
        home = Path(options.folder or temporary).absolute()
        home.mkdir(parents=True, exist_ok=True)
        place = options.place or str(home / "soak.db")
        open_for_writing(place).dispose()
        bench, before = Bench(home, Sizes()), Sample()
        with serving(bench, options.models) as url, _crawl(bench, url, place) as process:
            print(f"{'files':>9}" + "".join(f"{name:>14}" for name in COLUMNS), flush=True)
            log = home / "nginx" / "access.log"
            for sample in _samples(process, log, place, options.models // PARTS):
                print(_row(before, sample), flush=True)
                before = sample
            return process.wait()


@contextmanager
def _crawl(bench: Bench, url: str, place: str) -> Iterator[subprocess.Popen[bytes]]:
    words = ("sync", "--api-url", url, "--db", place, "--rate", "0", "--quiet")
    environ = environment(bench.folder)
    process = subprocess.Popen([COMMANDS / "lora-crawl", *words], env=environ, cwd=bench.folder)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _samples(
    process: subprocess.Popen[bytes], log: Path, place: str, step: int
) -> Iterator[Sample]:
    """The crawl each time that so many more files were requested."""
    begun, files, due = time.monotonic(), 0, step
    with log.open("rb") as lines:
        while process.poll() is None:
            files += sum(line.startswith(b"/files/") for line in lines)
            if files >= due and (measured := _process(process.pid)) is not None:
                yield Sample(files, time.monotonic() - begun, *measured, _bytes_of(place))
                due = files + step
            time.sleep(_TICK_SECONDS)


def _process(pid: int) -> tuple[float, int] | None:
    """CPU seconds and bytes of memory of a process; None if it has ended."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    kib = [int(line.split()[1]) for line in lines if line.startswith("RssAnon")]
    ticks = int(words[11]) + int(words[12])
    return (ticks / os.sysconf("SC_CLK_TCK"), kib[0] * 1024) if kib else None


def _bytes_of(place: str) -> int:
    """The size of a database."""
    engine = open_for_reading(place)
    try:
        if engine.dialect.name == "sqlite":
            path = Path(str(engine.url.database))
            return sum(part.stat().st_size for part in path.parent.glob(f"{path.name}*"))
        with engine.connect() as connection:
            size = sa.func.pg_database_size(sa.func.current_database())
            return int(connection.execute(sa.select(size)).scalar_one())
    finally:
        engine.dispose()


def _row(before: Sample, now: Sample) -> str:
    thousands = (now.files - before.files) / 1000
    grown = now.database - before.database
    figures = (
        f"{(now.seconds - before.seconds) / thousands:.1f}",
        f"{(now.cpu - before.cpu) / thousands:.1f}",
        f"{now.memory / MB:.0f}",
        f"{now.database / MB:,.0f}",
        f"{grown / thousands / 1e6:.1f}",
    )
    return f"{now.files:9,}" + "".join(f"{figure:>14}" for figure in figures)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--models", type=int, default=100_000, metavar="N", help="default: 100,000")
    parser.add_argument("--place", help="the database, without tables; default: a new SQLite file")
    parser.add_argument("--folder", help="keep what is made in this folder, and use it again")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
