"""What a reader sees, and that it changes nothing."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from crawler.errors import DatabaseError
from crawler.store.connect.database import open_for_reading
from crawler.store.connect.db_errors import translated
from crawler.store.schema.tables import loras
from tests.stored import insert_loras

ROW = {
    "file_id": 1,
    "version_id": 1,
    "model_id": 1,
    "site": "civitai",
    "outcome": "pending",
    "attempts": 0,
}


def test_a_reader_can_change_nothing(engine: sa.Engine) -> None:
    reader = open_for_reading(engine.url)

    with pytest.raises(DatabaseError), translated(reader.url), reader.begin() as connection:
        connection.execute(loras.insert(), ROW)

    with reader.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(loras)).scalar() == 0
    reader.dispose()


def test_a_reader_sees_one_snapshot_while_a_writer_writes(engine: sa.Engine) -> None:
    counted = sa.select(sa.func.count()).select_from(loras)
    reader = open_for_reading(engine.url)
    isolation = {"isolation_level": "REPEATABLE READ"} if "postgres" in str(engine.url) else {}
    with reader.connect().execution_options(**isolation) as connection:
        assert connection.execute(counted).scalar() == 0
        with engine.begin() as writing:
            insert_loras(writing, [ROW])

        assert connection.execute(counted).scalar() == 0
    with reader.connect() as connection:
        assert connection.execute(counted).scalar() == 1
    reader.dispose()


def test_a_reader_changes_no_byte_of_the_file(sqlite_template: Path, tmp_path: Path) -> None:
    place = Path(shutil.copy(sqlite_template, tmp_path / "loras.db"))
    before = place.read_bytes()

    reader = open_for_reading(place)
    with reader.connect() as connection:
        connection.execute(sa.select(loras)).all()
    reader.dispose()

    assert place.read_bytes() == before


#: Everything is imported before rights are given up: the project may lie where only root can read.
AS_NOBODY = """
import os, sys
import sqlalchemy as sa
from crawler.store.connect.database import open_for_reading, open_for_writing
from crawler.store.schema.tables import loras
sa.create_engine("sqlite://").connect().close()
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
opening = {"read": open_for_reading, "write": open_for_writing}[sys.argv[1]]
engine = opening(sys.argv[2])
with engine.connect() as connection:
    print(connection.execute(sa.select(sa.func.count()).select_from(loras)).scalar())
engine.dispose()
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, which `tmp_path` is not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def _as_nobody(how: str, place: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", AS_NOBODY, how, str(place)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such permissions there")
@pytest.mark.skipif(sys.platform == "win32", reason="folders have no modes there")
def test_a_database_in_a_read_only_folder_can_be_read(
    sqlite_template: Path, open_folder: Path
) -> None:
    place = Path(shutil.copy(sqlite_template, open_folder / "loras.db"))
    place.chmod(0o444)
    open_folder.chmod(0o555)

    found = _as_nobody("read", place)

    assert (found.stdout, found.stderr) == ("0\n", "")
    assert list(open_folder.iterdir()) == [place]


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such permissions there")
@pytest.mark.skipif(sys.platform == "win32", reason="folders have no modes there")
def test_transactions_beside_a_read_only_database_are_not_missed(
    sqlite_template: Path, open_folder: Path
) -> None:
    place = Path(shutil.copy(sqlite_template, open_folder / "loras.db"))
    (open_folder / "loras.db-wal").write_bytes(b"what a killed writer left")
    for path in open_folder.iterdir():
        path.chmod(0o444)
    open_folder.chmod(0o555)

    found = _as_nobody("read", place)

    assert found.stdout == ""
    assert "DatabaseError" in found.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="files have no such permissions there")
@pytest.mark.skipif(sys.platform == "win32", reason="folders have no modes there")
def test_a_writer_refuses_a_read_only_file(sqlite_template: Path, open_folder: Path) -> None:
    place = Path(shutil.copy(sqlite_template, open_folder / "loras.db"))
    place.chmod(0o444)

    found = _as_nobody("write", place)

    assert found.stdout == ""
    assert f"DatabaseError: {place}: it can only be read here" in found.stderr
