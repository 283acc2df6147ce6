import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
import zstandard
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from crawler.store.connect import database
from crawler.store.connect.database import (
    REVISION,
    State,
    changing_tables,
    migrations_folder,
    open_as_found,
    open_for_writing,
    state,
    upgrade,
)
from crawler.store.read.headers import stored_header
from crawler.store.read.status import table_counts
from crawler.store.schema import tables
from crawler.store.write.results import store_results
from tests.factories import NOW, make_header_bytes, make_model, make_result
from tests.stored import list_models, rows_of

#: The last revision that stored the pictures of a version.
WITH_PICTURES = "0007"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    return config


def _move(engine: sa.Engine, revision: str) -> None:
    config = _config()
    move = command.downgrade if revision.startswith(("-", "base")) else command.upgrade
    with changing_tables(engine) as connection:
        config.attributes["connection"] = connection
        move(config, revision)


def _drift(engine: sa.Engine) -> list[object]:
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        return list(compare_metadata(context, tables.metadata))


@pytest.fixture
def bare(database_url: str) -> Iterator[sa.Engine]:
    """A database without tables, open for writing."""
    engine = open_as_found(database_url)
    yield engine
    engine.dispose()


def test_revisions_are_one_line_of_numbers() -> None:
    found = list(ScriptDirectory.from_config(_config()).walk_revisions())

    numbers = [int(script.revision) for script in reversed(found)]
    assert [script.revision for script in found] == [f"{n:04}" for n in reversed(numbers)]
    assert numbers == list(range(1, len(found) + 1))
    assert found[0].revision == REVISION
    for script in found:
        assert Path(script.path).name.startswith(f"{script.revision}_")


def test_revisions_use_nothing_of_the_program() -> None:
    for path in (migrations_folder() / "versions").glob("*.py"):
        assert "crawler" not in path.read_text(encoding="utf-8"), path.name


def test_each_revision_goes_up_down_and_up(bare: sa.Engine) -> None:
    scripts = list(ScriptDirectory.from_config(_config()).walk_revisions())

    for script in reversed(scripts):
        _move(bare, script.revision)
        _move(bare, "-1")
        _move(bare, script.revision)

    assert state(bare.url) is State.CURRENT


def test_the_way_down_leaves_nothing(bare: sa.Engine) -> None:
    _move(bare, "head")
    _move(bare, "base")

    assert sa.inspect(bare).get_table_names() == ["alembic_version"]
    assert state(bare.url) is State.EMPTY
    open_for_writing(bare.url).dispose()
    assert state(bare.url) is State.CURRENT


def test_the_tables_are_what_the_revisions_make(engine: sa.Engine) -> None:
    assert _drift(engine) == []


def test_keys_and_indexes_have_the_names_of_the_tables(engine: sa.Engine) -> None:
    """Autogenerate does not compare them, and a later revision will drop them by name."""
    made = sa.inspect(engine)

    for name, table in tables.metadata.tables.items():
        assert made.get_pk_constraint(name)["name"] == f"pk_{name}"
        assert {index["name"] for index in made.get_indexes(name)} == {
            str(index.name) for index in table.indexes
        }
        assert {key["name"] for key in made.get_foreign_keys(name)} == {
            str(key.name) for key in table.foreign_key_constraints
        }


def test_narrow_tables_of_sqlite_have_one_tree(engine: sa.Engine) -> None:
    narrow = {
        name
        for name, table in tables.metadata.tables.items()
        if not table.dialect_options["sqlite"]["with_rowid"]
    }
    assert "file_tags" in narrow
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            listed = connection.exec_driver_sql("SELECT name FROM pragma_table_list WHERE wr")
            assert set(listed.scalars()) == narrow


def test_pictures_leave_the_stored_json(bare: sa.Engine) -> None:
    bodies = [{"id": 1, "images": [{"url": "u"}]}, {"meta": {"images": 2}}, None]
    seen = {"site": "civitai", "first_seen_at": NOW, "last_seen_at": NOW}
    rows = [seen | {"model_id": n, "body": body} for n, body in enumerate(bodies)]
    _move(bare, WITH_PICTURES)
    with bare.begin() as connection:
        connection.execute(sa.insert(tables.models), rows)

    _move(bare, "head")

    assert [row["body"] for row in rows_of(bare, tables.models)] == [{"id": 1}, *bodies[1:]]


