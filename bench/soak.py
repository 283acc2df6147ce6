"""Crawl a faulty catalogue, kill the crawl again and again, and hold what is stored against the truth.

`python bench/soak.py --models 5000 --kills 20` serves a sandbox with every fault there is, starts
`lora-crawl sync` on it, kills it at random moments, lets it finish, prints what came out, and ends
with 1 unless all of it is as it should be.
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
from crawler.store.connect.database import open_for_reading
from crawler.store.schema.tables import headers, loras

#: Runs to the end at most: each one that a fault stopped goes on where it was.
MOST_RUNS = 60

#: Faults after which a link is renewed, for one more counted download.
RENEWED = ("expired_link", "storage_forbidden")

#: Files that a kill may cost a second counted download: being fetched, waiting to be stored and being
#: stored, eight at a time.
MOST_LOST_IN_A_KILL = 32

MIB = 1024 * 1024


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


def report(catalogue: Catalogue, sandbox: Sandbox, place: str, kills: int) -> list[str]:
    """Print what is stored beside what should be; returns what does not hold."""
    engine = open_for_reading(place)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(loras.c.file_id, loras.c.outcome, loras.c.reason))
        stored = {row.file_id: (row.outcome, row.reason) for row in rows}
        # Beyond the limit a length is only claimed.
        lengths = sa.select(sa.func.max(headers.c.length)).where(headers.c.length <= 32 * MIB)
        longest = connection.execute(lengths).scalar_one()
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
    beyond_one = sum(times - 1 for times in seen.counted.values())
    renewed = sum(seen.injected.get(fault, 0) for fault in RENEWED)
    print(f"counted downloads {seen.downloads:,}; files by downloads counted {dict(per_file)}")
    print(f"beyond one a file {beyond_one}: {renewed} links had to be renewed, {kills} kills")
    print(
        f"list calls {seen.lists:,}, storage {seen.storage_requests:,} requests, {seen.bytes_sent:,} B"
    )
    print(
        f"key leaks {seen.key_leaks}; most sent of one body {seen.most_sent:,} B, longest header"
        f" {longest:,} B"
    )
    print(f"faults injected {dict(seen.injected)}")
    holds = {
        "no file is lost": not truth.keys() - stored.keys(),
        "no file is made up": not stored.keys() - truth.keys(),
        "every outcome is right": not wrong,
        "one download a file beyond renewed links and kills": beyond_one
        <= renewed + kills * MOST_LOST_IN_A_KILL,
        "the key goes nowhere else": seen.key_leaks == 0,
        "no body is read 1 MiB beyond its header": seen.most_sent <= longest + MIB,
    }
    return [name for name, held in holds.items() if not held]


def again(sandbox: Sandbox, place: str) -> None:
    """Print what one more sync costs, when hardly anything changed."""
    lists, downloads = sandbox.counters.lists, sandbox.counters.downloads
    run = sync(sandbox, place)
    run.communicate()
    seen = sandbox.counters
    print(
        f"a second sync: exit {run.returncode}, {seen.lists - lists} list calls,"
        f" {seen.downloads - downloads} counted downloads"
    )


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
        failed = report(catalogue, sandbox, place, endings["killed"])
        again(sandbox, place)
    print("all of it holds" if not failed else f"does not hold: {'; '.join(failed)}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
