"""Say why an answer has no rows."""

from typing import TYPE_CHECKING

from crawler.answers.text import listed
from crawler.cli.output.console import Voice

if TYPE_CHECKING:
    from crawler.query.tree import Node
    from crawler.store.connect.database import Connection


def explain(connection: "Connection", tree: "Node | None", voice: Voice) -> None:
    """Print which texts of a condition no row has, and the nearest ones that rows have."""
    if voice.quiet:
        return
    from crawler.query.near import offer
    from crawler.store.read.unmatched import has_rows, unmatched

    if not has_rows(connection):
        voice.notice("the database has no files yet; `lora-crawl sync` reads some")
        return
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
        voice.notice(f"{nothing} {said}; {more}" if more else f"{nothing} {said}")


def missing(connection: "Connection", name: str) -> str:
    """The remark that no row has a field; for the key of an object with the nearest keys that rows have."""
    from crawler.query.fields import spelled
    from crawler.query.near import nearest_values, offer
    from crawler.store.read.columns import key_fields

    known = key_fields(connection, name.partition(".")[0]) if "." in name else []
    keys = {field.name.partition(".")[2]: spelled(field.name) for field, _ in known}
    near = offer([keys[key] for key in nearest_values(name.partition(".")[2], keys)])
    return f"no row has {spelled(name)}; {near}" if near else f"no row has {spelled(name)}"


def _quoted(text: str) -> str:
    from crawler.query.near import LONGEST

    shown = text if len(text) <= LONGEST else text[:LONGEST] + "…"
    return "'" + shown.replace("'", "''") + "'"
