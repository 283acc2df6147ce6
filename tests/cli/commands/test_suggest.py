"""`suggest`, on both databases."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import sqlalchemy as sa

from crawler.answers.visible import visible
from crawler.store.schema.tables import loras
from tests.cli.headers import Run
from tests.conftest import ON_SQLITE
from tests.faces import backend

__all__ = ["backend"]


def test_a_page_for_a_person(run: Run, database: str) -> None:
    result = run("suggest", "--base-model", "Pony", "--db", database)
    lines = result.stdout.splitlines()

    assert result.exit_code == 0
    assert lines[0] == "Starting recipe for Pony"
    assert "  network_dim                  32                   6     32 33%, 8 17%, …" in lines
    assert "  optimizer                    AdamW8bit            6     all the same" in lines
    assert any("Too few LoRAs to rely on" in line for line in lines)
    assert any("Examples (open with lora-crawl show)" in line for line in lines)
    assert all(visible(line) == line for line in lines)
    assert max(map(len, lines)) <= 80
    assert result.stderr == ""


@ON_SQLITE
def test_a_terminal_without_an_ellipsis_gets_another_sign(database: str) -> None:
    words = ["suggest", "--base-model", "Pony", "--db", database]
    done = subprocess.run(
        [sys.executable, "-m", "crawler", *words],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "80"},
        capture_output=True,
        check=True,
    )
    assert b"32 33%, 8 17%, ~\n" in done.stdout
    assert b"\\u" not in done.stdout


def test_the_same_as_data(run: Run, database: str) -> None:
    result = run("suggest", "--base-model", "pony", "--images", "30", "--json", "--db", database)
    found = json.loads(result.stdout)

    assert (found["base_model"], found["images"]) == ("Pony", [15, 60])
    assert found["known"] == {"loras": 8, "read": 6, "telling": 6}
    assert (found["loras"], found["creators"], found["enough"]) == (6, 1, False)
    dim = found["settings"]["network_dim"]
    assert (dim["suggested"], dim["loras"], dim["of_loras"]) == (32, 6, 6)
    assert dim["values"][0] == {"value": 32, "loras": 2, "share": pytest.approx(1 / 3)}
    assert found["combinations"][0]["network_dim"] == 32
    assert [one["file_id"] for one in found["examples"]] == [1]


def test_files_for_sd_scripts(run: Run, database: str, tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    words = ("suggest", "--base-model", "Pony", "--db", database, "-o", str(folder))
    first, second, forced = run(*words), run(*words), run(*words, "--force")
    text = (folder / "config.toml").read_text(encoding="utf-8")

    assert (first.exit_code, second.exit_code, forced.exit_code) == (0, 2, 0)
    assert first.stderr.startswith(f"wrote config.toml, dataset.toml to {folder}\n")
    assert first.output == first.stdout + first.stderr
    assert "use --force to overwrite" in second.stderr
    assert tomllib.loads(text)["network_dim"] == 32
    assert "network_dim = 32 # 33% of 6 LoRAs" in text
    assert text.startswith(
        "# Made by lora-crawl from the settings of 6 LoRAs (too few to rely on): Pony."
    )
    assert tomllib.loads((folder / "dataset.toml").read_text(encoding="utf-8"))["datasets"]


def test_files_for_another_trainer(run: Run, database: str, tmp_path: Path) -> None:
    words = ("suggest", "--base-model", "Pony", "--db", database)
    made = run(*words, "--format", "onetrainer", "-o", str(tmp_path))
    nowhere = run(*words, "--format", "onetrainer")
    settings = json.loads((tmp_path / "onetrainer.json").read_text(encoding="utf-8"))

    assert (made.exit_code, nowhere.exit_code) == (0, 2)
    assert made.stderr.startswith(f"wrote onetrainer.json, concepts.json to {tmp_path}\n")
    assert settings["lora_rank"] == 32
    assert settings["optimizer"]["optimizer"] == "ADAMW_8BIT"
    assert "--format needs --output DIR" in nowhere.stderr


def test_who_is_asked(run: Run, database: str) -> None:
    for words, loras_left in (
        (["--tag", "stone"], 6),
        (["--tag", "nothing"], 0),
        (["--creator", "StoneCutter"], 6),
        (["--min-likes", "11"], 0),
        (["--images", "500"], 0),
    ):
        result = run("suggest", "--base-model", "Pony", *words, "--json", "--db", database)
        page = run("suggest", "--base-model", "Pony", *words, "--db", database)

        assert json.loads(result.stdout)["loras"] == loras_left, words
        assert page.exit_code == 0
        if not loras_left:
            assert "no such LoRA" in page.stdout or "there is no suggestion" in page.stdout


def test_nothing_to_learn_from_is_not_written(run: Run, database: str, tmp_path: Path) -> None:
    folder = tmp_path / "none"
    words = ("--base-model", "Pony", "--creator", "nobody", "-o", str(folder))
    result = run("suggest", *words, "--db", database)

    assert result.exit_code == 2
    assert "The database has no such LoRA." in result.stdout
    assert not folder.exists()


def test_an_unknown_base_model_gets_near_names(run: Run, stocked: sa.Engine, database: str) -> None:
    with stocked.begin() as connection:
        connection.execute(
            loras.update().where(loras.c.file_id == 8).values(base_model="Illustrious")
        )
    near = run("suggest", "--base-model", "Ilustrious", "--db", database)
    far = run("suggest", "--base-model", "zzz", "--db", database)

    assert (near.exit_code, far.exit_code) == (2, 2)
    assert near.stderr.endswith("did you mean Illustrious?\n")
    assert far.stderr.endswith("the database has Pony and Illustrious\n")


def test_an_empty_database(run: Run, engine: sa.Engine) -> None:
    place = engine.url.render_as_string(hide_password=False)
    result = run("suggest", "--base-model", "Pony", "--db", place)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "has no base models yet" in result.stderr


def test_what_makes_no_sense(run: Run, database: str) -> None:
    for words in (
        [],
        ["--base-model", "Pony", "--images", "0"],
        ["--base-model", "Pony", "--min-likes", "-1"],
        ["--base-model", "Pony", "--force"],
    ):
        result = run("suggest", *words, "--db", database)

        assert (result.exit_code, result.stdout) == (2, ""), words