@pytest.fixture
def workbench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A copy of migrations/ in which a test may write revisions."""
    folder = tmp_path / "migrations"
    shutil.copytree(migrations_folder(), folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(database, "migrations_folder", lambda: folder)
    return folder


#: The number of a revision that does not exist yet.
NEXT = f"{int(REVISION) + 1:04}"

NEXT_REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    with op.batch_alter_table("loras") as batch:
        batch.alter_column("model_name", nullable=False, server_default="")
        batch.add_column(sa.Column("colour", sa.Text()))
    {more}


def downgrade() -> None:
    with op.batch_alter_table("loras") as batch:
        batch.drop_column("colour")
        batch.alter_column("model_name", nullable=True, server_default=None)
"""


def _next_revision(more: str) -> str:
    return NEXT_REVISION.format(revision=NEXT, before=REVISION, more=more)


def _store_one(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        list_models(connection, make_model(1))
        store_results(connection, [make_result(1)])


def test_an_upgrade_keeps_every_row(
    engine: sa.Engine, workbench: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _store_one(engine)
    with engine.connect() as connection:
        before = table_counts(connection)
    (workbench / "versions" / f"{NEXT}_next.py").write_text(_next_revision("pass"))
    monkeypatch.setattr(database, "REVISION", NEXT)
    assert state(engine.url) is State.OLD

    upgraded = open_for_writing(engine.url)

    assert state(upgraded.url) is State.CURRENT
    with upgraded.connect() as connection:
        assert table_counts(connection) == before
        assert connection.exec_driver_sql("SELECT colour FROM loras").scalars().all() == [None]
    upgraded.dispose()


def test_a_failed_upgrade_changes_nothing(engine: sa.Engine, workbench: Path) -> None:
    _store_one(engine)
    text = _next_revision('raise RuntimeError("no")')
    (workbench / "versions" / f"{NEXT}_next.py").write_text(text)

    with pytest.raises(RuntimeError, match="no"):
        upgrade(engine)

    assert state(engine.url) is State.CURRENT
    assert _drift(engine) == []
    with engine.connect() as connection:
        assert table_counts(connection)["headers"] == 1


def test_headers_stay_the_same_down_and_up_again(engine: sa.Engine) -> None:
    given = {
        1: make_header_bytes(),
        2: make_header_bytes(None) + b"bytes behind the header",
        3: b"\x02" + bytes(7) + b"{}",
        4: b"<!DOCTYPE html>",
        5: make_header_bytes({"ss_tag_frequency": '{"a": {"\\u00e9": 1}}'}),
    }
    with engine.begin() as connection:
        list_models(connection, *(make_model(number) for number in given))
        store_results(connection, [make_result(*pair) for pair in given.items()])
    with engine.connect() as connection:
        before = connection.execute(sa.select(tables.headers).order_by("file_id")).all()
        lists = connection.execute(sa.select(tables.tensor_lists).order_by("digest")).all()
    assert len(lists) == 2

    _move(engine, f"-{int(REVISION) - 5}")
    with engine.connect() as connection:
        stored = connection.exec_driver_sql("SELECT file_id, data FROM headers").all()
        assert {key: zstandard.decompress(data) for key, data in stored} == given

    upgrade(engine)
    with engine.connect() as connection:
        assert {key: stored_header(connection, key) for key in given} == given
        assert connection.execute(sa.select(tables.headers).order_by("file_id")).all() == before
        assert connection.execute(sa.select(tables.tensor_lists).order_by("digest")).all() == lists


def test_a_generated_revision_runs_and_makes_the_same_tables(
    bare: sa.Engine, workbench: Path
) -> None:
    for path in (workbench / "versions").glob("*.py"):
        path.unlink()
    config = Config()
    config.set_main_option("script_location", str(workbench))
    with changing_tables(bare) as connection:
        # A table of another library in the same database.
        connection.exec_driver_sql("CREATE TABLE pgqueuer (id INTEGER)")
        config.attributes["connection"] = connection
        command.revision(config, "Generated", autogenerate=True, rev_id="0001")

    [path] = (workbench / "versions").glob("*.py")
    text = path.read_text(encoding="utf-8")
    assert "pgqueuer" not in text
    assert "crawler" not in text
    upgrade(bare)
    assert [difference for difference in _drift(bare) if "pgqueuer" not in str(difference)] == []


def test_alembic_on_the_command_line_finds_the_database(tmp_path: Path) -> None:
    place = tmp_path / "loras.db"
    root = Path(__file__).parents[3]

    for arguments in (("-x", f"db={place}", "upgrade", "head"), ("-x", f"db={place}", "check")):
        done = subprocess.run(
            [sys.executable, "-m", "alembic", *arguments],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    assert state(place) is State.CURRENT
