from itertools import chain

import pytest

from crawler.errors import QueryError
from crawler.query.fields import SHORT_NAMES, TAGS, columns, grouping, measures, order
from crawler.query.near import SYNONYMS, nearest, nearest_values, offer
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
    assert grouping("batch", BY_NAME) == ("batch_size",)


@pytest.mark.parametrize(
    ("text", "values", "near"),
    [
        ("adamw8bit", ["AdamW", "AdamW8bit"], ("AdamW8bit",)),
        ("sdxl1.0", ["Pony", "SDXL 1.0", "SDXL"], ("SDXL 1.0",)),
        ("SDXL", ["Old SDXL", "SDXL 1.0", "SDXL Turbo"], ("SDXL 1.0", "SDXL Turbo", "Old SDXL")),
        ("Illustrious XL", ["Pony", "Illustrious"], ("Illustrious",)),
        ("red*", ["blue", "red hair", "infrared"], ("red hair",)),
        ("r*d h%r", ["red", "red hair"], ("red hair",)),
        ("red*x", ["red hair"], ()),
        ("redhair*", ["red hair"], ("red hair",)),
        ("a*" * 20 + "b", ["a" * 60], ()),
        ("%hair", ["red hair", "hat"], ("red hair",)),
        ("ilustrous", ["Pony", "Illustrious"], ("Illustrious",)),
        ("zzz", ["Pony", "Illustrious"], ()),
        ("***", ["Pony"], ()),
        ("", ["Pony"], ()),
        ("x" * 10_000, ["y", "Pony"], ()),
        ("猫", ["黒猫", "犬"], ("黒猫",)),
    ],
)
def test_the_nearest_values(text: str, values: list[str], near: tuple[str, ...]) -> None:
    assert nearest_values(text, values) == near


def test_an_offer_lists_what_may_be_meant() -> None:
    assert offer([]) == ""
    assert offer(["a"]) == "did you mean a?"
    assert offer(["a", "b", "c"]) == "did you mean a, b or c?"


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
    assert grouping("optimizer", BY_NAME) == ("optimizer",)
    assert grouping("Rank, optimizer_args.d_coef", BY_NAME) == (
        "network_dim",
        "optimizer_args.d_coef",
    )


def test_measures() -> None:
    assert measures("steps,lr", BY_NAME) == ("steps", "learning_rate")
    for text, message in (("optimizer", "text and has no median"), ("x", "no field named x")):
        with pytest.raises(QueryError, match=message):
            measures(text, BY_NAME)


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


@pytest.mark.parametrize(
    "text", ["", "x", "optimizer,x", "steps,steps", "model_tags", "network_args"]
)
def test_wrong_groupings(text: str) -> None:
    with pytest.raises(QueryError):
        grouping(text, BY_NAME)
