"""The keys that hold JSON: read once, in the shape that sd-scripts writes, and no larger than it does."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from crawler.decode import clean
from crawler.decode.dialect_result import note, take
from crawler.decode.embedded_json import read_json
from crawler.decode.problems import TOO_LONG, WRONG_SHAPE, UnreadableError
from crawler.model import Problem

T = TypeVar("T")

#: Most datasets, folders and buckets of a file: they are rows of their own or stand in one. Real runs
#: have a handful, some hundreds (a folder per artist) and up to a hundred; a hostile header could
#: make millions of them.
MAX_DATASETS = 1_000
MAX_DIRECTORIES = 10_000
MAX_BUCKETS = 1_000


def read_key(
    key: str,
    metadata: Mapping[str, str],
    shape: Callable[[Any], T],
    where: str,
    *,
    problems: list[Problem],
    used: set[str],
) -> T | None:
    """The JSON of a key in its shape; None when it is missing, null or cannot be read.

    Args:
        key: The metadata key.
        metadata: As it stands in the header.
        shape: Gives its argument back, or raises UnreadableError.
        where: The field that a problem names.
        problems: Gets one when the text cannot be read.
        used: Gets the key when it was read.
    """
    raw = metadata.get(key)
    if raw is None:
        return None
    before = len(problems)
    value = None if raw.strip() in clean.ABSENT else take(read_json, raw, where, problems)
    if value is not None:
        value = take(shape, value, where, problems)
    if len(problems) == before:
        used.add(key)
    return value


def an_object(value: Any) -> Mapping[str, Any]:
    """The value when it is a JSON object.

    Raises:
        UnreadableError: `wrong_shape`.
    """
    if not isinstance(value, dict):
        raise UnreadableError(WRONG_SHAPE, f"{clean.quote(value)} is no object")
    return value


def folders(value: Any) -> Mapping[str, Any]:
    """The value when it is an object of at most MAX_DIRECTORIES folders.

    Raises:
        UnreadableError: `wrong_shape` or `too_long`.
    """
    _bound(len(an_object(value)), MAX_DIRECTORIES)
    return an_object(value)


def datasets(value: Any) -> list[Any]:
    """The value when it is a list of at most MAX_DATASETS and MAX_DIRECTORIES subsets in all.

    Raises:
        UnreadableError: `wrong_shape` or `too_long`.
    """
    if not isinstance(value, list):
        raise UnreadableError(WRONG_SHAPE, f"{clean.quote(value)} is no list")
    _bound(len(value), MAX_DATASETS)
    _bound(sum(len(subsets(item)) for item in value), MAX_DIRECTORIES)
    return value


def subsets(item: Any) -> list[Any]:
    """The subsets of a dataset; none where they are no list."""
    listed = item.get("subsets") if isinstance(item, dict) else None
    return listed if isinstance(listed, list) else []


def buckets(value: Any) -> Mapping[str, Any]:
    """The value when it is an object of at most MAX_BUCKETS.

    Raises:
        UnreadableError: `wrong_shape` or `too_long`.
    """
    _bound(len(an_object(value)), MAX_BUCKETS)
    return an_object(value)


def object_or_empty(value: Any, where: str, problems: list[Problem]) -> Mapping[str, Any]:
    """The value when it is a JSON object; else an empty one, and a problem."""
    try:
        return an_object(value)
    except UnreadableError as error:
        note(problems, error, where)
        return {}


def _bound(count: int, most: int) -> None:
    if count > most:
        raise UnreadableError(TOO_LONG, f"{count:,} of them, {most:,} are kept")
