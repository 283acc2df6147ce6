"""The folder of an export: what is whole in it, and how files get into it.

A file has its name only when it is whole and on disk. The tables that are whole are noted in
lora-crawl.part with the state of the database, so that an interrupted export can be continued.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import BinaryIO

import msgspec

from crawler.errors import ExportError, StoppedError, UsageError
from crawler.share.form import CARD, CARD_END, FORMAT, MANIFEST, Manifest, TableFile, file_of
from crawler.store.connect.database import REVISION
from crawler.store.connect.lock import lock_file
from crawler.store.read.shared import shared_tables

#: What a file is called until it is whole.
_PART = ".part"

#: The tables that are done: a line with the state of the database, then one for each table.
_NOTES = "lora-crawl.part"

#: Longest manifest, notes or card that are read, in bytes. They have a line for each table or column.
_MAX_TEXT = 1024 * 1024

#: Errors of a file that the disk, the user's part of it, or the limit of a process has no room for.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

#: Foreign files that a message names.
_NAMED_FILES = 3

#: Takes a sentence for the user.
Tell = Callable[[str], None]


class _State(msgspec.Struct, frozen=True):
    state: str


class _Note(msgspec.Struct, frozen=True):
    table: str
    file: TableFile


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[None]:
    """Make the folder if needed, and keep other exports away from it during the block.

    Raises:
        ExportError: It cannot be made or read.
        StoppedError: Another export writes to it.
    """
    with _translated(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        yield


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
    read_manifest(folder)
    _own_words(folder)


def _own_names() -> set[str]:
    """The names of all files of an export, and what they are called until they are whole."""
    names = {_NOTES, CARD, MANIFEST, *(file_of(table.name) for table in shared_tables())}
    return names | {f"{name}{_PART}" for name in names}


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a whole export; None if there is none.

    Raises:
        UsageError: It is none of ours, or that of a newer lora-crawl.
    """
    with _translated(folder):
        try:
            with (folder / MANIFEST).open("rb") as file:
                text = file.read(_MAX_TEXT)
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


def are_there(folder: Path, files: dict[str, TableFile]) -> bool:
    """Whether the files of these tables are as long as they should be."""
    return all(_is_there(folder, name, file) for name, file in files.items())


def _is_there(folder: Path, table: str, file: TableFile) -> bool:
    path = folder / file_of(table)
    return path.is_file() and path.stat().st_size == file.bytes


def begin(folder: Path, state: str, tell: Tell) -> dict[str, TableFile]:
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
    # The card may have words of a person, which the next one gets.
    _remove(folder, _own_names() - {_NOTES, CARD, *map(file_of, done)})
    return done


def _noted(folder: Path) -> tuple[str | None, dict[str, TableFile]]:
    """The state of an unfinished export, and its tables; None if there is none."""
    with _translated(folder):
        try:
            with (folder / _NOTES).open("rb") as file:
                lines = file.read(_MAX_TEXT).splitlines()
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


def add_note(folder: Path, table: str, file: TableFile) -> None:
    """Note that a table is whole."""
    line = _line(_Note(table, file))
    with _translated(folder), (folder / _NOTES).open("ab") as notes:
        notes.write(line)
        _to_disk(notes)


def finish(folder: Path, card: str, manifest: Manifest) -> None:
    """Write what makes an export whole, when all tables are there."""
    _put(folder, CARD, card.encode() + _own_words(folder))
    _put(folder, MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
    forget_notes(folder)


def _own_words(folder: Path) -> bytes:
    """What follows CARD_END: a line break, and what a person wrote.

    Raises:
        UsageError: The card is too long.
    """
    path = folder / CARD
    with _translated(folder):
        try:
            with path.open("rb") as file:
                text = file.read(_MAX_TEXT + 1)
        except FileNotFoundError:
            return b"\n"
    if len(text) > _MAX_TEXT:
        raise UsageError(f"{path} has more than {_MAX_TEXT:,} bytes; move it to another place")
    return text.partition(CARD_END.encode())[2] or b"\n"


def forget_notes(folder: Path) -> None:
    """Remove the notes of an unfinished export."""
    _remove(folder, {_NOTES})


def _remove(folder: Path, names: AbstractSet[str]) -> None:
    with _translated(folder):
        for name in names:
            (folder / name).unlink(missing_ok=True)


def _put(folder: Path, name: str, content: bytes) -> None:
    """Write a file with this content."""
    with new_file(folder, name) as file:
        file.write(content)


@contextlib.contextmanager
def new_file(folder: Path, name: str) -> Iterator[BinaryIO]:
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
    """Turn errors of files into a StoppedError if there is no room for them, else into an ExportError."""
    try:
        yield
    except OSError as error:
        told = f"{folder} cannot be used: {(error.strerror or str(error)).lower()}"
        if error.errno in _FULL:
            told += "\nfree some space; the same command continues"
            raise StoppedError(told) from error
        raise ExportError(f"{told}\nchoose another folder") from error


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
