"""An import of an export or a database, whole and twice, and what it does not trust."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crawler.errors import DatabaseError, UsageError
from crawler.model import Model, Outcome
from crawler.sandbox import Catalogue, Faults, Sandbox
from crawler.store.read.shared import SHARED
from crawler.store.schema import tables
from crawler.store.write.crawls import begin_crawl, finish_crawl
from crawler.store.write.removed_models import mark_gone
from crawler.store.write.results import store_results
from tests.conftest import ON_SQLITE, Prepared
from tests.factories import (
    METADATA,
    NOW,
    make_file,
    make_header_bytes,
    make_model,
    make_result,
    make_version,
)
from tests.share.conftest import ORIGIN, SEEN
from tests.share.exports import import_into, place_of, write_export
from tests.stored import insert_loras, list_models, rows_of, store_models
from tests.sync.conftest import WHOLE, run_crawl

#: What an import does not take over: the tries, and what the site refused to another.
_OWN = {"attempts", "fetched_at", "next_try_at", "reason", "outcome"}

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Catalogue(24, seed=7, faults=Faults.mild())) as running:
        yield running


def shared(engine: sa.Engine, *without: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of all tables that are shared, without some columns."""
    return {
        table.name: [
            {name: value for name, value in row.items() if name not in without}
            for row in rows_of(engine, table)
        ]
        for table in SHARED
    }


def files(engine: sa.Engine) -> dict[int, dict[str, Any]]:
    return {row["file_id"]: row for row in rows_of(engine, tables.loras)}


def outcomes(engine: sa.Engine) -> dict[int, str]:
    return {file_id: row["outcome"] for file_id, row in files(engine).items()}


def test_a_crawl_is_shared_with_the_other_database_and_costs_no_download(
    prepared: Prepared, other: sa.Engine, sandbox: Sandbox, tmp_path: Path
) -> None:
    theirs = prepared("crawled", lambda _: None)
    run_crawl(theirs, sandbox, WHOLE, key=sandbox.key)

    source = write_export(theirs, tmp_path / "catalogue")
    tally = import_into(other, source, now=datetime.now(UTC))

    assert (tally.troubles, tally.sentences) == (0, [])
    assert tally.headers == len(rows_of(theirs, tables.headers)) > 20
    assert shared(other, *_OWN) == shared(theirs, *_OWN)
    before = sandbox.counters.downloads
    crawled = run_crawl(other, sandbox, WHOLE, key=sandbox.key)
    assert (crawled.counted_downloads, sandbox.counters.downloads) == (0, before)
    times = ("attempts", "fetched_at", "first_seen_at", "last_seen_at")
    assert shared(other, *times) == shared(theirs, *times)


@pytest.mark.parametrize("kind", ["export", "database"])
def test_what_was_read_comes_in_and_the_rest_is_pending(
    theirs: sa.Engine, engine: sa.Engine, exported: Path, kind: str
) -> None:
    source = exported if kind == "export" else place_of(theirs)
    tally = import_into(engine, source)

    assert tally.sentences == []
    assert tally.outcomes == Counter(
        {Outcome.DECODED: 3, Outcome.NO_METADATA: 1, Outcome.BAD_HEADER: 1}
    )
    assert outcomes(engine) == outcomes(theirs) | {5: "pending"}
    assert shared(engine, *_OWN) == shared(theirs, *_OWN)
    assert {row["attempts"] for row in files(engine).values()} == {0}
    assert (files(engine)[5]["reason"], files(engine)[5]["fetched_at"]) == (None, None)
    assert files(engine)[1]["fetched_at"] == NOW
    (run,) = rows_of(engine, tables.crawls)
    assert (run["origin"], run["walk"], run["ending"]) == (ORIGIN, "import", "done")

    # A second import changes nothing.
    before = shared(engine)
    again = import_into(engine, source, now=NOW + DAY)
    assert shared(engine) == before
    assert (+again.new, +again.changed, again.headers) == ({}, {}, 0)


