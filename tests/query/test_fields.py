from itertools import chain

import pytest

from crawler.errors import QueryError
from crawler.query.fields import SHORT_NAMES, SYNONYMS, TAGS, columns, grouping, nearest, order
from crawler.store.schema.fields import BY_NAME


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("network_dmi", "network_dim"), ("optimiser", "optimizer"), ("rank", "tensor_rank"),
     ("Optimizer", "optimizer"), ("images_sen", "images_seen"), ("netw", "network_module"),
     ("network_rank", "network_dim"), ("Date", "published_at"), ("duration", "training_seconds"),
     ("lycoris", "network_algo"), ("username", "creator")],
)  # fmt: skip
def test_the_nearest_name_comes_first(typed: str, meant: str) -> None:
    assert nearest(typed, BY_NAME)[0] == meant


def test_short_names_and_synonyms_stand_for_fields() -> None:
    known = {*BY_NAME, TAGS.name}
    offered = {name.partition(".")[0] for name in chain(*SYNONYMS.values())}
    assert {*SHORT_NAMES.values(), *offered} <= known
    assert not known & {*SHORT_NAMES, *SYNONYMS}
    assert columns("file_id,Rank,LR", BY_NAME) == ("file_id", "network_dim", "learning_rate")
    assert order("-author", BY_NAME) == (("creator", True),)
    assert grouping("batch", BY_NAME) == "batch_size"


def test_far_names_are_not_offered() -> None:
    assert nearest("qqqqqq", BY_NAME) == ()
    assert nearest("x" * 10_000, BY_NAME) == ()


def test_columns() -> None:
    assert columns("file_id, Network_Dim", BY_NAME) == ("file_id", "network_dim")
    assert columns("*", BY_NAME) == tuple(BY_NAME)


def test_order() -> None:
    assert order("-images_seen,network_dim", BY_NAME) == (
        ("images_seen", True),
        ("network_dim", False),
    )


def test_grouping() -> None:
    assert grouping("optimizer", BY_NAME) == "optimizer"


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("file_id,netwrk_dim", "netwrk_dim", "no field named netwrk_dim"),
        ("file_id, file_id", "file_id", "twice"),
        ("network_dim, rank", "rank", "network_dim is given twice"),
        ("file_id,,steps", ",", "a name is missing"),
        ("file_id,", ",", "a name is missing"),
        ("-file_id", "-file_id", "no field named"),
        ("tags", "tags", "no field named tags"),
    ],
)
def test_wrong_columns(text: str, at: str, message: str) -> None:
    with pytest.raises(QueryError, match=message) as caught:
        columns(text, BY_NAME)
    assert caught.value.text == text
    assert text[caught.value.start : caught.value.end] == at


@pytest.mark.parametrize("text", ["", " ", ",", "-", "--steps", "steps,-steps", "x", "model_tags"])
def test_wrong_orders(text: str) -> None:
    with pytest.raises(QueryError):
        order(text, BY_NAME)


@pytest.mark.parametrize("text", ["", "x", "optimizer,steps", "model_tags", "network_args"])
def test_wrong_groupings(text: str) -> None:
    with pytest.raises(QueryError):
        grouping(text, BY_NAME)
