"""Every table and column is described, in both databases, and the views give what their tables have."""

import sqlalchemy as sa

from crawler.store.schema import tables
from crawler.store.schema.columns import commented
from crawler.store.schema.fields import FIELDS
from crawler.store.schema.views import VIEWS, notes
from crawler.store.write.results import store_results
from tests.factories import make_header_bytes, make_model, make_result
from tests.stored import list_models, rows_of


def test_every_table_view_and_column_has_a_note(engine: sa.Engine) -> None:
    found = sa.inspect(engine)
    names = [*found.get_table_names(), *found.get_view_names()]
    columns = {
        (name, column["name"])
        for name in names
        if name != "alembic_version"
        for column in found.get_columns(name)
    }

    noted = rows_of(engine, tables.field_notes)

    assert {(row["table_name"], row["column_name"]) for row in noted} == columns | {
        (name, "") for name in names if name != "alembic_version"
    }
    assert len(noted) == len(list(notes()))
    assert all(row["meaning"] for row in noted)


def test_the_notes_are_those_of_the_registry(engine: sa.Engine) -> None:
    noted = {
        row["column_name"]: row
        for row in rows_of(engine, tables.field_notes)
        if row["table_name"] == "loras"
    }

    for field in FIELDS:
        row = noted[field.name]
        assert (row["meaning"], row["unit"], row["field_group"]) == (
            field.meaning,
            field.unit or None,
            field.group,
        )
        assert tuple(row["metadata_keys"] or ()) == field.keys


def test_comments_of_postgresql_say_the_same(engine: sa.Engine) -> None:
    if engine.dialect.name != "postgresql":
        return
    found = sa.inspect(engine)

    for note in notes():
        table, name = note["table_name"], note["column_name"]
        if name:
            comment = next(c["comment"] for c in found.get_columns(table) if c["name"] == name)
        else:
            comment = found.get_table_comment(table)["text"]
        assert comment == commented(note["meaning"], note["unit"]), (table, name)


def test_the_views_give_names_in_place_of_numbers(engine: sa.Engine) -> None:
    metadata = {
        "ss_sd_scripts_commit_hash": "ab" * 20,
        "ss_network_dim": "many",
        "ss_dataset_dirs": '{"5_marble": {"n_repeats": 5, "img_count": 40}}',
        "ss_tag_frequency": '{"5_marble": {"1girl": 3}, "elsewhere": {"1girl": 2}}',
    }
    with engine.begin() as connection:
        list_models(connection, make_model(1), make_model(2))
        store_results(connection, [make_result(1, make_header_bytes(metadata)), make_result(2)])

    with engine.connect() as connection:
        tags = connection.exec_driver_sql(
            "SELECT * FROM lora_tags WHERE file_id = 1 ORDER BY count"
        )
        problems = connection.exec_driver_sql("SELECT * FROM lora_problems").mappings().all()
        assert tags.mappings().all() == [
            {"file_id": 1, "directory": None, "tag": "1girl", "count": 2},
            {"file_id": 1, "directory": "5_marble", "tag": "1girl", "count": 3},
        ]
    assert [(row["file_id"], row["model_name"], row["code"], row["field"]) for row in problems] == [
        (1, "Marble", "not_a_number", "network_dim")
    ]


def test_a_view_has_the_columns_that_are_described(engine: sa.Engine) -> None:
    found = sa.inspect(engine)

    for view in VIEWS:
        assert [one["name"] for one in found.get_columns(view.name)] == list(view.columns)


def test_ids_of_tags_fit_a_number_of_javascript(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        list_models(connection, make_model(1))
        store_results(connection, [make_result(1)])

    assert all(0 <= row["tag_id"] < 2**53 for row in rows_of(engine, tables.tags))
