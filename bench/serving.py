"""Measure the page over a database: `python -m bench.serving PLACE`, on an idle machine.

First each page alone, ten times; then fifty requests at once, whose answers must be those that each of them
has alone. The database is better large: see bench/million.py.
"""

import argparse
import json
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from statistics import median
from urllib.parse import urlencode

from crawler.store.connect.database import open_for_reading
from crawler.web.server import PageServer

#: Seconds of a page, the median of so many requests; of the slowest of many requests at once.
PAGE_SECONDS, ROUNDS, SLOWEST_SECONDS = 0.5, 10, 2.0

#: The first page, what a click on a facet leads to, and two clicks.
FACETS = (
    "",
    "base_model = 'Pony'",
    "optimizer = 'Prodigy'",
    "network_dim = 128",
    "creator = 'creator0'",
    "published_at:2025-01",
    "base_model = 'Pony' and optimizer = 'Lion'",
    "base_model = 'Pony' and creator = 'creator0'",
)

#: Seconds in which the server may prepare its first answer.
_PATIENCE = 120


def main() -> int:
    """Measure; the exit code is 1 if a goal is missed."""
    options = _options()
    engine = open_for_reading(options.place)
    try:
        with PageServer(engine) as server:
            _prepared(server.url)
            good = [_page(server.url, q) for q in FACETS]
            good.append(_at_once(server.url, options.at_once, options.seconds))
    finally:
        engine.dispose()
    return 0 if all(good) else 1


def _prepared(url: str) -> None:
    """Wait until rows are counted."""
    until = time.monotonic() + _PATIENCE
    while json.loads(_get(_api(url, ""))[0])["total"] is None and time.monotonic() < until:
        time.sleep(1)


def _page(url: str, q: str) -> bool:
    seconds = [_get(f"{url}?{urlencode({'q': q})}")[1] for _ in range(ROUNDS)]
    print(f"{median(seconds):6.3f} s, the first {seconds[0]:.3f} s  {q or '(all)'}", flush=True)
    return median(seconds) <= PAGE_SECONDS


def _at_once(url: str, number: int, length: float) -> bool:
    """Many requests at once: each answer right, and the slowest soon enough."""
    addresses = [_api(url, q) for q in FACETS]
    expected = {address: _get(address)[0] for address in addresses}
    pages = [f"{url}?{urlencode({'q': q})}" for q in FACETS]
    until = time.monotonic() + length
    seconds: list[float] = []
    wrong: list[str] = []

    def ask(first: int) -> None:
        for address in islice(cycle([*addresses, *pages]), first, None):
            if time.monotonic() > until:
                return
            try:
                answer, took = _get(address)
            except OSError as error:
                wrong.append(f"{address}: {error}")
                continue
            seconds.append(took)
            if expected.get(address, answer) != answer:
                wrong.append(address)

    _in_threads(ask, number)
    print(
        f"{number} at once for {length:g} s: {len(seconds):,} answers, median"
        f" {median(seconds):.3f} s, slowest {max(seconds):.3f} s, {len(wrong)} wrong {wrong[:3]}"
    )
    return not wrong and max(seconds) <= SLOWEST_SECONDS


def _in_threads(run: Callable[[int], None], number: int) -> None:
    threads: Sequence[threading.Thread] = [
        threading.Thread(target=run, args=(first,)) for first in range(number)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _api(url: str, q: str) -> str:
    return f"{url}api/v1/loras?{urlencode({'q': q, 'limit': 20})}"


def _get(address: str) -> tuple[bytes, float]:
    begun = time.perf_counter()
    with urllib.request.urlopen(address, timeout=60) as answer:
        text = answer.read()
    return text, time.perf_counter() - begun


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.serving", description=__doc__)
    parser.add_argument("place", help="a path or URL, as --db takes it")
    parser.add_argument("--at-once", type=int, default=50, metavar="N")
    parser.add_argument("--seconds", type=float, default=30.0)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
