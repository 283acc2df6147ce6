"""Run programs, and hold what they cost beside a goal."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile

#: The commands of this environment, such as `lora-crawl`.
COMMANDS = Path(sys.executable).parent
ROOT = Path(__file__).parents[1]
CHILD = Path(__file__).with_name("child.py")

#: In bytes.
MB = 1_000_000

#: What stands for the peer of a figure that is compared with nothing.
NOTHING = "nothing"

#: What a person may have set, and no measured program must see.
_FOREIGN = ("CIVITAI_", "LORA_CRAWL_", "HF_", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH")


class FailedError(Exception):
    """A measured program failed; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process cost, with the processes that it waited for.

    Attributes:
        seconds: From its start to its end.
        cpu: Seconds of CPU, user and system.
        peak: Bytes of memory at most, of the largest of the processes.
        output: What it printed.
    """

    seconds: float
    cpu: float
    peak: int
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured. Each is an option of the command."""

    files: int = 2_000  # distinct files on disk, at most 10,000
    small: int = 1_000  # models of a small catalogue
    large: int = 50_000  # models of a large catalogue
    redecode: int = 10_000  # stored headers that are decoded again
    decode: int = 300  # headers with a new list each
    requests: int = 1_500  # models listed and read at a limited rate
    rows: int = 2_000  # files whose rows are stored
    scan: int = 1_000  # local files
    million: int = 1_000_000  # files of the database that is asked
    rounds: int = 3  # of each comparison


#: Sizes for trying the benchmarks.
QUICK = Sizes(
    files=200, small=100, large=600, redecode=300, decode=40, requests=100, rows=200, scan=100,
    million=10_000, rounds=2,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of the report.

    Attributes:
        what: What was measured.
        beside: What it is compared with, or NOTHING.
        values: The ratio of each round, or the amount in `unit`.
        goal: The bound of the median.
        least: The goal is a lower bound, not an upper one.
        unit: Of the values; empty for ratios.
        detail: The figures behind the ratio, in words.
    """

    what: str
    beside: str
    values: Sequence[float]
    goal: float
    least: bool = False
    unit: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Bench:
    """A run of the benchmarks: its sizes, and the folder that is the home of measured programs."""

    folder: Path
    sizes: Sizes

    def crawler(self, *words: object) -> Cost:
        """Run `lora-crawl`."""
        return self.run(COMMANDS / "lora-crawl", *words)

    def module(self, name: str, *words: object) -> Cost:
        """Run `python -m` with a module of this folder."""
        return self.run(sys.executable, "-m", f"bench.{name}", *words)

    def million(self) -> Path:
        """The large database, made by the first measurement that needs it."""
        database = self.folder / f"million-{self.sizes.million}.db"
        if not database.exists():
            self.module("million", database, "--files", self.sizes.million)
        return database

    def run(self, *words: object) -> Cost:
        """Run a program to its end.

        Raises:
            FailedError: Its exit code is not 0.
        """
        command = [str(word) for word in words]
        with ExitStack() as stack:
            out, said, cost = (stack.enter_context(TemporaryFile("w+")) for _ in range(3))
            process = subprocess.Popen(
                [sys.executable, "-IS", CHILD, str(cost.fileno()), *command],
                cwd=ROOT,
                env=environment(self.folder),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=said,
                pass_fds=[cost.fileno()],
                start_new_session=True,
            )
            try:
                process.wait()
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise
            for stream in (out, said, cost):
                stream.seek(0)
            if process.returncode:
                ended = f"{' '.join(command)}: exit {process.returncode}"
                raise FailedError(f"{ended}\n{said.read()}")
            return Cost(output=out.read(), **json.load(cost))

    def compared(
        self,
        what: str,
        ours: Callable[[], Cost],
        beside: str,
        peer: Callable[[], Cost],
        *,
        goal: float,
    ) -> Line:
        """The line for a time that may be `goal` times that of a peer.

        Both are run in turns. A first round fills caches and is left out.
        """
        turns = [(ours(), peer()) for _ in range(self.sizes.rounds + 1)][1:]
        ratios = [one.seconds / other.seconds for one, other in turns]
        mine, theirs = (
            median(cost.seconds for cost in costs) for costs in zip(*turns, strict=True)
        )
        return Line(what, beside, ratios, goal, detail=f"{mine:.2f} beside {theirs:.2f} s")


def fresh(database: Path) -> Path:
    """The path of a database, where none is left."""
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink()
    return database


def environment(home: Path) -> Mapping[str, str]:
    """The environment of measured programs: no settings, keys or proxies of a person."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_FOREIGN) and not name.lower().endswith("_proxy")
    }
    homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "HF_HOME"), str(home))
    return kept | homes | {"HF_HUB_DISABLE_TELEMETRY": "1"}
