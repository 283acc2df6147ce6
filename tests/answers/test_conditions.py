"""Conditions that are added to a text and cut out of it."""

import shlex

import pytest

from crawler.answers.conditions import (
    arguments,
    before_another,
    command_line,
    equal_to,
    parts,
    tree_of,
    without_condition,
)
from crawler.errors import QueryError

TEXTS = (
    "",
    "rank:32",
    " rank:32  optimizer:Prodigy ",
    "steps > 1",
    "steps>1 or v2",
    "images_seen > 300 likes:1..  not v2 base_model in ('a', 'b c')",
    "steps > 1 or v2 rank:3",
    "v2 and steps is not null AND lr:1e-4..",
    "model_name:'and, or ( \"x' v2:true",
    "published_at >= '-30d' and nsfw",
    "(steps > 1 or v2) and not (rank:3)",
    "has(tags, 'a and b') and creator = 'it''s'",
)
ADDED = (
    equal_to("base_model", "SD 1.5"),
    equal_to("creator", "it's \\ \"$`!% and"),
    equal_to("network_dim", -3),
    equal_to("optimizer", None),
    equal_to("published_at", "2025-01"),
)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("added", ADDED)
def test_what_is_added_can_be_taken_away(text: str, added: str) -> None:
    both = before_another(text) + added
    assert parts(tree_of(both)) == parts(tree_of(text)) | parts(tree_of(added))
    again = without_condition(both, added)
    assert again is not None
    assert parts(tree_of(again)) == parts(tree_of(text))


@pytest.mark.parametrize("text", TEXTS)
def test_a_condition_is_found_among_others_in_another_spelling(text: str) -> None:
    both = f"{before_another(text)}rank:64"
    again = without_condition(both, equal_to("network_dim", 64))
    assert again is not None
    assert parts(tree_of(again)) == parts(tree_of(text))


def test_a_part_of_an_alternative_cannot_be_cut_out() -> None:
    assert without_condition("rank:64 or v2", equal_to("network_dim", 64)) is None


@pytest.mark.parametrize("text", TEXTS)
def test_a_shell_hands_over_the_same_words(text: str) -> None:
    words = arguments(text)
    assert shlex.split(command_line(words)) == words


def test_a_word_with_an_exclamation_mark_or_a_quote_is_safe_in_a_shell() -> None:
    words = ["a!b", "it's $HOME", '"', "a\\", "-x", "é b"]
    line = command_line(words)
    assert line == "'a!b' 'it'\"'\"'s $HOME' '\"' 'a\\' -x \"é b\""
    assert shlex.split(line) == words


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("rank:3 foo:3", slice(7, 10)),
        ("rank:3 lr:x", slice(10, 11)),
        ("rank > > 3", slice(7, 8)),
        ("steps > 1 foo:3 rank:3", slice(10, 13)),
        ("steps > 1 and foo > 3 and v2", slice(14, 17)),
        ("foo:3 steps > 1", slice(0, 3)),
        ("steps > 1 rank:3 )", slice(17, 18)),
    ],
)
def test_the_place_of_a_mistake_is_in_the_whole_text(text: str, place: slice) -> None:
    with pytest.raises(QueryError) as caught:
        arguments(text)
    assert (caught.value.text, caught.value.start, caught.value.end) == (
        text,
        place.start,
        place.stop,
    )


def test_conditions_of_several_words_stand_side_by_side() -> None:
    text = "images_seen > 300 likes:1.. steps > 1 or v2"
    assert arguments(text) == ["images_seen > 300", "likes:1..", "steps > 1 or v2"]


def test_a_text_of_many_words_is_refused_soon() -> None:
    with pytest.raises(QueryError):
        arguments("rank:3 " * 500 + ")")
