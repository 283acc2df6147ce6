"""Workers that share one PostgreSQL database, beside one sync into it."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from statistics import median
from uuid import uuid4

import sqlalchemy as sa

from bench.catalogue import write_files, write_pages
from bench.measure import Bench, Cost, Line
from bench.nginx import nginx
from tests import postgres

#: Workers side by side.
WORKERS = (1, 2, 5)

#: The least share of the throughput of a sync that workers must reach. On one machine five of them
#: start five times, and share the cores with the server.
GOAL = 0.8


def fleet(bench: Bench) -> list[Line]:
    """Throughput of workers, without a limit of requests, and the share that coordination takes."""
    count = bench.sizes.files
    files, pages = bench.folder / "files", bench.folder / f"pages-{count}"
    write_pages(pages, count, write_files(files, count))
    alone: list[Cost] = []
    starts: dict[str, float] = {}
    together: dict[int, list[Cost]] = {number: [] for number in WORKERS}
    with _server() as server, nginx(bench.folder / "nginx", pages=pages, files=files) as url:
        for _ in range(bench.sizes.rounds):
            with _database(server) as place:
                site = ("--api-url", url, "--db", place, "--quiet", "--rate", 0)
                bench.crawler("sync", "--no-headers", *site)
                alone.append(bench.crawler("sync", *site))
                # With nothing to do, what is left is the start.
                starts = {name: bench.crawler(name, *site).cpu for name in ("sync", "worker")}
            for number in WORKERS:
                with _database(server) as place:
                    site = ("--api-url", url, "--db", place, "--quiet", "--rate", 0)
                    bench.crawler("sync", "--enqueue", *site)
                    together[number].append(_side_by_side(bench, number, site))
    return [_line(count, number, costs, alone, starts) for number, costs in together.items()]


def _line(
    count: int, workers: int, costs: list[Cost], alone: list[Cost], starts: Mapping[str, float]
) -> Line:
    ours, theirs = (count / median(one.seconds for one in some) for some in (costs, alone))
    started = workers * starts["worker"], starts["sync"]
    cpu, single = (
        (median(one.cpu for one in some) - start) / count * 1000
        for some, start in zip((costs, alone), started, strict=True)
    )
    return Line(
        f"{workers} `worker` on PostgreSQL, {count:,} files, files per second",
        "`sync` of the listed files into the same PostgreSQL",
        [one.seconds / cost.seconds for cost, one in zip(costs, alone, strict=True)],
        goal=GOAL,
        least=True,
        detail=(
            f"{ours:,.0f} beside {theirs:,.0f} files/s; {cpu:.1f} beside {single:.1f} ms of CPU a file"
            f" without the start of {started[0]:.1f} beside {started[1]:.1f} s, so coordination takes"
            f" {max(1 - single / cpu, 0):.0%}"
        ),
    )


def _side_by_side(bench: Bench, workers: int, site: tuple[object, ...]) -> Cost:
    """The cost of several workers from the start of the first to the end of the last."""
    began = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        costs = [*pool.map(lambda _: bench.crawler("worker", *site), range(workers))]
    whole = time.perf_counter() - began
    return replace(
        max(costs, key=lambda cost: cost.peak),
        seconds=whole,
        cpu=sum(cost.cpu for cost in costs),
    )


@contextmanager
def _server() -> Iterator[sa.URL]:
    folder = postgres.make_folder()
    try:
        yield postgres.start(folder)
    finally:
        postgres.remove(folder)


@contextmanager
def _database(server: sa.URL) -> Iterator[str]:
    """A fresh database."""
    with (
        closing(postgres.Copies(server)) as copies,
        copies.copy(f"bench_{uuid4().hex}") as url,
    ):
        yield url.render_as_string(hide_password=False)