def test_what_the_header_says_is_worked_out_here(theirs: sa.Engine, engine: sa.Engine) -> None:
    with theirs.begin() as connection:
        lie = {"network_dim": 999, "optimizer": "Lies", "tensor_rank": 1, "trainer": "liar"}
        connection.execute(sa.update(tables.loras).values(lie))
        connection.execute(sa.delete(tables.file_tags))
        connection.execute(sa.delete(tables.problems))

    import_into(engine, place_of(theirs))

    found = files(engine)[1]
    assert (found["network_dim"], found["optimizer"], found["tensor_rank"]) == (8, "AdamW8bit", 32)
    assert found["trainer"] == "kohya"
    assert len(rows_of(engine, tables.file_tags)) > 0


def test_names_that_are_no_lora_are_known_without_asking(
    prepared: Prepared, engine: sa.Engine
) -> None:
    """A type that the site gives is in the body of the version."""
    listed = {"id": 2, "name": "b.safetensors", "type": "VAE"}
    theirs = prepared("kinds", lambda _: None)
    with theirs.begin() as connection:
        begin_crawl(connection, origin=ORIGIN, walk="w", now=SEEN)
        pickle = make_version(1, files=(make_file(1, name="a.pt", format="PickleTensor"),))
        vae = make_version(
            2,
            files=(make_file(2, name="b.safetensors", type="VAE"),),
            body={"id": 2, "files": [listed]},
        )
        list_models(connection, make_model(1, versions=(pickle,)), make_model(2, versions=(vae,)))

    import_into(engine, place_of(theirs))

    assert outcomes(engine) == {1: "not_safetensors", 2: "not_safetensors"}
    assert "VAE" in files(engine)[2]["reason"]


def see(engine: sa.Engine, model: Model, now: datetime) -> None:
    """What a sync stores that lists one model."""
    with engine.begin() as connection:
        crawl_id = begin_crawl(connection, origin=ORIGIN, walk="w", now=now)
        list_models(connection, model, now=now)
        finish_crawl(connection, crawl_id, ending="done", summary={}, now=now)


def two_views(prepared: Prepared) -> tuple[sa.Engine, sa.Engine]:
    return prepared("ours", lambda _: None), prepared("their_view", lambda _: None)


@pytest.mark.parametrize(("days", "name"), [(1, "Theirs"), (-1, "Ours"), (0, "Ours")])
def test_who_saw_it_last_is_right(prepared: Prepared, days: int, name: str) -> None:
    ours, theirs = two_views(prepared)
    see(ours, make_model(1, name="Ours", likes=1), SEEN)
    renamed = make_version(1, name="v of theirs", base_model="Flux.1 D")
    see(theirs, make_model(1, name="Theirs", likes=2, versions=(renamed,)), SEEN + days * DAY)

    import_into(ours, place_of(theirs))

    (model,), (file,) = rows_of(ours, tables.models), files(ours).values()
    later = name == "Theirs"
    assert (model["name"], file["model_name"]) == (name, name)
    assert model["first_seen_at"] == min(SEEN, SEEN + days * DAY)
    assert model["last_seen_at"] == max(SEEN, SEEN + days * DAY)
    if days:
        assert file["base_model"] == ("Flux.1 D" if later else "Pony")
        assert file["likes"] == (2 if later else 1)
        assert [row["likes"] for row in rows_of(ours, tables.stat_history)] == (
            [1, 2] if days > 0 else [2, 1]
        )


@pytest.mark.parametrize(
    ("gone_after", "is_gone"), [(2, True), (-1, False)], ids=["later", "earlier"]
)
def test_what_is_gone_follows_the_later_view(
    prepared: Prepared, gone_after: int, *, is_gone: bool
) -> None:
    ours, theirs = two_views(prepared)
    see(ours, make_model(1), SEEN)
    gone_at = SEEN + gone_after * DAY
    see(theirs, make_model(1), gone_at - DAY)
    with theirs.begin() as connection:
        mark_gone(connection, [1], [1], gone_at)

    import_into(ours, place_of(theirs), now=NOW + 5 * DAY)

    for table in (tables.models, tables.versions, tables.loras):
        (row,) = rows_of(ours, table)
        assert row["gone_at"] == (gone_at if is_gone else None), table.name

    see(ours, make_model(1), NOW + 6 * DAY)
    import_into(ours, place_of(theirs), now=NOW + 7 * DAY)
    assert files(ours)[1]["gone_at"] is None


