"""`authors`, on both databases."""

import json

import sqlalchemy as sa

from crawler.store.schema.tables import loras
from tests.cli.headers import Run
from tests.faces import backend

__all__ = ["backend"]


def test_creators_by_effort(run: Run, database: str) -> None:
    result = run("authors", "--json", "--db", database)

    # No file names its session, so each version is a run: 1,200 steps of batch 2 in an hour.
    assert json.loads(result.stdout) == [
        {
            "creator": "stonecutter",
            "loras": 8,
            "files": 8,
            "with_metadata": 1.0,
            "runs": 6,
            "median_images_seen": 2400.0,
            "megapixels_seen": 3774.874,
            "training_hours": 6.001,
        }
    ]
    assert result.stderr == "1 creator, 8 files\n"


def test_a_table_that_fits(run: Run, database: str) -> None:
    result = run("authors", "--format", "table", "--db", database)

    assert result.stdout.splitlines() == [
        "creator      LoRAs  files  metadata  runs  median images  megapixels  hours",
        "stonecutter      8      8      100%     6          2,400       3,775    6.0",
    ]


def test_what_is_missing_is_told(run: Run, stocked: sa.Engine, database: str) -> None:
    with stocked.begin() as connection:
        silent = loras.update().where(loras.c.file_id <= 2)
        connection.execute(silent.values(outcome="no_metadata"))
        connection.execute(loras.update().where(loras.c.file_id == 8).values(creator=None))
        connection.execute(loras.update().where(loras.c.file_id == 7).values(creator="a\x1bb"))
    result = run("authors", "--limit", "1", "--format", "table", "--db", database)
    by_name = run("authors", "--sort", "creator", "--format", "tsv", "--db", database)

    assert "67%" in result.stdout
    assert result.stderr.splitlines() == [
        "1 of 2 creators (--limit 0 for all), 7 files",
        ("2 of 6 files that were read (33%) contain no training metadata and are not counted"),
        "1 file without a creator left out",
    ]
    assert [line.split("\t")[0] for line in by_name.stdout.splitlines()] == [
        "creator",
        r"a\x1bb",
        "stonecutter",
    ]
    assert run("authors", "-q", "--db", database).stderr == ""


def test_a_condition_picks_files(run: Run, database: str) -> None:
    some = run("authors", "--where", "network_dim:32", "--json", "--db", database)
    none = run("authors", "--where", "network_dim:7", "--format", "table", "--db", database)

    assert [(row["files"], row["runs"]) for row in json.loads(some.stdout)] == [(2, 2)]
    assert (none.exit_code, none.stdout) == (0, "")
    assert none.stderr == "no matching file has a creator\n"


def test_an_empty_database(run: Run, engine: sa.Engine) -> None:
    place = engine.url.render_as_string(hide_password=False)
    result = run("authors", "--json", "--db", place)

    assert (result.exit_code, result.stdout) == (0, "[]\n")
    assert result.stderr.endswith("no file has a creator\n")
    assert "the database has no files yet" in result.stderr


def test_what_makes_no_sense(run: Run, database: str) -> None:
    for words in (["--sort", "fame"], ["--limit", "-1"], ["--where", "x>1"], ["mason"]):
        result = run("authors", *words, "--db", database)

        assert (result.exit_code, result.stdout) == (2, ""), words
