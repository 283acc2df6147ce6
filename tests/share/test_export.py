"""Exports have the rows of the database, from one moment, and are whole or continued."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
import yaml  # type: ignore[import-untyped]

from crawler.errors import DatabaseError, ExportError, StoppedError, UsageError
from crawler.share import table_file
from crawler.share.export import ExportTally
from crawler.share.form import CARD, CARD_END, MANIFEST, file_of
from crawler.store.connect.database import REVISION
from crawler.store.read.shared import SHARED, Form, shared_tables
from crawler.store.schema import tables
from tests.conftest import ON_SQLITE, Prepared
from tests.factories import make_model
from tests.share.exported import FILES, HOSTILE, OWN, exported, fill, in_database, read_back
from tests.stored import store_models

ROOT = Path(__file__).parents[2]

#: The files of a whole export.
WHOLE = {CARD, MANIFEST, *(file_of(table.name) for table in SHARED)}


@pytest.fixture
def filled(prepared: Prepared) -> sa.Engine:
    return prepared("shared", fill)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "catalogue"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_every_table_is_shared_or_this_machines_own() -> None:
    assert {table.name for table in SHARED} | set(OWN) == set(tables.metadata.tables)
    assert {table.name for table in SHARED}.isdisjoint(OWN)
    ordered = [table.name for table in SHARED]
    for table in SHARED:
        for key in table.foreign_keys:
            if key.column.table is not table:
                assert ordered.index(key.column.table.name) < ordered.index(table.name)


def test_an_export_has_every_row_but_those_of_this_machine(filled: sa.Engine, folder: Path) -> None:
    manifest = exported(filled, folder)

    found, known = read_back(folder), in_database(filled)
    listed = {row["list_digest"] for row in known["headers"]}
    known["tensor_lists"] = [row for row in known["tensor_lists"] if row["digest"] in listed]
    tagged = {row["tag_id"] for row in known["file_tags"]}
    known["tags"] = [row for row in known["tags"] if row["tag_id"] in tagged]
    ours = {table.name for table in SHARED}
    known["field_notes"] = [row for row in known["field_notes"] if row["table_name"] in ours]
    assert found == known
    assert all(found.values()), [name for name, rows in found.items() if not rows]
    assert len(found["loras"]) == FILES
    assert any(row["name"] == HOSTILE for row in found["models"])
    assert {name: file.rows for name, file in manifest.tables.items()} == {
        name: len(rows) for name, rows in found.items()
    }
    texts = b"".join(path.read_bytes() for path in folder.iterdir())
    assert b"private" not in texts


@ON_SQLITE
def test_the_manifest_says_what_is_there(filled: sa.Engine, folder: Path) -> None:
    exported(filled, folder, "likes > 0")

    assert names(folder) == WHOLE
    told = json.loads((folder / MANIFEST).read_bytes())
    assert (told["format"], told["revision"]) == (1, REVISION)
    assert (told["origin"], told["where"]) == ("https://civitai.com", ["likes > 0"])
    assert told["made_at"] == "2026-03-04T05:06:07Z"
    for name, file in told["tables"].items():
        data = (folder / file_of(name)).read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(data), sha256(data).hexdigest())


def test_duckdb_and_polars_read_every_file_alike(filled: sa.Engine, folder: Path) -> None:
    manifest = exported(filled, folder)

    with duckdb.connect() as connection:
        for name, file in manifest.tables.items():
            path = folder / file_of(name)
            assert connection.sql(f"SELECT count(*) FROM '{path}'").fetchall() == [(file.rows,)]
            assert pl.read_parquet(path).height == file.rows
        (text,) = connection.sql(
            f"SELECT name FROM '{folder / 'models.parquet'}' WHERE model_id = 3"
        ).fetchall()[0]
    assert text == HOSTILE


@ON_SQLITE
def test_columns_have_the_types_that_every_engine_knows(filled: sa.Engine, folder: Path) -> None:
    exported(filled, folder)

    types = {
        "integer": pa.int64(),
        "number": pa.float64(),
        "text": pa.string(),
        "true/false": pa.bool_(),
        "time": pa.timestamp("us", tz="UTC"),
        "JSON": pa.string(),
        "bytes": pa.binary(),
    }
    for table in shared_tables():
        file = pq.ParquetFile(folder / file_of(table.name))
        assert {one.name: one.type for one in file.schema_arrow} == {
            one.name: types[one.form] for one in table.columns
        }
        assert [one.name for one in table.columns] == [*tables.metadata.tables[table.name].c.keys()]


def test_json_is_written_alike_from_both_databases(filled: sa.Engine, folder: Path) -> None:
    exported(filled, folder)

    for table in shared_tables():
        for column in (one.name for one in table.columns if one.form is Form.JSON):
            for text in pq.read_table(folder / file_of(table.name))[column].to_pylist():
                if text is not None:
                    plain = msgspec.json.encode(json.loads(text), order="deterministic")
                    assert text.encode() == plain


@ON_SQLITE
def test_readers_can_skip_groups(
    filled: sa.Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_file, "GROUP_ROWS", 1)
    monkeypatch.setattr("crawler.store.read.shared._BATCH_WITH_JSON", 2)
    monkeypatch.setattr("crawler.store.read.shared._BATCH_OF_HEADERS", 1)
    exported(filled, folder)

    loras = pq.ParquetFile(folder / "loras.parquet").metadata
    assert [loras.row_group(at).num_rows for at in range(loras.num_row_groups)] == [2, 2, 2]
    keys = [loras.row_group(at).column(0).statistics for at in range(loras.num_row_groups)]
    assert [(one.min, one.max) for one in keys] == [(1, 2), (3, 4), (5, 6)]
    headers = pq.ParquetFile(folder / "headers.parquet").metadata
    assert headers.num_row_groups == headers.num_rows == 3
    columns = {headers.schema.column(at).name: at for at in range(headers.num_columns)}
    group = headers.row_group(0)
    assert group.sorting_columns[0].column_index == columns["file_id"]
    assert group.column(columns["data"]).statistics is None
    assert group.column(columns["file_id"]).has_column_index
    assert group.column(columns["data"]).has_offset_index
    assert group.column(columns["data"]).compression == "ZSTD"


@ON_SQLITE
def test_groups_are_bounded_in_bytes(
    filled: sa.Engine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawler.store.read.shared._BATCH_WITH_JSON", 1)
    monkeypatch.setattr(table_file, "GROUP_BYTES", 1)
    exported(filled, folder)

    assert pq.ParquetFile(folder / "models.parquet").num_row_groups == FILES


@pytest.mark.parametrize("where", ["file_id in (2, 3)", "has(tags, '空')", "file_id > 99"])
def test_related_rows_follow_the_chosen_files(filled: sa.Engine, folder: Path, where: str) -> None:
    exported(filled, folder, where)

    found, known = read_back(folder), in_database(filled)
    chosen = {row["file_id"] for row in found["loras"]}
    assert chosen == {"file_id in (2, 3)": {2, 3}, "has(tags, '空')": {1}}.get(where, set())
    for name in ("headers", "old_headers", "datasets", "directories", "file_tags", "problems"):
        assert found[name] == [row for row in known[name] if row["file_id"] in chosen], name
    for name, key in (
        ("models", "model_id"),
        ("versions", "version_id"),
        ("stat_history", "model_id"),
    ):
        ids = {row[key] for row in found["loras"]}
        assert found[name] == [row for row in known[name] if row[key] in ids], name
    listed = {row["list_digest"] for row in found["headers"]} - {None}
    assert {row["digest"] for row in found["tensor_lists"]} == listed
    assert {row["tag_id"] for row in found["tags"]} == {row["tag_id"] for row in found["file_tags"]}
    assert found["field_notes"]


def test_the_model_of_a_moved_version_is_there_too(filled: sa.Engine, folder: Path) -> None:
    with filled.begin() as connection:
        moved = sa.update(tables.versions).where(tables.versions.c.version_id == 1)
        connection.execute(moved.values(model_id=5))
    exported(filled, folder, "file_id = 1")

    assert [row["model_id"] for row in read_back(folder)["models"]] == [1, 5]


def test_all_tables_are_of_one_moment(filled: sa.Engine, folder: Path) -> None:
    before = read_back_of(filled, folder.with_name("before"))

    def write() -> bool:
        if not (folder / "models.parquet").exists():
            store_models(filled, make_model(99))
        return True

    assert read_back_of(filled, folder, going=write) == before
    assert read_back_of(filled, folder, force=True) != before


def read_back_of(
    engine: sa.Engine, folder: Path, *where: str, **options: Any
) -> dict[str, list[dict[str, Any]]]:
    exported(engine, folder, *where, **options)
    return read_back(folder)


def interrupted(engine: sa.Engine, folder: Path, **options: Any) -> dict[str, int]:
    """Stop an export behind the table `headers`; returns the inodes of its files."""
    with pytest.raises(StoppedError, match="3 of 13 tables are whole"):
        exported(engine, folder, going=lambda: not (folder / "loras.parquet").exists(), **options)
    found = {path.name: path.stat().st_ino for path in folder.iterdir()}
    assert {name for name in found if name.endswith(".parquet")} == {
        "models.parquet",
        "versions.parquet",
        "loras.parquet",
    }
    assert MANIFEST not in found
    return found


def test_an_interrupted_export_continues(filled: sa.Engine, folder: Path) -> None:
    whole = exported(filled, folder.with_name("whole"))
    before = interrupted(filled, folder)
    told: list[str] = []
    tally = ExportTally()

    made = exported(filled, folder, tell=told.append, tally=tally)

    assert made.tables == whole.tables
    assert told == ["continuing: 3 of 13 tables are whole"]
    assert (tally.kept, tally.done) == (3, 13)
    assert all(
        (folder / name).stat().st_ino == number
        for name, number in before.items()
        if name.endswith(".parquet")
    )
    assert names(folder) == WHOLE


@pytest.mark.parametrize("changed", ["row", "condition"])
def test_an_interrupted_export_begins_anew_when_something_has_changed(
    filled: sa.Engine, folder: Path, changed: str
) -> None:
    interrupted(filled, folder)
    told: list[str] = []
    where = []
    if changed == "row":
        with filled.begin() as connection:
            one = sa.update(tables.loras).where(tables.loras.c.file_id == 1)
            connection.execute(one.values(likes=11))
    else:
        where = ["file_id > 1"]

    found = read_back_of(filled, folder, *where, tell=told.append)

    assert found == read_back_of(filled, folder.with_name("fresh"), *where)
    assert ["beginning anew" in one for one in told] == [True]
    assert names(folder) == WHOLE


@ON_SQLITE
@pytest.mark.parametrize("damaged", ["lora-crawl.part", "loras.parquet"])
def test_damage_to_an_interrupted_export_is_mended(
    filled: sa.Engine, folder: Path, damaged: str
) -> None:
    interrupted(filled, folder)
    (folder / damaged).write_bytes((folder / damaged).read_bytes()[:-10])
    told: list[str] = []

    found = read_back_of(filled, folder, tell=told.append)

    assert found == read_back_of(filled, folder.with_name("fresh"))
    assert told == ["continuing: 2 of 13 tables are whole"]
    assert names(folder) == WHOLE


def test_a_transaction_that_began_early_and_ends_late_is_a_change(
    filled: sa.Engine, folder: Path
) -> None:
    if filled.dialect.name == "sqlite":
        return  # which has one writer at a time
    loras = tables.loras
    liked = sa.update(loras).values(likes=loras.c.likes + 1)
    with filled.begin() as early:
        early.execute(liked.where(loras.c.file_id == 1))
        with filled.begin() as late:
            late.execute(liked.where(loras.c.file_id == 2))
        interrupted(filled, folder)
    told: list[str] = []
    exported(filled, folder, tell=told.append)

    assert "beginning anew" in told[0]


def test_a_whole_export_stays_until_something_has_changed(filled: sa.Engine, folder: Path) -> None:
    made = exported(filled, folder)
    before = {path.name: path.stat().st_ino for path in folder.iterdir()}

    assert exported(filled, folder) == made
    assert {path.name: path.stat().st_ino for path in folder.iterdir()} == before

    store_models(filled, make_model(99))
    with pytest.raises(UsageError, match="use --force to replace it"):
        exported(filled, folder)
    assert {path.name: path.stat().st_ino for path in folder.iterdir()} == before
    assert exported(filled, folder, force=True).tables["models"].rows == FILES + 1


@ON_SQLITE
def test_what_a_person_wrote_into_the_card_stays(filled: sa.Engine, folder: Path) -> None:
    exported(filled, folder)
    card, words = folder / CARD, b"\r\n## Contact\r\n\xff me@example.org\r\n"
    first = card.read_bytes()
    assert first.endswith(f"{CARD_END}\n".encode())
    card.write_bytes(b"---\nlicense: mit\n" + first.removesuffix(b"\n") + words)

    with pytest.raises(UsageError, match="below its comment, stays"):
        exported(filled, folder, "file_id > 1")
    with pytest.raises(StoppedError):
        exported(filled, folder, "file_id > 1", force=True, going=lambda: False)
    exported(filled, folder, "file_id > 1")
    fresh = folder.with_name("fresh")
    exported(filled, fresh, "file_id > 1")

    assert card.read_bytes() == (fresh / CARD).read_bytes().removesuffix(b"\n") + words


@ON_SQLITE
def test_a_card_that_is_too_long_is_not_lost(filled: sa.Engine, folder: Path) -> None:
    exported(filled, folder)
    (folder / CARD).write_bytes(bytes(1024 * 1024 + 1))
    before = {path.name: path.stat().st_ino for path in folder.iterdir()}

    with pytest.raises(UsageError, match="move it to another place"):
        exported(filled, folder, "file_id > 1", force=True)
    assert {path.name: path.stat().st_ino for path in folder.iterdir()} == before


@ON_SQLITE
def test_other_files_are_not_touched(filled: sa.Engine, folder: Path) -> None:
    folder.mkdir()
    (folder / ".gitattributes").write_text("*.parquet filter=lfs\n")
    (folder / ".git").mkdir()
    exported(filled, folder)
    (folder / "notes.txt").write_text("mine")

    for force in (False, True):
        with pytest.raises(UsageError, match=r"has other files: notes\.txt\n"):
            exported(filled, folder, force=force)
    assert names(folder) == WHOLE | {".gitattributes", ".git", "notes.txt"}


@ON_SQLITE
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
@pytest.mark.parametrize("name", [MANIFEST, CARD, "lora-crawl.part"])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(
    filled: sa.Engine, folder: Path, name: str
) -> None:
    exported(filled, folder)
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)

    with pytest.raises(UsageError, match=f"has other files: {name}"):
        exported(filled, folder, force=True)


@ON_SQLITE
@pytest.mark.parametrize("name", [CARD, "loras.parquet", "z"])
def test_a_folder_that_is_no_export_is_refused(filled: sa.Engine, folder: Path, name: str) -> None:
    folder.mkdir()
    (folder / name).write_text("mine")

    with pytest.raises(UsageError, match="has other files"):
        exported(filled, folder)
    assert (folder / name).read_text() == "mine"


@ON_SQLITE
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2, "tables": [1]}, "newer lora-crawl"),
        ({"revision": "9999"}, "newer lora-crawl"),
        ({"format": "one"}, "is no manifest"),
        (None, "is no manifest"),
    ],
)
def test_a_newer_export_is_never_replaced(
    filled: sa.Engine, folder: Path, change: Mapping[str, Any] | None, said: str
) -> None:
    exported(filled, folder)
    told = json.loads((folder / MANIFEST).read_bytes())
    text = "" if change is None else json.dumps({**told, **change})
    (folder / MANIFEST).write_text(text)

    with pytest.raises(UsageError, match=said):
        exported(filled, folder, force=True)
    assert (folder / MANIFEST).read_text() == text


@ON_SQLITE
def test_a_file_is_no_folder(filled: sa.Engine, folder: Path) -> None:
    folder.write_text("mine")

    with pytest.raises((UsageError, ExportError)):
        exported(filled, folder)


@ON_SQLITE
@pytest.mark.skipif(sys.platform == "win32", reason="folders have no locks there")
def test_two_exports_do_not_write_to_one_folder(filled: sa.Engine, folder: Path) -> None:
    def second() -> bool:
        with pytest.raises(StoppedError, match="another export is writing"):
            exported(filled, folder)
        return True

    exported(filled, folder, going=second)


@ON_SQLITE
@pytest.mark.parametrize("value", ["many", b"\xff"])
def test_a_damaged_value_is_named(filled: sa.Engine, folder: Path, value: object) -> None:
    with filled.begin() as connection:
        connection.exec_driver_sql("UPDATE loras SET likes = ? WHERE file_id = 2", (value,))

    with pytest.raises(DatabaseError, match="likes of loras has a value that is no integer"):
        exported(filled, folder)
    assert "loras.parquet" not in names(folder)
    assert not any("loras" in name for name in names(folder))


@ON_SQLITE
@pytest.mark.parametrize(("column", "value"), [("published_at", "soon"), ("model_tags", "[1")])
def test_a_damaged_time_or_json_is_an_error(
    filled: sa.Engine, folder: Path, column: str, value: str
) -> None:
    with filled.begin() as connection:
        connection.exec_driver_sql(f"UPDATE loras SET {column} = ? WHERE file_id = 2", (value,))

    with pytest.raises(DatabaseError, match="the table loras has a damaged value"):
        exported(filled, folder)


#: Ends the process without any cleanup at the nth time that something is forced to disk.
_KILLED = """
import os, sys
from crawler.__main__ import main
moment, forced = int(sys.argv.pop(1)), os.fsync
def fsync(descriptor):
    global moment
    forced(descriptor)
    moment -= 1
    if not moment:
        os._exit(9)
