"""Remarks beside an answer: why it has no rows, and which fields few rows have."""

from crawler.answers.text import listed, share
from crawler.query.fields import spelled
from crawler.query.near import LONGEST, nearest_values, offer
from crawler.query.tree import Node, names
from crawler.store.connect.database import Connection
from crawler.store.read.columns import key_fields
from crawler.store.read.search import Search, sparse_fields
from crawler.store.read.unmatched import has_rows, unmatched


def why_empty(connection: Connection, tree: Node | None) -> list[str]:
    """Which texts of a condition no row has, and the nearest ones that rows have."""
    if not has_rows(connection):
        return ["the database has no files yet; `lora-crawl sync` reads some"]
    reasons = []
    for one in [] if tree is None else unmatched(connection, tree):
        nothing = "no row has" if one.is_sure else "few rows, if any, have"
        said = f"{one.name} {_quoted(one.text)}"
        if one.is_member:
            said = f"{_quoted(one.text)} in {one.name}"
            said += ", whose members are compared as a whole" if {"*", "%"} & {*one.text} else ""
        near = offer([_quoted(text) for text in one.near])
        common = f"the most frequent are {listed([_quoted(text) for text in one.common])}"
        more = near or (common if one.common else "")
        if one.is_part and one.text.isalnum():
            more += f" {one.name}:*{one.text}* finds it as a part"
        reasons.append(f"{nothing} {said}; {more}" if more else f"{nothing} {said}")
    return reasons


def sparse(connection: Connection, asked: Search) -> list[str]:
    """The fields of a search with a low fill rate: rows without a value cannot match."""
    fields = dict.fromkeys(names(asked.tree) if asked.tree else ())
    fields |= dict.fromkeys(name for name, _ in asked.sort)
    fields |= dict.fromkeys((*asked.group_by, *asked.medians))
    return [
        f"only {share(part)} of rows have {name}" if part else _missing(connection, name)
        for name, part in sparse_fields(connection, list(fields))
    ]


def _missing(connection: Connection, name: str) -> str:
    """That no row has a field; for the key of an object with the nearest keys that rows have."""
    known = key_fields(connection, name.partition(".")[0]) if "." in name else []
    keys = {field.name.partition(".")[2]: spelled(field.name) for field, _ in known}
    near = offer([keys[key] for key in nearest_values(name.partition(".")[2], keys)])
    return f"no row has {spelled(name)}; {near}" if near else f"no row has {spelled(name)}"


def _quoted(text: str) -> str:
    shown = text if len(text) <= LONGEST else text[:LONGEST] + "…"
    return "'" + shown.replace("'", "''") + "'"
