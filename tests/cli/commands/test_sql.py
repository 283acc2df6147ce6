"""`sql` as a command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.cli.headers import Run
from tests.stored import as_user


@pytest.fixture
def database(database: str) -> str:
    """The usual one, opened as a role that only reads."""
    return as_user(database, "reader")


def test_rows_of_any_table(run: Run, database: str) -> None:
    statement = "select model_id, name from models where model_id < 3 order by model_id"
    result = run("sql", statement, "--db", database)
    assert result.exit_code == 0
    assert result.stdout == "model_id\tname\n1\tMarble\n2\tMarble\n"
    assert result.stderr == ""


def test_from_stdin_in_json(run: Run, database: str) -> None:
    text = "select count(*) as files, min(published_at) as first\nfrom loras;\n"
    (row,) = json.loads(run("sql", "-", "--json", "--db", database, text=text).stdout)
    assert row["files"] == 8
    assert row["first"].startswith("2025-01-02 03:04:05.678")


def test_equal_names_and_bytes(run: Run, database: str) -> None:
    statement = "select 1 as a, 2 as a, data from headers where file_id = 1"
    (row,) = json.loads(run("sql", statement, "--json", "--db", database).stdout)
    assert (row["a"], row["a_2"]) == (1, 2)
    assert bytes.fromhex(row["data"])[:4] == b"\x28\xb5\x2f\xfd"


def test_what_came_from_the_net_is_shown_escaped(run: Run, database: str) -> None:
    result = run("sql", "select model_name from loras where file_id = 3", "--db", database)
    assert result.stdout == "model_name\n=1+1 \\x1b[31m[red]Marble\\u202e\n"


def test_writes_and_nonsense_are_refused(run: Run, database: str) -> None:
    for statement in (
        "delete from loras",
        "update loras set likes = 0",
        "drop table loras",
        "create table more (n integer)",
        "selec 1",
        "select nothing from loras",
        "select 1; select 2",
        "",
    ):
        result = run("sql", statement, "--db", database)
        assert (result.exit_code, result.stdout) == (2, ""), statement
        assert result.stderr.startswith("Error: ")
        left = run("sql", "select count(*) as n from loras", "--db", database)
        assert left.stdout == "n\n8\n"


def test_a_statement_that_takes_too_long(run: Run, database: str) -> None:
    endless = (
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000000000)"
        " select count(*) from n"
    )
    result = run("sql", endless, "--timeout", "0.2", "--db", database)
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_superuser_is_told_how_to_make_a_reader(run: Run, engine: sa.Engine) -> None:
    place = engine.url.render_as_string(hide_password=False)
    result = run("sql", "select 1 as a", "--db", place)
    if engine.dialect.name == "sqlite":
        assert result.stdout == "a\n1\n"
        return
    assert (result.exit_code, result.stdout) == (2, "")
    assert "CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader;" in result.stderr
    assert run("query", "--db", place).exit_code == 0


def test_an_overlong_statement(run: Run, database: str) -> None:
    result = run("sql", "-", "--db", database, text="select 1 --" + " " * 1_000_000)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "1,000,000 characters" in result.stderr


def test_no_database(run: Run, tmp_path: Path) -> None:
    result = run("sql", "select 1", "--db", str(tmp_path / "none.db"))
    assert (result.exit_code, result.stdout) == (3, "")


def test_a_reader_that_has_seen_enough(sqlite_template: Path) -> None:
    many = "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n"
    with subprocess.Popen(
        [sys.executable, "-m", "crawler", "sql", many, "--db", str(sqlite_template)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"i\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 141
