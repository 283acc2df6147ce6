"""Exports that are damaged, lie, or mean harm."""

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
import zstandard

from crawler.errors import ExportError, UsageError
from crawler.share import parquet_child
from crawler.share.form import MANIFEST, file_of
from crawler.store.schema import tables
from tests.conftest import ON_SQLITE
from tests.share.exports import (
    MAX_HEADER,
    describe,
    import_into,
    retell,
    rewrite,
    with_values,
)
from tests.stored import rows_of

pytestmark = ON_SQLITE

LATE = datetime(9998, 1, 1, tzinfo=UTC)

INT64 = 2**63 - 1


def nothing_was_stored(engine: sa.Engine) -> bool:
    return not rows_of(engine, tables.models) and not rows_of(engine, tables.loras)


# What is wrong with one row.


def test_rows_that_cannot_be_stored_are_left_out_and_told(
    engine: sa.Engine, exported: Path
) -> None:
    """tests/share/test_values.py has the values of which each column is told."""
    spoilt: dict[str, list[tuple[str, dict[int, Any]]]] = {
        "models": [("model_id", {0: 0}), ("name", {1: "a\0b"}), ("last_seen_at", {2: LATE})],
        "versions": [("model_id", {3: INT64})],
        "loras": [("version_id", {4: INT64}), ("file_id", {6: 6})],
        "stat_history": [("model_id", {5: INT64})],
    }
    for table, changes in spoilt.items():
        for change in changes:
            rewrite(exported, table, with_values(*change))

    tally = import_into(engine, exported)

    lost = "what it belongs to is not there"
    assert tally.sentences == [
        "models 0: model_id: 0 is no id of a site",
        "models 2: name: “a\ufffdb” has characters that cannot be stored",
        "models 3: last_seen_at: 9998-01-01 is in the future",
        *(f"versions {number}: {lost}" for number in (1, 2, 3, 4)),
        *(f"stat_history {number}: {lost}" for number in (1, 2, 3, INT64)),
        "loras 6: there is another row with this id",
        *(f"loras {number}: {lost}" for number in (1, 2, 3, 4, 5)),
    ]
    assert [row["file_id"] for row in rows_of(engine, tables.loras)] == [6]


def test_headers_that_cannot_be_put_together_are_left_out(
    engine: sa.Engine, exported: Path
) -> None:
    spoilt: dict[str, dict[int, Any]] = {
        "list_digest": {0: bytes(32), 1: b"short"},
        "list_start": {2: INT64, 3: None},
    }
    for change in spoilt.items():
        rewrite(exported, "headers", with_values(*change))

    tally = import_into(engine, exported)

    assert [sentence.partition("…")[0] for sentence in tally.sentences] == [
        "headers 2: list_digest: 5 bytes are no SHA-256",
        "headers 1: the stored tensor list 0000000000000000",
        f"headers 3: list_start: {INT64} is no place in it",
        "headers 4: list_start: None is no place in it",
    ]
    assert [row["file_id"] for row in rows_of(engine, tables.headers)] == [7]


def test_a_list_whose_bytes_are_others(engine: sa.Engine, exported: Path) -> None:
    other = zstandard.compress(b'"a":{"dtype":"F16","shape":[],"data_offsets":[0,2]}')
    count = pq.read_metadata(exported / file_of("tensor_lists")).num_rows
    rewrite(exported, "tensor_lists", with_values("data", dict.fromkeys(range(count), other)))

    tally = import_into(engine, exported)

    assert "its digest is another one" in tally.sentences[0]
    assert not rows_of(engine, tables.tensor_lists)
    # The header that is not written as usual is whole.
    assert [row["file_id"] for row in rows_of(engine, tables.headers)] == [7]


def test_a_list_that_no_header_has_does_not_stay(engine: sa.Engine, exported: Path) -> None:
    rewrite(exported, "headers", with_values("data", dict.fromkeys(range(5), b"damaged")))

    import_into(engine, exported)

    assert not rows_of(engine, tables.tensor_lists)


def test_a_bomb_of_zstd(engine: sa.Engine, exported: Path) -> None:
    zeros = bytes(4 * MAX_HEADER)
    # One frame that says how long it is, and one that does not.
    bombs = {
        0: zstandard.compress(zeros),
        1: zstandard.ZstdCompressor(write_content_size=False).compress(zeros),
    }
    rewrite(exported, "headers", with_values("data", bombs))

    tally = import_into(engine, exported)

    assert tally.sentences[0] == (
        "headers 1: the stored header of file 1 is longer than 1,048,576 bytes"
    )
    assert tally.sentences[1].startswith("headers 2: the stored header of file 2 is damaged")
    assert len(rows_of(engine, tables.headers)) == 3


