import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import zstandard
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from crawler.errors import StoppedError
from crawler.store.connect import database, lock
from crawler.store.connect.database import (
    REVISION,
    WITH_OLD_TAGS,
    State,
    changing_tables,
    migrations_folder,
    open_as_found,
    open_for_writing,
    state,
    upgrade,
)
from crawler.store.read.headers import stored_header
from crawler.store.read.search import fill_rates
from crawler.store.read.status import table_counts
from crawler.store.schema import tables
from crawler.store.stats.field_stats import refresh_statistics
from crawler.store.write import move_tags
from crawler.store.write.results import store_results
from crawler.store.write.tags import tag_id
from tests.conftest import ON_POSTGRESQL, Prepared
from tests.factories import NOW, make_header_bytes, make_model, make_result
from tests.store.write.test_catalogue import LIKES, liked, monthly
from tests.stored import list_models, rows_of

#: The last revision that stored the pictures of a version.
WITH_PICTURES = "0007"

#: The last revision without foreign keys from `loras`.
WITHOUT_KEYS = "0013"

#: The last revision with tag ids of 63 bits.
WITH_LONG_IDS = "0009"


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
    def is_here(item: Any, *given: Any) -> bool:
        _name, kind, reflected, _other = given
        here = engine.dialect.name
        return kind != "index" or reflected or item in tables.indexes_on(item.table, here)

    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "include_object": is_here,
            },
        )
        return list(compare_metadata(context, tables.metadata))


def _schema(engine: sa.Engine) -> dict[str, Any]:
    """Everything that a database says of its tables and views, without the order of columns."""
    found = sa.inspect(engine)
    made: dict[str, Any] = {
        name: {
            "columns": {
                column["name"]: {key: repr(part) for key, part in column.items()}
                for column in found.get_columns(name)
            },
            "key": found.get_pk_constraint(name),
            "indexes": [
                index
                | {"dialect_options": {k: str(v) for k, v in index["dialect_options"].items()}}
                for index in found.get_indexes(name)
            ],
            "foreign": sorted(found.get_foreign_keys(name), key=repr),
            "checks": found.get_check_constraints(name),
            "unique": found.get_unique_constraints(name),
            "options": repr(found.get_table_options(name)),
        }
        for name in found.get_table_names()
    }
    views: dict[str, Any] = {
        name: found.get_view_definition(name) for name in found.get_view_names()
    }
    return made | views


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


def test_new_tables_are_what_the_revisions_make(bare: sa.Engine, engine: sa.Engine) -> None:
    _move(bare, "head")

    assert _drift(bare) == []
    # Autogenerate compares neither the conditions of indexes, nor comments, nor views.
    revised, made = _schema(bare), _schema(engine)
    assert revised.keys() == made.keys()
    for name, parts in revised.items():
        assert made[name] == parts, name


