"""Conditions made up at random, as text, and rows to ask them of."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import Any

from hypothesis import strategies as st

INTEGERS = ("network_dim", "steps", "seed")
NUMBERS = ("network_alpha", "unet_lr")
TEXTS = ("optimizer", "model_name")
BOOLEANS = ("v2", "nsfw")
LISTS = ("model_tags", "trained_words")

_WORDS = (
    "Lion",
    "lion",
    "LION",
    "ÄDAM",
    "ädam",
    "a%b",
    "a_b",
    "a\\b",
    "it's",
    "猫 \U0001d538",
    "",
    "\n",
    "z",
)
_VALUES: dict[str, Sequence[Any]] = {
    "network_dim": (None, 0, 1, 4, 16, 32, 64, 128, -5),
    "steps": (None, 0, 7, 100, 1000, 999),
    "seed": (None, 0, 1, 42, -1),
    "network_alpha": (None, 0.0, 0.5, 1.0, 2.5, -2.5, 16.0, 0.125, -0.5),
    "unet_lr": (None, 0.0, 1e-4, 5e-5, 1.0, 3.3),
    "optimizer": (None, *_WORDS),
    "model_name": (None, *_WORDS),
    "v2": (None, True, False),
    "nsfw": (None, True, False),
    "published_at": (
        None,
        datetime(2025, 1, 1, tzinfo=UTC),
        datetime(2025, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC),
        datetime(2024, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(1999, 1, 1, tzinfo=UTC),
    ),
    "model_tags": (None, [], ["Lion"], ["lion", "it's"], ["猫 \U0001d538", "a\\b"]),
    "trained_words": (None, [], ["z"], ["Lion", "a%b"]),
}

#: What a hostile file may have put into the columns: arithmetic with it must harm no other row.
EXTREMES: dict[str, Sequence[Any]] = {
    "network_dim": (2**63 - 1, -(2**63), 0, -1, None),
    "steps": (2**63 - 1, -(2**63), 0, 1),
    "seed": (2**63 - 1, -(2**63), 2**53 + 1, -1),
    "network_alpha": (1.7e308, -1.7e308, 5e-324, 0.0, 1e18, -1e-18, 1e-200),
    "unet_lr": (1.7e308, 5e-324, 1e-18, 1e18, 0.0, 1e200),
    "optimizer": ("%", "\\", "\u017f", "\u212a", "x" * 3000),
}


def rows(values: dict[str, Sequence[Any]], number: int) -> list[dict[str, Any]]:
    random = Random(number)
    return [
        {name: random.choice(choices) for name, choices in values.items()} for _ in range(number)
    ]


ROWS = rows(_VALUES, 80)
EXTREME_ROWS = rows({**_VALUES, **EXTREMES}, 60)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_text_literals = st.sampled_from(_WORDS).map(quoted)
_patterns = st.sampled_from(["%", "l%", "_ion", "a\\_b", "ä%", "%'%", "", "\\", "%\\%"]).map(quoted)
_times = st.sampled_from(["2025", "2025-01", "2024-12-31", "2025-01-01T00:00:00.5", "1999"]).map(
    quoted
)


def _joined(*parts: Any) -> st.SearchStrategy[str]:
    strategies = [st.just(part) if isinstance(part, str) else part for part in parts]
    return st.tuples(*strategies).map(" ".join)


def _one(parts: Sequence[str]) -> st.SearchStrategy[str]:
    return st.sampled_from(parts)


@cache
def numbers(depth: int) -> st.SearchStrategy[str]:
    """A value that is a number; written with few brackets, so that the order of operators shows."""
    leaves = st.one_of(
        _one(INTEGERS),
        _one(NUMBERS),
        st.integers(0, 130).map(str),
        _one(["0.5", "2.5", "1e-4", "16.0", "0.0"]),
    )
    if not depth:
        return leaves
    inner = numbers(depth - 1)
    return st.one_of(
        leaves,
        _joined(inner, _one(["+", "-", "*", "/"]), inner),
        _joined(_one([*INTEGERS, *NUMBERS]), "%", _one(["3", "0", "2.5", "-7"])),
        _joined("(", inner, ")"),
        _joined("-", inner),
        _joined("abs (", inner, ")"),
        _joined("round (", inner, ")"),
        _joined("length (", texts(depth - 1), ")"),
    )


@cache
def texts(depth: int) -> st.SearchStrategy[str]:
    leaves = _one(TEXTS)
    if not depth:
        return leaves
    inner = texts(depth - 1)
    return st.one_of(
        leaves,
        _joined(_one(["lower (", "upper ("]), inner, ")"),
        _joined("coalesce (", inner, ",", _text_literals, ")"),
    )


@cache
def conditions(depth: int, *, only_sql: bool = False) -> st.SearchStrategy[str]:
    """A condition; `only_sql` leaves out what SQLite by itself does not know or takes otherwise."""
    comparison = _one(["=", "==", "!=", "<>", "<", "<=", ">", ">="])
    value, text = numbers(min(depth, 2)), texts(min(depth, 1))
    leaves = [
        _joined(value, comparison, value),
        _joined(text, comparison, st.one_of(text, _text_literals)),
        _joined(value, _one(["between", "not between"]), value, "and", value),
        _joined(text, _one(["between", "not between"]), text, "and", _text_literals),
        _joined(text, _one(["between", "not between"]), _text_literals, "and", text),
        _joined(value, _one(["in (", "not in ("]), value, ",", value, ")"),
        _joined(text, _one(["in (", "not in ("]), _text_literals, ",", text, ")"),
        _joined(text, _one(["like", "not like"]), _patterns),
        _joined(_one([*INTEGERS, *TEXTS, *LISTS]), _one(["is null", "is not null"])),
        _one(BOOLEANS),
        _joined(_one(BOOLEANS), _one(["= true", "!= false", "= 1", "is true", "is not false"])),
    ]
    if not only_sql:
        leaves += [
            _joined("published_at", comparison, _times),
            _joined("has (", _one(LISTS), ",", _text_literals, ")"),
            _joined("coalesce (", value, ",", value, ")", comparison, value),
            _one(["network_dim:16..64", "optimizer:l*,a%b", "published_at:2025", "v2:true"]),
        ]
    if not depth:
        return st.one_of(leaves)
    inner = conditions(depth - 1, only_sql=only_sql)
    return st.one_of(
        *leaves,
        _joined(inner, _one(["and", "or"]), inner),
        _joined("not", inner),
        _joined("(", inner, ")"),
        _joined("(", inner, ")", _one(["=", "!="]), "(", inner, ")"),
        _joined("(", inner, ")", _one(["is null", "is not null", "is true", "is not true"])),
        _joined("coalesce ((", inner, "), false)"),
    )
