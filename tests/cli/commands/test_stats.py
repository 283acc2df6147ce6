"""`stats`, on both databases."""

import json
import math
from typing import Any

import pytest
import sqlalchemy as sa

from crawler.answers.settings import bin_label
from crawler.answers.visible import visible
from crawler.insight.distribution import Bin
from crawler.store.schema.fields import BY_NAME
from crawler.store.schema.tables import loras
from tests.cli.headers import Run
from tests.conftest import ON_SQLITE
from tests.faces import backend
from tests.stored import insert_loras

__all__ = ["backend"]


def test_a_page_for_a_person(run: Run, database: str) -> None:
    result = run("stats", "network_dim", "optimizer", "--format", "table", "--db", database)

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "8 files, 6 headers read, 0 (0%) of them without training metadata",
        "",
        "network_dim  rank: width of the added layers",
        "  6 files (75%): median 32, IQR 20\N{EN DASH}56, range 8\N{EN DASH}128",
        "  8    1  ████████████",
        "  16   1  ████████████",
        "  32   2  ████████████████████████",
        "  64   1  ████████████",
        "  128  1  ████████████",
        "",
        "optimizer  class of the optimizer, e.g. AdamW8bit",
        "  6 files (75%)",
        "  AdamW8bit  6  ████████████████████████",
    ]
    assert result.stderr == ""


def test_rows_for_a_program(run: Run, database: str) -> None:
    result = run("stats", "network_dim,images_seen", "--json", "--db", database)
    dim, images = json.loads(result.stdout)

    assert dim == {
        "field": "network_dim",
        "files": 8,
        "headers_read": 6,
        "no_metadata": 0,
        "count": 6,
        "minimum": 8,
        "quartile1": 20.0,
        "median": 32.0,
        "quartile3": 56.0,
        "maximum": 128,
        "histogram": [
            {"value": value, "count": count}
            for value, count in ((8, 1), (16, 1), (32, 2), (64, 1), (128, 1))
        ],
    }
    assert (images["field"], images["count"]) == ("images_seen", 6)


def test_groups(run: Run, database: str) -> None:
    grouped = run("stats", "network_dim", "--by", "base_model", "--json", "--db", database)
    monthly = run("stats", "optimizer", "--by", "month", "--db", database)
    table = run("stats", "network_dim", "--by", "month", "-f", "table", "--db", database)

    (row,) = json.loads(grouped.stdout)
    assert (row["base_model"], row["files"], row["median"]) == ("Pony", 8, 32.0)
    assert monthly.stdout.splitlines()[1].split("\t")[:3] == ["optimizer", "2025-01", "8"]
    assert "month    files  with value  25%  median  75%  histogram" in table.stdout
    assert "2025-01      8      6  75%   20      32   56  ▄▄█▄▄" in table.stdout


def test_groups_of_any_field(run: Run, database: str) -> None:
    by_rank = run("stats", "steps", "--by", "rank", "--json", "--db", database)
    by_time = run("stats", "steps", "--by", "training_started_at", "--db", database)

    assert [
        (row["network_dim"], row["files"], row["count"]) for row in json.loads(by_rank.stdout)
    ] == [
        *((8, 1, 1), (16, 1, 1), (32, 2, 2), (64, 1, 1), (128, 1, 1), (None, 2, 0)),
    ]
    assert [line.split("\t")[:3] for line in by_time.stdout.splitlines()] == [
        ["field", "training_started_at", "files"],
        ["steps", "2023-11", "6"],
        ["steps", "", "2"],
    ]


def test_numbers_of_many_values_are_grouped_by_bins(run: Run, engine: sa.Engine) -> None:
    seen = [100 * number * number for number in range(1, 20)]
    about = {"version_id": 1, "model_id": 1, "site": "civitai", "attempts": 1, "outcome": "decoded"}
    with engine.begin() as connection:
        rows = enumerate([*seen, None])
        insert_loras(connection, [about | {"file_id": at, "images_seen": one} for at, one in rows])
    place = engine.url.render_as_string(hide_password=False)
    asked = run("stats", "images_seen", "--by", "images_seen", "--json", "--db", place)
    table = run("stats", "images_seen", "--by", "images_seen", "-f", "table", "--db", place)

    *bins, without = json.loads(asked.stdout)
    for row in bins:
        ends = row["images_seen"]
        low, high = ends["from"] or 0, ends["below"] or math.inf
        among = [one for one in seen if low <= one < high]
        assert (row["files"], row["minimum"], row["maximum"]) == (len(among), among[0], among[-1])
    assert sum(row["files"] for row in bins) == len(seen)
    assert (without["images_seen"], without["files"], without["median"]) == (None, 1, None)
    labels = [line.strip().split("  ")[0] for line in table.stdout.splitlines()[3:]]
    assert (labels[0], labels[1], labels[-2]) == ("images_seen", "under 200", "\N{EN DASH}")


@ON_SQLITE
def test_the_most_common_texts(run: Run, stocked: sa.Engine, database: str) -> None:
    with stocked.begin() as connection:
        named = sa.case(
            (loras.c.file_id <= 3, "Lion"), (loras.c.file_id <= 5, "Adam"), else_="CAME"
        )
        connection.execute(sa.update(loras).where(loras.c.file_id <= 6).values(optimizer=named))
    words = ("stats", "rank", "--by", "optimizer", "--json", "--db", database)
    first, every = run(*words, "--limit", "2"), run(*words, "-n", "0")

    assert [row["optimizer"] for row in json.loads(first.stdout)] == ["Lion", "Adam", None]
    assert first.stderr == (
        "the 2 most common of 3 groups; 1 file in the others; --limit 0 shows all\n"
    )
    assert [row["optimizer"] for row in json.loads(every.stdout)] == ["Lion", "Adam", "CAME", None]
    assert every.stderr == run(*words, "-n", "3").stderr == ""


