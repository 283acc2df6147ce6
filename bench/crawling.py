"""Measurements of `sync`, and of `redecode` over what it stored."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

from bench.catalogue import write_files, write_pages
from bench.measure import MB, NOTHING, Bench, Cost, Line, fresh
from bench.nginx import nginx
from crawler.sandbox import Catalogue, Faults, Sandbox

#: Requests a second to the API, and seconds before each answer of the API and of storage. A file takes
#: two answers, so eight at a time, the default, could be 50 a second only if nothing else took time.
RATE, LATENCY, CONCURRENCY = 50, 0.08, 16

#: The tables and indexes that take most space, in bytes.
LARGEST_TREES = "SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC LIMIT 10"


def sync(bench: Bench) -> list[Line]:
    """Whole runs beside huggingface_hub over the same files, what they request and what they store."""
    count, database = bench.sizes.files, _database(bench)
    ours: list[Cost] = []
    peers: list[Cost] = []
    with serving(bench, count) as url:
        for _ in range(bench.sizes.rounds):
            ours.append(_synced(bench, url))
            tries = [bench.module("peers", "hub", url, count, threads) for threads in (1, 8)]
            peers.append(min(tries, key=lambda cost: cost.seconds))
    paths = (bench.folder / "nginx" / "access.log").read_text().splitlines()
    downloads, ranges = (
        sum(path.startswith(kind) for path in paths) / len(ours) / count
        for kind in ("/api/download/", "/files/")
    )
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        trees = connection.execute(LARGEST_TREES).fetchall()
    speed, peer = (count / median(cost.seconds for cost in costs) for costs in (ours, peers))
    cpu = median(cost.cpu for cost in ours) / count * 1000
    return [
        Line(
            f"whole `sync` of {count:,} files from nginx, files per second",
            "huggingface_hub `parse_safetensors_file_metadata`, best of 1 and 8 threads",
            [their.seconds / our.seconds for our, their in zip(ours, peers, strict=True)],
            goal=3,
            least=True,
            detail=f"{speed:,.0f} beside {peer:,.0f} files/s, {cpu:.1f} ms of CPU a file",
        ),
        Line(
            "bytes at rest a file",
            NOTHING,
            [database.stat().st_size / count / 1000],
            goal=14,
            unit="KB",
            detail=", ".join(f"{name} {size / count / 1000:.2f}" for name, size in trees) + " KB",
        ),
        Line("counted downloads a file", "1", [downloads], goal=1),
        Line("ranges a file", "1", [ranges], goal=1.05),
    ]


def rate(bench: Bench) -> list[Line]:
    """The rate that a limited sync reaches, from a sandbox that answers late."""
    rates = []
    limits = ("--rate", RATE, "--concurrency", CONCURRENCY)
    catalogue = Catalogue(bench.sizes.requests, faults=Faults.plain())
    for _ in range(bench.sizes.rounds):
        with Sandbox(catalogue, latency=LATENCY) as sandbox:
            cost = _synced(bench, sandbox.url, *limits, "--json")
            rates.append(sandbox.counters.api_requests / json.loads(cost.output)["seconds"])
    return [
        Line(
            f"`sync {' '.join(map(str, limits))}` with {LATENCY * 1000:.0f} ms latency, requests per second",
            f"{RATE} a second",
            [reached / RATE for reached in rates],
            goal=0.97,
            least=True,
            detail=f"{median(rates):.1f} requests/s",
        )
    ]


def growth(bench: Bench) -> list[Line]:
    """Memory and CPU a file of one sync of many models, beside those of few."""
    sizes = bench.sizes
    with serving(bench, sizes.large) as url:
        large = _synced(bench, url)
    few: dict[int, list[Cost]] = {}
    for models in (1, sizes.small, sizes.files):
        with serving(bench, models) as url:
            few[models] = [_synced(bench, url) for _ in range(sizes.rounds)]
    start = median(cost.cpu for cost in few[1])
    each = (large.cpu - start) / sizes.large * 1000
    small = [(cost.cpu - start) / sizes.small * 1000 for cost in few[sizes.small]]
    memory = f"memory of `sync`, {sizes.large:,} models"
    usual = median(cost.peak for cost in few[sizes.files]) / MB
    return [
        Line(
            f"CPU a file of `sync`, {sizes.large:,} models, without its start",
            f"{sizes.small:,} models",
            [each / one for one in small],
            goal=1.1,
            detail=f"{each:.2f} beside {median(small):.2f} ms",
        ),
        Line(
            memory,
            f"{sizes.files:,} models",
            [large.peak / cost.peak for cost in few[sizes.files]],
            goal=1.05,
            detail=f"{large.peak / MB:.0f} beside {usual:.0f} MB",
        ),
        Line(memory, NOTHING, [large.peak / MB], goal=200, unit="MB"),
    ]


def redecode(bench: Bench) -> list[Line]:
    """`redecode` of all headers of a database beside orjson.loads of the same headers."""
    count, database = bench.sizes.redecode, _database(bench)
    with serving(bench, count) as url:
        _synced(bench, url)

    def loads() -> Cost:
        cost = bench.module("peers", "loads", bench.folder / "files", count)
        return replace(cost, seconds=float(cost.output))

    line = bench.compared(
        f"`redecode` of {count:,} files, 2 cores",
        lambda: bench.crawler("redecode", "--all", "--processes", 2, "--db", database),
        "`orjson.loads` of every header, one core",
        loads,
        goal=1.5,
    )
    return [line]


@contextmanager
def serving(bench: Bench, models: int) -> Iterator[str]:
    """The URL of nginx with a list of so many models, each with one file."""
    files, pages = bench.folder / "files", bench.folder / f"pages-{models}"
    write_pages(pages, models, write_files(files, bench.sizes.files))
    with nginx(bench.folder / "nginx", pages=pages, files=files) as url:
        yield url


def _synced(bench: Bench, url: str, *more: object) -> Cost:
    """Run a sync into a fresh database, without a limit of requests unless `more` gives one."""
    words = ("sync", "--api-url", url, "--db", fresh(_database(bench)), "--quiet")
    return bench.crawler(*words, *(more or ("--rate", 0)))


def _database(bench: Bench) -> Path:
    return bench.folder / "synced.db"