def test_a_replaced_file_gets_their_new_header_and_keeps_ours(prepared: Prepared) -> None:
    ours, theirs = two_views(prepared)
    first, second = (make_header_bytes({**METADATA, "ss_seed": seed}) for seed in "12")
    for engine, digit, header, day in ((ours, "A", first, 0), (theirs, "B", second, 1)):
        file = make_file(1, sha256=digit * 64)
        see(engine, make_model(1, versions=(make_version(1, files=(file,)),)), SEEN + day * DAY)
        with engine.begin() as connection:
            store_results(connection, [make_result(1, header)])

    tally = import_into(ours, place_of(theirs))

    assert tally.headers == 1
    found = files(ours)[1]
    assert (found["sha256"], found["seed"], found["outcome"]) == ("B" * 64, 2, "decoded")
    assert len(rows_of(ours, tables.old_headers)) == 1

    # The other way round their header is an old one, and ours stays.
    import_into(theirs, place_of(ours))
    assert files(theirs)[1]["seed"] == 2
    assert [row["number"] for row in rows_of(theirs, tables.old_headers)] == [1]
    import_into(theirs, place_of(ours))
    assert len(rows_of(theirs, tables.old_headers)) == 1


def test_a_header_of_bytes_that_the_site_has_replaced_since_is_not_taken(
    prepared: Prepared,
) -> None:
    ours, theirs = two_views(prepared)
    see(theirs, make_model(1), SEEN)
    with theirs.begin() as connection:
        store_results(connection, [make_result(1)])
    new = make_version(1, files=(make_file(1, sha256="B" * 64),))
    see(ours, make_model(1, versions=(new,)), SEEN + DAY)

    assert import_into(ours, place_of(theirs)).headers == 0
    assert outcomes(ours) == {1: "pending"}


def test_what_was_read_here_stays(prepared: Prepared) -> None:
    ours, theirs = two_views(prepared)
    for engine, seed in ((ours, "1"), (theirs, "2")):
        see(engine, make_model(1), SEEN)
        with engine.begin() as connection:
            header = make_header_bytes({**METADATA, "ss_seed": seed})
            store_results(connection, [make_result(1, header)])

    assert import_into(ours, place_of(theirs)).headers == 0
    assert files(ours)[1]["seed"] == 1


@pytest.mark.parametrize("kind", ["export", "database"])
def test_files_of_their_machine_stay_there(
    theirs: sa.Engine, engine: sa.Engine, tmp_path: Path, kind: str
) -> None:
    local = {"file_id": -1, "version_id": -1, "model_id": -1, "site": "local"}
    with theirs.begin() as connection:
        insert_loras(connection, [local | {"outcome": "decoded", "attempts": 1}])
    source = write_export(theirs, tmp_path / "x") if kind == "export" else place_of(theirs)

    tally = import_into(engine, source)

    assert tally.sentences == []
    assert min(files(engine)) == 1
    assert {row["site"] for row in rows_of(engine, tables.models)} == {"civitai"}


def test_a_database_of_another_api_is_refused(
    theirs: sa.Engine, engine: sa.Engine, exported: Path
) -> None:
    with engine.begin() as connection:
        begin_crawl(connection, origin="http://other.invalid", walk="w", now=NOW)
    store_models(engine, make_model(50))

    for source in (exported, place_of(theirs)):
        with pytest.raises(UsageError, match=r"filled from http://other\.invalid"):
            import_into(engine, source)
    assert [row["model_id"] for row in rows_of(engine, tables.models)] == [50]


def test_a_database_is_not_imported_into_itself_under_another_name(
    theirs: sa.Engine, tmp_path: Path
) -> None:
    if theirs.dialect.name == "sqlite":
        link = tmp_path / "link.db"
        link.symlink_to(str(theirs.url.database))
        other = str(link)
    else:
        named = theirs.url.update_query_dict({"application_name": "another"})
        other = named.render_as_string(hide_password=False)
    for place in (place_of(theirs), other):
        with pytest.raises(UsageError, match="cannot be imported into itself"):
            import_into(theirs, place)
    assert [row["walk"] for row in rows_of(theirs, tables.crawls)] == ["w"]


