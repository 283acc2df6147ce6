"""Files on this machine in the tables, and the crawled files that they are."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from crawler.model import FileHashes, LocalFile, LocalResult, Outcome
from crawler.store.schema.tables import loras, metadata, models
from crawler.store.write.local_files import (
    MatchedBy,
    known_files,
    mark_missing,
    mark_seen,
    match_local_files,
    next_local_id,
    store_local,
)
from crawler.store.write.results import store_results
from tests.factories import (
    NOW,
    make_file,
    make_header_bytes,
    make_model,
    make_result,
    make_target,
    make_version,
)
from tests.stored import list_models

WEIGHTS = "AB" * 32
LATER = NOW + timedelta(days=1)


def read(file_id: int = -1, path: str = "/disk/lantern.safetensors", **changes: Any) -> LocalResult:
    """A file of 3,000 bytes that was read, of which `changes` are attributes of the result."""
    header = make_header_bytes()
    given: dict[str, Any] = {"target": make_target(file_id), "file_bytes": 3000} | changes
    hashes = given.pop("hashes", None)
    claimed = given.pop("claimed", None)
    return LocalResult(
        file=LocalFile(path, given["file_bytes"], 1_700_000_000_123_456_789),
        result=make_result(file_id, given.pop("header", header), **given),
        hashes=hashes,
        claimed_weights=claimed,
    )


def store(engine: sa.Engine, *results: LocalResult, now: Any = NOW) -> None:
    with engine.begin() as connection:
        store_local(connection, results, now=now)


def crawled(engine: sa.Engine, *files: Any, with_header: Sequence[int] = ()) -> None:
    """Files of one model each, whose ids are theirs; those named have a stored header."""
    described = [
        make_model(
            file.file_id,
            name=f"Page {file.file_id}",
            versions=(make_version(file.file_id, files=(file,)),),
        )
        for file in files
    ]
    with engine.begin() as connection:
        list_models(connection, *described)
        store_results(connection, [make_result(one, file_bytes=3000) for one in with_header])


def row(engine: sa.Engine, file_id: int = -1) -> dict[str, Any]:
    with engine.connect() as connection:
        found = connection.execute(sa.select(loras).where(loras.c.file_id == file_id))
        return dict(found.mappings().one())


def matched(engine: sa.Engine) -> dict[int, tuple[int, str]]:
    with engine.begin() as connection:
        found = match_local_files(connection).by
        again = match_local_files(connection)
        rows = connection.execute(
            sa.text(
                "SELECT file_id, matched_file_id, matched_by FROM local_files"
                " WHERE matched_file_id IS NOT NULL"
            )
        ).all()
    assert again.changed == 0
    assert {file_id: by.value for file_id, by in found.items()} == {
        each.file_id: each.matched_by for each in rows
    }
    return {each.file_id: (each.matched_file_id, each.matched_by) for each in rows}


def everything(engine: sa.Engine) -> dict[str, list[Any]]:
    with engine.connect() as connection:
        return {
            name: [
                dict(found)
                for found in connection.execute(
                    sa.select(table).order_by(*table.primary_key.columns)
                ).mappings()
            ]
            for name, table in metadata.tables.items()
        }


def test_a_file_is_a_model_of_its_own_and_never_pending(engine: sa.Engine) -> None:
    store(engine, read(-7))

    stored = row(engine, -7)
    assert (stored["file_id"], stored["version_id"], stored["model_id"]) == (-7, -7, -7)
    assert (stored["site"], stored["model_name"]) == ("local", "lantern")
    assert stored["file_name"] == "lantern.safetensors"
    assert (stored["outcome"], stored["network_dim"]) == ("decoded", 32)
    told = ("page_url", "version_name", "creator", "base_model", "model_tags", "trained_words")
    assert {stored[name] for name in told} == {None}


def test_a_suffix_of_another_format_does_not_decide(engine: sa.Engine) -> None:
    store(engine, read(path="/disk/lantern.bin"))

    assert row(engine)["outcome"] == "decoded"


def test_a_known_file_is_as_it_was_scanned(engine: sa.Engine) -> None:
    one = read(path="/disk/caf\udce9.safetensors")
    store(engine, one)

    with engine.connect() as connection:
        [(path, known)] = known_files(connection).items()

    assert path == known.path == one.file.stored_path == "/disk/caf\\udce9.safetensors"
    assert row(engine)["file_name"] == "caf\ufffd.safetensors"
    assert known.still_holds(one.file, with_hash=False)
    assert not known.still_holds(one.file, with_hash=True)
    assert not known.still_holds(LocalFile(one.file.path, 3001, one.file.mtime_ns), with_hash=False)
    assert not known.still_holds(LocalFile(one.file.path, 3000, 1), with_hash=False)


def test_a_time_beyond_64_bits_is_no_reason_to_leave_a_file_alone(engine: sa.Engine) -> None:
    file = LocalFile("/disk/a.safetensors", 3000, None)
    store(engine, LocalResult(file=file, result=read().result))

    with engine.connect() as connection:
        [known] = known_files(connection).values()

    assert not known.still_holds(file, with_hash=False)


def test_a_file_that_could_not_be_read_is_tried_again_and_keeps_what_it_said(
    engine: sa.Engine,
) -> None:
    store(engine, read())
    store(engine, read(header=b"", outcome=Outcome.FAILED, reason="permission denied"))

    with engine.connect() as connection:
        [known] = known_files(connection).values()
    assert not known.still_holds(read().file, with_hash=False)
    assert (row(engine)["outcome"], row(engine)["network_dim"]) == ("failed", 32)


def test_an_emptied_file_says_nothing_any_more(engine: sa.Engine) -> None:
    store(engine, read())
    store(engine, read(header=b"", outcome=Outcome.BAD_HEADER, reason="0 bytes", file_bytes=0))

    stored = row(engine)
    assert (stored["outcome"], stored["network_dim"], stored["size_bytes"]) == (
        "bad_header",
        None,
        0,
    )
    assert everything(engine)["directories"] == []


def test_the_same_file_again_changes_only_how_often_it_was_read(engine: sa.Engine) -> None:
    one = read(hashes=FileHashes("CD" * 32, WEIGHTS))
    store(engine, one)
    before = everything(engine)
    store(engine, one)

    after = everything(engine)
    assert row(engine)["attempts"] == 2
    before["loras"][0]["attempts"] = 2
    assert before == after


def test_ids_go_down_from_the_lowest(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        assert next_local_id(connection) == -1
    crawled(engine, make_file(5))
    store(engine, read(-12), read(-3, path="/disk/b.safetensors"))
    with engine.connect() as connection:
        assert next_local_id(connection) == -13


def test_gone_and_seen_again(engine: sa.Engine) -> None:
    store(engine, read(-1), read(-2, path="/disk/b.safetensors"))
    with engine.begin() as connection:
        mark_missing(connection, [-1], now=LATER)
        known = known_files(connection)
    assert {one.file_id: one.gone for one in known.values()} == {-1: True, -2: False}
    assert row(engine)["gone_at"] == LATER
    assert row(engine)["network_dim"] == 32

    with engine.begin() as connection:
        mark_seen(connection, [-1, -2], now=LATER)
        last = connection.execute(sa.select(models.c.last_seen_at, models.c.gone_at)).all()
    assert row(engine)["gone_at"] is None
    assert {tuple(each) for each in last} == {(LATER, None)}


def test_a_match_by_every_byte(engine: sa.Engine) -> None:
    crawled(engine, make_file(8, sha256="CD" * 32), make_file(9, sha256="CD" * 32))
    store(engine, read(hashes=FileHashes("CD" * 32, WEIGHTS)))

    assert matched(engine) == {-1: (8, MatchedBy.SHA256)}
    stored = row(engine)
    assert (stored["autov2"], stored["autov3"]) == ("CD" * 5, WEIGHTS[:12])
    assert (stored["model_name"], stored["creator"]) == ("Page 8", "stonecutter")
    assert (stored["base_model"], stored["model_tags"]) == ("Pony", ["style", "stone"])
    assert stored["page_url"] == "https://civitai.com/models/8?modelVersionId=8"
    assert (stored["site"], stored["downloads"], stored["likes"]) == ("local", None, None)


def test_a_match_by_the_weights_that_were_hashed(engine: sa.Engine) -> None:
    crawled(engine, make_file(8, autov3=WEIGHTS[:12], size_bytes=1))
    # The header's claim does not count once the weights have been hashed.
    store(
        engine,
        read(-1, hashes=FileHashes("CD" * 32, WEIGHTS)),
        read(-2, "/b.sft", hashes=FileHashes("EF" * 32, "EF" * 32), claimed=WEIGHTS),
    )

    assert matched(engine) == {-1: (8, MatchedBy.AUTOV3)}


@pytest.mark.parametrize(
    ("size_bytes", "with_header", "expected"),
    [
        (3000, [], [-1]),
        (2000, [], [-1]),
        (1976, [], []),
        (4024, [], []),
        (None, [], []),
        # The header that was read decides: the site's size may be anything.
        (None, [8], [-1]),
        (9_000_000, [8], [-1]),
    ],
)
def test_a_claim_counts_where_the_length_fits(
    engine: sa.Engine, size_bytes: int | None, with_header: list[int], expected: list[int]
) -> None:
    file = make_file(8, autov3=WEIGHTS[:12], size_bytes=size_bytes)
    crawled(engine, file, with_header=with_header)
    store(engine, read(claimed=WEIGHTS))

    assert matched(engine) == dict.fromkeys(expected, (8, MatchedBy.HEADER))


def test_a_claim_with_other_weights_is_none(engine: sa.Engine) -> None:
    crawled(engine, make_file(8, autov3=WEIGHTS[:12], size_bytes=3000), with_header=[8])
    store(engine, read(claimed=WEIGHTS, file_bytes=2900))

    assert matched(engine) == {}


def test_two_files_here_are_never_each_others_match(engine: sa.Engine) -> None:
    same = FileHashes("CD" * 32, WEIGHTS)
    store(engine, read(-1, hashes=same), read(-2, "/b.sft", hashes=same))

    assert matched(engine) == {}


def test_a_match_that_is_lost_gives_the_name_back(engine: sa.Engine) -> None:
    crawled(engine, make_file(8, autov3=WEIGHTS[:12], size_bytes=3000))
    store(engine, read(claimed=WEIGHTS))
    plain = row(engine)
    assert matched(engine) == {-1: (8, MatchedBy.HEADER)}

    crawled(engine, make_file(8, autov3="00" * 6))

    assert matched(engine) == {}
    assert row(engine) == plain


def test_a_changed_page_is_copied_again(engine: sa.Engine) -> None:
    crawled(engine, make_file(8, autov3=WEIGHTS[:12], size_bytes=3000))
    store(engine, read(claimed=WEIGHTS))
    matched(engine)
    with engine.begin() as connection:
        renamed = (
            sa.update(loras).where(loras.c.file_id == 8).values(model_name="New", model_tags=[])
        )
        connection.execute(renamed)

    matched(engine)

    assert (row(engine)["model_name"], row(engine)["model_tags"]) == ("New", [])
