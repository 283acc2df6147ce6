"""Many rows in one statement of PostgreSQL."""

from typing import Any

import sqlalchemy as sa

from crawler.store.schema import tables
from crawler.store.write.results import store_results
from crawler.store.write.upserts import upsert
from tests.conftest import ON_POSTGRESQL
from tests.factories import NOW, make_model, make_result
from tests.stored import list_models, rows_of


@ON_POSTGRESQL
def test_a_batch_is_one_statement_in_the_order_of_its_keys(engine: sa.Engine) -> None:
    """Otherwise two writers of the same rows could wait for each other."""
    sent: list[tuple[str, dict[str, Any]]] = []

    def note(*given: Any) -> None:
        _, _, statement, parameters, _, _ = given
        if "json_populate_recordset" in statement:
            sent.append((statement.split()[2 if statement.startswith("INSERT") else 1], parameters))

    sa.event.listen(engine, "before_cursor_execute", note)
    models = [make_model(number) for number in (3, 1, 2)]
    with engine.begin() as connection:
        list_models(connection, *models)
        list_models(connection, *models)
        store_results(connection, [make_result(number) for number in (2, 3, 1)])
    sa.event.remove(engine, "before_cursor_execute", note)

    written = [name for name, _ in sent]
    assert {"models", "versions", "loras", "headers", "walk_models"} <= set(written)
    assert max(map(written.count, written)) <= 3  # inserted, listed again, read
    for name, parameters in sent:
        keys = [
            [row[column.name] for column in tables.metadata.tables[name].primary_key]
            for row in parameters["rows"].obj
        ]
        assert keys == sorted(keys), name


def test_every_kind_of_value_arrives(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        list_models(connection, make_model(1))
        for data in (b"\x00\xff\\'\"", b""):
            headers = {"file_id": 1, "length": -(2**63), "data": data, "decoder_version": 1}
            upsert(connection, tables.headers, [headers | {"list_digest": None}])
        crawl = {"crawl_id": 5, "origin": "o", "walk": "ü\t\\N\n\"'", "started_at": NOW}
        crawl |= {"keyed": True, "summary": {"a": [1e-7, None, "\\"]}, "go_on_at": None}
        upsert(connection, tables.crawls, [crawl])

    (stored,) = rows_of(engine, tables.headers)
    assert {name: stored[name] for name in headers} == headers
    (stored,) = rows_of(engine, tables.crawls)
    assert {name: stored[name] for name in crawl} == crawl
