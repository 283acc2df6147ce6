"""Columns, attributes and fields are one list."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from types import NoneType
from typing import get_args, get_origin, get_type_hints

import pytest
import sqlalchemy as sa

from crawler.model import Dataset, Directory, Problem, Recipe, Weights
from crawler.model.recipe import TRAINING
from crawler.query.fields import Kind
from crawler.store.schema import tables
from crawler.store.schema.fields import BY_NAME, FIELDS


def test_columns_of_loras_are_the_fields(engine: sa.Engine) -> None:
    made = [column["name"] for column in sa.inspect(engine).get_columns("loras")]

    assert made == [field.name for field in FIELDS]
    assert len(BY_NAME) == len(FIELDS)


KINDS = {
    int: {Kind.INTEGER},
    float: {Kind.NUMBER},
    str: {Kind.TEXT},
    bool: {Kind.BOOLEAN},
    datetime: {Kind.TIME},
    tuple: {Kind.LIST},
    Mapping: {Kind.OBJECT},
}


@pytest.mark.parametrize("noun", [Recipe, Weights])
def test_attributes_are_fields_of_the_same_kind(noun: type) -> None:
    for name, hint in get_type_hints(noun).items():
        [plain] = [part for part in get_args(hint) if part is not NoneType]
        assert BY_NAME[name].kind in KINDS[get_origin(plain) or plain], name


def test_every_training_field_is_an_attribute() -> None:
    filled = {field.name for noun in (Recipe, Weights) for field in dataclasses.fields(noun)}

    assert filled == {field.name for field in FIELDS if field.group != "what it is"}


def test_a_value_in_the_groups_network_to_time_makes_a_file_decoded() -> None:
    groups = list(dict.fromkeys(field.group for field in FIELDS))
    groups = groups[groups.index("network") : groups.index("time") + 1]

    assert {field.name for field in FIELDS if field.group in groups} == TRAINING | {
        "other_settings"
    }


@pytest.mark.parametrize(
    ("noun", "table", "more"),
    [
        (Dataset, tables.datasets, {"file_id"}),
        (Directory, tables.directories, {"file_id"}),
        (Problem, tables.problems, {"file_id", "number"}),
    ],
)
def test_parts_of_a_header_have_a_column_for_each_attribute(
    noun: type, table: sa.Table, more: set[str]
) -> None:
    attributes = {field.name for field in dataclasses.fields(noun)}

    assert set(table.columns.keys()) == attributes | more
