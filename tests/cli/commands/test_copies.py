"""Scanned copies of crawled files do not count twice, on both databases."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from crawler.store.schema.tables import local_files, loras
from tests.cli.headers import LANTERN, Run, write_lora


@pytest.fixture
def scanned(run: Run, stocked: sa.Engine, database: str, tmp_path: Path) -> str:
    """The database `stocked` with two scanned files, the first of which is a copy of file 1."""
    (tmp_path / "mine").mkdir()
    for name, rank in (("copy", "4"), ("own", "5")):
        write_lora(tmp_path / "mine" / f"{name}.safetensors", {**LANTERN, "ss_network_dim": rank})
    assert run("scan", str(tmp_path / "mine"), "--db", database).exit_code == 0
    is_copy = loras.c.network_dim == 4
    with stocked.begin() as connection:
        copy = connection.execute(sa.select(loras.c.file_id).where(is_copy)).scalar_one()
        page = sa.select(loras.c.page_url).where(loras.c.file_id == 1).scalar_subquery()
        described = sa.update(loras).where(is_copy).values(page_url=page, creator="stonecutter")
        connection.execute(described)
        matched = sa.update(local_files).where(local_files.c.file_id == copy)
        connection.execute(matched.values(matched_file_id=1, matched_by="sha256"))
    return database


def counted(run: Run, database: str, *words: str) -> int:
    return int(run("query", "--count", *words, "--db", database).stdout)


def test_a_query_leaves_copies_out_unless_asked(run: Run, scanned: str) -> None:
    told = run("query", "network_dim < 6", "--columns", "network_dim", "--db", scanned)
    assert told.stdout.split() == ["network_dim", "5"]
    assert "1 scanned copy left out; --copies keeps them" in told.stderr
    assert counted(run, scanned) == 9
    assert counted(run, scanned, "--copies") == 10
    assert counted(run, scanned, "site = 'local'") == 2
    assert counted(run, scanned, "file_id < 0") == 2
    assert "page_url IS NULL" in run("query", "--sql", "--db", scanned).stdout
    assert "page_url" not in run("query", "--db", scanned).stderr


def test_statistics_leave_copies_out_unless_asked(run: Run, scanned: str) -> None:
    for words, files in (((), 8), (("--copies",), 9)):
        (creator,) = json.loads(run("authors", "--json", *words, "--db", scanned).stdout)
        assert creator["files"] == files
        (field,) = json.loads(run("stats", "network_dim", "--json", *words, "--db", scanned).stdout)
        assert field["files"] == files + 1


def test_a_suggestion_leaves_copies_out_unless_asked(
    run: Run, stocked: sa.Engine, scanned: str
) -> None:
    with stocked.begin() as connection:
        connection.execute(sa.update(loras).values(base_model="Pony"))
    for asked, known in (((), 9), (("--copies",), 10)):
        words = ("suggest", "--base-model", "Pony", *asked, "--db", scanned)
        assert json.loads(run(*words, "--json").stdout)["known"]["loras"] == known
        assert ("1 scanned copy left out" in run(*words).stderr) is (known == 9)


def test_without_copies_nothing_is_said(run: Run, database: str) -> None:
    told = run("query", "--count", "--db", database)
    assert (told.stdout, told.stderr) == ("8\n", "")
