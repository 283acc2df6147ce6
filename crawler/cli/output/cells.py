"""A value of a row as text: in a cell of a table or a file, and in JSON."""

import functools
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from crawler.cli.output.safe import visible, visible_json


def is_number(value: object) -> bool:
    """Whether a value is a number, which a table aligns to the right; a truth value is none."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def cell(value: object) -> str:
    """A value in one line, without control characters; NULL is empty.

    Truth values are `true` and `false`, a float is the shortest text that reads back the same, times
    are UTC as in the database, JSON is compact, bytes are hexadecimal.
    """
    match value:
        case None:
            return ""
        case str():
            return visible(value)
        case bool():
            return "true" if value else "false"
        case int() | float() | Decimal():
            return str(value)
        case list() | tuple() | Mapping():
            return json_text(value, compact=True)
    return visible(_text(value))


def json_text(value: object, *, compact: bool = False, indent: int | None = None) -> str:
    r"""A value as JSON in readable UTF-8, with control characters escaped like `\u001b`.

    A number that JSON cannot write (infinity, NaN) is null; times and bytes are texts as in `cell`.

    Args:
        value: What JSON knows, or anything that a database returns.
        compact: Without blanks behind commas and colons.
        indent: Blanks for each level, one value a line; None for a single line.
    """
    encoder = _encoder(compact=compact, indent=indent)
    try:
        encoded = encoder.encode(value)
    except ValueError:
        encoded = encoder.encode(_finite(value))
    return "\n".join(visible_json(line) for line in encoded.split("\n"))


@functools.cache
def _encoder(*, compact: bool, indent: int | None) -> json.JSONEncoder:
    """Cached, since a million rows are encoded one by one."""
    return json.JSONEncoder(
        ensure_ascii=False,
        allow_nan=False,
        indent=indent,
        default=_plain,
        separators=(",", ":") if compact else None,
    )


def _finite(value: Any) -> Any:
    """The same value with None for every float that JSON cannot write."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _plain(value: object) -> object:
    """What the encoder does not know, as a type that it knows."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            return None
        return int(value) if value == value.to_integral_value() else float(value)
    return _text(value)


def _text(value: object) -> str:
    match value:
        case datetime():
            moment = value.astimezone(UTC) if value.tzinfo else value
            return moment.replace(tzinfo=None).isoformat(" ")
        case bytes() | bytearray() | memoryview():
            return value.hex()
    return str(value)
