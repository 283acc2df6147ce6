"""`show`: one LoRA on a page, from the database or from a file."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from crawler.answers.visible import visible
from crawler.store.schema.fields import FIELDS
from crawler.store.schema.tables import loras
from tests.cli.headers import LANTERN, Run, write_lora
from tests.faces import backend

__all__ = ["backend"]


def test_a_page_with_what_is_usual(run: Run, database: str) -> None:
    result = run("show", "6", "--db", database)
    page = " ".join(result.stdout.split())
    assert result.exit_code == 0
    assert result.stdout.startswith("Marble · v1\nhttps://civitai.com/models/6?modelVersionId=6\n")
    assert "Pony · LORA · by stonecutter · published 2025-01-02 · 100 downloads · 10 likes" in page
    assert "trigger words: marble, polished marble" in page
    assert "1,200 steps of batch 2 over 40 images repeated 5 times" in page
    assert "2,400 images seen in 60 minutes." in page
    assert (
        "interquartile range (IQR) among LoRAs that report the field"
        " (Pony: up to 6 of 8 files, as of 2026-03-04)." in page
    )
    # Of the ranks 8, 16, 32, 32, 64 and 128 the median is 32, the quartiles 20 and 56.
    # 128 is the largest of 6.
    assert "network_dim 128 95 32 20\N{EN DASH}56" in page
    assert "1girl 40 ████" in page
    assert "! the metadata says rank 128, the tensors have rank 32" in page


def test_hostile_names_are_shown_as_text(run: Run, database: str) -> None:
    result = run("show", "model:3", "--db", database)
    assert result.stdout.startswith(r"=1+1 \x1b[31m[red]Marble\u202e · v1")
    assert all(visible(line) == line for line in result.stdout.splitlines())


def test_every_kind_of_reference(run: Run, database: str) -> None:
    for ref in (
        "2",
        "file:2",
        "model:2",
        "version:2",
        "https://civitai.com/models/2/marble",
        "https://civitai.red/models/2?modelVersionId=2",
        "https://civitai.com/api/download/models/2",
        "civitai.com/models/2/marble",
        f"sha256:{2:064x}",
        f"autov3:{2:012x}",
    ):
        result = run("show", ref, "--json", "--db", database)
        assert json.loads(result.stdout)["file_id"] == 2, ref


def test_json_is_the_whole_page(run: Run, database: str) -> None:
    found = json.loads(run("show", "6", "--json", "--db", database).stdout)
    parts = ["datasets", "directories", "tags", "problems", "compared_with"]
    parts += ["compared_at", "medians"]
    assert list(found) == [*(field.name for field in FIELDS), *parts]
    assert found["network_dim"] == 128
    assert found["training_seconds"] == 3600.5
    assert found["published_at"] == "2025-01-02T03:04:05.678000Z"
    assert found["model_tags"] == ["style", "stone"]
    assert found["tags"] == {"5_marble": {"1girl": 40, "空": 3, "a 'quoted' tag": 1}}
    assert found["compared_with"] == "Pony"
    assert found["medians"]["network_dim"] == {
        "count": 6,
        "quartile1": 20.0,
        "median": 32.0,
        "quartile3": 56.0,
        "percentile": 95,
    }


def test_a_refused_file_says_why_and_what_to_do(run: Run, database: str) -> None:
    result = run("show", "7", "--db", database)
    page = " ".join(result.stdout.split())
    assert result.exit_code == 0
    assert "early_access: in early access until 2027-01-01 00:00 UTC" in page
    assert "Early access ends on 2027-01-01 00:00 UTC." in page
    assert "Read when early access ends." in page
    assert "Network" not in page
    pending = run("show", "8", "--db", database).stdout
    assert "Read by the next lora-crawl sync." in pending


def test_nothing_of_that_name(run: Run, database: str) -> None:
    for ref in ("4711", "model:4711", "sha256:FFFF", "https://example.org/models/1"):
        result = run("show", ref, "--db", database)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("Error: ")


def test_no_database(run: Run, tmp_path: Path) -> None:
    result = run("show", "1", "--db", str(tmp_path / "none.db"))
    assert (result.exit_code, result.stdout) == (3, "")
    assert "lora-crawl sync" in result.stderr


def test_a_path_needs_no_database(run: Run, tmp_path: Path) -> None:
    path = str(write_lora(tmp_path / "lantern.safetensors", LANTERN))
    nowhere = str(tmp_path / "none.db")
    result = run("show", path, "--db", nowhere)
    assert result.exit_code == 0
    assert "600 steps of batch 2" in result.stdout
    assert "median" not in result.stdout
    found = json.loads(run("show", path, "--json", "--db", nowhere).stdout)
    assert found["network_dim"] == 16
    assert found["medians"] == {}


def test_digits_are_an_id_even_beside_a_file_of_that_name(
    run: Run, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lora(tmp_path / "2", LANTERN)
    monkeypatch.chdir(tmp_path)
    assert "Marble" in run("show", "2", "--db", database).stdout


def test_neither_a_file_nor_a_reference(run: Run, tmp_path: Path) -> None:
    result = run("show", str(tmp_path / "nothing.safetensors"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no such file or directory" in result.stderr


def test_a_file_is_compared_with_the_database(
    run: Run, stocked: sa.Engine, database: str, tmp_path: Path
) -> None:
    path = write_lora(tmp_path / "mine.safetensors", LANTERN)
    with stocked.begin() as connection:
        connection.execute(sa.update(loras).values(sd_model_name=LANTERN["ss_sd_model_name"]))

    page = " ".join(run("show", str(path), "--db", database).stdout.split())
    assert "(Pony: up to" in page
    assert "Pony is a guess, to judge by sd_model_name." in page

    alone = run("show", str(path), "-v", "--db", str(tmp_path / "none.db"))
    assert alone.exit_code == 0
    assert "On the right" not in alone.stdout
    assert "there is no database to compare it with" in alone.stderr


def test_a_file_of_an_unknown_base_is_compared_with_all(
    run: Run, database: str, tmp_path: Path
) -> None:
    path = write_lora(tmp_path / "mine.safetensors", {"ss_network_dim": "16"})
    page = " ".join(run("show", str(path), "--db", database).stdout.split())
    assert "(all: up to" in page
    assert "guess" not in page
