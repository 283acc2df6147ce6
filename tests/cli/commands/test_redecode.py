"""`redecode` as a command."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from crawler.decode.recipe import DECODER_VERSION
from crawler.store.connect.database import open_for_writing
from crawler.store.connect.lock import sync_lock
from crawler.store.schema.tables import headers, loras
from tests.cli.conftest import DIMS
from tests.cli.headers import Run


@pytest.fixture
def old(stocked: sa.Engine, database: str) -> str:
    """The database as an older decoder left it, which understood nothing of file 2."""
    with stocked.begin() as connection:
        connection.execute(sa.update(headers).values(decoder_version=DECODER_VERSION - 1))
        spoil = sa.update(loras).where(loras.c.file_id == 2)
        connection.execute(spoil.values(outcome="no_metadata", network_dim=None))
    return database


def test_it_says_what_changed(run: Run, old: str) -> None:
    result = run("redecode", "--db", old)

    assert (result.exit_code, result.stderr) == (0, "")
    first, *rest = result.stdout.splitlines()
    assert first.startswith(f"{len(DIMS)} headers decoded in ")
    assert rest == ["  no metadata → decoded: 1 file"]
    found = run("query", "file_id=2", "--columns", "network_dim,outcome", "--db", old)
    assert found.stdout == f"network_dim\toutcome\n{DIMS[1]}\tdecoded\n"


def test_what_is_new_is_decoded_again_on_request_only(run: Run, database: str) -> None:
    assert "--all decodes them again" in run("redecode", "--db", database).stdout
    result = run("redecode", "--all", "--db", database)
    assert "no outcome changed" in result.stdout
    assert run("redecode", "-q", "--all", "--db", database).output == ""


def test_the_summary_as_data(run: Run, old: str) -> None:
    data = json.loads(run("redecode", "--json", "--processes", "1", "--db", old).stdout)

    assert data.pop("seconds") >= 0
    assert data == {
        "headers": len(DIMS),
        "decoded_again": len(DIMS),
        "changed": [{"from": "no_metadata", "to": "decoded", "files": 1}],
        "damaged": 0,
        "left": 0,
        "ending": "done",
    }


def test_a_damaged_header_is_named(run: Run, stocked: sa.Engine, old: str) -> None:
    with stocked.begin() as connection:
        spoil = sa.update(headers).where(headers.c.file_id == 3)
        connection.execute(spoil.values(data=b"no zstd at all"))

    result = run("redecode", "--db", old)

    assert result.exit_code == 1
    assert "1 stored header damaged" in result.stdout
    assert "file 3 is damaged" in result.stderr


def test_a_missing_database_is_not_made(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "none.db"

    result = run("redecode", "--db", str(place))

    assert (result.exit_code, result.stdout) == (3, "")
    assert not place.exists()


def test_an_older_database_is_not_upgraded(run: Run, stocked: sa.Engine, database: str) -> None:
    with stocked.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")

    result = run("redecode", "--db", database)

    assert result.exit_code == 3
    assert "lora-crawl db upgrade" in result.stderr


def test_not_beside_a_sync(run: Run, old: str) -> None:
    engine = open_for_writing(old)
    with sync_lock(engine):
        result = run("redecode", "--db", old)
    engine.dispose()

    assert (result.exit_code, result.stdout) == (4, "")