# What is wrong with a file.


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def cut_in_the_middle(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 3] + data[-len(data) // 3 :])


def zeros_in_the_middle(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(b"PAR1" + bytes(len(data) // 2) + data[4 + len(data) // 2 :])


def long_footer(path: Path) -> None:
    path.write_bytes(b"PAR1" + bytes(100) + (2**31 - 1).to_bytes(4, "little") + b"PAR1")


def noise_as_footer(path: Path) -> None:
    noise = bytes(range(256)) * 8
    path.write_bytes(b"PAR1" + noise + len(noise).to_bytes(4, "little") + b"PAR1")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def test_a_damaged_file_ends_it(engine: sa.Engine, exported: Path) -> None:
    path = exported / file_of("models")
    whole, rows = path.read_bytes(), pq.read_metadata(path).num_rows
    for spoil in (cut, cut_in_the_middle, zeros_in_the_middle, long_footer, noise_as_footer, empty):
        path.write_bytes(whole)
        spoil(path)
        describe(exported, "models", rows=rows)

        with pytest.raises(ExportError, match=r"models\.parquet"):
            import_into(engine, exported)
    assert nothing_was_stored(engine)


def test_bytes_that_changed_on_the_way_are_noticed(engine: sa.Engine, exported: Path) -> None:
    data = bytearray((exported / file_of("headers")).read_bytes())
    data[len(data) // 2] ^= 1
    (exported / file_of("headers")).write_bytes(data)

    with pytest.raises(ExportError, match=r"headers\.parquet is not the file that was exported"):
        import_into(engine, exported)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda table: table.drop_columns(["likes", "body"]), "lacks likes, body: the export was"),
        (lambda table: table.append_column("likes", table["likes"]), "has likes twice"),
        (
            lambda table: table.set_column(
                table.schema.get_field_index("likes"), "likes", table["name"]
            ),
            "likes has the type bytes, not integer",
        ),
        (
            lambda table: table.set_column(
                table.schema.get_field_index("body"), "body", pa.array([[1]] * len(table))
            ),
            "body has the type list<",
        ),
        (
            lambda table: table.set_column(
                table.schema.get_field_index("likes"),
                "likes",
                pa.array([2**64 - 1] * len(table), pa.uint64()),
            ),
            "likes has the type uint64, not integer",
        ),
    ],
)
def test_columns_that_are_not_as_they_should_be(
    engine: sa.Engine, exported: Path, change: Callable[[pa.Table], pa.Table], told: str
) -> None:
    rewrite(exported, "models", change)

    with pytest.raises(ExportError, match=told):
        import_into(engine, exported)


def test_rows_that_are_not_there(engine: sa.Engine, exported: Path) -> None:
    describe(exported, "models", rows=10**9)

    with pytest.raises(ExportError, match="has 7 rows, and 1,000,000,000 according to"):
        import_into(engine, exported)


def limited(monkeypatch: pytest.MonkeyPatch, **limits: int) -> None:
    """Have the process that reads Parquet files set smaller limits."""
    changes = "; ".join(f"parquet_child.{name} = {value}" for name, value in limits.items())
    start = f"from crawler.share import parquet_child; {changes}; parquet_child.main()"
    path = "import sys; sys.path.insert(0, sys.argv[1]); "
    monkeypatch.setattr("crawler.share.export_source._CHILD", path + start)


def test_a_page_of_very_many_rows(engine: sa.Engine, exported: Path) -> None:
    """They take some hundred bytes, since all are the same."""
    rows = parquet_child.MAX_GROUP_ROWS + 1
    path = exported / file_of("stat_history")
    schema = pq.read_schema(path)
    columns = {
        field.name: pa.repeat(pa.scalar(1, pa.int64()), rows).cast(field.type) for field in schema
    }
    pq.write_table(pa.table(columns, schema), path, row_group_size=rows, compression="zstd")
    assert path.stat().st_size < 100_000
    describe(exported, "stat_history")

    with pytest.raises(ExportError, match=r"a row group has 1,048,577 rows, more than 1,048,576"):
        import_into(engine, exported)


def test_a_value_of_very_many_bytes(
    engine: sa.Engine, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk that claims more than it may is not read."""
    limited(monkeypatch, MAX_CHUNK_BYTES=1024 * 1024)
    rewrite(exported, "models", with_values("body", {0: "x" * 1024 * 1024}), compression="zstd")
    assert (exported / file_of("models")).stat().st_size < 100_000

    with pytest.raises(ExportError, match=r"body has .* bytes in one row group, more than"):
        import_into(engine, exported)


def test_a_value_that_is_too_long_costs_its_row(engine: sa.Engine, exported: Path) -> None:
    rewrite(exported, "models", with_values("name", {0: "x" * 300_000}))

    assert import_into(engine, exported).sentences[0] == (
        "models 1: name: 300,000 bytes are too many"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such limit")
def test_a_dictionary_that_would_fill_the_memory(
    engine: sa.Engine, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of many rows points to the same long text; together they are gigabytes."""
    limited(monkeypatch, MAX_MEMORY_BYTES=256 * 1024 * 1024)
    rows, size = 640, 8 * 1024 * 1024
    path = exported / file_of("models")
    many = pa.concat_tables([pq.read_table(path).slice(0, 1)] * rows)
    text = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * size]))
    bomb = many.set_column(many.schema.get_field_index("body"), "body", text)
    pq.write_table(
        bomb, path, store_schema=False, compression="zstd", dictionary_pagesize_limit=2**30
    )
    assert path.stat().st_size < 100_000
    describe(exported, "models")

    with pytest.raises(ExportError, match=r"needs more than 268,435,456 bytes of memory"):
        import_into(engine, exported)
    assert nothing_was_stored(engine)


