"""`fields`: every queryable name, with a database and without."""

import json
from pathlib import Path

import sqlalchemy as sa

from crawler.store.schema.fields import FIELDS
from crawler.store.schema.tables import loras
from crawler.store.stats.field_stats import refresh_statistics
from tests.cli.headers import Run
from tests.faces import backend
from tests.factories import NOW

__all__ = ["backend"]


def test_every_field_with_its_share(run: Run, database: str) -> None:
    result = run("fields", "--json", "--db", database)
    found = {row["name"]: row for row in json.loads(result.stdout)}
    assert result.exit_code == 0
    assert result.stderr == ""
    assert [name for name in found if name != "tags"] == [field.name for field in FIELDS]
    assert found["training_seconds"] == {
        "name": "training_seconds",
        "type": "number",
        "unit": "s",
        "group": "time",
        "meaning": "from the start to this save",
        "share": 0.75,
        "default": None,
        "usual": None,
        "keys": None,
        "short_names": None,
    }
    dim = found["network_dim"]
    assert (dim["default"], dim["usual"], dim["short_names"]) == ("4", "8 to 64", ["rank"])
    assert dim["keys"][0] == "kohya: ss_network_dim"
    assert "onetrainer: ot_config.lora_rank" in dim["keys"]
    assert found["file_id"]["share"] == 1.0
    assert found["noise_offset"]["share"] == 0.0
    assert found["tags"]["share"] == 0.75


def test_a_word_picks_by_name_and_meaning(run: Run, database: str) -> None:
    lines = run("fields", "SNR", "--db", database).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["name", "min_snr_gamma", "zero_terminal_snr"]
    for word in ("te_lr", "lycoris"):
        found = run("fields", word, "--db", database).stdout
        assert ("text_encoder_lr" if word == "te_lr" else "network_algo") in found
    assert "short name rank" in run("fields", "-f", "table", "--db", database).stdout
    by_meaning = run("fields", "regularisation", "--db", database).stdout
    assert "prior_loss_weight" in by_meaning


def test_keys_of_objects_are_listed_with_their_share(
    run: Run, stocked: sa.Engine, database: str
) -> None:
    given = [{"betas": [0.9, 0.99], "d coef": 2}, {"d coef": "it's"}, {}]
    with stocked.begin() as connection:
        for file_id, value in enumerate(given, start=1):
            where = loras.c.file_id == file_id
            connection.execute(sa.update(loras).where(where).values(optimizer_args=value))
        refresh_statistics(connection, NOW)

    def listed(word: str) -> dict[str, float]:
        rows = json.loads(run("fields", word, "--json", "--db", database).stdout)
        return {row["name"]: row["share"] for row in rows}

    assert listed("optimizer_args") == {
        "optimizer_args": 3 / 8,
        "optimizer_args.'d coef'": 2 / 8,
        "optimizer_args.betas": 1 / 8,
    }
    assert listed("BETAS") == {"optimizer_args.betas": 1 / 8}
    assert "optimizer_args.betas" not in listed("optimizer")
    page = run("fields", "coef", "-f", "table", "--db", database).stdout.splitlines()
    assert page == ["rates", "  optimizer_args.'d coef'      25%  key of optimizer_args  (value)"]


def test_without_a_database(run: Run, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "none.db")
    result = run("fields", "network_dim", "--json", "--db", nowhere)
    assert result.exit_code == 0
    assert all(row["share"] is None for row in json.loads(result.stdout))
    assert len(result.stderr.splitlines()) == 1
    assert "no fill rates" in result.stderr
    assert run("fields", "network_dim", "-q", "--db", nowhere).stderr == ""
    assert not Path(nowhere).exists()


def test_a_list_for_a_person(run: Run, database: str) -> None:
    lines = run("fields", "--format", "table", "--db", database).stdout.splitlines()
    assert lines[0] == "what it is"
    assert "rates" in lines
    (line,) = [line for line in lines if line.startswith("  training_seconds ")]
    words = " ".join(line.split())
    assert words == "training_seconds 75% from the start to this save (number, s)"
    assert all(len(line) <= 80 for line in lines)


def test_a_word_shows_a_person_the_keys_too(run: Run, database: str) -> None:
    lines = run("fields", "keep_tokens", "--format", "table", "--db", database).stdout.splitlines()
    assert " ".join(" ".join(lines[1:]).split()).endswith(
        "number of first tags that keep their place (integer, tags, default 0, usually 1)"
        " kohya: ss_keep_tokens"
        " kohya: ss_datasets[].subsets[].keep_tokens"
        " onetrainer: ot_config.concepts[].text.keep_tags_count"
    )
    assert all(len(line) <= 80 for line in lines)
    everything = run("fields", "--format", "table", "--db", database).stdout
    assert "default 0, usually 1" in everything
    assert "ss_keep_tokens" not in everything


def test_nothing_of_that_name(run: Run, database: str) -> None:
    result = run("fields", "no such thing", "--db", database)
    assert result.exit_code == 0
    assert "no field has 'no such thing'" in result.stderr
