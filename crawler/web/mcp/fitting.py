"""Answers that fit: as much as an assistant can read, without control characters."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Annotated, Any, TypedDict

from pydantic import Field

from crawler.answers.text import count, json_text
from crawler.answers.visible import cut
from crawler.errors import UsageError

#: Longest answer, in characters of its JSON: what an assistant can still read.
MAX_ANSWER = 100_000

#: Longest text of a row, in characters; the trigger words of the wordiest models have some hundred.
MAX_TEXT = 1_000

#: Characters of a text and entries of an object or list, from the usual limit to that of answers which are
#: too long otherwise.
_SIZES = ((MAX_TEXT, 200), (200, 40), (80, 10))


class Rows(TypedDict):
    """Rows, and what must be known about them."""

    rows: Annotated[list[dict[str, Any]], Field(description="By column; null means unknown.")]
    more: Annotated[bool, Field(description="Further rows match that are not in the answer.")]
    remarks: Annotated[list[str], Field(description="What to know about the rows.")]


def fitting_rows(names: Sequence[str], rows: Iterable[Sequence[object]], most: int) -> Rows:
    """The first rows, as many as fit into an answer."""
    rest = iter(rows)
    found: list[dict[str, Any]] = []
    free = MAX_ANSWER
    for row in islice(rest, most):
        shown = fitting(dict(zip(names, row, strict=True)))
        free -= len(json.dumps(shown))
        if found and free < 0:
            ended = f"cut after {count(len(found), 'row')}, or the answer would be longer than"
            remark = f"{ended} {MAX_ANSWER:,} characters; ask for fewer columns"
            return {"rows": found, "more": True, "remarks": [remark]}
        found.append(shown)
    return {"rows": found, "more": next(rest, None) is not None, "remarks": []}


def remarked(answer: Rows, remarks: list[str]) -> Rows:
    """The answer with further remarks."""
    return {**answer, "remarks": [*answer["remarks"], *fitting(remarks)]}


def whole_files(texts: Mapping[str, str]) -> Mapping[str, str]:
    """Files, whose lines are escaped where they are written.

    Raises:
        UsageError: They are too long for an answer.
    """
    if (length := sum(map(len, texts.values()))) > MAX_ANSWER:
        raise UsageError(
            f"the files have {length:,} characters, and an answer at most {MAX_ANSWER:,};"
            " use the command of the same name"
        )
    return texts


def fitting(value: Any) -> Any:
    """An answer as JSON has it, with long texts and lists cut as far as its length demands.

    Raises:
        UsageError: It is too long all the same.
    """
    plain = json.loads(json_text(value))
    for text, entries in _SIZES:
        shown = _cut(plain, text, entries)
        if len(json.dumps(shown)) <= MAX_ANSWER:
            return shown
    raise UsageError(f"the answer has more than {MAX_ANSWER:,} characters; ask for less")


def _cut(value: Any, text: int, entries: int) -> Any:
    """A JSON value without control characters, with shorter texts, lists and objects."""
    match value:
        case str():
            return cut(value, text)
        case list():
            shown = [_cut(one, text, entries) for one in value[:entries]]
            return [*shown, f"… {len(value) - entries:,} more"] if len(value) > entries else shown
        case dict():
            some = islice(value.items(), entries)
            parts = {cut(name, text): _cut(one, text, entries) for name, one in some}
            return (
                {**parts, "…": f"{len(value) - entries:,} more"} if len(value) > entries else parts
            )
    return value
