"""What docs/fields.md and `fields` say of where a column comes from, held against golden pairs."""

import copy
import fnmatch
import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from crawler.decode.dialects.kohya import keys as kohya_keys
from crawler.decode.dialects.onetrainer import config as onetrainer_config
from crawler.decode.recipe import decode
from crawler.model import Recipe
from crawler.model.recipe import TRAINING
from crawler.store.schema.fields import BY_NAME, FIELDS
from tests.decode.test_golden import GOLDEN, header_of

#: Column, trainers that write the key, key.
CLAIMS = [(field.name, *source.split(": ")) for field in FIELDS for source in field.keys]

#: Derived from other columns, none of which is a key's alone.
DERIVED = {
    *("network_scale", "effective_unet_lr", "effective_text_encoder_lr"),
    *("training_seconds", "other_settings"),
}


@cache
def pairs(trainer: str) -> tuple[tuple[dict[str, Any], Recipe], ...]:
    """The golden pairs of a trainer, and what is read from each."""
    found = [
        json.loads(path.read_text(encoding="utf-8")) for path in sorted(GOLDEN.glob("*/*.json"))
    ]
    return tuple(
        (pair, read(pair, pair["metadata"]))
        for pair in found
        if pair["expect"].get("trainer") == trainer
    )


def without(metadata: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    """The metadata without a key, once for each place where the key may begin to lead into JSON."""
    parts = key.split(".")
    for cut in range(len(parts), 0, -1):
        top, inside = ".".join(parts[:cut]), parts[cut:]
        names = fnmatch.filter(metadata, top.removesuffix("[]"))
        if not names:
            continue
        less = copy.deepcopy(dict(metadata))
        if top.endswith("[]"):
            inside = ["[]", *inside]
        for name in names:
            if inside:
                take_away(less[name], inside)
            else:
                del less[name]
        yield less


def take_away(value: Any, path: list[str]) -> None:
    """Delete what the path leads to; an adapter's settings stand behind their component's name."""
    head, *rest = path
    if head == "[]" and isinstance(value, list):
        for one in value:
            take_away(one, rest)
    elif isinstance(value, dict):
        opened = head.removesuffix("[]")
        for name in [
            one for one in value if fnmatch.fnmatch(one, opened) or one.endswith(f".{head}")
        ]:
            if rest:
                take_away(value[name], ["[]", *rest] if head.endswith("[]") else rest)
            else:
                del value[name]


def keys_of(column: str) -> list[str]:
    return [source.split(": ")[1] for source in BY_NAME[column].keys]


def read(pair: Mapping[str, Any], metadata: Mapping[str, Any]) -> Recipe:
    return decode(header_of({**pair, "metadata": metadata})).recipe


def says_something_of_its_own(
    pair: Mapping[str, Any], whole: Recipe, column: str, key: str
) -> bool:
    """Whether the column is another without the key, where no further key says the same."""
    fewer = [*without(pair["metadata"], key)]
    if not fewer:
        return False
    if any(getattr(whole, column) != getattr(read(pair, less), column) for less in fewer):
        return True
    alone = pair["metadata"]
    for other in keys_of(column):
        if other != key and not key.startswith(f"{other}."):
            alone = next(without(alone, other), alone)
    told = getattr(read(pair, alone), column)
    return any(told != getattr(read(pair, less), column) for less in without(alone, key))


def test_a_column_comes_from_the_keys_that_are_named() -> None:
    unproven = [
        (column, key)
        for column, trainers, key in CLAIMS
        if not any(
            says_something_of_its_own(pair, whole, column, key)
            for trainer in trainers.split(", ")
            for pair, whole in pairs(trainer)
        )
    ]

    assert unproven == []


def test_every_key_with_a_column_of_its_own_is_named() -> None:
    flat = [(key, column) for key, column, _ in kohya_keys.FLAT]
    split = [(key, column) for key, column, _ in kohya_keys.SPLIT]
    settings = [(f"ot_config.{key}", column) for key, column, _ in onetrainer_config._FLAT]

    assert [
        (key, column) for key, column in [*flat, *split, *settings] if key not in keys_of(column)
    ] == []


def test_every_column_that_metadata_fills_has_keys() -> None:
    of_trainer = {name for name, each in BY_NAME.items() if each.group == "trainer"}
    columns = TRAINING | of_trainer | {"other_settings"}

    assert {name for name in columns if not BY_NAME[name].keys} == DERIVED | {"trainer"}
    assert {field.name for field in FIELDS if field.keys or field.default or field.usual} <= columns
