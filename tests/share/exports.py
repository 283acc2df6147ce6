"""Exports of made-up databases, spoilt as a test needs them, and imports of them."""

import contextlib
import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from crawler.share.export import ExportTally, export
from crawler.share.form import MANIFEST, file_of
from crawler.share.importing import import_from, open_source
from crawler.sync.progress import ImportTally
from tests.factories import NOW

#: Longest header that a test imports, in bytes.
MAX_HEADER = 1024 * 1024


def write_export(engine: sa.Engine, folder: Path) -> Path:
    """The export of a database."""
    export(engine, folder, tally=ExportTally(), going=lambda: True, tell=lambda _: None, now=NOW)
    return folder


def import_into(
    engine: sa.Engine,
    source: Path | str,
    *,
    now: datetime = NOW,
    going: Callable[[], bool] = lambda: True,
) -> ImportTally:
    """Import an export or a database at the time `now`, and tell what was done."""
    tally = ImportTally()
    with open_source(str(source)) as opened:
        import_from(
            engine, opened, tally=tally, going=going, max_header=MAX_HEADER, clock=lambda: now
        )
    return tally


def place_of(engine: sa.Engine) -> str:
    """What `--db` takes for a database."""
    return engine.url.render_as_string(hide_password=False)


def rewrite(
    folder: Path, table: str, change: Callable[[pa.Table], pa.Table], **options: Any
) -> None:
    """Write the file of a table again, with other rows or columns, and describe it."""
    path = folder / file_of(table)
    pq.write_table(change(pq.read_table(path)), path, **options)
    describe(folder, table)


def describe(folder: Path, table: str, **changes: Any) -> None:
    """Tell the truth about the file of a table in the manifest, but for `changes`."""
    path = folder / file_of(table)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    about = {"sha256": digest, "bytes": path.stat().st_size}
    with contextlib.suppress(OSError, pa.ArrowException):
        about["rows"] = pq.read_metadata(path).num_rows
    retell(folder, lambda manifest: manifest["tables"][table].update(about | changes))


def retell(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest."""
    path = folder / MANIFEST
    manifest = json.loads(path.read_bytes())
    change(manifest)
    path.write_text(json.dumps(manifest))


def with_values(column: str, values: dict[int, Any]) -> Callable[[pa.Table], pa.Table]:
    """A change: other values in a column, by row."""
    return partial(_with_values, column, values)


def _with_values(column: str, values: dict[int, Any], table: pa.Table) -> pa.Table:
    at = table.schema.get_field_index(column)
    field = table.schema.field(at)
    cells = [values.get(row, cell) for row, cell in enumerate(table.column(at).to_pylist())]
    return table.set_column(at, field, pa.array(cells, field.type))
