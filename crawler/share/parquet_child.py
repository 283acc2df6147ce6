"""The process that reads Parquet files for `export_source`: a hostile file may crash it or use up its memory.

It answers requests on stdin with frames on stdout, both of msgpack behind their length. A request is
the method and its arguments. The answer to `open` is one frame, that to `read` a frame for each batch
of rows and then None. In place of any of these may come [kind, text]: an error.

Texts leave this process as bytes and times as microseconds, as they are in the file; whoever reads
the frames checks them.
"""

import contextlib
import os
import queue
import re
import stat
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Self

import msgspec

#: Memory that this process may use besides its code, in bytes.
MAX_MEMORY_BYTES = 1024 * 1024 * 1024

#: Longest footer, in bytes. One of a million files has some hundred kilobytes.
MAX_FOOTER_BYTES = 32 * 1024 * 1024

#: Most rows and bytes (uncompressed, of one column) of a row group; pyarrow's default is a million rows.
MAX_GROUP_ROWS, MAX_CHUNK_BYTES = 1024 * 1024, 256 * 1024 * 1024

#: Most row groups of a file.
MAX_GROUPS = 100_000

#: Rows of a batch, and of one with values that may be longer than LONG_BYTES. A batch is halved until it
#: has no more than BATCH_BYTES, or one row.
BATCH_ROWS, BATCH_ROWS_OF_LONG = 4_096, 64
LONG_BYTES, BATCH_BYTES = 256 * 1024, 16 * 1024 * 1024

#: Longest message of a library that is passed on, in characters.
_MAX_MESSAGE = 400

#: The query of a URL, which may hold a signature.
_SIGNED = re.compile(r"""(?<=\w)\?[^\s'")>]+""")

#: Seconds that a request to the Hub waits for the next bytes.
_HUB_SECONDS = 30.0

#: The length of a Parquet file's last part, and what it ends with.
_TAIL_BYTES, _MAGIC = 8, b"PAR1"


class FileError(Exception):
    """A file that is not as it should be."""


def main() -> None:
    """Answer requests until stdin ends. The first argument is the place of the files."""
    _limit_memory()
    requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=[requests], daemon=True).start()
    folder: _Folder | None = None
    while True:
        method, *arguments = requests.get()
        try:
            folder = folder or _Folder(sys.argv[-1])
            for answer in getattr(folder, method)(*arguments):
                send(sys.stdout.buffer, answer)
        except MemoryError:
            text = f"reading it needs more than {MAX_MEMORY_BYTES:,} bytes of memory"
            send(sys.stdout.buffer, ["file", text])
        except Exception as error:  # noqa: BLE001 - the other process decides
            send(sys.stdout.buffer, [_kind(error), _SIGNED.sub("", f"{error}")[:_MAX_MESSAGE]])


def send(stream: IO[bytes], value: Any) -> None:
    """Write a frame."""
    frame = msgspec.msgpack.encode(value)
    stream.write(len(frame).to_bytes(4, "little") + frame)
    stream.flush()


def _receive(requests: "queue.SimpleQueue[Any]") -> None:
    stream = sys.stdin.buffer
    while length := int.from_bytes(stream.read(4), "little"):
        requests.put(msgspec.msgpack.decode(stream.read(length)))
    # The other process has ended, perhaps while this one is busy.
    os._exit(1)


def _limit_memory() -> None:
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return
    with contextlib.suppress(OSError, ValueError):  # a lower limit is there already
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # Not the address space: libraries reserve much of it that they never use.
        resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))


def _kind(error: Exception) -> str:
    """What an error means: a missing package, the network, the user's SOURCE, or the file."""
    if isinstance(error, ModuleNotFoundError):
        return "missing"
    if isinstance(error, FileError):
        return "file"
    modules = {cls.__module__.partition(".")[0] for cls in type(error).__mro__}
    if isinstance(error, ValueError) and "huggingface_hub" in modules:
        return "usage"
    response = getattr(error, "response", None)
    if response is not None or "huggingface_hub" in modules:
        status = getattr(response, "status_code", None)
        return "network" if status is None or status == 429 or status >= 500 else "usage"  # noqa: PLR2004
    return "network" if modules & {"httpx", "httpx2", "httpcore", "httpcore2"} else "file"


