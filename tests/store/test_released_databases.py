"""A database that a released version made opens, upgrades and answers."""

import gzip
import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crawler.cli.app import app
from crawler.redecode import redecode
from crawler.store.connect.database import State, open_for_writing, state
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


def answer(place: Path, *words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--db", str(place)], catch_exceptions=False)
    assert result.exit_code == 0, (words, result.stderr)
    return result.stdout


def test_it_is_upgraded_and_loses_nothing(place: Path) -> None:
    assert state(place) in {State.OLD, State.CURRENT}
    with sqlite3.connect(place) as connection:
        before = connection.execute("SELECT count(*), sum(length(data)) FROM headers").fetchone()

    open_for_writing(place).dispose()

    assert state(place) is State.CURRENT
    with sqlite3.connect(place) as connection:
        kept = connection.execute("SELECT count(*), sum(length(data)) FROM headers").fetchone()
        assert kept == before
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
    assert "file_tags               291" in answer(upgraded, "db", "info")
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
