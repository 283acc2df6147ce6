"""Take in what another crawl has read.

    models, versions, statistics, files    merged by who saw them last
    headers > the tensor lists they need > whole headers, judged and decoded as in a sync

Each batch is one transaction, and what is there already is left out. A run that was stopped or killed
is therefore continued by the next one.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

from crawler.errors import ExportError, UsageError
from crawler.model import File
from crawler.model.outcome import FROM_BYTES, READ
from crawler.share.database_source import open_database
from crawler.share.export_source import open_export
from crawler.share.importing.headers import take_headers, take_old_headers
from crawler.share.importing.run import Row, Run
from crawler.share.source import Source
from crawler.share.values import tables
from crawler.sources.civitai.client import origin_of
from crawler.sources.civitai.payload import files_of
from crawler.store.connect.database import Connection, Engine, identity
from crawler.store.stats.field_stats import count_changes, refresh_if_due
from crawler.store.write.crawls import begin_crawl, finish_crawl
from crawler.store.write.merged import (
    Merged,
    merge_models,
    merge_statistics,
    merge_versions,
    seen_last,
    version_bodies,
)
from crawler.store.write.merged_files import SeenFile, merge_files
from crawler.sync.progress import ImportTally

#: The tables that are read.
NEEDED = ("models", "versions", "stat_history", "loras", "headers", "tensor_lists", "old_headers")

#: The word for it in `crawls.walk`.
WALK = "import"


@contextlib.contextmanager
def open_source(where: str) -> Iterator[Source]:
    """The export or the database at a place, while the block lasts.

    Args:
        where: A folder, `hf://datasets/OWNER/NAME[@REVISION]`, or the path or URL of a database.

    Raises:
        UsageError: It is none of these, or a package is missing.
        DatabaseError, ExportError: It is not whole, not current, or not an export.
        StoppedError: It cannot be reached.
    """
    if where.startswith("hf:"):
        _check_hub_place(where)
        is_export = True
    else:
        # Not Path.is_dir, which takes an empty text for the folder here, and may raise.
        is_export = "://" not in where and os.path.isdir(where)  # noqa: PTH112
    opened = open_export(where, NEEDED) if is_export else open_database(where, NEEDED)
    with opened as source:
        yield source


def _check_hub_place(where: str) -> None:
    parts = where.removeprefix("hf://datasets/").partition("@")[0].split("/")
    if not where.startswith("hf://datasets/") or len(parts) != 2 or not all(parts):  # noqa: PLR2004
        raise UsageError(f"{where!r} is no data set; write it like hf://datasets/OWNER/NAME")


def import_from(
    engine: Engine,
    source: Source,
    *,
    tally: ImportTally,
    going: Callable[[], bool],
    max_header: int,
    clock: Callable[[], datetime] = partial(datetime.now, UTC),  # noqa: B008 - holds no state
) -> None:
    """Take in the models, versions, files and headers of a source.

    Args:
        engine: The database, at the newest revision. Nothing else may write to it meanwhile.
        source: What is read.
        tally: Updated during the import.
        going: Called after each batch; when it returns False the import ends cleanly.
        max_header: Longest header, in bytes.
        clock: Gives the stored times.

    Raises:
        UsageError: The source is the database itself, has no files, or those of another API.
        ExportError: An export is damaged.
        DatabaseError, StoppedError: A database or the source failed. What was stored stays.
    """
    origin = _origin(source)
    run = Run(engine, source, tally, going, clock, origin, tables(clock(), max_header), max_header)
    if run.read(identity) == source.about.identity:
        raise UsageError(f"{source.about.place} cannot be imported into itself")
    crawl_id = run.write(lambda db: begin_crawl(db, origin=origin, walk=WALK, now=clock()))
    tally.total = sum(source.about.rows.values())
    ending = "cancelled"
    try:
        steps = (_models, _versions, _statistics, _files, take_headers, take_old_headers)
        ending = "done" if all(step(run) for step in steps) else "interrupted"
    finally:
        summary = tally.summary()
        run.write(
            lambda db: finish_crawl(db, crawl_id, ending=ending, summary=summary, now=clock())
        )
    refresh_if_due(engine, now=clock(), going=going)


def _origin(source: Source) -> str:
    said = source.about.origin
    if said is None:
        raise UsageError(f"{source.about.place} has no files of a site")
    try:
        if origin_of(said) == said:
            return said
    except UsageError:
        pass
    raise ExportError(f"{source.about.place}: {said!r} is not the URL of an API")


def _models(run: Run) -> bool:
    return run.merge("models", lambda db, rows: merge_models(db, run.distinct("models", rows)))


def _versions(run: Run) -> bool:
    def merge(db: Connection, rows: Sequence[Row]) -> Merged:
        found = merge_versions(db, run.distinct("versions", rows))
        run.latest.update(seen_last(db, {row["version_id"]: row["last_seen_at"] for row in rows}))
        return found

    return run.merge("versions", merge)


def _statistics(run: Run) -> bool:
    return run.merge("stat_history", merge_statistics)


def _files(run: Run) -> bool:
    def merge(db: Connection, rows: Sequence[Row]) -> Merged:
        rows = run.distinct("loras", rows)
        kinds = _kinds(db, [row for row in rows if row["outcome"] not in READ])
        seen = [
            SeenFile(
                file=_file(row, kinds.get(row["file_id"])),
                version_id=row["version_id"],
                gone_at=row["gone_at"],
                is_latest=row["version_id"] in run.latest,
            )
            for row in rows
        ]
        found = merge_files(db, seen, origin=run.origin)
        count_changes(db, found.new + found.changed)
        now = run.clock()
        for row in rows:
            if row["outcome"] in FROM_BYTES and row["file_id"] in found.unread:
                run.unread[row["file_id"]] = min(row["fetched_at"] or now, now)
        return found

    return run.merge("loras", merge)


def _kinds(db: Connection, rows: Sequence[Row]) -> dict[int, File]:
    """The files as their versions list them, by id. Their types and formats tell what is no LoRA."""
    bodies = version_bodies(db, {row["version_id"] for row in rows})
    return {file.file_id: file for body in bodies for file in files_of(body)}


def _file(row: Row, listed: File | None) -> File:
    return File(
        file_id=row["file_id"],
        name=row["file_name"] or "",
        type=listed.type if listed else None,
        format=listed.format if listed else None,
        size_bytes=row["size_bytes"],
        sha256=row["sha256"],
        autov2=row["autov2"],
        autov3=row["autov3"],
        is_primary=bool(row["is_primary"]),
    )
