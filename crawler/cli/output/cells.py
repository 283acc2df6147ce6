"""One value as text: in a cell of a table or a file, and in JSON."""

import functools
import json
import math
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from crawler.cli.output.safe import visible, visible_json
from crawler.cli.output.words import instant


def is_number(value: object) -> bool:
    """Whether a value is set to the right in a table, and is no text to a spreadsheet."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def cell(value: object) -> str:
    """A value in one line, without anything that could steer a terminal; NULL is empty.

    Truth values are `true` and `false`, floats the shortest text that reads back the same, times
    spelled as in the database, JSON compact, bytes hexadecimal.
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
    return visible(_as_text(value))


def json_text(value: object, *, compact: bool = False, indent: int | None = None) -> str:
    r"""A value as JSON in readable UTF-8, with everything unprintable escaped like `\u001b`.

    What JSON has no number for (infinity) is null; times and bytes are texts as in `cell`.

    Args:
        value: What JSON knows, or anything that a database returns.
        compact: Without blanks behind commas and colons.
        indent: Blanks per level, one value a line; None for everything in one line.
    """
    encoder = _encoder(compact=compact, indent=indent)
    try:
        encoded = encoder.encode(value)
    except ValueError:
        encoded = encoder.encode(_finite(value))
    if indent is None:
        return visible_json(encoded)
    return "\n".join(visible_json(line) for line in encoded.split("\n"))


@functools.cache
def _encoder(*, compact: bool, indent: int | None) -> json.JSONEncoder:
    """Made once: a million rows are encoded one by one."""
    return json.JSONEncoder(
        ensure_ascii=False,
        allow_nan=False,
        indent=indent,
        default=_as_plain,
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


def _as_plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            return None
        return int(value) if value == value.to_integral_value() else float(value)
    return _as_text(value)


def _as_text(value: object) -> str:
    match value:
        case datetime():
            return instant(value)
        case bytes() | bytearray() | memoryview():
            return value.hex()
        case timedelta() | uuid.UUID():
            return str(value)
    return str(value)
