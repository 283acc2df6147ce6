"""Write an export: the tables as Parquet files, the dataset card, and the manifest.

    one snapshot > rows of a table, batch by batch > TABLE.parquet.part > TABLE.parquet
                                                                  noted in lora-crawl.part
    all tables are there > README.md > lora-crawl.json

A file has its name only when it is whole and on disk. An interrupted export is continued by the next one:
the tables that are noted stay if the database is still in the same state, so that all fit together.
"""

import contextlib
import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from crawler import __version__
from crawler.decode.recipe import DECODER_VERSION
from crawler.errors import ExportError, StoppedError, UsageError
from crawler.query.tree import Node
from crawler.share.card import card_of
from crawler.share.form import CARD, FORMAT, MANIFEST, Manifest, TableFile, file_of
from crawler.share.table_file import write_table
from crawler.store.connect.database import REVISION, Connection, Engine
from crawler.store.connect.db_errors import translated
from crawler.store.connect.lock import lock_file
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

#: What a file is called until it is whole.
_PART = ".part"

#: The tables that are done: a line with the state of the database, then one for each table.
_NOTES = "lora-crawl.part"

#: Longest manifest or notes that are read, in bytes. They have a line for each table.
_MAX_NOTES = 1024 * 1024

#: Foreign files that a message names.
_NAMED_FILES = 3

#: Takes a sentence for the user.
_Tell = Callable[[str], None]


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


class _State(msgspec.Struct, frozen=True):
    state: str


class _Note(msgspec.Struct, frozen=True):
    table: str
    file: TableFile


def check_folder(folder: Path) -> None:
    """Make sure that a folder is a place for an export: new, empty, or with an older one.

    Files whose names begin with a dot are not looked at: those of git and of the Hub.

    Raises:
        UsageError: It is not, or holds an export of a newer lora-crawl.
        ExportError: It cannot be read.
    """
    with _translated(folder):
        try:
            shown = [path for path in folder.iterdir() if not path.name.startswith(".")]
            names = {path.name for path in shown}
            # A pipe in place of a file of ours would be waited for.
            strange = {path.name for path in shown if not path.is_file()}
        except FileNotFoundError:
            return
        except NotADirectoryError:
            raise UsageError(f"{folder} is a file; name a folder") from None
    is_ours = not names.isdisjoint((MANIFEST, _NOTES, f"{_NOTES}{_PART}"))
    foreign = sorted(names - _own_names() | strange if is_ours else names)
    if foreign:
        more = len(foreign) - _NAMED_FILES
        named = ", ".join(foreign[:_NAMED_FILES]) + (f" and {more} more" if more > 0 else "")
        raise UsageError(
            f"{folder} has other files: {named}\nname a folder that is empty or does not exist"
        )
    _read_manifest(folder)


def _own_names() -> set[str]:
    """The names of all files of an export, and what they are called until they are whole."""
    names = {_NOTES, CARD, MANIFEST, *(file_of(table.name) for table in shared_tables())}
    return names | {f"{name}{_PART}" for name in names}


