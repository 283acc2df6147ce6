"""What a list says, stored; on both databases."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from crawler.model import Model, Outcome
from crawler.model.catalogue import MONTH, CursorState
from crawler.model.site import page_url
from crawler.safetensors.sniff import why_not_safetensors
from crawler.store.schema import tables
from crawler.store.schema.tables import loras
from crawler.store.write.crawls import read_cursors, walk_model_ids
from crawler.store.write.results import store_results
from tests.factories import NOW, make_file, make_model, make_result, make_version
from tests.stored import list_models, rows_of, store_models

LATER = NOW + timedelta(days=1)


def test_a_page_becomes_rows_with_its_cursor(engine: sa.Engine) -> None:
    state = CursorState(cursor="2025-01-01|7", pass_number=1, ended=False)

    assert store_models(engine, make_model(1), make_model(2), cursors={"general": state}) == 2

    [model, _] = rows_of(engine, tables.models)
    assert (model["site"], model["name"], model["gone_at"]) == ("civitai", "Marble", None)
    assert model["tags"] == ["style", "stone"]
    assert model["body"] == {"id": 1, "name": "Marble"}
    [version, _] = rows_of(engine, tables.versions)
    assert version["model_id"] == 1
    assert version["trained_words"] == ["marble", "polished marble"]
    [file, _] = rows_of(engine, loras)
    assert file["page_url"] == "https://civitai.com/models/1?modelVersionId=1"
    assert (file["outcome"], file["reason"], file["attempts"]) == ("pending", None, 0)
    assert file["published_at"] == make_version(1).published_at
    with engine.connect() as connection:
        assert read_cursors(connection, "w") == {"general": state}
        assert read_cursors(connection, "another") == {}
        assert walk_model_ids(connection, "w", 1) == {1, 2}
        assert walk_model_ids(connection, "w", 2) == set()


def test_nothing_is_stored_of_a_page_whose_transaction_fails(engine: sa.Engine) -> None:
    def fail() -> None:
        with engine.begin() as connection:
            list_models(
                connection,
                make_model(1),
                cursors={"general": CursorState(cursor="x", pass_number=1, ended=True)},
            )
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        fail()

    for table in tables.metadata.sorted_tables:
        assert table is tables.field_notes or rows_of(engine, table) == [], table.name


def test_an_empty_page_still_moves_the_cursor(engine: sa.Engine) -> None:
    for cursor in ("a", "b"):
        store_models(
            engine, cursors={"general": CursorState(cursor=cursor, pass_number=1, ended=False)}
        )

    [row] = rows_of(engine, tables.cursors)
    assert row["cursor"] == "b"


def test_seeing_it_again_keeps_the_first_time_and_what_was_read(engine: sa.Engine) -> None:
    store_models(engine, make_model(1))
    with engine.begin() as connection:
        store_results(connection, [make_result(1)])
        connection.execute(sa.update(loras).values(gone_at=NOW))
        connection.execute(sa.update(tables.models).values(gone_at=NOW))
    [before] = rows_of(engine, loras)

    changed = make_model(
        1, name="Granite", downloads=101, versions=(make_version(1, name="v2", likes=None),)
    )
    assert store_models(engine, changed, pass_number=2, now=LATER) == 0

    [after] = rows_of(engine, loras)
    assert after == before | {
        "model_name": "Granite",
        "version_name": "v2",
        "downloads": 101,
        "likes_per_month": after["likes_per_month"],  # it falls from day to day
        "gone_at": None,
    }
    assert after["likes_per_month"] < before["likes_per_month"]
    [model] = rows_of(engine, tables.models)
    assert (model["first_seen_at"], model["last_seen_at"]) == (NOW, LATER)
    assert model["gone_at"] is None
    with engine.connect() as connection:
        assert walk_model_ids(connection, "w", 1) == set()
        assert walk_model_ids(connection, "w", 2) == {1}


def test_the_same_page_twice_is_stored_once(engine: sa.Engine) -> None:
    store_models(engine, make_model(1), make_model(1))
    before = {table.name: rows_of(engine, table) for table in tables.metadata.sorted_tables}

    store_models(engine, make_model(1))

    assert {table.name: rows_of(engine, table) for table in tables.metadata.sorted_tables} == before


def places(engine: sa.Engine) -> dict[int, tuple[int, int, str, bool]]:
    """Of each file: its model, its version, its outcome, and whether it is gone."""
    return {
        row["file_id"]: (
            row["model_id"],
            row["version_id"],
            str(row["outcome"]),
            row["gone_at"] is not None,
        )
        for row in rows_of(engine, loras)
    }


def end_as(engine: sa.Engine, outcome: Outcome, *file_ids: int) -> None:
    with engine.begin() as connection:
        chosen = loras.c.file_id.in_(file_ids)
        connection.execute(sa.update(loras).where(chosen).values(outcome=outcome))


def test_a_file_listed_elsewhere_moves_there_and_is_asked_for_again_unless_it_was_read(
    engine: sa.Engine,
) -> None:
    merged = [make_version(number, files=(make_file(number),)) for number in (1, 3)]
    store_models(engine, make_model(1, versions=tuple(merged)), make_model(2))
    end_as(engine, Outcome.DECODED, 1, 2)
    end_as(engine, Outcome.NOT_FOUND, 3)
    assert places(engine)[2] == (2, 2, "decoded", False)

    # Version 1 now has the file of version 2 of another model, and that of version 3, which is gone.
    files = tuple(make_file(number, version_id=1) for number in (1, 2, 3))
    target = make_model(1, name="Onyx", versions=(make_version(1, name="all", files=files),))
    store_models(engine, target, now=LATER)
    store_models(engine, make_model(2, versions=(make_version(2, files=(make_file(9),)),)))

    assert places(engine) == {
        1: (1, 1, "decoded", False),
        2: (1, 1, "decoded", False),
        3: (1, 1, "pending", False),
        9: (2, 2, "pending", False),
    }
    assert {
        (row["model_name"], row["version_name"], row["page_url"]) for row in rows_of(engine, loras)
    } == {
        ("Onyx", "all", "https://civitai.com/models/1?modelVersionId=1"),
        ("Marble", "v1", "https://civitai.com/models/2?modelVersionId=2"),
    }


def test_a_file_of_two_versions_belongs_to_the_one_that_its_download_url_names(
    engine: sa.Engine,
) -> None:
    linked = make_file(9, type="VAE", version_id=2, is_primary=False)
    first = make_version(1, files=(make_file(1, version_id=1), linked))
    second = make_version(2, files=(make_file(2, version_id=2), linked))
    away = make_version(3, files=(make_file(3, version_id=3), make_file(8, version_id=77)))

    for _ in range(2):
        store_models(
            engine, make_model(1, versions=(first, second)), make_model(3, versions=(away,))
        )
        # Seen under the other version alone, it stays with its own.
        store_models(engine, make_model(1, versions=(first,)))

    assert {file_id: place[1] for file_id, place in places(engine).items()} == {
        1: 1, 2: 2, 9: 2, 3: 3, 8: 3,
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["VAE", "Training Data", "Config", "Archive", "Text Encoder"])
def test_what_is_no_lora_by_its_type_is_recorded_and_never_pending(
    engine: sa.Engine, kind: str
) -> None:
    files = (make_file(1), make_file(2, type=kind), make_file(3, type="A New Kind"))

    store_models(engine, make_model(1, versions=(make_version(1, files=files),)))

    assert [(row["outcome"], row["reason"]) for row in rows_of(engine, loras)] == [
        ("pending", None),
        ("not_safetensors", f"no LoRA: the site calls its type {kind}"),
        ("pending", None),
    ]


def test_most_of_the_files_of_a_page_are_not_gone_at_once(engine: sa.Engine) -> None:
    def listed(each: int) -> list[Model]:
        return [
            make_model(
                number,
                versions=(
                    make_version(
                        number,
                        files=tuple(make_file(10 * number + k) for k in range(each)),
                    ),
                ),
            )
            for number in range(1, 12)
        ]

    store_models(engine, *listed(3))
    store_models(engine, *listed(1), now=LATER)
    assert not any(place[3] for place in places(engine).values())

    store_models(engine, *listed(2), now=LATER)
    assert sum(place[3] for place in places(engine).values()) == 11


@pytest.mark.parametrize(
    ("nsfw", "level", "origin", "host"),
    [
        (False, 1, "https://civitai.com", "https://civitai.com"),
        (False, 13, "https://civitai.com", "https://civitai.com"),
        (False, 12, "https://civitai.com", "https://civitai.red"),
        (True, 1, "https://civitai.com", "https://civitai.red"),
        (None, None, "https://civitai.com", "https://civitai.com"),
        (True, 28, "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
    ],
)
def test_a_page_is_where_the_site_shows_it(
    *, nsfw: bool | None, level: int | None, origin: str, host: str
) -> None:
    found = page_url(origin, 5, 6, nsfw=nsfw, nsfw_level=level)

    assert found == f"{host}/models/5?modelVersionId=6"
    assert page_url("local", 5, 6, nsfw=nsfw, nsfw_level=level) is None


def test_history_has_a_row_for_each_change(engine: sa.Engine) -> None:
    steps = [(100, 10), (100, 10), (150, 10), (None, None), (None, None), (150, 11)]
    for day, (downloads, likes) in enumerate(steps):
        model = make_model(1, downloads=downloads, likes=likes)
        store_models(engine, model, now=NOW + timedelta(days=day))
    store_models(engine, make_model(2, downloads=None, likes=None))

    assert [
        ((row["seen_at"] - NOW).days, row["downloads"], row["likes"])
        for row in rows_of(engine, tables.stat_history)
    ] == [(0, 100, 10), (2, 150, 10), (3, None, None), (5, 150, 11)]


#: Likes, months since the versions were published, and the likes per month.
LIKES: tuple[tuple[int | None, tuple[float | None, ...], float | None], ...] = (
    (24, (12,), 2),
    (24, (3, 12, 0.1), 2),
    (24, (0.1,), 24),
    (24, (-5,), 24),
    (24, (None, 6), 4),
    (0, (6,), 0),
    (None, (6,), None),
    (24, (None,), None),
)


def liked(model_id: int, likes: int | None, months: tuple[float | None, ...]) -> Model:
    return make_model(
        model_id,
        likes=likes,
        versions=tuple(
            make_version(
                model_id * 10 + at, published_at=None if ago is None else NOW - ago * MONTH
            )
            for at, ago in enumerate(months)
        ),
    )


def monthly(engine: sa.Engine) -> dict[int, set[float | None]]:
    found: dict[int, set[float | None]] = {}
    for row in rows_of(engine, loras):
        rate = row["likes_per_month"]
        found.setdefault(row["model_id"], set()).add(rate and round(rate, 1))
    return found


def test_likes_per_month_count_from_the_first_version(engine: sa.Engine) -> None:
    models = [liked(at, likes, months) for at, (likes, months, _) in enumerate(LIKES, start=1)]
    store_models(engine, *models)

    assert monthly(engine) == {at: {rate} for at, (_, _, rate) in enumerate(LIKES, start=1)}

    newest = replace(models[1], likes=26, versions=models[1].versions[:1])
    store_models(engine, newest, now=NOW + MONTH)
    assert monthly(engine)[2] == {2}


def test_only_what_may_be_safetensors_is_pending(engine: sa.Engine) -> None:
    files = (
        make_file(1),
        make_file(2, name="data.zip", type="Training Data", is_primary=False),
        make_file(3, name="old.PT", format="PickleTensor", is_primary=False),
    )

    assert store_models(engine, make_model(1, versions=(make_version(1, files=files),))) == 3

    assert [(row["outcome"], row["reason"]) for row in rows_of(engine, loras)] == [
        ("pending", None),
        ("not_safetensors", "a .zip file by its name"),
        ("not_safetensors", "a .pt file by its name"),
    ]


@pytest.mark.parametrize(
    ("name", "site_format", "may_be"),
    [
        ("a.safetensors", None, True),
        ("a.SafeTensors", "PickleTensor", True),
        (" a.sft ", "Other", True),
        (".safetensors", None, True),
        ("a.safetensors.zip", "SafeTensor", False),
        ("a.ckpt", "SafeTensor", False),
        ("a.GGUF", None, False),
        ("marble v1.5", "SafeTensor", True),
        ("marble v1.5", "PickleTensor", False),
        ("marble", None, False),
        ("", "SafeTensor", True),
        ("zip", "SafeTensor", True),
    ],
)
def test_names_decide_which_files_are_pending(
    name: str,
    site_format: str | None,
    may_be: bool,  # noqa: FBT001 - a table of cases
) -> None:
    assert (why_not_safetensors(name, site_format) is None) is may_be


def test_primary_only_takes_one_file_of_each_version(engine: sa.Engine) -> None:
    marked = (make_file(1, is_primary=False), make_file(2))
    unmarked = (
        make_file(3, type="Training Data", is_primary=False),
        make_file(4, is_primary=False),
        make_file(5, is_primary=False),
    )
    model = make_model(1, versions=(make_version(1, files=marked), make_version(2, files=unmarked)))

    assert store_models(engine, model, primary_only=True) == 2
    assert [row["file_id"] for row in rows_of(engine, loras)] == [2, 4]
    assert store_models(engine, model, primary_only=False) == 3


def test_what_no_index_can_hold_is_left_out(engine: sa.Engine) -> None:
    # Incompressible, so that PostgreSQL cannot squeeze it into an index either.
    noise = "".join(chr(0x4E00 + (n * n * 7919) % 20_000) for n in range(5_000))
    file = make_file(1, sha256=noise, autov2=f"{'a' * 64}F", autov3="abcdef012345")
    model = make_model(
        1, creator=noise, versions=(make_version(1, base_model=noise, files=(file,)),)
    )

    store_models(engine, model)

    [row] = rows_of(engine, loras)
    assert (row["base_model"], row["sha256"], row["autov2"]) == (None, None, None)
    assert row["autov3"] == "ABCDEF012345"
    assert row["creator"] is None
    [version] = rows_of(engine, tables.versions)
    assert version["base_model"] == noise


def test_early_access_is_kept_if_the_list_no_longer_has_it(engine: sa.Engine) -> None:
    gated = make_version(1, early_access_until=LATER)
    store_models(engine, make_model(1, versions=(gated,)))

    store_models(engine, make_model(1))

    [row] = rows_of(engine, loras)
    assert row["early_access_until"] == LATER


@pytest.mark.parametrize(("is_gated", "outcome"), [(True, "early_access"), (False, "pending")])
def test_early_access_without_an_end_is_over_once_the_list_shows_it_open(
    engine: sa.Engine, *, is_gated: bool, outcome: str
) -> None:
    store_models(engine, make_model(1))
    with engine.begin() as connection:
        gated = make_result(1, b"", outcome=Outcome.EARLY_ACCESS)
        store_results(connection, [gated])

    store_models(engine, make_model(1, versions=(make_version(1, is_gated=is_gated),)))

    assert [row["outcome"] for row in rows_of(engine, loras)] == [outcome]


def test_models_of_this_machine_have_negative_ids(engine: sa.Engine) -> None:
    file = make_file(-7, name="mine.safetensors")
    model = make_model(-5, versions=(make_version(-6, files=(file,)),), downloads=None, likes=None)

    store_models(engine, replace(model, creator=None), site="local", origin="local")

    [row] = rows_of(engine, loras)
    assert (row["file_id"], row["version_id"], row["model_id"]) == (-7, -6, -5)
    assert (row["site"], row["page_url"]) == ("local", None)
