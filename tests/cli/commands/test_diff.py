"""`diff`: two LoRAs side by side, from the database or from files."""

import json
from pathlib import Path

import pytest

from crawler.answers.visible import visible
from tests.cli.headers import LANTERN, Run, write_lora
from tests.faces import backend

__all__ = ["backend"]

#: A value that is missing, as a page shows it.
NULL = "\N{EN DASH}"


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """Two files on this machine that differ in rank, comment and tags."""
    other = {
        **LANTERN,
        "ss_network_dim": "32",
        "ss_training_comment": "by night " * 12,
        "ss_network_args": json.dumps({"conv_dim": "8"}),
        "ss_tag_frequency": json.dumps({"6_lantern": {"lantern": 20, "\u202esea": 3}}),
    }
    return (
        str(write_lora(tmp_path / "one.safetensors", LANTERN)),
        str(write_lora(tmp_path / "other.safetensors", other)),
    )


def test_only_what_differs(run: Run, database: str) -> None:
    result = run("diff", "5", "6", "--db", database)
    assert result.exit_code == 0
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert rows[0] == ["field", "a", "b"]
    assert ["file_id", "5", "6"] in rows
    assert ["network_dim", "64", "128"] in rows
    assert "lr_scheduler" not in {row[0] for row in rows}


def test_all_of_it(run: Run, database: str) -> None:
    rows = json.loads(run("diff", "5", "6", "--all", "--json", "--db", database).stdout)
    by_field = {row["field"]: (row["a"], row["b"]) for row in rows}
    assert by_field["network_dim"] == (64, 128)
    assert by_field["network_module"] == ("networks.lora", "networks.lora")
    assert by_field["tags_shared"] == (3, 3)
    assert by_field["tags_only_here"] == ({}, {})


def test_the_same_twice(run: Run, database: str) -> None:
    result = run("diff", "5", "model:5", "--db", database)
    assert result.exit_code == 0
    assert result.stdout == "field\ta\tb\n"
    assert "no setting differs" in result.stderr
    assert json.loads(run("diff", "5", "model:5", "--json", "--db", database).stdout) == []


def test_two_paths_need_no_database(run: Run, files: tuple[str, str], tmp_path: Path) -> None:
    result = run("diff", *files, "--json", "--db", str(tmp_path / "none.db"))
    assert result.exit_code == 0
    by_field = {row["field"]: (row["a"], row["b"]) for row in json.loads(result.stdout)}
    assert by_field["file_name"] == ("one.safetensors", "other.safetensors")
    assert by_field["network_dim"] == (16, 32)
    assert by_field["network_args.conv_dim"] == (None, "8")
    assert by_field["tags_only_here"] == ({"night": 11, "\u202edark": 1}, {"\u202esea": 3})
    assert "seed" not in by_field


def test_a_file_and_a_stored_lora(run: Run, database: str, files: tuple[str, str]) -> None:
    result = run("diff", files[0], "6", "--db", database)
    assert result.exit_code == 0
    assert "network_dim\t16\t128\n" in result.stdout


def test_the_page_of_a_person(
    run: Run, files: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(files[0]).parent)
    result = run("diff", "one.safetensors", "other.safetensors", "--format", "table")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("a  ")
    assert lines[0].endswith("one.safetensors")
    assert "Network" in lines
    assert "  network_dim                  16                       32" in lines
    assert f"  network_args.conv_dim        {NULL}                        8" in lines
    # What does not fit side by side stands under each other, whole.
    at = lines.index("  training_comment")
    assert lines[at + 1] == f"    a  {NULL}"
    assert lines[at + 2].startswith("    b  by night by night")
    assert max(map(len, lines)) <= 80
    assert all(visible(line) == line for line in lines)
    assert r"\u202esea 3" in result.stdout


def test_numbers_stand_under_each_other(run: Run, database: str) -> None:
    page = run("diff", "1", "6", "--all", "--format", "table", "--db", database).stdout
    shown = [
        line for line in page.splitlines() if line.startswith(("  network_dim ", "  network_al"))
    ]
    assert [line.split() for line in shown[:2]] == [
        ["network_dim", "8", "128"],
        ["network_alpha", "16", "16"],
    ]
    assert len(shown[0]) == len(shown[1])
    assert shown[0].index(" 8 ") == shown[1].index("16 ")


def test_a_file_that_was_not_read(run: Run, database: str) -> None:
    result = run("diff", "6", "7", "--db", database)
    assert result.exit_code == 0
    assert "7: header not read, early_access: in early access" in result.stderr
    assert "network_dim\t128\t\n" in result.stdout


def test_nothing_of_that_name(run: Run, database: str, tmp_path: Path) -> None:
    for refs in (("1", "4711"), ("nothing.safetensors", "1"), ("1",)):
        result = run("diff", *refs, "--db", database)
        assert (result.exit_code, result.stdout) == (2, "")
    assert run("diff", "1", "2", "--db", str(tmp_path / "none.db")).exit_code == 3
