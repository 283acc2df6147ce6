"""Tags are stored once each, whatever their ids are; on both databases."""

import json
from itertools import count

import pytest
import sqlalchemy as sa

from crawler.store.read.loras import lora
from crawler.store.schema.tables import tags
from crawler.store.write import tags as module
from crawler.store.write.results import store_results
from crawler.store.write.tags import store_tags, tag_id
from tests.factories import METADATA, make_header_bytes, make_model, make_result
from tests.stored import list_models, rows_of


def same_id() -> tuple[str, str]:
    """Two names with the same first id."""
    seen: dict[int, str] = {}
    for number in count():
        name = f"tag {number}"
        other = seen.setdefault(tag_id(name), name)
        if other != name:
            return other, name
    raise AssertionError


def stored(engine: sa.Engine) -> dict[str, int]:
    return {row["name"]: row["tag_id"] for row in rows_of(engine, tags)}


def put(engine: sa.Engine, *names: str) -> dict[str, int]:
    with engine.begin() as connection:
        return store_tags(connection, names)


def test_ids_are_short_and_the_same_everywhere() -> None:
    assert tag_id("1girl") == 1_666_873
    assert tag_id("1girl", 1) == 1_367_550_628
    for name in ("", "空", "x" * 100_000, "�"):
        assert 0 <= tag_id(name) < 2**23 <= tag_id(name, 1) < 2**31
        assert tag_id(name, 1) != tag_id(name, 2)


def test_a_tag_keeps_its_id(engine: sa.Engine) -> None:
    first = put(engine, "a", "b")

    assert put(engine, "b", "c", "a") == first | {"c": tag_id("c")}
    assert stored(engine) == first | {"c": tag_id("c")}
    assert put(engine) == {}


@pytest.mark.parametrize("together", [True, False])
def test_two_tags_with_the_same_id_are_two(engine: sa.Engine, *, together: bool) -> None:
    one, other = same_id()
    for names in [(one, other)] if together else [(one,), (other,)]:
        put(engine, *names)

    expected = {one: tag_id(one), other: tag_id(other, 1)}
    assert stored(engine) == put(engine, other, one) == expected
    assert put(engine, other) == {other: tag_id(other, 1)}


def test_any_number_of_tags_may_share_ids(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "tag_id", lambda _, attempt: attempt)

    put(engine, "b", "c")
    put(engine, "a", "d")

    assert stored(engine) == {"b": 0, "c": 1, "a": 2, "d": 3}
    assert put(engine, "d") == {"d": 3}


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_another_writer_may_take_an_id_meanwhile(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = same_id()
    put(engine, one)
    seen, names = iter([False]), module._names
    monkeypatch.setattr(module, "_names", lambda *given: names(*given) if next(seen, True) else {})

    assert put(engine, other) == {other: tag_id(other, 1)}
    assert set(stored(engine)) == {one, other}


def test_a_header_with_two_tags_of_the_same_id_loses_none(engine: sa.Engine) -> None:
    counts = dict(zip(same_id(), (3, 2), strict=True))
    metadata = {**METADATA, "ss_tag_frequency": json.dumps({"5_marble": counts})}

    with engine.begin() as connection:
        list_models(connection, make_model(1))
        store_results(connection, [make_result(1, make_header_bytes(metadata))])

    with engine.connect() as connection:
        assert lora(connection, 1).tags == {0: tuple(counts.items())}