def test_members_of_lists_and_keys_of_objects(run: Run, stocked: sa.Engine, database: str) -> None:
    """Of keys the value counts too; a number is the same however the file spelled it."""
    args: list[dict[str, Any] | None] = [
        *({"d_coef": 1e-06, "decouple": True}, {"decouple": True, "safe": True, "betas": [0.9]}),
        *({"decouple": False}, {"d_coef": "1"}, {}, None),
    ]
    with stocked.begin() as connection:
        for number, one in enumerate(args, start=1):
            row = sa.update(loras).where(loras.c.file_id == number)
            tags = ["stone", "white", "stone"] if number < 3 else None
            connection.execute(row.values(optimizer_args=one, model_tags=tags, trained_words=None))
    words = ("optimizer_args,model_tags,trained_words", "--where", "file_id < 7", "--db", database)
    found = {row["field"]: row for row in json.loads(run("stats", *words, "--json").stdout)}
    table = run("stats", *words, "--format", "table").stdout.splitlines()
    by = run("stats", "model_tags", "--by", "rank", *words[1:], "--json")
    key = run("stats", "optimizer_args.d_coef", *words[1:], "--json")

    assert (found["optimizer_args"]["count"], found["model_tags"]["count"]) == (5, 2)
    assert [(one["value"], one["count"]) for one in found["optimizer_args"]["histogram"]] == [
        ({"decouple": True}, 2),
        ({"betas": [0.9]}, 1),
        *(({"d_coef": value}, 1) for value in ("1", 1e-06)),
        ({"decouple": False}, 1),
        ({"safe": True}, 1),
    ]
    assert found["model_tags"]["histogram"] == [
        *({"value": "stone", "count": 2}, {"value": "white", "count": 2}),
    ]
    assert (found["trained_words"]["count"], found["trained_words"]["histogram"]) == (0, [])
    shown = [line.split()[0] for line in table if line.startswith("  ") and "=" in line]
    assert shown == [
        *("decouple=true", "betas=[0.9]", "d_coef=1", "d_coef=1e-6", "decouple=false", "safe=true"),
    ]
    assert [row["count"] for row in json.loads(by.stdout)] == [1, 1, 0, 0, 0]
    (row,) = json.loads(key.stdout)
    assert (row["count"], [one["value"] for one in row["histogram"]]) == (2, ["1", 1e-06])


def test_every_kind_of_field_has_a_page(run: Run, database: str) -> None:
    fields = ("base_model", "month", "published_at", "nsfw", "training_seconds", "likes", "gone_at")
    for by in ([], *(["--by", name] for name in fields)):
        words = ("published_at", "nsfw", "training_seconds", "likes", "model_name", "gone_at")
        result = run("stats", *words, *by, "--format", "table", "--db", database)
        assert result.exit_code == 0
        assert all(visible(line) == line for line in result.stdout.splitlines())
        assert max(map(len, result.stdout.splitlines())) <= 80


def test_the_main_fields_unless_others_are_named(run: Run, database: str) -> None:
    fields = [row["field"] for row in json.loads(run("stats", "--json", "--db", database).stdout)]

    assert {"network_dim", "images_seen", "megapixels_seen", "training_seconds"} <= set(fields)


def test_a_condition_picks_files(run: Run, database: str) -> None:
    words = ("--where", "network_dim>8", "--where", "network_dim:..64")
    (row,) = json.loads(run("stats", "network_dim", *words, "--json", "--db", database).stdout)
    nothing = run("stats", "--where", "network_dim>999", "--format", "table", "--db", database)

    assert (row["files"], row["minimum"], row["maximum"]) == (4, 16, 64)
    assert (nothing.exit_code, nothing.stdout, nothing.stderr) == (0, "", "no file matches\n")


@pytest.mark.parametrize("form", ["json", "table", "tsv"])
def test_an_empty_database(run: Run, engine: sa.Engine, form: str) -> None:
    place = engine.url.render_as_string(hide_password=False)
    result = run("stats", "--format", form, "--db", place)

    assert result.exit_code == 0
    assert result.stderr == "the database has no files yet; `lora-crawl sync` reads some\n"


def test_what_cannot_be_understood_gets_a_caret(run: Run, database: str) -> None:
    for words in (
        ["network_dmi"],
        ["steps", "steps"],
        ["steps", "tags"],
        ["tag"],
        ["--by", "network_dmi"],
        ["--by", "tag"],
        ["--by", "network_args"],
        ["--by", "optimizer_args.d_coef"],
        ["--by", "rank,alpha"],
        ["--where", "steps>"],
        ["--where", "1; drop table loras"],
    ):
        result = run("stats", *words, "--db", database)

        assert (result.exit_code, result.stdout) == (2, ""), words
        assert "^" in result.stderr


def test_a_unit_is_told_once_in_a_range() -> None:
    for name, low, high, told in (
        ("training_seconds", 120, 300, "2 to 5 minutes"),
        ("training_seconds", 1800, 7200, "30 minutes to 2 hours"),
        ("training_seconds", 120, 70_500, "2 minutes to 19 hours 35 minutes"),
        ("resolution", 512, 1024, "512 to 1024 px"),
        ("likes", 1000, 2000, "1,000 to 2,000"),
    ):
        assert bin_label(BY_NAME[name], Bin(low, high, 1)) == told