class _Folder:
    """The files of a folder, or of a data set on the Hugging Face Hub."""

    def __init__(self, place: str) -> None:
        self._remote = _Hub(place) if place.startswith("hf://") else None
        self._place = place
        self._opened: dict[str, Any] = {}

    def where(self) -> Iterator[str]:
        """The place, with the commit that is read."""
        yield self._place if self._remote is None else self._remote.place

    def content(self, name: str, most: int) -> Iterator[bytes]:
        """A whole file."""
        source, size = self._file(name)
        with source:
            if size > most:
                raise FileError(f"it has {size:,} bytes, more than {most:,}")
            yield source.read(size)

    def open(self, name: str) -> Iterator[Mapping[str, Any]]:
        """The columns of a Parquet file and their types, and the rows of each row group."""
        import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

        source, size = self._file(name)
        _check_tail(source, size)
        file = pq.ParquetFile(
            source,
            pre_buffer=self._remote is not None,
            thrift_string_size_limit=MAX_FOOTER_BYTES,
            thrift_container_size_limit=1_000_000,
            arrow_extensions_enabled=False,
        )
        if file.num_row_groups > MAX_GROUPS:
            raise FileError(f"it has {file.num_row_groups:,} row groups")
        groups = [file.metadata.row_group(at).num_rows for at in range(file.num_row_groups)]
        if wrong := [rows for rows in groups if not 0 <= rows <= MAX_GROUP_ROWS]:
            raise FileError(f"a row group has {wrong[0]:,} rows, more than {MAX_GROUP_ROWS:,}")
        self._opened[name] = file, size
        schema = file.schema_arrow
        yield {"columns": [[one.name, _kind_of(one.type)] for one in schema], "groups": groups}

    def read(self, name: str, group: int, columns: Mapping[str, int]) -> Iterator[Any]:
        """The rows of a row group: the columns by name, with the most bytes of a value.

        A longer value is a list with its length.
        """
        file, size = self._opened[name]
        _check_chunks(file.metadata.row_group(group), columns, size)
        long = max(columns.values()) > LONG_BYTES
        batches = file.iter_batches(
            BATCH_ROWS_OF_LONG if long else BATCH_ROWS,
            row_groups=[group],
            columns=[*columns],
            use_threads=False,
        )
        for batch in batches:
            for part in _parts(batch):
                yield _rows(part, columns)
        yield None

    def _file(self, name: str) -> tuple[Any, int]:
        """A file, and its size."""
        if self._remote is not None:
            return self._remote.open(name)
        path = Path(self._place) / name
        try:
            found = path.stat()
        except OSError as error:
            raise FileError(error.strerror or str(error)) from None
        # A pipe would block, a device has no end. Links are followed: the Hub's cache consists of them.
        if not stat.S_ISREG(found.st_mode):
            raise FileError("it is not an ordinary file")
        try:
            return path.open("rb"), found.st_size
        except OSError as error:
            raise FileError(error.strerror or str(error)) from None


def _check_tail(source: Any, size: int) -> None:
    """Check the length of the footer, before a library reads it."""
    if size < _TAIL_BYTES + len(_MAGIC):
        raise FileError(f"{size} bytes are no Parquet file")
    source.seek(size - _TAIL_BYTES)
    tail = source.read(_TAIL_BYTES)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC:
        raise FileError("it does not end like a Parquet file: it was cut, or is something else")
    if length > min(MAX_FOOTER_BYTES, size - _TAIL_BYTES):
        raise FileError(f"its footer claims {length:,} bytes")
    source.seek(0)


def _check_chunks(group: Any, columns: Iterable[str], size: int) -> None:
    """Check the sizes that the footer names for the columns of a row group."""
    for at in range(group.num_columns):
        chunk = group.column(at)
        if chunk.path_in_schema not in columns:
            continue
        packed, whole = chunk.total_compressed_size, chunk.total_uncompressed_size
        start = chunk.dictionary_page_offset or chunk.data_page_offset
        if not (0 <= packed <= size and 0 <= start <= size - packed):
            raise FileError(f"its footer places {chunk.path_in_schema} outside of the file")
        if not 0 <= max(packed, whole) <= MAX_CHUNK_BYTES:
            raise FileError(
                f"{chunk.path_in_schema} has {whole:,} bytes in one row group, more than"
                f" {MAX_CHUNK_BYTES:,}"
            )


