"""Creators by the work in their LoRAs: what `authors` says."""

from typing import Any
from urllib.parse import urlencode

from crawler.answers.asked import without_copies
from crawler.answers.authors import COLUMNS, HEADS, remarks, texts
from crawler.answers.conditions import before_another, equal_to, tree_of
from crawler.answers.remarks import why_empty
from crawler.errors import UsageError
from crawler.store.stats.creators import Creators, creators
from crawler.web.limits import MAX_ROWS, USUAL_ROWS
from crawler.web.page import Asked, Html

#: The order where none is asked for, as in `authors`.
_USUAL = "megapixels_seen"

#: What the columns mean, for those whose heads do not say it.
_MEANINGS = {
    "with_metadata": "share of the files that were read that have training metadata",
    "runs": "training runs; one counts once, by its latest file",
    "median_images_seen": "median of the images that a run has seen",
    "megapixels_seen": "images seen times their mean area, of all runs",
    "training_hours": "hours of training, of all runs that tell",
}


def page(asked: Asked) -> Html:
    """The creators in an order that a click changes."""
    q, sort = asked.condition(), asked.text("sort", _USUAL)
    if sort not in COLUMNS:
        raise UsageError(f"sort takes {', '.join(COLUMNS)}; {sort!r} is none of them")
    limit = asked.whole("limit", USUAL_ROWS, least=1, most=MAX_ROWS)
    tree = tree_of(q)
    selected, copies = without_copies(asked.connection, tree, copies=False)

    def find() -> Creators:
        return creators(asked.connection, selected, sort=sort, limit=limit)

    key = ("creators", repr(selected), sort, limit)
    found = asked.kept.get(asked.connection, key, find)
    told = [*remarks(found, filtered=bool(q), more="")]
    if copies:
        told.append(f"{copies:,} scanned copies left out")
    if not found.total:
        told += why_empty(asked.connection, tree)
    begin = before_another(q)
    more = found.total > len(found.listed) and limit < MAX_ROWS
    return Html(
        "creators.html",
        "Creators",
        {
            "q": q,
            "sort": "" if sort == _USUAL else sort,
            "heads": [
                _head(name, head, q, sort) for name, head in zip(COLUMNS, HEADS, strict=True)
            ],
            "rows": [
                {
                    "link": f"/?{urlencode({'q': begin + equal_to('creator', one.creator)})}",
                    "cells": texts(one),
                }
                for one in found.listed
            ],
            "remarks": told,
            "more": _address(q, sort, limit=MAX_ROWS) if more else "",
            "most": MAX_ROWS,
        },
    )


def _head(name: str, head: str, q: str, sort: str) -> dict[str, Any]:
    is_sorted = name == sort
    direction = "ascending" if name == "creator" else "descending"
    return {
        "name": head,
        "meaning": _MEANINGS.get(name, ""),
        "is_number": name != "creator",
        "sorted": direction if is_sorted else "",
        "link": _address(q, name),
    }


def _address(q: str, sort: str, limit: int | None = None) -> str:
    given = {"q": q, "sort": sort, "limit": limit or ""}
    return f"/creators?{urlencode({name: value for name, value in given.items() if value})}"
