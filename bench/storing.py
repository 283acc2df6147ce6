"""Measurements of storing rows: a crawl's transactions beside the same rows in bulk."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from bench.catalogue import file_name, write_files, write_pages
from bench.measure import Bench, Line, fresh
from bench.nginx import NUMBER_DIGITS
from crawler.decode.verdict import result_of
from crawler.model import Fetched, Result, Target
from crawler.model.header import LENGTH_BYTES
from crawler.model.site import SITE_URL
from crawler.sources.civitai import payload
from crawler.store.connect.database import open_for_reading, open_for_writing
from crawler.store.schema.tables import field_notes, metadata
from crawler.store.write.catalogue import store_page
from crawler.store.write.copy_database import CopyProgress, copy_database
from crawler.store.write.results import store_results
from crawler.sync.pipeline import RECORD_BATCH
from tests import postgres

NOW = datetime(2026, 1, 1, tzinfo=UTC)

#: Each kind of database, and the fastest way in that its driver has.
BULK = {"SQLite": "`executemany`", "PostgreSQL": "COPY"}

#: Rows that the drivers get at a time.
CHUNK = 10_000


def rows(bench: Bench) -> list[Line]:
    """Rows stored per second on both databases."""
    count, files, pages = bench.sizes.rows, bench.folder / "files", bench.folder / "pages-rows"
    write_pages(pages, count, write_files(files, bench.sizes.files))
    lines = []
    for name, bulk in BULK.items():
        with _databases(bench.folder, name) as places:
            runs = [
                json.loads(bench.module("storing", "crawl", files, pages, *places()).output)
                for _ in range(bench.sizes.rounds)
            ]
        rate = {
            side: median(run["rows"] / run[side] for run in runs)
            for side in ("ours", "copy", "peer")
        }
        lines += [
            Line(
                what,
                f"{bulk} of the same rows",
                [run["peer"] / run[side] for run in runs],
                goal=0.5,
                least=True,
                detail=f"{rate[side]:,.0f} beside {rate['peer']:,.0f} rows/s",
            )
            for side, what in (
                ("ours", f"rows stored per second on {name}, {count:,} files"),
                ("copy", f"rows of `db copy` per second on {name}, {count:,} files"),
            )
        ]
    return lines


def load(bench: Bench) -> list[Line]:
    """Rows per second of `db copy` into both databases, with a large number of files."""
    source = bench.million()
    lines = []
    for name, bulk in BULK.items():
        with _databases(bench.folder, name) as places:
            runs = []
            for _ in range(bench.sizes.rounds):
                target, peer, _unused = places()
                runs.append(
                    json.loads(bench.module("storing", "load", source, target, peer).output)
                )
        ours, theirs = (
            median(run["rows"] / run[side] for run in runs) for side in ("copy", "peer")
        )
        line = Line(
            f"rows of `db copy` per second into {name}, {bench.sizes.million:,} files",
            f"{bulk} of the same rows",
            [run["peer"] / run["copy"] for run in runs],
            goal=0.5,
            least=True,
            detail=(
                f"{ours:,.0f} beside {theirs:,.0f} rows/s, {runs[0]['rows']:,} rows with their indexes"
                f" in {median(run['copy'] for run in runs):,.0f} s"
            ),
        )
        lines.append(line)
    return lines


#: What is done to the databases of a round: stored in, filled in bulk, and copied to.
_DONE = ("rows", "bulk", "copy")


@contextmanager
def _databases(folder: Path, name: str) -> Iterator[Callable[[], list[str]]]:
    """A function that gives the places of databases without tables, one for each of _DONE."""
    if name == "SQLite":
        yield lambda: [str(fresh(folder / f"{done}.db")) for done in _DONE]
        return
    shared = postgres.make_folder()

    def places() -> list[str]:
        names = [f"{done}_{uuid4().hex}" for done in _DONE]
        postgres.run(server, *(f"CREATE DATABASE {name}" for name in names))
        urls = (server.set(database=name) for name in names)
        return [url.render_as_string(hide_password=False) for url in urls]

    try:
        server = postgres.start(shared)
        yield places
    finally:
        postgres.remove(shared)


def main(what: str, *places: str) -> None:
    """Measure `load` or `crawl`, and print the seconds."""
    print(json.dumps((_load if what == "load" else _crawl)(*places)))


def _load(source: str, target: str, peer: str) -> dict[str, float]:
    """Copy a database, and its rows in bulk to another one."""
    copied = open_for_writing(target)
    seconds = _copied(open_for_reading(source), copied)
    stored, bulk = _in_bulk(copied, open_for_writing(peer))
    return {"rows": stored, "copy": seconds, "peer": bulk}


def _crawl(files: str, pages: str, ours: str, peer: str, copy: str) -> dict[str, float]:
    """Store a catalogue in one database, its rows in bulk in another, and copy it."""
    seconds = 0.0
    engine = open_for_writing(ours)
    store = partial(
        store_page,
        site="civitai",
        origin=SITE_URL,
        walk="bench",
        pass_number=1,
        cursors={},
        now=NOW,
    )
    for path in sorted(Path(pages).iterdir()):
        models = payload.page(payload.parse(path.read_bytes())).models
        begun = time.perf_counter()
        with engine.begin() as connection:
            store(connection, models)
        seconds += time.perf_counter() - begun
        files_of = [
            file for model in models for version in model.versions for file in version.files
        ]
        for first in range(0, len(files_of), RECORD_BATCH):
            ids = [file.file_id for file in files_of[first : first + RECORD_BATCH]]
            results = [_result(Path(files), file_id) for file_id in ids]
            begun = time.perf_counter()
            with engine.begin() as connection:
                store_results(connection, results)
            seconds += time.perf_counter() - begun
    stored, bulk = _in_bulk(engine, open_for_writing(peer))
    copied = _copied(open_for_reading(ours), open_for_writing(copy))
    return {"rows": stored, "ours": seconds, "peer": bulk, "copy": copied}


def _copied(source: sa.Engine, target: sa.Engine) -> float:
    """The seconds of `db copy`."""
    begun = time.perf_counter()
    copy_database(source, target, progress=CopyProgress(), going=lambda: True)
    return time.perf_counter() - begun


def _result(files: Path, file_id: int) -> Result:
    path = files / file_name(file_id % 10**NUMBER_DIGITS)
    with path.open("rb") as opened:
        length = opened.read(LENGTH_BYTES)
        prefix = length + opened.read(int.from_bytes(length, "little"))
    version_id = file_id // 10**NUMBER_DIGITS
    target = Target(file_id=file_id, version_id=version_id, file_name=path.name)
    return result_of(Fetched(target=target, prefix=prefix, file_bytes=path.stat().st_size), NOW)


def _in_bulk(source: sa.Engine, target: sa.Engine) -> tuple[int, float]:
    """Copy all rows, a table at a time in one transaction; returns their number and the seconds."""
    on_sqlite = source.dialect.name == "sqlite"
    stored, seconds = 0, 0.0
    with closing(source.raw_connection()) as read, closing(target.raw_connection()) as write:
        if not on_sqlite:
            from psycopg.types.json import set_json_loads

            set_json_loads(_as_text, context=read.driver_connection)  # JSON stays text
        # A named cursor of psycopg leaves the rows on the server until they are wanted.
        driver: Any = read.driver_connection
        cursor = driver.cursor() if on_sqlite else driver.cursor("rows")
        writer = write.cursor()
        if on_sqlite:
            writer.execute("BEGIN IMMEDIATE")
        for table in metadata.sorted_tables:
            if table is field_notes:  # every database has them from its beginning
                continue
            cursor.execute(f"SELECT * FROM {table.name}")
            while found := cursor.fetchmany(CHUNK):
                begun = time.perf_counter()
                (_execute_many if on_sqlite else _copy)(writer, table, found)
                seconds += time.perf_counter() - begun
                stored += len(found)
        begun = time.perf_counter()
        writer.execute("COMMIT")
        seconds += time.perf_counter() - begun
    return stored, seconds


def _as_text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()


def _execute_many(cursor: Any, table: sa.Table, found: Sequence[Sequence[Any]]) -> None:
    marks = ",".join("?" * len(table.columns))
    cursor.executemany(f"INSERT INTO {table.name} VALUES ({marks})", found)


def _copy(cursor: Any, table: sa.Table, found: Sequence[Sequence[Any]]) -> None:
    with cursor.copy(f"COPY {table.name} FROM STDIN") as copy:
        for row in found:
            copy.write_row(row)


if __name__ == "__main__":
    main(*sys.argv[1:])