os.fsync = fsync
main()
"""

#: Reads and writes so many rows at once.
_FEW = """
import sys
from crawler.__main__ import main
from crawler.share import table_file
from crawler.store.read import shared
table_file.GROUP_ROWS = shared._BATCH = shared._BATCH_WITH_JSON = int(sys.argv.pop(1))
main()
"""

#: Lets no file grow beyond some bytes.
_FULL = """
import resource, sys
from crawler.__main__ import main
most = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
main()
"""


def run(
    program: str, number: int, engine: sa.Engine, folder: Path
) -> "subprocess.CompletedProcess[str]":
    place = engine.url.render_as_string(hide_password=False)
    return subprocess.run(
        [sys.executable, "-c", program, str(number), "export", str(folder), "--db", place],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )


@ON_SQLITE
@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(moment, marks=[] if moment == 23 else pytest.mark.slow)
        for moment in range(1, 46)
    ],
)
def test_an_export_that_is_killed_at_any_moment_is_continued(
    filled: sa.Engine, folder: Path, moment: int
) -> None:
    whole = exported(filled, folder.with_name("whole"))

    ended = run(_KILLED, moment, filled, folder)

    assert ended.returncode == 9, ended.stderr
    for path in folder.glob("*.parquet"):
        assert path.stat().st_size == whole.tables[path.stem].bytes
    if (folder / MANIFEST).exists():
        assert names(folder) >= WHOLE
    assert exported(filled, folder).tables == whole.tables
    assert names(folder) == WHOLE


@ON_SQLITE
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits there")
def test_a_full_disk_leaves_nothing_half_and_the_same_command_continues(
    filled: sa.Engine, folder: Path
) -> None:
    whole = exported(filled, folder.with_name("whole"))
    most = max(file.bytes for file in whole.tables.values()) - 1

    ended = run(_FULL, most, filled, folder)

    assert (ended.returncode, ended.stdout) == (4, "")
    assert ended.stderr.startswith(f"Error: {folder} cannot be used: file too large\n")
    assert "Exception ignored" not in ended.stderr
    left = names(folder)
    assert not {name for name in left if name.endswith(".part")} - {"lora-crawl.part"}
    assert left < WHOLE | {"lora-crawl.part"}
    assert exported(filled, folder).tables == whole.tables


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of a megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root mounts a file system, and only on Linux")
    mounted = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if subprocess.run(mounted, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def leave(disk: Path, pages: int) -> Path:
    """Fill a file system up to so many pages; returns the file that fills it."""
    filler, about = disk / "filler", os.statvfs(disk)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, (about.f_bavail - pages) * about.f_frsize)
    return filler


def pages_of(folder: Path, disk: Path) -> int:
    """The pages that the files of a folder take on a file system."""
    size = os.statvfs(disk).f_frsize
    return sum(-(-path.stat().st_size // size) for path in folder.iterdir())


@ON_SQLITE
@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 9])
def test_a_disk_that_is_full_at_any_moment(
    filled: sa.Engine, folder: Path, disk: Path, every: int
) -> None:
    whole = exported(filled, folder)
    needed = pages_of(folder, disk)
    for free in (*range(0, needed, every), needed - 1):
        filler, place = leave(disk, free), disk / "catalogue"

        with pytest.raises(StoppedError, match="no space left on device"):
            exported(filled, place)

        left = names(place)
        assert left < WHOLE | {"lora-crawl.part"}, free
        assert MANIFEST not in left
        for path in place.glob("*.parquet"):
            assert path.stat().st_size == whole.tables[path.stem].bytes
        filler.unlink()
        assert exported(filled, place).tables == whole.tables
        assert names(place) == WHOLE
        shutil.rmtree(place)


@ON_SQLITE
def test_a_full_disk_is_an_error_of_the_command(
    filled: sa.Engine, folder: Path, disk: Path
) -> None:
    exported(filled, folder)
    filler, place = leave(disk, pages_of(folder, disk) // 2), disk / "catalogue"

    ended = run(_FEW, 1, filled, place)

    assert (ended.returncode, ended.stdout) == (4, "")
    assert ended.stderr == (
        f"Error: {place} cannot be used: no space left on device\n"
        "free some space; the same command continues\n"
    )
    filler.unlink()
    again = run(_FEW, 1, filled, place)
    assert (again.returncode, again.stderr[:12]) == (0, "continuing: ")
    assert read_back(place) == read_back(folder)


@ON_SQLITE
def test_the_card_describes_the_export(filled: sa.Engine, folder: Path) -> None:
    exported(filled, folder)

    text = (folder / CARD).read_text(encoding="utf-8")
    _, front, body = text.split("---\n", 2)
    told = yaml.safe_load(front)
    # The Hub asks for a name in small letters, and for a link to what is no file of the data set.
    assert (told["license"], told["license_name"]) == ("other", "civitai-terms-of-service")
    assert told["license_link"] == "https://civitai.com/content/tos"
    assert told["size_categories"] == ["n<1K"]
    assert [one["config_name"] for one in told["configs"] if one.get("default")] == ["loras"]
    assert {one["config_name"]: one["data_files"] for one in told["configs"]} == {
        table.name: file_of(table.name) for table in SHARED
    }
    assert "6 models, 6 versions, 6 files, 3 headers." in body
    assert "| forbidden | 1 |" in body
    for table in shared_tables():
        section = body.partition(f"### {table.name}\n")[2].partition("\n#")[0]
        assert [line.split(" | ")[0][2:] for line in section.splitlines()[3:] if line] == [
            one.name for one in table.columns
        ]
    assert "| bytes | " in body
    # A text from the net is one cell and no HTML.
    assert "<b>" not in body.replace("\\<b", "")
    assert "\x1b" not in body


@ON_SQLITE
def test_the_hub_reads_the_card(filled: sa.Engine, folder: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    exported(filled, folder)

    card = hub.DatasetCard.load(folder / CARD)

    assert card.data.license_name == "civitai-terms-of-service"
    assert len(card.data.configs) == len(SHARED)


@ON_SQLITE
def test_an_empty_database_is_exported_too(engine: sa.Engine, folder: Path) -> None:
    manifest = exported(engine, folder)

    assert manifest.origin is None
    assert {name for name, file in manifest.tables.items() if file.rows} == {"field_notes"}
    assert "license: unknown" in (folder / CARD).read_text(encoding="utf-8")
