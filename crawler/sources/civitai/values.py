"""Values of a site's JSON, read leniently: what has another type than the one that is due is None."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from crawler.decode import clean

#: Bytes of the unit in which sizes are given.
KIB = 1024

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_HEX = re.compile(r"[0-9A-F]{4,128}")


def moment(value: Any) -> datetime | None:
    """An ISO time in UTC; one without a zone is taken as UTC. None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        when = datetime.fromisoformat(value.strip())
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def whole(value: Any) -> int | None:
    """A whole number of 64 bits, also one written as text or with a fraction of zero."""
    spelt = isinstance(value, str) and _INTEGER.fullmatch(value.strip())
    if spelt or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if clean.MIN_INTEGER <= value <= clean.MAX_INTEGER else None


def identity(value: Any) -> int | None:
    """A whole number above 0, as ids are."""
    number = whole(value)
    return number if number is not None and number > 0 else None


def count(value: Any) -> int | None:
    """A whole number that is not negative."""
    number = whole(value)
    return number if number is not None and number >= 0 else None


def size_bytes(kib: Any) -> int | None:
    """Bytes, rounded, from a size in KiB."""
    try:
        size = float(kib) * KIB if isinstance(kib, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    if isinstance(kib, bool) or not 0 <= size <= clean.MAX_INTEGER // 2:
        return None
    return round(size)


def text(value: Any) -> str | None:
    """Text that both databases hold."""
    return clean.text(value) if isinstance(value, str) else None


def texts(value: Any) -> tuple[str, ...]:
    """The texts of a list."""
    return tuple(clean.text(entry) for entry in list_of(value) if isinstance(entry, str))


def names(value: Any) -> tuple[str, ...]:
    """The texts of a list, or the names of its objects; each once."""
    found = (entry.get("name") if isinstance(entry, dict) else entry for entry in list_of(value))
    return tuple(dict.fromkeys(clean.text(name) for name in found if isinstance(name, str)))


def hexadecimal(value: Any) -> str | None:
    """Digits of a hash, in upper case."""
    digits = value.strip().upper() if isinstance(value, str) else ""
    return digits if _HEX.fullmatch(digits) else None


def list_of(value: Any) -> list[Any]:
    """A list; empty for anything else."""
    return value if isinstance(value, list) else []


def object_of(value: Any) -> Mapping[str, Any]:
    """An object; empty for anything else."""
    return value if isinstance(value, dict) else {}