def test_a_database_without_files_of_a_site_has_nothing_to_give(prepared: Prepared) -> None:
    ours, theirs = two_views(prepared)
    with pytest.raises(UsageError, match="no files of a site"):
        import_into(ours, place_of(theirs))


def test_a_file_that_a_worker_reads_meanwhile_stays_its_own(
    theirs: sa.Engine, engine: sa.Engine
) -> None:
    header = make_header_bytes({**METADATA, "ss_seed": "77"})

    def going() -> bool:
        if files(engine) and outcomes(engine)[1] == "pending":
            with engine.begin() as connection:
                store_results(connection, [make_result(1, header)])
        return True

    assert import_into(engine, place_of(theirs), going=going).headers == 4
    assert files(engine)[1]["seed"] == 77
    assert not rows_of(engine, tables.old_headers)


@ON_SQLITE
def test_a_place_that_is_nothing_is_told(engine: sa.Engine, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"neither a folder nor a database$"):
        import_into(engine, tmp_path / "none.db")
    with pytest.raises(DatabaseError, match="File name too long"):
        import_into(engine, tmp_path / ("n" * 300))
    with pytest.raises(UsageError, match="is not the name of a database"):
        import_into(engine, "")
    for wrong in ("hf://datasets/only-an-owner", "hf://models/a/b", "hf:a/b"):
        with pytest.raises(UsageError, match="hf://datasets/OWNER/NAME"):
            import_into(engine, wrong)


class Killed(BaseException):
    """Ends an import as a kill does, but for the row of the run."""


# An import asks seven times whether it goes on, and then only while it computes long statistics.
@pytest.mark.parametrize(
    "moments",
    [
        pytest.param((6,), id="some"),
        pytest.param((0, 1, 2, 3, 4, 5), marks=pytest.mark.slow, id="more"),
    ],
)
def test_it_ends_with_the_same_rows_wherever_it_was_killed(
    prepared: Prepared, theirs: sa.Engine, moments: tuple[int, ...]
) -> None:
    source, whole = place_of(theirs), prepared("whole", lambda _: None)
    import_into(whole, source)
    for moment in moments:
        engine = prepared(f"killed_{moment}", lambda _: None)
        steps = iter(range(moment))

        def going(left: Iterator[int] = steps) -> bool:
            if next(left, None) is None:
                raise Killed
            return True

        with pytest.raises(Killed):
            import_into(engine, source, going=going)
        import_into(engine, source)
        assert shared(engine) == shared(whole), f"killed at {moment}"


def test_a_stop_is_clean_and_the_next_run_finishes(theirs: sa.Engine, engine: sa.Engine) -> None:
    left = iter([True, True, False])
    tally = import_into(engine, place_of(theirs), going=lambda: next(left, False))
    assert not tally.outcomes
    import_into(engine, place_of(theirs))
    assert outcomes(engine) == outcomes(theirs) | {5: "pending"}


def test_a_huge_header_of_theirs_is_left_to_a_sync(theirs: sa.Engine, engine: sa.Engine) -> None:
    """1 MiB of zeros takes some hundred bytes of zstd."""
    bomb = make_header_bytes({**METADATA, "note": "0" * (1024 * 1024)})
    with theirs.begin() as connection:
        store_results(connection, [make_result(1, bomb)])

    tally = import_into(engine, place_of(theirs))

    assert tally.sentences == [
        "headers 1: the stored header of file 1 is longer than 1,048,576 bytes"
    ]
    assert outcomes(engine)[1] == "pending"


def test_bytes_that_may_be_a_page_of_the_storage_host_are_not_taken(
    theirs: sa.Engine, engine: sa.Engine
) -> None:
    page = b"<!DOCTYPE html><html>come back later</html>"
    with theirs.begin() as connection:
        store_results(connection, [make_result(1, page, file_bytes=len(page))])

    tally = import_into(engine, place_of(theirs))

    assert tally.sentences[0].startswith("headers 1: it is not certain that this is the file")
    assert outcomes(engine)[1] == "pending"