def test_a_crash_of_the_reader_is_an_error_of_the_file(
    engine: sa.Engine, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "crawler.share.export_source._CHILD",
        "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    )

    with pytest.raises(ExportError, match="was ended by signal 11"):
        import_into(engine, exported)


# What is wrong with the manifest, or the folder.


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda manifest: manifest.update(format=2),
            "newer lora-crawl .format 2, this one reads 1",
        ),
        (lambda manifest: manifest.pop("tables"), "is not the description of an export"),
        (lambda manifest: manifest.update(tables=[]), "is not the description of an export"),
        (lambda manifest: manifest["tables"].pop("loras"), "names no loras: the export is not"),
        (
            lambda manifest: manifest.update(origin="javascript:alert(1)"),
            "is not the URL of an API",
        ),
        (
            lambda manifest: manifest.update(origin="https://CIVITAI.com/"),
            "is not the URL of an API",
        ),
        (
            lambda manifest: manifest["tables"]["models"].update(sha256="0" * 64),
            "is not the file that was exported",
        ),
    ],
)
def test_a_manifest_that_is_none(
    engine: sa.Engine, exported: Path, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    retell(exported, change)

    with pytest.raises(ExportError, match=told):
        import_into(engine, exported)


@pytest.mark.parametrize("text", ["", "[" * 100_000, json.dumps({"format": 1}), "\xff"])
def test_a_manifest_that_is_no_json(engine: sa.Engine, exported: Path, text: str) -> None:
    (exported / MANIFEST).write_text(text, encoding="latin-1")

    with pytest.raises(ExportError, match="is not the description of an export"):
        import_into(engine, exported)


def test_names_in_the_manifest_lead_nowhere(engine: sa.Engine, exported: Path) -> None:
    outside = {"rows": 1, "bytes": 1, "sha256": "0"}
    retell(exported, lambda manifest: manifest["tables"].update({"../../etc/passwd": outside}))

    assert import_into(engine, exported).sentences == []


def test_a_folder_without_an_export(engine: sa.Engine, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"has no lora-crawl\.json: it is no export, or"):
        import_into(engine, tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
def test_a_pipe_or_a_device_is_not_read(engine: sa.Engine, exported: Path) -> None:
    path = exported / file_of("models")
    for make in (os.mkfifo, lambda place: Path(place).symlink_to("/dev/zero")):
        path.unlink()
        make(path)
        with pytest.raises(ExportError, match="not an ordinary file"):
            import_into(engine, exported)


def test_links_are_followed_as_the_cache_of_the_hub_has_them(
    engine: sa.Engine, exported: Path, tmp_path: Path
) -> None:
    path = exported / file_of("models")
    path.rename(tmp_path / "blob")
    path.symlink_to(tmp_path / "blob")

    assert import_into(engine, exported).sentences == []


def test_a_missing_package_is_named(
    engine: sa.Engine, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = "import sys; sys.modules['pyarrow'] = None; " + _child()
    monkeypatch.setattr("crawler.share.export_source._CHILD", hidden)

    with pytest.raises(UsageError, match=r"pip install 'lora-crawl\[parquet\]'"):
        import_into(engine, exported)


def _child() -> str:
    from crawler.share import export_source  # noqa: PLC0415 - before it is replaced

    return export_source._CHILD
