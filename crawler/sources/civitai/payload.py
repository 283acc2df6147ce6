"""Civitai's JSON, of any year since 2023, read into the nouns of `crawler.model`.

Every field except the ids may be missing, null or of another type, and is then None. An object without
a usable id is left out and named in a sentence. The functions that read a reply raise ShapeError if it
lacks what they return: a list of items, an id, a name.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from crawler.decode import clean
from crawler.model import File, Model, Page, Version
from crawler.model.int64 import MAX_INT64
from crawler.model.site import ids_of_url

#: Most values in one reply; a page of 100 models has some 100,000. Each takes up to 400 bytes of memory.
MAX_VALUES = 1_000_000

#: Longest integer that is read, in digits: Python refuses the whole text for one of thousands.
MAX_DIGITS = 100

#: Longest name, in characters. A longer one is nothing that a person wrote.
MAX_NAME_CHARS = 65_536

#: Longest cursor, in characters: it must fit into a URL. Real ones have at most 50.
MAX_CURSOR_CHARS = 1_000

#: Longest JSON of a model or a version that is kept, in characters. Members beyond it are left out.
#: PostgreSQL refuses an array of tens of millions of numbers; real ones have under 50,000 characters.
MAX_BODY_CHARS = 1_000_000

#: Members of a model or a version that are not kept: what has a table of its own, and pictures.
_NOT_STORED = frozenset({"modelVersions", "images"})

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_HEX = re.compile(r"[0-9A-F]{4,128}")

_T = TypeVar("_T")


class ShapeError(ValueError):
    """JSON of an unexpected shape; the text says what is wrong."""


def parse(body: bytes) -> Any:
    """JSON, with infinity for integers of more than MAX_DIGITS; ShapeError for anything else.

    More than MAX_VALUES values are not read, commas inside texts included.

    The standard library's parser accepts the lone surrogate of a description that was cut inside an
    emoji, and raw control characters, which the site sends now and then. Stricter parsers would refuse
    the whole page.
    """
    if sum(map(body.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise ShapeError(f"JSON of more than {MAX_VALUES:,} values")

    def integer(digits: str) -> float:
        return int(digits) if len(digits) <= MAX_DIGITS else math.inf

    try:
        return json.loads(body.decode("utf-8-sig", "replace"), strict=False, parse_int=integer)
    except (ValueError, RecursionError):
        raise ShapeError("no JSON") from None


def page(value: Any) -> Page:
    """One reply of a list; ShapeError also if its cursor cannot be stored and sent back."""
    items = value.get("items") if isinstance(value, dict) else None
    if not isinstance(items, list):
        raise ShapeError("JSON without a list of items")
    unreadable: list[str] = []
    models = [found for item in items if (found := _model(item, unreadable)) is not None]
    metadata = value.get("metadata")
    metadata = {} if metadata is None else metadata
    if not isinstance(metadata, dict):
        raise ShapeError(f"its metadata is {clean.quote(metadata)}, so the next page is unknown")
    cursor = _cursor(metadata.get("nextCursor"))
    return Page(models=tuple(models), next_cursor=cursor, unreadable=tuple(unreadable))


def model(value: Any) -> Model:
    """The reply for one model."""
    unreadable: list[str] = []
    found = _model(value, unreadable)
    if found is None:
        raise ShapeError(unreadable[0])
    return found


def files_of(body: Mapping[str, Any]) -> tuple[File, ...]:
    """The files in the body of a version; those without a usable id are left out."""
    found = (_file(entry, "a version", []) for entry in _list(body.get("files")))
    return tuple(file for file in found if file is not None)


def model_id(value: Any) -> int:
    """The model's id in the reply for a version."""
    found = _count(_object(value).get("modelId"), least=1)
    if found is None:
        raise ShapeError("JSON without a model's id")
    return found


def user_name(value: Any) -> str:
    """The user name in the reply for an API key."""
    name = _text(_object(value).get("username"))
    if not name:
        raise ShapeError("JSON without a user name")
    return name


def base_models(value: Any) -> tuple[str, ...]:
    """The names of base models among the site's enumerations; empty when there are none."""
    names = (one for one in _list(_object(value).get("BaseModel")) if isinstance(one, str) and one)
    return tuple(dict.fromkeys(name for name in names if clean.text(name) == name))


def tags(value: Any) -> tuple[str, ...]:
    """The names in the reply for tags."""
    return _names(_object(value).get("items"))