def test_keys_and_indexes_have_the_names_of_the_tables(engine: sa.Engine) -> None:
    """Autogenerate does not compare them, and a later revision will drop them by name."""
    made = sa.inspect(engine)

    for name, table in tables.metadata.tables.items():
        assert made.get_pk_constraint(name)["name"] == f"pk_{name}"
        assert {index["name"] for index in made.get_indexes(name)} == {
            str(index.name) for index in tables.indexes_on(table, engine.dialect.name)
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


def test_likes_per_month_are_computed_from_what_is_there(engine: sa.Engine) -> None:
    """As if the models had been listed again when they were last seen."""
    for at, (likes, months, _) in enumerate(LIKES, start=1):
        with engine.begin() as connection:
            list_models(connection, liked(at, likes, months))
    with engine.begin() as connection:
        refresh_statistics(connection, NOW)
        shares = fill_rates(connection, ["likes_per_month", "likes"])
    before = monthly(engine)

    _move(engine, "-1")
    _move(engine, "head")

    assert monthly(engine) == before
    with engine.connect() as connection:
        assert fill_rates(connection, ["likes_per_month", "likes"]) == shares
    assert 0 < shares["likes_per_month"] < shares["likes"]


def test_pictures_leave_the_stored_json(bare: sa.Engine) -> None:
    bodies = [{"id": 1, "images": [{"url": "u"}]}, {"meta": {"images": 2}}, None]
    seen = {"site": "civitai", "first_seen_at": NOW, "last_seen_at": NOW}
    rows = [seen | {"model_id": n, "body": body} for n, body in enumerate(bodies)]
    _move(bare, WITH_PICTURES)
    with bare.begin() as connection:
        connection.execute(sa.insert(tables.models), rows)

    _move(bare, "head")

    assert [row["body"] for row in rows_of(bare, tables.models)] == [{"id": 1}, *bodies[1:]]


def test_files_get_models_and_versions_and_hashes_one_case(bare: sa.Engine) -> None:
    _move(bare, WITHOUT_KEYS)
    row = {"site": "local", "outcome": "decoded", "attempts": 1}
    rows = [
        row | {"file_id": -1, "version_id": -2, "model_id": -3, "sd_model_hash": "9910ef38"},
        row | {"file_id": 1, "version_id": 2, "model_id": 3, "sd_model_hash": "9910EF38"},
        row | {"file_id": 2, "version_id": 2, "model_id": 3, "sd_model_hash": None},
    ]
    with bare.begin() as connection:
        connection.execute(sa.insert(tables.loras), rows)

    _move(bare, "head")

    found = [(row["version_id"], row["model_id"]) for row in rows_of(bare, tables.versions)]
    assert found == [(-2, -3), (2, 3)]
    hashes = [row["sd_model_hash"] for row in rows_of(bare, tables.loras)]
    assert hashes == ["9910EF38", "9910EF38", None]
    with pytest.raises(sa.exc.IntegrityError), bare.begin() as connection:
        connection.execute(sa.insert(tables.loras), rows[1] | {"file_id": 5, "model_id": 9})


#: By file, directory and tag. The ids had 63 bits.
OLD_TAGS = {
    (-5, 0, "1girl"): 2,
    (1, 0, "1girl"): 3,
    (1, -1, "1girl"): 4,
    (1, 0, "空"): 1,
    (3, 0, "x" * 5_000): 2**40,
    (2**40, 1, "1girl"): 5,
}
ALL_TAGS = sa.text(
    "SELECT file_id, directory_number, name, count FROM file_tags"
    " JOIN tags ON tags.tag_id = file_tags.tag_id"
)


def _store_old_tags(engine: sa.Engine) -> None:
    _move(engine, "base")
    _move(engine, WITH_LONG_IDS)
    names = {name: 2**63 - 1 - at for at, name in enumerate(["1girl", "空", "x" * 5_000, "?"])}
    row = {"version_id": 1, "model_id": 1, "site": "x", "outcome": "decoded", "attempts": 1}
    files = sorted({key[0] for key in OLD_TAGS} | {2})
    with engine.begin() as connection:
        connection.execute(sa.insert(tables.loras), [row | {"file_id": n} for n in files])
        tags = [{"tag_id": number, "name": name} for name, number in names.items()]
        connection.execute(sa.insert(tables.tags), tags)
        rows = [
            {"file_id": file, "directory_number": folder, "tag_id": names[tag], "count": n}
            for (file, folder, tag), n in OLD_TAGS.items()
        ]
        connection.execute(sa.insert(tables.file_tags), rows)


@pytest.fixture
def with_old_tags(prepared: Prepared) -> sa.Engine:
    """A database with OLD_TAGS, and a file and a tag that have none."""
    return prepared("old_tags", _store_old_tags)


def _tags_of(engine: sa.Engine) -> dict[tuple[int, int, str], int]:
    with engine.connect() as connection:
        return {(row[0], row[1], row[2]): row[3] for row in connection.execute(ALL_TAGS)}


@pytest.mark.parametrize("batches", [0, 2, 4])
def test_tags_get_short_ids_though_the_upgrade_is_killed(
    with_old_tags: sa.Engine, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    left, move_batch = iter(range(batches)), move_tags._move_batch

    def killed(connection: sa.Connection, last: int) -> list[int]:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return move_batch(connection, last)

    monkeypatch.setattr(move_tags, "BATCH", 1)
    with monkeypatch.context() as patch:
        patch.setattr(move_tags, "_move_batch", killed)
        with pytest.raises(KeyboardInterrupt):
            upgrade(with_old_tags)
    with with_old_tags.connect() as connection:
        moved = connection.scalar(sa.text("SELECT count(DISTINCT file_id) FROM file_tags"))
    assert moved == batches

    upgrade(with_old_tags)

    assert _tags_of(with_old_tags) == OLD_TAGS
    assert {row["tag_id"] for row in rows_of(with_old_tags, tables.tags)} == {
        tag_id(name) for _, _, name in OLD_TAGS
    }
    assert _drift(with_old_tags) == []


@pytest.mark.parametrize("batches", [0, 1])
def test_tags_stay_on_the_way_down(
    with_old_tags: sa.Engine, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    monkeypatch.setattr(move_tags, "BATCH", 2)
    _move(with_old_tags, WITH_OLD_TAGS)
    last = -(2**63)
    for _ in range(batches):
        with with_old_tags.begin() as connection:
            last = move_tags._move_batch(connection, last)[-1]

    _move(with_old_tags, "-1")
    assert _tags_of(with_old_tags) == OLD_TAGS
    upgrade(with_old_tags)
    assert _tags_of(with_old_tags) == OLD_TAGS
    _move(with_old_tags, f"-{int(REVISION) - int(WITH_LONG_IDS)}")
    assert _tags_of(with_old_tags) == OLD_TAGS


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


@ON_POSTGRESQL
def test_an_upgrade_names_who_keeps_it_waiting(
    engine: sa.Engine, workbench: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "UPGRADE_WAIT", 0.1)
    (workbench / "versions" / f"{NEXT}_next.py").write_text(_next_revision("pass"))
    monkeypatch.setattr(database, "REVISION", NEXT)
    idle = sa.create_engine(
        engine.url, poolclass=sa.NullPool, connect_args={"application_name": "psql"}
    )
    with idle.connect() as reader:
        # Nobody ends this transaction.
        reader.exec_driver_sql("SELECT 1 FROM lora_problems")
        pid = reader.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        with pytest.raises(StoppedError) as stopped:
            upgrade(engine)
        assert stopped.value.exit_code == 4
        assert f"process {pid} (psql of postgres, idle in transaction for" in str(stopped.value)
        assert f"SELECT pg_terminate_backend({pid})" in str(stopped.value)
        assert state(engine.url) is State.OLD
    upgrade(engine)

    assert state(engine.url) is State.CURRENT


@ON_POSTGRESQL
@pytest.mark.parametrize("key", [lock._WHOLE_UPGRADE_LOCK, database._UPGRADE_LOCK])
def test_an_upgrade_names_another_one(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch, key: int
) -> None:
    monkeypatch.setattr(lock, "UPGRADE_WAIT", 0.1)
    _move(engine, "-1")
    with engine.connect() as other:
        other.exec_driver_sql(f"SELECT pg_advisory_xact_lock({key})")
        with pytest.raises(
            StoppedError, match=r"another upgrade or copy: process \d+ \(lora-crawl of"
        ):
            upgrade(engine)

    upgrade(engine)


@ON_POSTGRESQL
def test_a_short_limit_for_statements_is_not_that_of_an_upgrade(
    engine: sa.Engine, workbench: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = _next_revision('op.execute("SELECT pg_sleep(0.2)")')
    (workbench / "versions" / f"{NEXT}_next.py").write_text(text)
    monkeypatch.setattr(database, "REVISION", NEXT)
    with engine.begin() as connection:
        name = engine.url.database
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET statement_timeout = 100")
    engine.dispose()

    upgrade(engine)

    assert state(engine.url) is State.CURRENT
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "100ms"
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "30s"


@ON_POSTGRESQL
def test_a_statement_of_an_upgrade_does_not_run_for_ever(
    engine: sa.Engine, workbench: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = _next_revision('op.execute("SELECT pg_sleep(60)")')
    (workbench / "versions" / f"{NEXT}_next.py").write_text(text)
    monkeypatch.setattr(database, "REVISION", NEXT)
    monkeypatch.setattr(lock, "UPGRADE_STATEMENT", 0.2)

    with pytest.raises(StoppedError, match="took long"):
        upgrade(engine)

    assert state(engine.url) is State.OLD


def test_two_upgrades_at_once_are_done_one_after_the_other(with_old_tags: sa.Engine) -> None:
    place = with_old_tags.url.render_as_string(hide_password=False)
    words = [sys.executable, "-m", "crawler", "db", "upgrade", "--db", place]
    root = Path(__file__).parents[3]
    # Both have begun before one of them can go on.
    with lock.upgrade_lock(with_old_tags):
        started = [
            subprocess.Popen(words, cwd=root, stderr=subprocess.PIPE, text=True) for _ in range(2)
        ]
        if with_old_tags.dialect.name == "postgresql":
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            with with_old_tags.connect() as connection:
                while connection.exec_driver_sql(waiting).scalar() != len(started):
                    assert all(one.poll() is None for one in started)
                    connection.rollback()

    for one in started:
        assert one.communicate(timeout=60)[1].endswith("the database is up to date\n")
        assert one.returncode == 0
    assert state(with_old_tags.url) is State.CURRENT
    assert _tags_of(with_old_tags) == OLD_TAGS
    assert _drift(with_old_tags) == []


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
