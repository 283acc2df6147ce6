"""Civitai's JSON, of any year since 2023, read into nouns.

Every field but the ids may be missing, null or of another type; then it is None. Nothing that a site
writes raises.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from crawler.decode import clean
from crawler.model import File, Model, Page, Version
from crawler.model.int64 import INT64, MAX_INT64

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
    return value if value in INT64 else None


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
    if isinstance(kib, bool) or not 0 <= size <= MAX_INT64 // 2:
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
    name = text(object_of(value).get("username"))
    if not name:
        raise ShapeError("JSON without a user name")
    return name


def _model(item: Any, unreadable: list[str]) -> Model | None:
    if not isinstance(item, dict):
        unreadable.append(f"an item of the list is {clean.quote(item)}, not a model")
        return None
    model_id = identity(item.get("id"))
    if model_id is None:
        unreadable.append(f"a model has no usable id: {clean.quote(item.get('id'))}")
        return None
    place = f"model {model_id}"
    versions = _distinct(
        (_version(entry, place, unreadable) for entry in list_of(item.get("modelVersions"))),
        lambda version: version.version_id,
    )
    creator, stats = item.get("creator"), object_of(item.get("stats"))
    return Model(
        model_id=model_id,
        name=text(item.get("name")) or "",
        type=text(item.get("type")),
        creator=text(object_of(creator).get("username")),
        tags=names(item.get("tags")),
        nsfw=item["nsfw"] if isinstance(item.get("nsfw"), bool) else None,
        nsfw_level=count(item.get("nsfwLevel")),
        downloads=count(stats.get("downloadCount")),
        likes=count(stats.get("thumbsUpCount")),
        mode=text(item.get("mode")),
        versions=versions,
        body=clean.json_value({key: item[key] for key in item if key != "modelVersions"}),
    )


def _version(entry: Any, place: str, unreadable: list[str]) -> Version | None:
    version = object_of(entry)
    version_id = identity(version.get("id"))
    if version_id is None:
        unreadable.append(
            f"a version of {place} has no usable id: {clean.quote(version.get('id'))}"
        )
        return None
    place = f"version {version_id} of {place}"
    stats, paid = (
        object_of(version.get("stats")),
        object_of(version.get("paidAccess")),
    )
    files = (_file(one, place, unreadable) for one in list_of(version.get("files")))
    ends = (
        version.get("earlyAccessDeadline"),
        paid.get("endsAt"),
        version.get("earlyAccessEndsAt"),
    )
    return Version(
        version_id=version_id,
        name=text(version.get("name")) or "",
        base_model=text(version.get("baseModel")),
        published_at=moment(version.get("publishedAt")),
        early_access_until=next((at for end in ends if (at := moment(end))), None),
        trained_words=texts(version.get("trainedWords")),
        nsfw_level=count(version.get("nsfwLevel")),
        downloads=count(stats.get("downloadCount")),
        likes=count(stats.get("thumbsUpCount")),
        files=_distinct(files, lambda file: file.file_id),
        body=clean.json_value(version),
    )


def _file(entry: Any, place: str, unreadable: list[str]) -> File | None:
    file = object_of(entry)
    file_id = identity(file.get("id"))
    if file_id is None:
        unreadable.append(f"a file of {place} has no usable id: {clean.quote(file.get('id'))}")
        return None
    hashes = object_of(file.get("hashes"))
    return File(
        file_id=file_id,
        name=text(file.get("name")) or "",
        type=text(file.get("type")),
        format=text(object_of(file.get("metadata")).get("format")) or text(file.get("format")),
        size_bytes=size_bytes(file.get("sizeKB")),
        sha256=hexadecimal(hashes.get("SHA256")),
        autov2=hexadecimal(hashes.get("AutoV2")),
        autov3=hexadecimal(hashes.get("AutoV3")),
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
