"""A database that a released version made opens, upgrades and answers."""

import gzip
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
import zstandard
from typer.testing import CliRunner

from crawler.cli.app import app
from crawler.errors import DatabaseError, StoppedError
from crawler.redecode import redecode
from crawler.store.connect import database
from crawler.store.connect.database import State, open_for_writing, state
from crawler.store.connect.engines import PAGE_BYTES, sqlite_writer
from crawler.store.read.headers import stored_header
from crawler.store.write import cut_headers
from crawler.sync.progress import RedecodeTally

#: One file for each schema that was released, named after its last revision, made by
#: `lora-crawl sync --limit 3 --sandbox` of that version.
RELEASED = sorted((Path(__file__).parent / "databases").glob("released_*.db.gz"))

#: What they hold: files with their outcome, trainer, rank and the images seen in training.
FILES = {
    575776: ("no_metadata", None, None, None),
    596896: ("decoded", "kohya", 64, 2220),
    596900: ("decoded", "kohya", 128, 9360),
    755488: ("decoded", "kohya", 16, 8024),
    755492: ("no_metadata", None, None, None),
}


TAGS = 291


@pytest.fixture(params=RELEASED, ids=lambda path: path.name.split(".")[0])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The database as the released version left it."""
    path = tmp_path / "loras.db"
    path.write_bytes(gzip.decompress(request.param.read_bytes()))
    return path


@pytest.fixture
def upgraded(place: Path) -> Path:
    open_for_writing(place).dispose()
    return place


def stored_whole(place: Path) -> dict[int, bytes]:
    """The headers by file id, as revisions before 0006 stored them."""
    with sqlite3.connect(place) as connection:
        rows = connection.execute("SELECT file_id, data FROM headers").fetchall()
    return {file_id: zstandard.decompress(data) for file_id, data in rows}


def stored_tags(place: Path) -> list[tuple[int, int, str, int]]:
    """File, directory, tag and count, in order."""
    with closing(sqlite3.connect(place)) as connection:
        return connection.execute(
            "SELECT file_id, directory_number, name, count FROM file_tags"
            " JOIN tags ON tags.tag_id = file_tags.tag_id ORDER BY 1, 2, 3"
        ).fetchall()


def test_tags_stay_as_they_were(place: Path) -> None:
    before = stored_tags(place)

    open_for_writing(place).dispose()

    assert len(before) == TAGS
    assert stored_tags(place) == before
    with closing(sqlite3.connect(place)) as connection:
        [ids] = connection.execute("SELECT min(tag_id) >= 0, max(tag_id) < 1 << 31 FROM tags")
        assert ids == (1, 1)


def test_a_copy_stays_as_it_was(place: Path) -> None:
    before = stored_whole(place)
    told: list[str] = []

    open_for_writing(place, told.append).dispose()

    copy = place.with_name("loras.db.0004")
    assert stored_whole(copy) == before
    assert str(copy) in told[0]
    with closing(sqlite3.connect(place)) as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
        assert connection.execute("PRAGMA page_size").fetchone() == (PAGE_BYTES,)


def test_a_file_that_is_open_elsewhere_is_upgraded(place: Path) -> None:
    with closing(sqlite3.connect(place)) as reader:
        assert reader.execute("SELECT count(*) FROM loras").fetchone() == (len(FILES),)

        open_for_writing(place).dispose()

        assert reader.execute("SELECT count(*) FROM tensor_lists").fetchone() == (len(FILES),)
        assert reader.execute("PRAGMA freelist_count").fetchone() == (0,)
    assert state(place) is State.CURRENT


def test_without_room_for_a_copy_nothing_is_changed(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored_whole(place)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10_000_000))

    with pytest.raises(DatabaseError, match="10 MB are free"):
        open_for_writing(place)

    assert state(place) is State.OLD
    assert stored_whole(place) == before


def test_an_upgrade_killed_between_two_batches_goes_on(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored_whole(place)
    monkeypatch.setattr(cut_headers, "BATCH", 2)
    cut_batch, batches = cut_headers._cut_batch, iter([True, False])

    def killed(connection: sa.Connection, rows: Any, lists: Any) -> None:
        cut_batch(connection, rows, lists)
        if not next(batches):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cut_headers, "_cut_batch", killed)
        with pytest.raises(KeyboardInterrupt):
            open_for_writing(place)
    assert state(place) is State.OLD
    with closing(sqlite3.connect(place)) as file:
        assert file.execute("SELECT count(list_digest) FROM headers").fetchone() == (2,)

    told: list[str] = []
    engine = open_for_writing(place, told.append)
    with engine.connect() as connection:
        assert {key: stored_header(connection, key) for key in before} == before
    engine.dispose()
    assert state(place) is State.CURRENT
    assert told == ["stored tensor lists once: 3 of 3 headers"]


def test_a_disk_that_fills_during_the_upgrade_loses_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored_whole(place)
    with monkeypatch.context() as patch:
        patch.setattr(database, "sqlite_writer", _on_a_small_disk)
        with pytest.raises((DatabaseError, StoppedError), match="full"):
            open_for_writing(place)

    engine = open_for_writing(place)
    with engine.connect() as connection:
        assert {key: stored_header(connection, key) for key in before} == before
    engine.dispose()


def _on_a_small_disk(url: sa.URL) -> sa.Engine:
    """A writing engine of a database that cannot grow, once it has the new tables."""
    engine = sqlite_writer(url)

    @sa.event.listens_for(engine, "begin")
    def limit(connection: sa.Connection) -> None:
        if "tensor_lists" in sa.inspect(connection).get_table_names():
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    return engine


def answer(place: Path, *words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--db", str(place)], catch_exceptions=False)
    assert result.exit_code == 0, (words, result.stderr)
    return result.stdout


def test_it_is_upgraded_and_loses_nothing(place: Path) -> None:
    assert state(place) in {State.OLD, State.CURRENT}
    before = stored_whole(place)
    assert len(before) == len(FILES)

    open_for_writing(place).dispose()

    assert state(place) is State.CURRENT
    for file_id, header in before.items():
        written = place.with_name(f"{file_id}.header")
        answer(place, "header", str(file_id), "-o", str(written))
        assert written.read_bytes() == header
    with sqlite3.connect(place) as connection:
        lists = connection.execute("SELECT count(*) FROM tensor_lists").fetchone()
        assert lists == connection.execute("SELECT count(*) FROM headers").fetchone()
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_every_reading_command_answers(upgraded: Path) -> None:
    rows = json.loads(
        answer(
            upgraded,
            "query",
            "--json",
            "--columns",
            "file_id,outcome,trainer,network_dim,images_seen",
        )
    )
    assert {row.pop("file_id"): tuple(row.values()) for row in rows} == FILES
    assert answer(upgraded, "query", "network_dim > 20", "--count").strip() == "2"
    assert f"file_tags               {TAGS}" in answer(upgraded, "db", "info")
    status = json.loads(answer(upgraded, "status", "--json"))
    assert status["outcomes"] == {"decoded": 3, "no_metadata": 2}
    shown = json.loads(answer(upgraded, "show", "596900", "--json"))
    assert (shown["network_dim"], shown["trainer"]) == (128, "kohya")
    for words in (
        ("show", "755492"),
        ("stats", "network_dim", "--by", "base_model"),
        ("fields", "network_dim"),
        ("authors",),
        ("diff", "596896", "596900"),
        ("sql", "SELECT count(*) FROM file_tags"),
    ):
        assert answer(upgraded, *words), words


def test_its_headers_are_decoded_again(upgraded: Path) -> None:
    tally = RedecodeTally()
    engine = open_for_writing(upgraded)
    try:
        redecode(engine, tally=tally, going=lambda: True, everything=True)
    finally:
        engine.dispose()

    assert (tally.done, tally.troubles, tally.changed) == (len(FILES), 0, {})
