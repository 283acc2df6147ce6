"""An export as a source: Parquet files in a folder or on the Hugging Face Hub.

pyarrow reads them in a process of its own, with little memory. Only what is needed is read: footers,
and of each row group first the keys, then the other columns if one of the keys is wanted.
"""

import contextlib
import hashlib
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec

import crawler
from crawler.errors import ExportError, StoppedError, UsageError
from crawler.share.form import FORMAT, MANIFEST, Manifest, file_of
from crawler.share.source import About, Column, Wanted
from crawler.store.connect.database import REVISION

#: Longest manifest, in bytes. It has a line for each table.
MAX_MANIFEST_BYTES = 1024 * 1024

#: Longest frame from the other process, in bytes: a batch, and one value that is longer than that.
_MAX_FRAME_BYTES = 256 * 1024 * 1024

#: Seconds until the next frame must be there. A row group of 32 MiB takes that long at 55 KB a second.
MOST_SECONDS = 600.0

_CHILD = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from crawler.share.parquet_child import main; main()"
)

#: By the first word of an error from the other process.
_ERRORS = {"file": ExportError, "network": StoppedError, "usage": UsageError}


class _Format(msgspec.Struct, frozen=True):
    format: int


@dataclass(slots=True)
class ParquetSource:
    """An export. Its methods raise ExportError for a file that is not as it should be.

    Attributes:
        about: What it is.
    """

    about: About
    _process: "subprocess.Popen[bytes]"
    _manifest: Manifest
    _place: str

    def rows(
        self, table: str, columns: Mapping[str, Column], wanted: Wanted | None = None
    ) -> Iterator[Sequence[Sequence[Any]]]:
        """The rows of a table; see `source.Source`."""
        name = file_of(table)
        (opened,) = self._ask(name, "open")
        groups = self._checked(table, opened, columns)
        sizes = {column: one.most for column, one in columns.items()}
        key = next(iter(sizes))
        for at, rows in enumerate(groups):
            chosen: Collection[Any] | None = None
            if wanted is not None:
                keys = [
                    row[0] for part in self._read(name, at, {key: sizes[key]}, rows) for row in part
                ]
                chosen = wanted([one for one in keys if not isinstance(one, list)])
                if not chosen:
                    continue
            for part in self._read(name, at, sizes, rows):
                # A list stands for a key that is too long.
                if found := [
                    row
                    for row in part
                    if chosen is None or (not isinstance(row[0], list) and row[0] in chosen)
                ]:
                    yield found

    def _checked(
        self, table: str, opened: Mapping[str, Any], columns: Mapping[str, Column]
    ) -> Sequence[int]:
        """The rows of each row group of a table, whose columns are as they should be."""
        name = file_of(table)
        here = [column for column, _ in opened["columns"]]
        kinds = dict(opened["columns"])
        if missing := [column for column in columns if column not in kinds]:
            raise ExportError(
                f"{self._place}/{name} lacks {', '.join(missing)}: the export was made by another"
                f" lora-crawl (revision {self._manifest.revision}, this one uses {REVISION})"
            )
        for column, one in columns.items():
            if here.count(column) > 1:
                raise ExportError(f"{self._place}/{name} has {column} twice")
            if kinds[column] not in {one.kind, "nothing"}:
                raise ExportError(
                    f"{self._place}/{name}: {column} has the type {kinds[column]}, not {one.kind}"
                )
        groups: Sequence[int] = opened["groups"]
        said = self._manifest.tables[table].rows
        if sum(groups) != said:
            raise ExportError(
                f"{self._place}/{name} has {sum(groups):,} rows, and {said:,} according to {MANIFEST}"
            )
        return groups

    def _read(
        self, name: str, group: int, columns: Mapping[str, int], rows: int
    ) -> Iterator[Sequence[Sequence[Any]]]:
        found = 0
        for part in self._ask(name, "read", group, columns):
            found += len(part)
            yield part
        if found != rows:
            raise ExportError(
                f"{self._place}/{name} has {found:,} rows in a row group, not {rows:,}: its footer"
                " is wrong"
            )

    def _ask(self, name: str, method: str, *arguments: Any) -> Iterator[Any]:
        yield from _asked(self._process, f"{self._place}/{name}", method, name, *arguments)


