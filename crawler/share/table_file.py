"""Write the rows of a table as a Parquet file, group by group.

Readers in other places fetch only the groups and columns that they need: rows are sorted by their key,
and each group and page tells its lowest and highest values.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from crawler.errors import DatabaseError
from crawler.share.form import TableFile
from crawler.store.read.shared import Form, SharedColumn, SharedTable

#: Most rows of a group, and most bytes in memory; the last batch of rows may exceed both. Narrow tables
#: reach the first limit, `loras` the second.
GROUP_ROWS, GROUP_BYTES = 1_000_000, 32 * 1024 * 1024

#: Most bytes of a group of headers: they are compressed, and whoever has most of them reads few groups.
GROUP_BYTES_OF_HEADERS = 4 * 1024 * 1024

#: Columns with long values that are all different: no dictionary, and no lowest value.
_LONG = frozenset({"data", "body"})

_TYPES: Mapping[Form, pa.DataType] = {
    Form.INTEGER: pa.int64(),
    Form.NUMBER: pa.float64(),
    Form.TEXT: pa.string(),
    Form.BOOLEAN: pa.bool_(),
    Form.TIME: pa.timestamp("us", tz="UTC"),
    Form.JSON: pa.string(),
    Form.BYTES: pa.binary(),
}


def schema_of(table: SharedTable) -> pa.Schema:
    """The columns of the file of a table."""
    return pa.schema([pa.field(one.name, _TYPES[one.form]) for one in table.columns])


def write_table(
    file: BinaryIO, table: SharedTable, batches: Iterable[Sequence[Sequence[Any]]]
) -> TableFile:
    """Write all rows of a table to an empty file.

    Raises:
        DatabaseError: A value is not one of its column.
        OSError: The file cannot be written.
    """
    schema = schema_of(table)
    sink = _Sink(file)
    writer = pq.ParquetWriter(
        sink,
        schema,
        compression="zstd",
        use_dictionary=[one.name for one in table.columns if one.name not in _LONG],
        write_statistics=[
            one.name for one in table.columns if one.name not in _LONG and one.form is not Form.JSON
        ],
        write_page_index=True,
        sorting_columns=[pq.SortingColumn(schema.get_field_index(name)) for name in table.key],
    )
    most_bytes = GROUP_BYTES_OF_HEADERS if table.has_headers else GROUP_BYTES
    rows = 0
    group = _Group([])
    try:
        for batch in batches:
            group.add(_record_batch(table, schema, batch))
            rows += len(batch)
            if group.rows >= GROUP_ROWS or group.bytes >= most_bytes:
                group.write(writer)
        group.write(writer)
        writer.close()
    except BaseException:
        # The writer ends the file when it is forgotten.
        sink.dropped = True
        writer.close()
        raise
    return TableFile(rows=rows, bytes=file.tell(), sha256=sink.digest.hexdigest())


class _Sink:
    """A file for a Parquet writer, with the digest of what is written.

    Attributes:
        dropped: What is written from now on is lost.
    """

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.dropped = False

    def write(self, data: Any) -> int:
        """Write bytes of any kind."""
        if not self.dropped:
            self._file.write(data)
            self.digest.update(data)
        return memoryview(data).nbytes

    def writable(self) -> bool:
        """Tells the writer that it may write."""
        return True

    def flush(self) -> None:
        """The caller does it at the end."""

    def close(self) -> None:
        """The caller does it at the end."""


@dataclass(slots=True)
class _Group:
    """Rows that are written together."""

    batches: list[pa.RecordBatch]
    rows: int = 0
    bytes: int = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        self.batches.append(batch)
        self.rows += batch.num_rows
        self.bytes += batch.nbytes

    def write(self, writer: pq.ParquetWriter) -> None:
        """Write the rows, if there are any, and forget them."""
        if self.batches:
            rows = pa.Table.from_batches(self.batches)
            writer.write_table(rows, row_group_size=self.rows)
        self.batches, self.rows, self.bytes = [], 0, 0


def _record_batch(
    table: SharedTable, schema: pa.Schema, rows: Sequence[Sequence[Any]]
) -> pa.RecordBatch:
    columns = zip(table.columns, zip(*rows, strict=True), strict=True)
    return pa.record_batch([_array(table, *column) for column in columns], schema=schema)


def _array(table: SharedTable, column: SharedColumn, values: Sequence[Any]) -> pa.Array:
    if column.form is Form.JSON:
        # PostgreSQL does not keep the order of keys.
        encode = msgspec.json.Encoder(order="deterministic").encode
        values = [None if one is None else encode(one).decode() for one in values]
    try:
        return pa.array(values, _TYPES[column.form])
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise DatabaseError(
            f"the column {column.name} of {table.name} has a value that is no {column.form}: {error}"
        ) from error
