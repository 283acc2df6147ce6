"""What the shell completes beside commands and options: the names of fields."""

import re

from crawler.store.schema.fields import FIELDS

_LAST_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*$")


def field_name(incomplete: str) -> list[tuple[str, str]]:
    """The fields that begin so, each with its meaning."""
    return _completed("", incomplete)


def field_list(incomplete: str) -> list[tuple[str, str]]:
    """The last name of a list like `file_id,mod`; each name of a sort may have a minus."""
    before, comma, last = incomplete.rpartition(",")
    minus = "-" if last.startswith("-") else ""
    return _completed(f"{before}{comma}{minus}", last.removeprefix("-"))


def condition(incomplete: str) -> list[tuple[str, str]]:
    """The name that a condition ends in, as in `network_dim>64 and opt`."""
    found = _LAST_WORD.search(incomplete)
    word = found[0] if found else ""
    if incomplete and not word:
        return []
    return _completed(incomplete[: len(incomplete) - len(word)], word)


def _completed(before: str, begin: str) -> list[tuple[str, str]]:
    return [
        (before + field.name, field.meaning) for field in FIELDS if field.name.startswith(begin)
    ]