@contextlib.contextmanager
def open_export(place: str, needed: Collection[str]) -> Iterator[ParquetSource]:
    """An export in a folder or at `hf://datasets/OWNER/NAME[@REVISION]`, while the block lasts.

    Args:
        place: Where it is.
        needed: The tables that must be there. Those of a folder are compared with their SHA-256.

    Raises:
        UsageError: A package is missing, or the Hub has no such data set.
        ExportError: It is not an export, or one of a newer version, or damaged.
        StoppedError: The Hub cannot be reached.
    """
    is_remote = place.startswith("hf://")
    package = Path(crawler.__file__).parent.parent
    with subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-P", "-c", _CHILD, str(package), place],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C reaches this process alone, which decides
    ) as process:
        try:
            (where,) = _asked(process, place, "where")
            if not is_remote:
                _check_place(Path(place))
            (text,) = _asked(
                process, f"{place}/{MANIFEST}", "content", MANIFEST, MAX_MANIFEST_BYTES
            )
            manifest = _manifest(text, f"{place}/{MANIFEST}")
            if missing := [table for table in needed if table not in manifest.tables]:
                raise ExportError(
                    f"{place}/{MANIFEST} names no {', '.join(missing)}: the export is not complete"
                )
            if not is_remote:
                for table in needed:
                    _check_digest(Path(place) / file_of(table), manifest.tables[table].sha256)
            rows = {table: manifest.tables[table].rows for table in needed}
            about = About(place=where, origin=manifest.origin, rows=rows)
            yield ParquetSource(about, process, manifest, where)
        finally:
            process.kill()


def _manifest(text: bytes, name: str) -> Manifest:
    """What an export says of itself."""
    try:
        version = msgspec.json.decode(text, type=_Format).format
        if version > FORMAT:
            raise ExportError(
                f"{name}: the export was made by a newer lora-crawl (format {version}, this one reads"
                f" {FORMAT})\nupgrade the program: pip install --upgrade lora-crawl"
            )
        return msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ExportError(f"{name} is not the description of an export: {error}") from None


def _check_place(folder: Path) -> None:
    """Tell a folder without a whole export from one whose files cannot be read."""
    try:
        (folder / MANIFEST).stat()
    except FileNotFoundError:
        raise ExportError(
            f"{folder} has no {MANIFEST}: it is no export, or one that was interrupted, which the same"
            " export command continues"
        ) from None
    except OSError as error:
        raise ExportError(f"{folder / MANIFEST}: {error.strerror}") from error


def _check_digest(path: Path, expected: str) -> None:
    """Compare a file with its SHA-256."""
    digest = hashlib.sha256()
    try:
        if not path.is_file():
            raise ExportError(f"{path} is missing, or not an ordinary file")
        with path.open("rb") as file:
            while block := file.read(1024 * 1024):
                digest.update(block)
    except OSError as error:
        raise ExportError(f"{path}: {error.strerror}") from error
    if digest.hexdigest() != expected.lower():
        raise ExportError(
            f"{path} is not the file that was exported: its SHA-256 is another one than in {MANIFEST}"
        )


def _asked(
    process: "subprocess.Popen[bytes]", what: str, method: str, *arguments: Any
) -> Iterator[Any]:
    """The frames that answer a request; `open`, `where` and `content` have one, `read` ends with None."""
    assert process.stdin is not None  # noqa: S101 - for the type checker
    assert process.stdout is not None  # noqa: S101 - the same
    request = msgspec.msgpack.encode([method, *arguments])
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(len(request).to_bytes(4, "little") + request)
        process.stdin.flush()
    while True:
        frame = _frame(process, process.stdout, what)
        match frame:
            case None:
                return
            case [str(kind), str(text)] if kind == "missing":
                extra = "share" if what.startswith("hf://") else "parquet"
                raise UsageError(f"{text}\nrun: pip install 'lora-crawl[{extra}]'")
            case [str(kind), str(text)] if kind in _ERRORS:
                raise _ERRORS[kind](f"{what}: {text}")
        yield frame
        if method != "read":
            return


@contextlib.contextmanager
def _limit(process: "subprocess.Popen[bytes]") -> Iterator[Callable[[], bool]]:
    """End the process MOST_SECONDS after the block began; yields a function that tells whether it did."""
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    clock = threading.Timer(MOST_SECONDS, end)
    clock.daemon = True
    clock.start()
    try:
        yield late.is_set
    finally:
        clock.cancel()


def _frame(process: "subprocess.Popen[bytes]", stream: IO[bytes], what: str) -> Any:
    with _limit(process) as is_late:
        length = int.from_bytes(stream.read(4), "little")
        if length > _MAX_FRAME_BYTES:
            process.kill()
            raise ExportError(f"{what}: a batch of {length:,} bytes is too long")
        data = stream.read(length)
    if not length or len(data) < length:
        ended = process.wait()
        if is_late():
            kind = StoppedError if what.startswith("hf://") else ExportError
            raise kind(
                f"{what}: reading it took more than {MOST_SECONDS:g} seconds; run the command again"
            )
        how = f"by signal {-ended}" if ended < 0 else f"with exit code {ended}"
        raise ExportError(
            f"{what}: the process that read it was ended {how}: the file is damaged, or needs too"
            " much memory"
        )
    try:
        return msgspec.msgpack.decode(data)
    except msgspec.MsgspecError as error:
        raise ExportError(f"{what}: its rows cannot be read: {error}") from None