def export(
    engine: Engine,
    folder: Path,
    tree: Node | None = None,
    *,
    where: Sequence[str] = (),
    force: bool = False,
    tally: ExportTally,
    going: Callable[[], bool],
    tell: _Tell,
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
        ExportError: The folder cannot be written, for example because the disk is full.
        StoppedError: `going` stopped the work, or another program writes to the folder.
        DatabaseError, StoppedError: As in `translated`; or a value is damaged.
        QueryError: A result of the tree's arithmetic is out of range, on PostgreSQL.
    """
    with _translated(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder), translated(engine.url), one_snapshot(engine) as connection:
        check_folder(folder)
        state = _state(connection, tree)
        whole = _read_manifest(folder)
        if whole is not None and whole.state == state and _are_there(folder, whole.tables):
            tally.tables = tally.done = tally.kept = len(whole.tables)
            _remove(folder, {_NOTES})
            return whole
        if whole is not None and whole.state != state and not force:
            raise UsageError(
                f"{folder} has an export of {whole.made_at:%Y-%m-%d %H:%M}, and the database or the"
                " condition is another one now\nuse --force to replace it"
            )
        done = _begin(folder, state, tell)
        tables = shared_tables()
        tally.tables, tally.done, tally.kept = len(tables), len(done), len(done)
        for table in tables:
            if table.name not in done:
                rows = _rows(connection, table, tree, tally, going)
                with _new_file(folder, file_of(table.name)) as file:
                    written = write_table(file, table, rows)
                _add_note(folder, _Note(table.name, written))
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
        _put(folder, CARD, card.encode())
        _put(folder, MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
        _remove(folder, {_NOTES})
        return manifest


def _state(connection: Connection, tree: Node | None) -> str:
    """A digest of everything that the files of the tables depend on."""
    parts = (str(FORMAT), __version__, REVISION, lasting_version(connection, tree))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a whole export; None if there is none.

    Raises:
        UsageError: It is none of ours, or that of a newer lora-crawl.
    """
    with _translated(folder):
        try:
            with (folder / MANIFEST).open("rb") as file:
                text = file.read(_MAX_NOTES)
        except FileNotFoundError:
            return None
    try:
        form = msgspec.json.decode(text, type=_Form)
        if form.format > FORMAT or form.revision > REVISION:
            raise UsageError(
                f"{folder} has an export of a newer lora-crawl ({form.program}); choose another"
                " folder, or upgrade the program: pip install --upgrade lora-crawl"
            )
        return msgspec.json.decode(text, type=Manifest)
    except msgspec.MsgspecError as error:
        raise UsageError(
            f"{folder / MANIFEST} is no manifest of lora-crawl: {error}\nname another folder"
        ) from error


class _Form(msgspec.Struct, frozen=True):
    """The part of a manifest that every version has."""

    format: int
    revision: str
    program: str


def _are_there(folder: Path, files: dict[str, TableFile]) -> bool:
    return all(_is_there(folder, name, file) for name, file in files.items())


def _is_there(folder: Path, table: str, file: TableFile) -> bool:
    path = folder / file_of(table)
    return path.is_file() and path.stat().st_size == file.bytes


def _begin(folder: Path, state: str, tell: _Tell) -> dict[str, TableFile]:
    """The tables that an earlier run has written in the same state; the rest of it is removed."""
    earlier, done = _noted(folder)
    if earlier == state:
        tell(f"continuing: {len(done)} of {len(shared_tables())} tables are whole")
    else:
        if earlier is not None:
            tell(
                "the database or the condition has changed since the export was interrupted;"
                " beginning anew"
            )
        done = {}
    # The notes first: from now on the folder is known as that of an unfinished export.
    lines = [_line(_State(state)), *(_line(_Note(*one)) for one in done.items())]
    _put(folder, _NOTES, b"".join(lines))
    _remove(folder, {MANIFEST})  # before what it describes
    _remove(folder, _own_names() - {_NOTES, *map(file_of, done)})
    return done


def _noted(folder: Path) -> tuple[str | None, dict[str, TableFile]]:
    """The state of an unfinished export, and its tables; None if there is none."""
    with _translated(folder):
        try:
            with (folder / _NOTES).open("rb") as file:
                lines = file.read(_MAX_NOTES).splitlines()
        except FileNotFoundError:
            return None, {}
    state, done = None, {}
    with contextlib.suppress(msgspec.MsgspecError):  # the last line may be cut
        for line in lines:
            if state is None:
                state = msgspec.json.decode(line, type=_State).state
                continue
            note = msgspec.json.decode(line, type=_Note)
            if _is_there(folder, note.table, note.file):
                done[note.table] = note.file
    return state, done


def _line(note: _State | _Note) -> bytes:
    return msgspec.json.encode(note) + b"\n"


def _add_note(folder: Path, note: _Note) -> None:
    with _translated(folder), (folder / _NOTES).open("ab") as file:
        file.write(_line(note))
        _to_disk(file)


def _remove(folder: Path, names: AbstractSet[str]) -> None:
    with _translated(folder):
        for name in names:
            (folder / name).unlink(missing_ok=True)


def _rows(
    connection: Connection,
    table: SharedTable,
    tree: Node | None,
    tally: ExportTally,
    going: Callable[[], bool],
) -> Iterator[Sequence[Sequence[object]]]:
    """The rows of a table in batches, until `going` stops them with a StoppedError."""
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


def _put(folder: Path, name: str, content: bytes) -> None:
    """Write a file with this content."""
    with _new_file(folder, name) as file:
        file.write(content)


@contextlib.contextmanager
def _new_file(folder: Path, name: str) -> Iterator[BinaryIO]:
    """A file that gets its name when the block ends, and is removed if the block fails."""
    part = folder / f"{name}{_PART}"
    with _translated(folder):
        part.unlink(missing_ok=True)
        try:
            with part.open("xb") as file:
                yield file
                _to_disk(file)
            part.replace(folder / name)
            _folder_to_disk(folder)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


@contextlib.contextmanager
def _translated(folder: Path) -> Iterator[None]:
    """Turn errors of files into an ExportError."""
    try:
        yield
    except OSError as error:
        raise ExportError(
            f"{folder} cannot be used: {(error.strerror or str(error)).lower()}"
            "\nfree some space or choose another folder; the same command continues"
        ) from error


if sys.platform == "win32":

    @contextlib.contextmanager
    def _locked(_folder: Path) -> Iterator[None]:
        """Folders have no locks here."""
        yield

    def _folder_to_disk(folder: Path) -> None:
        """Folders are no files here."""

else:

    @contextlib.contextmanager
    def _locked(folder: Path) -> Iterator[None]:
        """Keep other exports away from the folder.

        Raises:
            StoppedError: Another one writes to it.
        """
        with _translated(folder):
            descriptor = os.open(folder, os.O_RDONLY)
        try:
            if not lock_file(descriptor):
                raise StoppedError(
                    f"another export is writing to {folder}; run the command again when it is done"
                )
            yield
        finally:
            os.close(descriptor)

    def _folder_to_disk(folder: Path) -> None:
        """Make the names in the folder last."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