def moment(value: Any) -> datetime | None:
    """An ISO time in UTC; one without a zone is UTC. None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        when = datetime.fromisoformat(value.strip())
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _model(item: Any, unreadable: list[str]) -> Model | None:
    if not isinstance(item, dict):
        unreadable.append(f"an item of the list is {clean.quote(item)}, not a model")
        return None
    model_id = _id(item, "a model", unreadable)
    if model_id is None:
        return None
    place = f"model {model_id}"
    versions = (_version(entry, place, unreadable) for entry in _list(item.get("modelVersions")))
    stats = _object(item.get("stats"))
    return Model(
        model_id=model_id,
        name=_text(item.get("name")) or "",
        type=_text(item.get("type")),
        creator=_text(_object(item.get("creator")).get("username")),
        tags=_names(item.get("tags")),
        nsfw=item["nsfw"] if isinstance(item.get("nsfw"), bool) else None,
        nsfw_level=_count(item.get("nsfwLevel")),
        downloads=_count(stats.get("downloadCount")),
        likes=_count(stats.get("thumbsUpCount")),
        mode=_text(item.get("mode")),
        versions=_distinct(versions, lambda version: version.version_id),
        body=_body(item),
    )


def _version(entry: Any, place: str, unreadable: list[str]) -> Version | None:
    version = _object(entry)
    version_id = _id(version, f"a version of {place}", unreadable)
    if version_id is None:
        return None
    place = f"version {version_id} of {place}"
    files = (_file(one, place, unreadable) for one in _list(version.get("files")))
    stats = _object(version.get("stats"))
    paid = _object(version.get("paidAccess"))
    ends = (
        version.get("earlyAccessDeadline"),
        paid.get("endsAt"),
        version.get("earlyAccessEndsAt"),
    )
    words = _list(version.get("trainedWords"))
    return Version(
        version_id=version_id,
        name=_text(version.get("name")) or "",
        base_model=_text(version.get("baseModel")),
        published_at=moment(version.get("publishedAt")),
        early_access_until=next((at for end in ends if (at := moment(end))), None),
        is_gated=bool(paid or any(ends)),
        trained_words=tuple(text for word in words if (text := _text(word)) is not None),
        nsfw_level=_count(version.get("nsfwLevel")),
        downloads=_count(stats.get("downloadCount")),
        likes=_count(stats.get("thumbsUpCount")),
        files=_distinct(files, lambda file: file.file_id),
        body=_body(version),
    )


def _file(entry: Any, place: str, unreadable: list[str]) -> File | None:
    file = _object(entry)
    file_id = _id(file, f"a file of {place}", unreadable)
    if file_id is None:
        return None
    hashes = _object(file.get("hashes"))
    return File(
        file_id=file_id,
        name=_text(file.get("name")) or "",
        type=_text(file.get("type")),
        format=_text(_object(file.get("metadata")).get("format")) or _text(file.get("format")),
        size_bytes=_size_bytes(file.get("sizeKB")),
        sha256=_hexadecimal(hashes.get("SHA256")),
        autov2=_hexadecimal(hashes.get("AutoV2")),
        autov3=_hexadecimal(hashes.get("AutoV3")),
        is_primary=file.get("primary") is True,
        version_id=ids_of_url(_text(file.get("downloadUrl")) or "").version_id,
    )


def _body(item: Mapping[str, Any]) -> dict[str, Any]:
    """The members of an object that are stored, as long as there is room."""
    body: dict[str, Any] = {}
    room = MAX_BODY_CHARS
    for name, value in item.items():
        if name not in _NOT_STORED:
            member = {clean.text(name): clean.json_value(value)}
            size = len(json.dumps(member))
            if size <= room:
                body |= member
                room -= size
    return body


def _distinct(items: Iterable[_T | None], key: Callable[[_T], int]) -> tuple[_T, ...]:
    """The items without None; of several with one id, the first."""
    found: dict[int, _T] = {}
    for item in items:
        if item is not None:
            found.setdefault(key(item), item)
    return tuple(found.values())


def _cursor(value: Any) -> str | None:
    """An opaque text or number as text. None or an empty text ends the list.

    Raises:
        ShapeError: It cannot be sent back as it came. That is not the end of the list.
    """
    if value is None:
        return None
    text = _text(value, MAX_CURSOR_CHARS)
    # A cleaned cursor would be another place in the list.
    if text is None or (isinstance(value, str) and text != value):
        raise ShapeError(f"its cursor {clean.quote(value)} cannot be sent back")
    return text or None


def _count(value: Any, least: int = 0) -> int | None:
    """A 64-bit integer of at least `least`. Text and floats without a fraction are accepted."""
    as_text = isinstance(value, str) and _INTEGER.fullmatch(value.strip())
    if as_text or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if least <= value <= MAX_INT64 else None


def _id(item: Mapping[str, Any], what: str, unreadable: list[str]) -> int | None:
    """The id of an object; one that is not usable is named in `unreadable`."""
    found = _count(item.get("id"), least=1)
    if found is None:
        unreadable.append(f"{what} has no usable id: {clean.quote(item.get('id'))}")
    return found


def _size_bytes(kib: Any) -> int | None:
    """A size in KiB as bytes, rounded."""
    if isinstance(kib, bool):
        return None
    try:
        size = float(kib) * 1024
    except (TypeError, ValueError, OverflowError):
        return None
    return round(size) if 0 <= size <= MAX_INT64 // 2 else None


def _text(value: Any, most: int = MAX_NAME_CHARS) -> str | None:
    """Text that both databases can store; a number is text too. None beyond `most` characters."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        value = str(value)
    return clean.text(value) if isinstance(value, str) and len(value) <= most else None


def _names(value: Any) -> tuple[str, ...]:
    """The distinct texts of a list, or the names of its objects."""
    found = (entry.get("name") if isinstance(entry, dict) else entry for entry in _list(value))
    return tuple(dict.fromkeys(text for name in found if (text := _text(name)) is not None))


def _hexadecimal(value: Any) -> str | None:
    """The digits of a hash, in upper case."""
    digits = value.strip().upper() if isinstance(value, str) else ""
    return digits if _HEX.fullmatch(digits) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
