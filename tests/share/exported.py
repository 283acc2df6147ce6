"""A database with something in every shared table, and exports of it read back."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import sqlalchemy as sa

from crawler.model import LocalFile, LocalResult, Model, Outcome
from crawler.query.parser import parse
from crawler.share.export import ExportTally, export
from crawler.share.form import Manifest, file_of
from crawler.store.connect.database import open_for_reading
from crawler.store.read.shared import SHARED, Form, shared_tables
from crawler.store.schema import tables
from crawler.store.schema.fields import BY_NAME
from crawler.store.stats.field_stats import refresh_statistics
from crawler.store.write.crawls import begin_crawl
from crawler.store.write.local_files import store_local
from crawler.store.write.results import store_results
from tests.cli.headers import LANTERN
from tests.factories import (
    METADATA,
    NOW,
    make_file,
    make_header_bytes,
    make_model,
    make_result,
    make_target,
    make_version,
)
from tests.stored import list_models, rows_of

#: What may break a format, a page or a terminal.
HOSTILE = 'a,b\t"c" \'d\'\r\n---\n| <b>e</b> | \x1b[31m\u202e空\U0001f600 {"f": [1]} `g` \\ %s'

#: Files 1 to 6: read, read and replaced, hostile, refused, pending, gone.
FILES = 6

#: The tables that an export has nothing of, and why not.
OWN = {
    "local_files": "paths of this machine",
    "crawls": "runs of this machine",
    "cursors": "where its walks are",
    "walk_models": "which models its walks have listed",
    "field_stats": "computed from loras",
    "fleet": "what its workers share",
    "workers": "runs of its workers",
}


def fill(engine: sa.Engine) -> None:
    """Store the files, and one of this machine."""
    made_up = make_header_bytes({**LANTERN, "made_up": HOSTILE, "ss_seed": str(2**63 - 1)})
    with engine.begin() as connection:
        begin_crawl(connection, origin="https://civitai.com", walk="w", now=NOW)
        list_models(connection, *map(_model, range(1, FILES + 1)))
        list_models(connection, *map(_model, range(1, FILES)), now=NOW + timedelta(microseconds=1))
        store_results(connection, [make_result(number) for number in (1, 2)])
        replaced = {**METADATA, "ss_network_dim": "128", "ss_tag_frequency": "{}"}
        store_results(
            connection,
            [
                make_result(2, make_header_bytes(replaced)),
                make_result(3, made_up, file_bytes=2**40),
                make_result(4, b"", outcome=Outcome.FORBIDDEN, reason=HOSTILE),
            ],
        )
        gone = sa.update(tables.loras).where(tables.loras.c.file_id == FILES)
        connection.execute(gone.values(gone_at=datetime.max.replace(tzinfo=UTC)))
        local = {**METADATA, "ss_tag_frequency": json.dumps({"mine": {"a private tag": 1}})}
        layers = {f"lora_unet_mine.lora_{end}.weight": ("F16", (4, 4)) for end in ("down", "up")}
        header = make_header_bytes(local, layers)
        store_local(
            connection,
            [
                LocalResult(
                    file=LocalFile("/home/me/private.safetensors", 3000, 17),
                    result=make_result(-1, header, target=make_target(-1)),
                )
            ],
            now=NOW,
        )
        refresh_statistics(connection, NOW)


def _model(number: int) -> Model:
    if number != 3:
        return make_model(number, likes=number * 10)
    version = make_version(
        3,
        name=HOSTILE,
        base_model=HOSTILE[:100],
        trained_words=(HOSTILE, ""),
        published_at=datetime(1, 1, 1, tzinfo=UTC),
        files=(make_file(3, name="p.safetensors", size_bytes=2**53 + 1),),
    )
    body = {HOSTILE: [None, True, 0.1, -1e300, 2**63 - 1, {"": HOSTILE}], "id": 3}
    return make_model(
        3, name=HOSTILE, creator=HOSTILE[:100], tags=(), versions=(version,), body=body
    )


def exported(
    engine: sa.Engine,
    folder: Path,
    *where: str,
    force: bool = False,
    going: Callable[[], bool] = lambda: True,
    tell: Callable[[str], None] = lambda _: None,
    tally: ExportTally | None = None,
) -> Manifest:
    """Export as the command does."""
    reader = open_for_reading(engine.url)
    try:
        return export(
            reader,
            folder,
            parse(list(where), BY_NAME),
            where=where,
            force=force,
            tally=tally or ExportTally(),
            going=going,
            tell=tell,
            now=NOW,
        )
    finally:
        reader.dispose()


def read_back(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of every file, with JSON decoded."""
    found = {}
    for table in shared_tables():
        rows = pq.read_table(folder / file_of(table.name)).to_pylist()
        for column in (one.name for one in table.columns if one.form is Form.JSON):
            for row in rows:
                row[column] = None if row[column] is None else json.loads(row[column])
        found[table.name] = rows
    return found


def in_database(
    engine: sa.Engine, keep: Callable[[str, Mapping[str, Any]], bool] = lambda *_: True
) -> dict[str, list[dict[str, Any]]]:
    """The rows of every shared table that are not about files of this machine."""
    found = {}
    for table in SHARED:
        rows = rows_of(engine, table)
        ids = [name for name in ("file_id", "model_id", "version_id") if name in table.c]
        rows = [row for row in rows if all(row[name] > 0 for name in ids)]
        found[table.name] = [row for row in rows if keep(table.name, row)]
    return found
