"""Headers stored apart from their tensor lists, and put together again; on both databases."""

import lzma
import os
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings

from crawler.errors import DatabaseError
from crawler.model import Outcome
from crawler.store.read.headers import stored_header
from crawler.store.schema.tables import headers, old_headers, tensor_lists
from crawler.store.write.results import store_results
from tests.factories import METADATA, make_header_bytes, make_model, make_result
from tests.safetensors import soup
from tests.safetensors.library import with_length
from tests.stored import list_models

SHARED = Path(os.environ.get("LORA_CRAWL_CORPUS") or Path(__file__).parents[3].parent / "shared")

#: Real headers that are stored at once.
BATCH = 50


@pytest.fixture
def shelf(engine: sa.Engine) -> sa.Engine:
    """A database with the pending files 1, 2 and 3."""
    with engine.begin() as connection:
        list_models(connection, *(make_model(number) for number in (1, 2, 3)))
    return engine


def _store(engine: sa.Engine, *headers: bytes, first: int = 1) -> None:
    """Store headers as those of the files 1, 2, 3 …, or from another number on."""
    with engine.begin() as connection:
        results = [make_result(*pair) for pair in enumerate(headers, start=first)]
        store_results(connection, results)


def _count(engine: sa.Engine, table: sa.Table) -> int:
    with engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def _stored(engine: sa.Engine, count: int) -> list[bytes]:
    with engine.connect() as connection:
        return [stored_header(connection, number) for number in range(1, count + 1)]


def test_files_with_one_list_share_a_row(shelf: sa.Engine) -> None:
    """Whatever their metadata and padding are, and whenever they are stored."""
    padded = make_header_bytes({**METADATA, "ss_seed": "2"}) + b"  "
    given = [make_header_bytes(), with_length(padded[8:]), make_header_bytes(None)]
    _store(shelf, *given[:2])
    _store(shelf, *given)

    assert _count(shelf, tensor_lists) == 2  # Python's blank behind the comma of the metadata
    assert _count(shelf, old_headers) == 0
    assert _stored(shelf, 3) == given


def test_what_is_not_written_as_usual_is_stored_whole(shelf: sa.Engine) -> None:
    entry = b'"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}'
    given = [
        with_length(b"{%s" % entry),
        with_length(b'{%s,"__metadata__":{}}' % entry),
        b"\x80\0\0\0\0\0\0\0{}",
    ]
    _store(shelf, *given)

    assert _count(shelf, tensor_lists) == 0
    assert _stored(shelf, 3) == given


def test_a_replaced_header_is_kept_whole(shelf: sa.Engine) -> None:
    _store(shelf, make_header_bytes())
    _store(shelf, make_header_bytes({**METADATA, "ss_seed": "2"}))

    with shelf.connect() as connection:
        row = connection.execute(sa.select(old_headers)).one()
    assert (row.file_id, row.number, row.length) == (1, 1, len(make_header_bytes()) - 8)


@pytest.mark.parametrize("damage", ["missing", "damaged", "another list"])
def test_a_list_that_is_gone_is_told(shelf: sa.Engine, damage: str) -> None:
    other = make_header_bytes(METADATA, {"x.lora_A.weight": ("F16", (2, 2))})
    _store(shelf, make_header_bytes(), other)
    with shelf.begin() as connection:
        first, second = connection.execute(sa.select(tensor_lists)).all()
        of_first = tensor_lists.c.digest == first.digest
        change = sa.update(tensor_lists).where(of_first)
        connection.execute(
            sa.delete(tensor_lists).where(of_first)
            if damage == "missing"
            else change.values(data=b"(\xb5/\xfd" if damage == "damaged" else second.data)
        )

    with pytest.raises(DatabaseError, match="stored tensor list"):
        _stored(shelf, 2)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(soup.headers() | soup.damaged(soup.headers()))
def test_any_header_comes_back_byte_for_byte(shelf: sa.Engine, header: bytes) -> None:
    _store(shelf, with_length(header))
    assert _stored(shelf, 1) == [with_length(header)]


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no real headers in {SHARED}")
def test_real_headers_come_back_byte_for_byte(engine: sa.Engine) -> None:
    real = [path.read_bytes() for path in SHARED.glob("corpus/headers/*.hdr")]
    real += [path.read_bytes() for path in SHARED.glob("corpus/headers/*.safetensors")]
    reported = SHARED / "cases" / "headers.jsonl.xz"
    if reported.exists():
        for line in lzma.decompress(reported.read_bytes()).splitlines():
            text = msgspec.json.decode(line)["header"]
            real.append(with_length(text.encode("utf-8", "surrogateescape")))
    whole = [header[: 8 + int.from_bytes(header[:8], "little")] for header in real if header]
    with engine.begin() as connection:
        list_models(connection, *map(make_model, range(1, len(whole) + 1)))
    for at in range(0, len(whole), BATCH):
        _store(engine, *whole[at : at + BATCH], first=at + 1)
    stored = _stored(engine, len(whole))
    assert [at for at, header in enumerate(whole) if stored[at] != header] == []


def test_a_header_of_an_unsound_file_is_not_cut(shelf: sa.Engine) -> None:
    """Its list equals another's, but the JSON is cut off."""
    sound = make_header_bytes()
    cut = sound[:-1]
    with shelf.begin() as connection:
        result = make_result(2, cut)
        assert result.outcome is Outcome.BAD_HEADER
        store_results(connection, [make_result(1, sound), result])
    with shelf.connect() as connection:
        digests = connection.scalars(sa.select(headers.c.list_digest).order_by(headers.c.file_id))
        assert [digest is None for digest in digests] == [False, True]
    assert _stored(shelf, 2) == [sound, cut]
