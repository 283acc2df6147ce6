"""What a role of PostgreSQL needs: SELECT alone for every command that only reads."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from crawler.store.schema.tables import metadata
from crawler.store.schema.views import VIEWS
from crawler.web.app import PAGES
from crawler.web.server import PageServer
from tests.cli.headers import Run
from tests.cli.test_every_command import COMMANDS
from tests.conftest import ON_POSTGRESQL

#: The words behind each command that reads a database; FOLDER is one to write in.
READING: dict[str, tuple[str, ...]] = {
    "authors": (),
    "db check": (),
    "db info": (),
    "db path": ("-v",),
    "diff": ("1", "2"),
    "export": ("FOLDER/export",),
    "fields": ("rank",),
    "header": ("1", "-o", "FOLDER/header"),
    "query": ("has(tags, '1girl')", "--columns", "all"),
    "recipe": ("1", "-o", "FOLDER/recipe"),
    "report": ("FOLDER/report.html",),
    "show": ("1",),
    "similar": ("1", "--by", "tags"),
    "sql": ("SELECT * FROM lora_tags JOIN lora_problems USING (file_id)",),
    "stats": ("network_dim", "--by", "optimizer"),
    "status": (),
    "suggest": ("--base-model", "Pony"),
    "versions": ("model:1",),
}

#: They serve until they are stopped, or name the database in another way; each has a test of its own.
READING_OTHERWISE = {"db copy", "mcp", "serve"}

#: Commands that write to a database or need none, and one for SQLite only.
OTHERS = {
    *("sync", "worker", "scan", "redecode", "import", "db upgrade"),
    *("help", "inspect", "login", "logout", "sandbox", "db datasette"),
}

#: What the tools of `mcp` ask for.
ARGUMENTS = {"ref": "1", "base_model": "Pony", "statement": "SELECT count(*) FROM loras"}


@pytest.fixture
def role(stocked: sa.Engine) -> Iterator[str]:
    """A role that may connect and nothing else, and nor may others by default."""
    name, database = f"role_{uuid4().hex}", stocked.url.database
    with stocked.begin() as connection:
        for statement in (
            f"CREATE ROLE {name} LOGIN",
            f"REVOKE ALL ON DATABASE {database} FROM PUBLIC",
            "REVOKE ALL ON SCHEMA public FROM PUBLIC",
            f"GRANT CONNECT ON DATABASE {database} TO {name}",
        ):
            connection.exec_driver_sql(statement)
    yield name
    with stocked.begin() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {name}")
        connection.exec_driver_sql(f"DROP ROLE {name}")


@pytest.fixture
def place(stocked: sa.Engine, role: str) -> str:
    """The database, opened as the role."""
    return stocked.url.set(username=role).render_as_string(hide_password=False)


@pytest.fixture
def readable(stocked: sa.Engine, place: str, role: str) -> str:
    """The database, opened as the role, which may read now."""
    grant(
        stocked,
        f"USAGE ON SCHEMA public TO {role}",
        f"SELECT ON ALL TABLES IN SCHEMA public TO {role}",
    )
    return place


def grant(engine: sa.Engine, *rights: str) -> None:
    with engine.begin() as connection:
        for right in rights:
            connection.exec_driver_sql(f"GRANT {right}")


def test_every_command_is_one_that_reads_or_does_not() -> None:
    kinds = [set(READING), READING_OTHERWISE, OTHERS]

    assert set(COMMANDS) - set().union(*kinds) == set()
    assert sum(map(len, kinds)) == len(set().union(*kinds))


@ON_POSTGRESQL
def test_select_is_enough_for_every_command_that_reads(
    readable: str, run: Run, tmp_path: Path
) -> None:
    for name, words in READING.items():
        given = [word.replace("FOLDER", str(tmp_path)) for word in words]
        done = run(*name.split(), *given, "--db", readable)
        assert done.exit_code == 0, (name, done.stderr)
        assert done.stdout or "-o" in words or name in {"db check", "report"}, name


@ON_POSTGRESQL
def test_it_is_enough_for_every_page(
    readable: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses = {}

    def visit(server: PageServer) -> None:
        for path, _ in PAGES:
            address = path.format(file_id=1, form="onetrainer", name="config.json").lstrip("/")
            try:
                with urllib.request.urlopen(
                    f"{server.url}{address}?base_model=Pony&ids=1,2&field=optimizer", timeout=60
                ) as answer:
                    statuses[path] = answer.status
            except urllib.error.HTTPError as error:
                statuses[path] = error.code
                error.close()

    monkeypatch.setattr(PageServer, "wait", visit)
    done = run("serve", "--port", "0", "--db", readable)

    assert done.exit_code == 0, done.stderr
    assert set(statuses) == {path for path, _ in PAGES}
    assert {path: status for path, status in statuses.items() if status >= 500} == {}
    assert list(statuses.values()).count(200) > len(PAGES) / 2, statuses


@ON_POSTGRESQL
def test_it_is_enough_for_assistants(readable: str, tmp_path: Path) -> None:
    told = pytest.importorskip("tests.cli.commands.test_mcp", exc_type=ImportError)

    async def questions(client: Any) -> None:
        tools = (await client.list_tools()).tools
        for tool in tools:
            needed = tool.input_schema.get("required", ())
            await told.answer(client, tool.name, **{name: ARGUMENTS[name] for name in needed})
        assert len(tools) > 5

    told.talk(readable, tmp_path, questions)


@ON_POSTGRESQL
def test_it_is_enough_to_copy_the_database(readable: str, run: Run, tmp_path: Path) -> None:
    done = run("db", "copy", readable, str(tmp_path / "copy.db"))

    assert done.exit_code == 0, done.stderr
    assert run("query", "--count", "--db", str(tmp_path / "copy.db")).stdout == "8\n"


@ON_POSTGRESQL
def test_without_a_right_the_error_says_what_to_grant(
    stocked: sa.Engine, place: str, role: str, run: Run
) -> None:
    usage, select = (
        f'USAGE ON SCHEMA public TO "{role}"',
        f'SELECT ON ALL TABLES IN SCHEMA public TO "{role}"',
    )
    for given in (None, usage):
        if given is not None:
            grant(stocked, given)
        for words in (("query",), ("status",), ("db", "check"), ("sql", "SELECT 1")):
            done = run(*words, "--db", place)
            assert done.exit_code == 3, words
            assert f"GRANT {usage}; GRANT {select};" in done.stderr
    grant(stocked, select)
    assert run("query", "--db", place).exit_code == 0

    # Each table is needed by some command, and none is asked for that the role cannot see.
    with stocked.begin() as connection:
        for name in (*metadata.tables, *(view.name for view in VIEWS)):
            connection.exec_driver_sql(f"REVOKE SELECT ON {name} FROM {role}")
    done = run("query", "--db", place)
    assert (done.exit_code, "GRANT SELECT ON ALL TABLES" in done.stderr) == (3, True)


@ON_POSTGRESQL
def test_a_role_that_only_reads_cannot_crawl(readable: str, run: Run) -> None:
    done = run("scan", ".", "--db", readable)

    assert done.exit_code == 3
    assert "to write, it must be the role that made the tables" in done.stderr