def _kind_of(type_: Any) -> str:
    """`integer`, `number`, `truth`, `bytes`, `time`, `nothing`, or pyarrow's name for another type."""
    from pyarrow import types  # noqa: PLC0415 - an extra

    if types.is_integer(type_) and not types.is_uint64(type_):
        return "integer"
    if types.is_float32(type_) or types.is_float64(type_):
        return "number"
    if types.is_boolean(type_):
        return "truth"
    if types.is_null(type_):
        return "nothing"
    if types.is_timestamp(type_) and type_.unit == "us":
        return "time"
    texts = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    return "bytes" if any(one(type_) for one in texts) else str(type_)[:_MAX_MESSAGE]


def _parts(batch: Any) -> Iterator[Any]:
    """A batch in parts of BATCH_BYTES, but at least one row."""
    if batch.nbytes <= BATCH_BYTES or batch.num_rows <= 1:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _parts(batch.slice(0, half))
    yield from _parts(batch.slice(half))


def _rows(batch: Any, columns: Mapping[str, int]) -> list[tuple[Any, ...]]:
    values = [_values(batch.column(name), most) for name, most in columns.items()]
    return list(zip(*values, strict=True))


def _values(column: Any, most: int) -> list[Any]:
    import pyarrow as pa  # noqa: PLC0415 - an extra
    import pyarrow.compute as pc  # noqa: PLC0415 - the same

    kind = _kind_of(column.type)
    if kind == "time":
        return list(column.view(pa.int64()).to_pylist())
    if kind != "bytes":
        return list(column.to_pylist())
    lengths = pc.binary_length(column)
    as_bytes = pa.large_binary() if "large" in str(column.type) else pa.binary()
    plain = column if column.type == as_bytes else column.view(as_bytes)
    if (pc.max(lengths).as_py() or 0) <= most:
        return list(plain.to_pylist())
    # Value by value, so that none that is too long is copied.
    return [
        [length] if length is not None and length > most else plain[at].as_py()
        for at, length in enumerate(lengths.to_pylist())
    ]


class _Hub:
    """A data set on the Hugging Face Hub, at one commit.

    Raises:
        FileError: A place that is not one.
    """

    def __init__(self, place: str) -> None:
        from huggingface_hub import HfApi, HfFileSystem, set_client_factory  # noqa: PLC0415 - an extra
        from huggingface_hub.utils import _http  # noqa: PLC0415 - the same

        from crawler.http.addresses import check_public  # noqa: PLC0415 - only the Hub needs it

        repository, _, revision = place.removeprefix("hf://datasets/").partition("@")
        api = HfApi()
        endpoint = api.endpoint

        def client() -> Any:
            made = _http.default_client_factory()
            made.timeout = _HUB_SECONDS
            made.event_hooks["request"].append(
                lambda request: check_public(str(request.url), base=endpoint)
            )
            return made

        set_client_factory(client)
        # One commit for all files, whatever is uploaded meanwhile.
        commit = api.dataset_info(repository, revision=revision or None, timeout=_HUB_SECONDS).sha
        self.place = f"hf://datasets/{repository}@{commit}"
        self._system = HfFileSystem()

    def open(self, name: str) -> tuple[Any, int]:
        """A file, and its size."""
        try:
            # What is read is fetched, and nothing else.
            file = self._system.open(f"{self.place}/{name}", "rb", cache_type="none")
        except FileNotFoundError:
            raise FileError("there is no such file") from None
        size = int(file.size)
        return _Exact(file, size), size


class _Exact:
    """A remote file that gives no more bytes than were asked for, which pyarrow does not check."""

    closed = False

    def __init__(self, file: Any, size: int) -> None:
        self._file, self._size = file, size
        self.seek, self.tell = file.seek, file.tell

    def read(self, length: int = -1) -> bytes:
        """The next bytes, as many as were asked for if the file has them."""
        start = self.tell()
        wanted = max(min(length if length >= 0 else self._size, self._size - start), 0)
        found = bytes(self._file.read(wanted)) if wanted else b""
        if len(found) != wanted:
            raise FileError(f"the Hub sent {len(found):,} bytes in place of {wanted:,}")
        return found

    def close(self) -> None:
        """Nothing is kept open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False
