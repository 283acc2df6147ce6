"""Folders scanned into both databases."""

import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from crawler import scan as module
from crawler.scan import ScanPlan, scan
from crawler.store.schema.tables import crawls, field_stats, loras
from crawler.sync.progress import ScanTally
from tests.cli.headers import header_bytes, write_lora
from tests.factories import METADATA, NOW, make_file, make_model, make_version
from tests.stored import list_models
from tests.sync.snapshots import snapshot


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Two LoRAs in two folders, and what is none."""
    folder = tmp_path.resolve() / "shelf"
    (folder / "inner").mkdir(parents=True)
    write_lora(folder / "a.safetensors", dict(METADATA))
    write_lora(folder / "inner" / "b.safetensors", None)
    (folder / "page.safetensors").write_bytes(b"<html>please log in</html>")
    return folder


def run(
    engine: sa.Engine,
    *roots: Path,
    going: Callable[[], bool] = lambda: True,
    now: datetime = NOW,
    **plan: bool,
) -> ScanTally:
    tally = ScanTally()
    roots_given = tuple(map(str, roots))
    scan(engine, ScanPlan(roots=roots_given, **plan), tally=tally, going=going, clock=lambda: now)
    return tally


def outcomes(engine: sa.Engine) -> dict[str, str]:
    with engine.connect() as connection:
        rows = connection.execute(sa.select(loras.c.file_name, loras.c.outcome))
        return {row.file_name: row.outcome for row in rows}


def column(engine: sa.Engine, name: str, file_name: str = "a.safetensors") -> object:
    with engine.connect() as connection:
        found = sa.select(loras.c[name]).where(loras.c.file_name == file_name)
        return connection.execute(found).scalar_one()


def test_every_file_is_stored_as_judged(engine: sa.Engine, shelf: Path) -> None:
    tally = run(engine, shelf)

    assert outcomes(engine) == {
        "a.safetensors": "decoded",
        "b.safetensors": "no_metadata",
        "page.safetensors": "not_safetensors",
    }
    assert (tally.folders, tally.found, tally.read, tally.unchanged) == (2, 3, 3, 0)
    assert (tally.unsound, tally.troubles, tally.left) == (1, 1, 0)
    assert str(shelf / "page.safetensors") in tally.sentences[0]
    assert column(engine, "network_dim") == 32


def test_the_same_folder_again_reads_nothing_and_changes_nothing(
    engine: sa.Engine, shelf: Path
) -> None:
    run(engine, shelf)
    before = snapshot(engine)

    tally = run(engine, shelf, shelf / "a.safetensors", now=NOW + timedelta(days=1))

    assert (tally.read, tally.unchanged, tally.found) == (0, 3, 3)
    assert tally.unsound == 1
    assert snapshot(engine) == before
    assert column(engine, "attempts") == 1


def test_a_changed_file_keeps_its_id_and_is_read_again(engine: sa.Engine, shelf: Path) -> None:
    run(engine, shelf)
    number = column(engine, "file_id")
    write_lora(shelf / "a.safetensors", {**METADATA, "ss_network_dim": "64"})
    os.utime(shelf / "a.safetensors", ns=(0, 1))

    tally = run(engine, shelf)

    assert (tally.read, tally.unchanged) == (1, 2)
    assert (column(engine, "network_dim"), column(engine, "file_id")) == (64, number)
    assert column(engine, "attempts") == 2


def test_force_reads_everything(engine: sa.Engine, shelf: Path) -> None:
    run(engine, shelf)
    before = snapshot(engine)

    assert run(engine, shelf, force=True).read == 3
    assert column(engine, "attempts") == 2
    after = snapshot(engine)
    # The statistics count attempts too.
    assert len(before.pop("field_stats")) == len(after.pop("field_stats"))
    assert after == before


def test_a_vanished_file_is_gone_and_may_come_back(engine: sa.Engine, shelf: Path) -> None:
    run(engine, shelf)
    away = shelf.parent / "away"
    (shelf / "inner").rename(away)

    assert run(engine, shelf, now=NOW).gone == 1
    assert column(engine, "gone_at", "b.safetensors") == NOW
    assert run(engine, shelf).gone == 0

    away.rename(shelf / "inner")
    assert run(engine, shelf).gone == 0
    assert column(engine, "gone_at", "b.safetensors") is None


def test_only_what_lies_in_a_scanned_folder_can_be_gone(engine: sa.Engine, shelf: Path) -> None:
    other = shelf.parent / "other"
    other.mkdir()
    write_lora(other / "c.safetensors", None)
    hidden = write_lora(shelf / ".hidden.safetensors", None)
    run(engine, shelf, other, hidden)
    (other / "c.safetensors").unlink()
    other.rmdir()

    # Not scanned, not there at all, and there but passed over.
    assert run(engine, shelf).gone == 0
    assert run(engine, shelf, other).gone == 0
    assert column(engine, "gone_at", ".hidden.safetensors") is None
    assert run(engine, shelf.parent).gone == 1


def test_a_file_that_cannot_be_opened_fails_and_is_tried_again(
    engine: sa.Engine, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(module, "read_beginning", refuse)
        tally = run(engine, shelf)
    assert set(outcomes(engine).values()) == {"failed"}
    assert tally.unsound == 3

    assert run(engine, shelf).read == 3
    assert column(engine, "outcome") == "decoded"


def test_stopped_anywhere_it_goes_on(
    engine: sa.Engine, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_FILES", 1)
    run(engine, shelf)
    undisturbed = snapshot(engine)
    with engine.begin() as connection:
        for table in reversed(loras.metadata.sorted_tables):
            connection.execute(sa.delete(table))

    reads = []
    for asked in range(20):
        answers = iter([True] * asked)
        tally = run(engine, shelf, going=lambda answers=answers: next(answers, False))  # type: ignore[misc]
        reads.append(tally.read)
    assert reads[:6] == [0] * 6
    assert sum(reads) == 3
    assert {name: len(rows) for name, rows in snapshot(engine).items()} == {
        name: len(rows) for name, rows in undisturbed.items()
    }
    assert outcomes(engine) == {
        "a.safetensors": "decoded",
        "b.safetensors": "no_metadata",
        "page.safetensors": "not_safetensors",
    }
    with engine.connect() as connection:
        endings = list(connection.execute(sa.select(crawls.c.ending)).scalars())
    assert endings[1] == "interrupted"
    assert endings[-1] == "done"


def test_a_stopped_scan_takes_nothing_for_gone(engine: sa.Engine, shelf: Path) -> None:
    run(engine, shelf)
    (shelf / "a.safetensors").unlink()

    assert run(engine, shelf, going=lambda: False).gone == 0
    assert run(engine, shelf).gone == 1


def test_a_run_that_breaks_is_noted(
    engine: sa.Engine, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_FILES", 1)
    asked = iter([True] * 6)

    def interrupt() -> bool:
        if not next(asked, False):
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        run(engine, shelf, going=interrupt)

    with engine.connect() as connection:
        row = connection.execute(sa.select(crawls)).one()
    assert (row.origin, row.ending) == ("local", "cancelled")
    assert row.finished_at == NOW
    assert row.summary["files_read"] == 1
    assert run(engine, shelf).read == 2


def crawled(engine: sa.Engine, **known: object) -> None:
    """File 8 of the site, for Pony."""
    with engine.begin() as connection:
        file = make_file(8, **known)
        list_models(connection, make_model(8, versions=(make_version(8, files=(file,)),)))


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest().upper()


def test_a_crawled_file_is_recognised_by_the_claim_of_its_header(
    engine: sa.Engine, tmp_path: Path
) -> None:
    claim = hashlib.sha256(b"weights").hexdigest()
    path = write_lora(tmp_path / "mine.safetensors", {**METADATA, "sshs_model_hash": claim})
    crawled(engine, autov3=claim[:12].upper(), size_bytes=path.stat().st_size)

    tally = run(engine, tmp_path)

    assert tally.matched == {"header": 1}
    assert column(engine, "base_model", "mine.safetensors") == "Pony"
    # Hashed, it turns out that the claim was wrong.
    assert run(engine, tmp_path, hashes=True).matched == {}
    assert column(engine, "base_model", "mine.safetensors") is None


def test_a_file_as_long_as_a_crawled_one_is_recognised_by_its_bytes(
    engine: sa.Engine, shelf: Path
) -> None:
    path = shelf / "inner" / "b.safetensors"
    assert run(engine, shelf).matched == {}

    crawled(engine, sha256=sha256_of(path), size_bytes=path.stat().st_size)
    tally = run(engine, shelf)

    assert (tally.read, tally.hashed, tally.matched) == (0, 1, {"sha256": 1})
    assert column(engine, "base_model", "b.safetensors") == "Pony"
    assert column(engine, "sha256", "b.safetensors") == sha256_of(path)
    weights = header_bytes(None)[0]
    expected = hashlib.sha256(path.read_bytes()[len(weights) :]).hexdigest().upper()
    assert column(engine, "autov3", "b.safetensors") == expected[:12]
    assert column(engine, "sha256") is None

    again = run(engine, shelf)
    assert (again.hashed, again.matched) == (0, {"sha256": 1})


def test_a_file_as_long_as_a_crawled_one_is_hashed_once_though_it_is_another(
    engine: sa.Engine, shelf: Path
) -> None:
    crawled(engine, sha256="A" * 64, size_bytes=(shelf / "a.safetensors").stat().st_size)

    assert [run(engine, shelf).hashed for _ in range(2)] == [1, 0]
    assert column(engine, "base_model") is None


def test_a_scan_stopped_before_it_hashed_goes_on(engine: sa.Engine, shelf: Path) -> None:
    path = shelf / "a.safetensors"
    crawled(engine, sha256=sha256_of(path), size_bytes=path.stat().st_size)
    tally = ScanTally()
    plan = ScanPlan(roots=(str(shelf),))
    scan(engine, plan, tally=tally, going=lambda: tally.to_hash == 0, clock=lambda: NOW)
    assert (tally.left, tally.matched) == (1, {})

    assert run(engine, shelf).matched == {"sha256": 1}


def test_hashes_are_those_of_the_file(engine: sa.Engine, shelf: Path) -> None:
    run(engine, shelf)
    assert column(engine, "sha256") is None

    assert run(engine, shelf, hashes=True).read == 3
    assert run(engine, shelf, hashes=True).read == 0

    content = (shelf / "a.safetensors").read_bytes()
    head, length = header_bytes(dict(METADATA))
    assert len(content) == len(head) + length
    assert column(engine, "sha256") == hashlib.sha256(content).hexdigest().upper()
    weights = hashlib.sha256(content[len(head) :]).hexdigest().upper()
    assert column(engine, "autov3") == weights[:12]
    assert column(engine, "autov3", "page.safetensors") is None
    assert column(engine, "sha256", "page.safetensors") is not None


def test_statistics_count_the_files_here(engine: sa.Engine, shelf: Path) -> None:
    run(engine, shelf)

    with engine.connect() as connection:
        found = sa.select(field_stats.c.count).where(
            field_stats.c.base_model == "", field_stats.c.field == "file_id"
        )
        assert connection.execute(found).scalar_one() == 3


def test_the_run_is_noted(engine: sa.Engine, shelf: Path) -> None:
    later = datetime(2026, 5, 1, tzinfo=UTC)
    run(engine, shelf, now=later)

    with engine.connect() as connection:
        row = connection.execute(sa.select(crawls)).one()
    assert (row.origin, row.walk, row.ending) == ("local", "scan", "done")
    assert (row.started_at, row.finished_at) == (later, later)
    assert row.summary["files_read"] == 3
    assert row.summary["outcomes"] == {"decoded": 1, "no_metadata": 1, "not_safetensors": 1}
