"""Civitai's JSON, of any year since 2023, read into nouns.

Every field but the ids may be missing, null or of another type; then it is None. Nothing that a site
writes raises.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from crawler.decode import clean
from crawler.model import File, Model, Page, Version
from crawler.sources.civitai import values

#: Longest integer that is read, in digits: Python refuses the whole text for one of thousands.
MAX_DIGITS = 100

_T = TypeVar("_T")


class ShapeError(ValueError):
    """JSON of another shape than the one that was due; the text says how, in words."""


def parse(body: bytes) -> Any:
    """JSON, with None for integers of more than MAX_DIGITS.

    Python's own reader is taken, for a description cut through an emoji holds a lone surrogate, and
    stricter readers would refuse the whole page for it.

    Raises:
        ShapeError: It is no JSON.
    """
    try:
        return json.loads(body.decode("utf-8", "replace"), parse_int=_int)
    except (ValueError, RecursionError):
        raise ShapeError("no JSON") from None


def page(value: Any) -> Page:
    """One reply of the list.

    Raises:
        ShapeError: It has no list of items, or a cursor that can be neither kept nor sent back.
    """
    items = value.get("items") if isinstance(value, dict) else None
    if not isinstance(items, list):
        raise ShapeError("JSON without a list of items")
    unreadable: list[str] = []
    models = [found for item in items if (found := _model(item, unreadable)) is not None]
    about = value.get("metadata")
    cursor = about.get("nextCursor") if isinstance(about, dict) else None
    return Page(models=tuple(models), next_cursor=_cursor(cursor), unreadable=tuple(unreadable))


def base_models(value: Any) -> tuple[str, ...]:
    """The names of base models among the site's enumerations; empty when there are none."""
    named = value.get("BaseModel") if isinstance(value, dict) else None
    if not isinstance(named, list):
        return ()
    names = (one for one in named if isinstance(one, str) and one and clean.text(one) == one)
    return tuple(dict.fromkeys(names))


def model(value: Any) -> Model:
    """One model of its own page.

    Raises:
        ShapeError: It has no usable id.
    """
    unreadable: list[str] = []
    found = _model(value, unreadable)
    if found is None:
        raise ShapeError(unreadable[0])
    return found


def user_name(value: Any) -> str:
    """Whom a key belongs to.

    Raises:
        ShapeError: Nobody is named.
    """
    name = values.text(values.object_of(value).get("username"))
    if not name:
        raise ShapeError("JSON without a user name")
    return name


def _model(item: Any, unreadable: list[str]) -> Model | None:
    if not isinstance(item, dict):
        unreadable.append(f"an item of the list is {clean.quote(item)}, not a model")
        return None
    model_id = values.identity(item.get("id"))
    if model_id is None:
        unreadable.append(f"a model has no usable id: {clean.quote(item.get('id'))}")
        return None
    place = f"model {model_id}"
    versions = _distinct(
        (_version(entry, place, unreadable) for entry in values.list_of(item.get("modelVersions"))),
        lambda version: version.version_id,
    )
    creator, stats = item.get("creator"), values.object_of(item.get("stats"))
    return Model(
        model_id=model_id,
        name=values.text(item.get("name")) or "",
        type=values.text(item.get("type")),
        creator=values.text(values.object_of(creator).get("username")),
        tags=values.names(item.get("tags")),
        nsfw=item["nsfw"] if isinstance(item.get("nsfw"), bool) else None,
        nsfw_level=values.count(item.get("nsfwLevel")),
        downloads=values.count(stats.get("downloadCount")),
        likes=values.count(stats.get("thumbsUpCount")),
        mode=values.text(item.get("mode")),
        versions=versions,
        body=clean.json_value({key: item[key] for key in item if key != "modelVersions"}),
    )


def _version(entry: Any, place: str, unreadable: list[str]) -> Version | None:
    version = values.object_of(entry)
    version_id = values.identity(version.get("id"))
    if version_id is None:
        unreadable.append(
            f"a version of {place} has no usable id: {clean.quote(version.get('id'))}"
        )
        return None
    place = f"version {version_id} of {place}"
    stats, paid = (
        values.object_of(version.get("stats")),
        values.object_of(version.get("paidAccess")),
    )
    files = (_file(one, place, unreadable) for one in values.list_of(version.get("files")))
    ends = (
        version.get("earlyAccessDeadline"),
        paid.get("endsAt"),
        version.get("earlyAccessEndsAt"),
    )
    return Version(
        version_id=version_id,
        name=values.text(version.get("name")) or "",
        base_model=values.text(version.get("baseModel")),
        published_at=values.moment(version.get("publishedAt")),
        early_access_until=next((at for end in ends if (at := values.moment(end))), None),
        trained_words=values.texts(version.get("trainedWords")),
        nsfw_level=values.count(version.get("nsfwLevel")),
        downloads=values.count(stats.get("downloadCount")),
        likes=values.count(stats.get("thumbsUpCount")),
        files=_distinct(files, lambda file: file.file_id),
        body=clean.json_value(version),
    )


def _file(entry: Any, place: str, unreadable: list[str]) -> File | None:
    file = values.object_of(entry)
    file_id = values.identity(file.get("id"))
    if file_id is None:
        unreadable.append(f"a file of {place} has no usable id: {clean.quote(file.get('id'))}")
        return None
    hashes = values.object_of(file.get("hashes"))
    return File(
        file_id=file_id,
        name=values.text(file.get("name")) or "",
        type=values.text(file.get("type")),
        format=values.text(values.object_of(file.get("metadata")).get("format"))
        or values.text(file.get("format")),
        size_bytes=values.size_bytes(file.get("sizeKB")),
        sha256=values.hexadecimal(hashes.get("SHA256")),
        autov2=values.hexadecimal(hashes.get("AutoV2")),
        autov3=values.hexadecimal(hashes.get("AutoV3")),
        is_primary=file.get("primary") is True,
    )


def _distinct(items: Iterable[_T | None], key: Callable[[_T], int]) -> tuple[_T, ...]:
    """The items that are there, the first one of each id."""
    found: dict[int, _T] = {}
    for item in items:
        if item is not None:
            found.setdefault(key(item), item)
    return tuple(found.values())


def _int(digits: str) -> int | None:
    return int(digits) if len(digits) <= MAX_DIGITS else None


def _cursor(value: Any) -> str | None:
    """Opaque text; a number is one too. Empty text ends a list as a missing cursor does."""
    if isinstance(value, str):
        # It goes back as it came or not at all: cleaned, it would be another place in the list.
        if clean.text(value) != value:
            raise ShapeError("a cursor with characters that no address holds")
        return value or None
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
