"""Crawl a faulty catalogue, kill the crawl again and again, and hold what is stored against the truth.

`python bench/soak.py --models 5000 --kills 20` serves a sandbox with every fault there is, starts
`lora-crawl sync` on it, kills it at random moments, lets it finish, and prints what came out.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import sqlalchemy as sa

from crawler.sandbox import Catalogue, Faults, Sandbox
from crawler.store.database import open_for_reading
from crawler.store.tables import loras

#: Runs to the end at most: each one that a fault stopped goes on where it was.
MOST_RUNS = 60


def sync(sandbox: Sandbox, place: str) -> "subprocess.Popen[bytes]":
    """One run, with a key."""
    words = ["sync", "--api-url", sandbox.url, "--nsfw", "--rate", "0", "--db", place]
    return subprocess.Popen(
        [sys.executable, "-m", "crawler", *words],
        env={**os.environ, "CIVITAI_API_TOKEN": sandbox.key},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def soak(
    sandbox: Sandbox, place: str, kills: int, longest: float, dice: random.Random
) -> Counter[str]:
    """Kill so many runs, then run until one says that nothing is left; returns how runs ended."""
    endings: Counter[str] = Counter()
    for _ in range(kills):
        run = sync(sandbox, place)
        try:
            run.wait(timeout=dice.uniform(0.5, longest))
            endings[f"ended by itself, exit {run.returncode}"] += 1
        except subprocess.TimeoutExpired:
            run.kill()
            endings["killed"] += 1
        run.communicate()
    for _ in range(MOST_RUNS):
        run = sync(sandbox, place)
        told = run.communicate()[1].decode()
        endings[f"exit {run.returncode}"] += 1
        if run.returncode == 0:
            return endings
        print("  stopped:", [line for line in told.splitlines() if "error" in line][-1:])
    return endings


def report(catalogue: Catalogue, sandbox: Sandbox, place: str) -> None:
    """What is stored beside what should be."""
    engine = open_for_reading(place)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(loras.c.file_id, loras.c.outcome, loras.c.reason))
        stored = {row.file_id: (row.outcome, row.reason) for row in rows}
    engine.dispose()
    truth = catalogue.truth(mature=True, key=True)
    wrong = {
        file_id: (outcome.value, stored[file_id])
        for file_id, outcome in truth.items()
        if file_id in stored and stored[file_id][0] != outcome
    }
    seen = sandbox.counters
    print(f"files in truth {len(truth):,}, stored {len(stored):,}")
    print(
        f"missing {len(truth.keys() - stored.keys())}, beyond {len(stored.keys() - truth.keys())}"
    )
    print(f"other outcome than in truth {len(wrong)}: {list(wrong.items())[:10]}")
    print(f"outcomes {dict(Counter(outcome for outcome, _ in stored.values()))}")
    per_file = Counter(seen.counted.values())
    print(f"counted downloads {seen.downloads:,}; files by downloads counted {dict(per_file)}")
    print(
        f"list calls {seen.lists:,}, storage {seen.storage_requests:,} requests, {seen.bytes_sent:,} B"
    )
    print(f"key leaks {seen.key_leaks}; most sent of one body {seen.most_sent:,} B")
    if (injected := getattr(seen, "injected", None)) is not None:
        print(f"faults injected {dict(injected)}")


def main() -> None:
    """Read the options and go."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=5_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument(
        "--longest", type=float, default=15.0, help="seconds before a kill, at most"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", choices=("plain", "mild", "full"), default="full")
    parser.add_argument("--db", help="a fresh database; a temporary one unless given")
    given = parser.parse_args()
    catalogue = Catalogue(given.models, seed=given.seed, faults=getattr(Faults, given.faults)())
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Sandbox(catalogue) as sandbox:
        place = given.db or str(Path(folder) / "soak.db")
        endings = soak(sandbox, place, given.kills, given.longest, random.Random(given.seed))
        print(f"runs: {dict(endings)}, {time.monotonic() - begun:.0f} s")
        report(catalogue, sandbox, place)


if __name__ == "__main__":
    main()
