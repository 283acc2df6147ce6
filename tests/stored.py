"""Made-up models put into a database, and its rows read back."""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from crawler.model import Model
from crawler.model.catalogue import CursorState
from crawler.store.schema import tables
from crawler.store.write.catalogue import Stored, store_page
from crawler.store.write.upserts import insert_new
from tests.factories import NOW

NO_CURSORS: Mapping[str, CursorState] = {}


def list_models(connection: sa.Connection, *models: Model, **changes: Any) -> Stored:
    """Store a page of the walk `w`, in the caller's transaction."""
    given: dict[str, Any] = {
        "site": "civitai",
        "origin": "https://civitai.com",
        "walk": "w",
        "pass_number": 1,
        "cursors": NO_CURSORS,
        "now": NOW,
    }
    return store_page(connection, models, **given | changes)


def as_user(place: str, role: str) -> str:
    """The database `place`, opened as the role `reader` or `writer` where it has roles."""
    url = sa.make_url(place) if place.startswith("postgres") else None
    return place if url is None else url.set(username=role).render_as_string(hide_password=False)


def store_models(engine: sa.Engine, *models: Model, **changes: Any) -> int:
    """Store a page of the walk `w`; returns how many files are new."""
    with engine.begin() as connection:
        return list_models(connection, *models, **changes).new.total()


def rows_of(engine: sa.Engine, table: sa.Table) -> list[dict[str, Any]]:
    """Every row of a table, in the order of its key."""
    with engine.connect() as connection:
        found = connection.execute(sa.select(table).order_by(*table.primary_key)).mappings()
        return [dict(row) for row in found]


def insert_loras(connection: sa.Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Store rows of `loras` as they are, with the models and versions that they name."""
    given = list(rows)
    seen = {"first_seen_at": NOW, "last_seen_at": NOW}
    models = {row["model_id"]: {"model_id": row["model_id"], "site": row["site"]} for row in given}
    versions = {
        row["version_id"]: {"version_id": row["version_id"], "model_id": row["model_id"]}
        for row in given
    }
    insert_new(connection, tables.models, [row | seen for row in models.values()])
    insert_new(connection, tables.versions, [row | seen for row in versions.values()])
    connection.execute(sa.insert(tables.loras), given)
