"""Every header of a database decoded again."""

import itertools
from collections.abc import Callable, Mapping

import pytest
import sqlalchemy as sa

from crawler import redecode as module
from crawler.decode.recipe import DECODER_VERSION
from crawler.decode.tensors.facts import ListFacts, list_facts
from crawler.model import Tensor
from crawler.redecode import redecode
from crawler.sandbox import Catalogue, Faults
from crawler.store.schema import tables
from crawler.store.schema.tables import headers, loras, tensor_lists
from crawler.sync.progress import RedecodeTally
from tests.conftest import ON_SQLITE, Prepared
from tests.sync.conftest import crawl_catalogue
from tests.sync.snapshots import snapshot

#: What a decoder fills and a test may spoil.
SPOILED = {"network_dim": None, "optimizer": "spoiled", "tensor_rank": 1}


def again(engine: sa.Engine, going: Callable[[], bool] = lambda: True, **how: int) -> RedecodeTally:
    tally = RedecodeTally()
    redecode(
        engine,
        tally=tally,
        going=going,
        everything=bool(how.get("everything")),
        processes=how.get("processes", 1),
    )
    return tally


def age(engine: sa.Engine) -> None:
    """As if an older decoder had read everything, and badly."""
    with engine.begin() as connection:
        connection.execute(sa.update(headers).values(decoder_version=DECODER_VERSION - 1))
        connection.execute(sa.update(loras).where(loras.c.outcome == "decoded").values(SPOILED))
        for name in ("datasets", "directories", "file_tags", "problems", "field_stats"):
            connection.execute(sa.delete(tables.metadata.tables[name]))


def catalogue() -> Catalogue:
    return Catalogue(10, seed=7, faults=Faults.mild())


@pytest.fixture
def crawled(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> sa.Engine:
    """A database with several batches of headers."""
    monkeypatch.setattr(module, "BATCH", 5)

    def fill(engine: sa.Engine) -> None:
        crawl_catalogue(engine, catalogue())

    return prepared("redecode", fill)


def test_it_ends_with_what_a_crawl_stores(crawled: sa.Engine) -> None:
    fresh = snapshot(crawled)
    age(crawled)

    tally = again(crawled)

    assert tally.done == tally.total == len(fresh["headers"]) > 2 * module.BATCH
    assert (tally.left, tally.troubles, tally.changed) == (0, 0, {})
    assert snapshot(crawled) == fresh


@ON_SQLITE
def test_several_processes_store_the_same(
    crawled: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FEWEST_FOR_PROCESSES", 1)
    fresh = snapshot(crawled)
    age(crawled)

    tally = again(crawled, processes=2)

    assert tally.left == 0
    assert snapshot(crawled) == fresh


def test_what_is_new_is_left_alone(crawled: sa.Engine) -> None:
    assert again(crawled).total == 0
    assert again(crawled, everything=True).done > 0


def test_stopped_after_any_batch_it_goes_on(crawled: sa.Engine) -> None:
    fresh = snapshot(crawled)
    age(crawled)
    total = len(fresh["headers"])

    runs = [again(crawled, lambda: False) for _ in range(-(-total // module.BATCH))]

    assert [run.done for run in runs[:-1]] == [module.BATCH] * (len(runs) - 1)
    assert sum(run.done for run in runs) == total
    assert runs[0].left == total - module.BATCH
    assert runs[-1].left == 0
    assert snapshot(crawled) == fresh


@ON_SQLITE
def test_torn_down_in_the_middle_it_goes_on(
    crawled: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FEWEST_FOR_PROCESSES", 1)
    fresh = snapshot(crawled)
    age(crawled)
    batches = itertools.count()

    def second_interrupt() -> bool:
        if next(batches):
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        again(crawled, second_interrupt, processes=2)

    assert again(crawled).total == len(fresh["headers"]) - 2 * module.BATCH
    assert snapshot(crawled) == fresh


@ON_SQLITE
def test_each_list_is_worked_out_once(crawled: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the headers are cut into pages and batches."""
    monkeypatch.setattr(module, "PAGE", 3)
    worked_out: list[object] = []

    def counted(tensors: Mapping[str, Tensor], body_bytes: int) -> ListFacts:
        worked_out.append(tensors.keys())
        return list_facts(tensors, body_bytes)

    monkeypatch.setattr(module, "list_facts", counted)
    age(crawled)
    with crawled.connect() as connection:
        digests = connection.scalars(sa.select(headers.c.list_digest)).all()
    lists = {digest for digest in digests if digest is not None}
    assert len(digests) > len(lists) > module.PAGE

    again(crawled)

    assert len(worked_out) == len(lists)


def test_a_damaged_header_is_told_and_read_again(crawled: sa.Engine) -> None:
    fresh = snapshot(crawled)
    age(crawled)
    with crawled.begin() as connection:
        first = connection.execute(sa.select(sa.func.min(headers.c.file_id))).scalar_one()
        spoil = sa.update(headers).where(headers.c.file_id == first)
        connection.execute(spoil.values(data=b"\x28\xb5\x2f\xfd rest"))

    tally = again(crawled)

    assert (tally.troubles, tally.left) == (1, 0)
    assert str(first) in tally.sentences[0]
    assert again(crawled).total == 1
    assert of_the_headers(read_again(crawled)) == of_the_headers(fresh)


@ON_SQLITE
@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_files_whose_list_is_gone_are_told_and_read_again(crawled: sa.Engine, damage: str) -> None:
    fresh = snapshot(crawled)
    age(crawled)
    with crawled.begin() as connection:
        of_list = sa.select(headers.c.list_digest, sa.func.count()).group_by(headers.c.list_digest)
        of_list = of_list.where(headers.c.list_digest.is_not(None)).order_by(sa.func.count().desc())
        digest, files = connection.execute(of_list).first() or (b"", 0)
        gone = tensor_lists.c.digest == digest
        connection.execute(
            sa.delete(tensor_lists).where(gone)
            if damage == "missing"
            else sa.update(tensor_lists).where(gone).values(data=b"\x28\xb5\x2f\xfd rest")
        )

    tally = again(crawled)

    assert (tally.troubles, tally.left) == (files, 0)
    assert of_the_headers(read_again(crawled)) == of_the_headers(fresh)


def read_again(engine: sa.Engine) -> dict[str, list[object]]:
    """What the database holds when the site was asked for failed files."""
    crawl_catalogue(engine, catalogue(), retry_failed=True)
    return snapshot(engine)


def of_the_headers(rows: Mapping[str, list[object]]) -> dict[str, list[object]]:
    """Without the answers of the API, which name the sandbox, and what counts them."""
    return {name: found for name, found in rows.items() if name not in ("versions", "field_stats")}
