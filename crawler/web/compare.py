"""LoRAs side by side: what `diff` says."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

from crawler.answers.diff import Comparison, comparison, in_groups, shown
from crawler.answers.text import is_number
from crawler.errors import UsageError
from crawler.insight.diff import Compared
from crawler.web.page import Asked, Html

#: Fewest and most LoRAs side by side.
_FEWEST, _MOST = 2, 6

#: Most settings that are shown; two files with thousands of folders have more.
_MOST_ROWS = 1_000


def page(asked: Asked) -> Html:
    """The settings in which two to six LoRAs differ, or a form for their ids."""
    ids = _ids(asked)
    everything = asked.text("all") == "yes"
    values: dict[str, Any] = {"ids": ids, "most": _MOST, "everything": everything, "made": None}
    if len(ids) < _FEWEST:
        views = [asked.lora(one) for one in ids]
        return Html("compare.html", "Compare", values | {"titles": [one.title for one in views]})
    made = comparison([asked.lora(one) for one in ids])
    settings = made.every if everything else made.differing
    title = " and ".join(made.titles) if len(ids) == _FEWEST else f"{len(ids)} LoRAs"
    return Html(
        "compare.html",
        f"Compare {title}",
        values
        | {
            "titles": made.titles,
            "made": made,
            "heads": [_head(at, ids, made) for at in range(len(ids))],
            "groups": list(_groups(made.names, settings[:_MOST_ROWS])),
            "left_out": max(len(settings) - _MOST_ROWS, 0),
            "remark": _remark(made, everything=everything),
            "others": _address(ids, everything=not everything),
        },
    )


def _ids(asked: Asked) -> list[str]:
    """The ids that are asked for, each once.

    Raises:
        UsageError: There are too many.
    """
    given = (one.strip() for text in asked.texts("ids") for one in text.split(","))
    ids = list(dict.fromkeys(filter(None, given)))
    if len(ids) > _MOST:
        raise UsageError(f"up to {_MOST} LoRAs stand side by side; {len(ids)} were given")
    return ids


def _address(ids: Sequence[str], *, everything: bool) -> str:
    query = {"ids": ",".join(ids)} | ({"all": "yes"} if everything else {})
    return f"/compare?{urlencode(query, safe=',')}"


def _head(at: int, ids: Sequence[str], made: Comparison) -> dict[str, Any]:
    rest = [one for one in ids if one != ids[at]]
    return {
        "id": ids[at],
        "title": made.titles[at],
        "unread": dict(made.unread).get(at, ""),
        "without": _address(rest, everything=False),
    }


def _remark(made: Comparison, *, everything: bool) -> str:
    if made.differing:
        return ""
    more = made.hides_some and not everything
    return "No setting differs; there are further differences." if more else "No setting differs."


def _groups(names: Sequence[Compared], settings: Sequence[Compared]) -> Iterator[dict[str, Any]]:
    for heading, some in in_groups(names, settings):
        rows = [
            {
                "name": one.name,
                "differs": one.differs,
                "cells": [
                    {"text": shown(one, value), "is_number": is_number(value)}
                    for value in one.values
                ],
            }
            for one in some
        ]
        yield {"heading": heading or "What they are", "rows": rows}
