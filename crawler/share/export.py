"""Write an export: the tables as Parquet files, the dataset card, and the manifest.

    one snapshot > rows of a table, batch by batch > TABLE.parquet.part > TABLE.parquet
                                                                  noted in lora-crawl.part
    all tables are there > README.md > lora-crawl.json

A file has its name only when it is whole and on disk. An interrupted export is continued by the next one:
the tables that are noted stay if the database is still in the same state, so that all fit together.
"""

import contextlib
import hashlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from crawler import __version__
from crawler.decode.recipe import DECODER_VERSION
from crawler.errors import StoppedError, UsageError
from crawler.query.tree import Node
from crawler.share.card import card_of
from crawler.share.folder import (
    Tell,
    add_note,
    are_there,
    begin,
    check_folder,
    finish,
    forget_notes,
    new_file,
    opened,
    read_manifest,
)
from crawler.share.form import CARD, FORMAT, Manifest, file_of
from crawler.share.table_file import write_table
from crawler.store.connect.database import REVISION, Connection, Engine
from crawler.store.connect.db_errors import translated
from crawler.store.read.shared import (
    SharedTable,
    coverage,
    lasting_version,
    one_snapshot,
    shared_rows,
    shared_tables,
)
from crawler.store.write.crawls import filled_from
from crawler.sync.progress import Tally


@dataclass(slots=True)
class ExportTally(Tally):
    """The progress of an export.

    Attributes:
        tables: How many there are.
        done: Tables that are whole.
        kept: Those of them that an earlier run wrote.
        table: The name of the table that is written now.
        rows: Rows written of that table.
        bytes: Bytes of the tables that are whole.
    """

    tables: int = 0
    done: int = 0
    kept: int = 0
    table: str = ""
    rows: int = 0
    bytes: int = 0


def export(
    engine: Engine,
    folder: Path,
    tree: Node | None = None,
    *,
    where: Sequence[str] = (),
    force: bool = False,
    tally: ExportTally,
    going: Callable[[], bool],
    tell: Tell,
    now: datetime,
) -> Manifest:
    """Write the rows that belong to the chosen files to a folder, which is created if needed.

    Args:
        engine: A reader's.
        folder: As in `check_folder`. An export that is there stays if nothing has changed.
        tree: The condition on `loras`; None for all files.
        where: The condition as typed.
        force: Replace an export of another state of the database, or of other files.
        tally: Shows the progress.
        going: Called after each batch of rows; False stops the work.
        tell: Takes sentences for the user.
        now: The time.

    Raises:
        UsageError: As in `check_folder`; or there is an export already, and `force` is off.
        ExportError: The folder cannot be written.
        StoppedError: `going` stopped the work, the disk is full, or another program writes to the folder.
        DatabaseError, StoppedError: As in `translated`; or a value is damaged.
        QueryError: A result of the tree's arithmetic is out of range, on PostgreSQL.
    """
    with opened(folder), translated(engine.url), one_snapshot(engine) as connection:
        check_folder(folder)
        state = _state(connection, tree)
        whole = read_manifest(folder)
        if whole is not None and whole.state == state and are_there(folder, whole.tables):
            tally.tables = tally.done = tally.kept = len(whole.tables)
            forget_notes(folder)
            return whole
        if whole is not None and whole.state != state and not force:
            raise UsageError(
                f"{folder} has an export of {whole.made_at:%Y-%m-%d %H:%M}, and the database or the"
                " condition is another one now\nuse --force to replace it; what you wrote at the end of"
                f" {CARD}, below its comment, stays"
            )
        done = begin(folder, state, tell)
        tables = shared_tables()
        tally.tables, tally.done, tally.kept = len(tables), len(done), len(done)
        for table in tables:
            if table.name not in done:
                with (
                    new_file(folder, file_of(table.name)) as file,
                    contextlib.closing(_rows(connection, table, tree, tally, going)) as rows,
                ):
                    written = write_table(file, table, rows)
                add_note(folder, table.name, written)
                done[table.name] = written
                tally.done += 1
            tally.bytes += done[table.name].bytes
        manifest = Manifest(
            format=FORMAT,
            revision=REVISION,
            program=__version__,
            decoder_version=DECODER_VERSION,
            origin=filled_from(connection),
            made_at=now,
            where=tuple(where),
            state=state,
            tables={table.name: done[table.name] for table in tables},
        )
        card = card_of(manifest, tables, coverage(connection, tree))
        finish(folder, card, manifest)
        return manifest


def _state(connection: Connection, tree: Node | None) -> str:
    """A digest of everything that the files of the tables depend on."""
    parts = (str(FORMAT), __version__, REVISION, lasting_version(connection, tree))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _rows(
    connection: Connection,
    table: SharedTable,
    tree: Node | None,
    tally: ExportTally,
    going: Callable[[], bool],
) -> Generator[Sequence[Sequence[object]]]:
    """The rows of a table in batches, until `going` stops them with a StoppedError. To be closed."""
    tally.table, tally.rows = table.name, 0
    with contextlib.closing(shared_rows(connection, table.name, tree)) as batches:
        for batch in batches:
            yield batch
            tally.rows += len(batch)
            if not going():
                raise StoppedError(
                    f"stopped; {tally.done} of {tally.tables} tables are whole:"
                    " run the same command again to continue"
                )
