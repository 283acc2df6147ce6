"""The result of a dialect: typed values, and a problem for each value that could not be read."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from crawler.decode import clean
from crawler.decode.problems import AND_MORE, OUT_OF_RANGE, TOO_DEEP, TOO_LONG, UnreadableError
from crawler.model import Dataset, Directory, Problem

T = TypeVar("T")

#: Problems kept per field; a hostile header has millions of damaged values.
MAX_PER_FIELD = 20

#: Problems collected while a header is read, which bounds the memory of a hostile one.
MAX_PROBLEMS = 10_000

#: Longest JSON value of a column, in characters and values: arguments and settings, not data.
MAX_JSON_LENGTH = 65_536

#: Longest name of a field in a problem, in characters; the name may be a key of the file.
MAX_FIELD_CHARS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class DialectResult:
    """The metadata as one dialect reads it; everything in it is storable.

    Attributes:
        values: Attributes of `Recipe` by name, without the derived ones; None means missing.
        tags: Directory name -> tag -> count.
        used: Metadata keys that the other attributes hold completely; all others are kept as text.
        rewritten: Metadata key -> the text to keep instead of the original one.
        settings: Values without a column that are more than text.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    datasets: tuple[Dataset, ...] = ()
    directories: tuple[Directory, ...] = ()
    tags: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    used: frozenset[str] = frozenset()
    rewritten: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


def problem(code: str, where: str, detail: str) -> Problem:
    """A storable problem, for a field of any name."""
    return Problem(code, clean.text(where[:MAX_FIELD_CHARS]), detail)


def note(problems: list[Problem], code: str, where: str, detail: str) -> None:
    """Append a problem, unless there are MAX_PROBLEMS already."""
    if len(problems) < MAX_PROBLEMS:
        problems.append(problem(code, where, detail))


def take(
    reader: Callable[[Any], T | None], value: object, where: str, problems: list[Problem]
) -> T | None:
    """The value as the reader returns it; None and a new problem when it raises UnreadableError."""
    try:
        return reader(value)
    except UnreadableError as error:
        note(problems, error.code, where, error.detail)
        return None


def held(value: Any, where: str, problems: list[Problem]) -> Any:
    """The JSON value, cleaned for a column.

    A new problem says when a part of it becomes None, or all of it because it is too long.
    """
    length, flaw = 0, None
    waiting = [(value, clean.MAX_DEPTH)]
    while waiting:
        item, depth = waiting.pop()
        length += 1
        if isinstance(item, str):
            length += len(item)
        elif isinstance(item, dict | list):
            length += len(item) + (sum(map(len, item)) if isinstance(item, dict) else 0)
            if length <= MAX_JSON_LENGTH and depth > 0:
                inner = item.values() if isinstance(item, dict) else item
                waiting += [(one, depth - 1) for one in inner]
            elif depth == 0:
                flaw = TOO_DEEP
        elif clean.json_value(item) != item:
            flaw = OUT_OF_RANGE
        if length > MAX_JSON_LENGTH:
            note(problems, TOO_LONG, where, f"longer than {MAX_JSON_LENGTH:,} characters")
            return None
    if flaw:
        note(problems, flaw, where, "a part of it cannot be stored")
    return clean.json_value(value)


def limit(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The first problems of every field in order, then the count of further ones per field."""
    kept: list[Problem] = []
    seen: Counter[str] = Counter()
    for one in problems:
        seen[one.field] += 1
        if seen[one.field] <= MAX_PER_FIELD:
            kept.append(one)
    kept += [
        Problem(AND_MORE, where, f"{count - MAX_PER_FIELD} more problems")
        for where, count in seen.items()
        if count > MAX_PER_FIELD
    ]
    return tuple(kept)
