"""What is read of each table, and how each value is checked. Nothing that is not named here is read.

A reader returns the value to store, or raises UnfitError. The decoded settings, tags and problems of
the others are not read at all: they are made anew from the headers.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from crawler.decode import clean
from crawler.model import Outcome
from crawler.model.int64 import INT64
from crawler.share.source import Column

#: Longest text in bytes: that of a text of `clean.MAX_TEXT_CHARS`.
MAX_TEXT_BYTES = 4 * clean.MAX_TEXT_CHARS

#: Longest JSON in bytes. A crawl keeps a million characters of a model.
MAX_JSON_BYTES = 4 * 1024 * 1024

#: Bytes of a SHA-256.
DIGEST_BYTES = 32

#: How far the clock of another machine may be ahead.
CLOCK_SKEW = timedelta(days=1)

#: The column `site` of files that others may have too.
SITE = "civitai"

_HEX = re.compile("[0-9A-Fa-f]{1,64}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UnfitError(ValueError):
    """A value that cannot be stored; the text says why."""


Reader = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A column that is read, and what checks its values."""

    column: Column
    read: Reader


def tables(now: datetime, max_header: int) -> Mapping[str, Mapping[str, Field]]:
    """The columns that are read of each table; the first is the key.

    Args:
        now: When the import began: nothing can have been seen much later.
        max_header: Longest header in bytes. Compressed, it is at most a little longer.
    """
    identity = Field(Column("integer"), _identity)
    amount = Field(Column("integer"), _amount)
    truth = Field(Column("truth"), _truth)
    text = Field(Column("bytes", MAX_TEXT_BYTES), _text)
    names = Field(Column("bytes", MAX_JSON_BYTES), _names)
    body = Field(Column("bytes", MAX_JSON_BYTES), _body)
    digits = Field(Column("bytes", MAX_TEXT_BYTES), _digits)
    time = Field(Column("time", MAX_TEXT_BYTES), moment)
    blob = Field(Column("bytes", max_header + 1024), _blob)
    digest = Field(Column("bytes", DIGEST_BYTES), _digest)

    def seen(raw: Any) -> datetime:
        when = moment(raw)
        if when is None:
            raise UnfitError("it is missing")
        if when > now + CLOCK_SKEW:
            raise UnfitError(f"{when:%Y-%m-%d} is in the future")
        return when

    past = Field(Column("time", MAX_TEXT_BYTES), seen)
    perhaps = Field(Column("time", MAX_TEXT_BYTES), lambda raw: None if raw is None else seen(raw))
    listed = {"first_seen_at": past, "last_seen_at": past, "gone_at": perhaps}
    numbers = {"downloads": amount, "likes": amount}
    return {
        "models": {
            "model_id": identity,
            "site": Field(Column("bytes", MAX_TEXT_BYTES), _site),
            "name": text,
            "type": text,
            "creator": text,
            "tags": names,
            "nsfw": truth,
            "nsfw_level": amount,
            **numbers,
            "mode": text,
            "body": body,
            **listed,
        },
        "versions": {
            "version_id": identity,
            "model_id": identity,
            "name": text,
            "base_model": text,
            "published_at": time,
            "early_access_until": time,
            "trained_words": names,
            "nsfw_level": amount,
            **numbers,
            "body": body,
            **listed,
        },
        "stat_history": {"model_id": identity, "seen_at": past, **numbers},
        "loras": {
            "file_id": identity,
            "version_id": identity,
            "site": Field(Column("bytes", MAX_TEXT_BYTES), _site),
            "file_name": text,
            "is_primary": truth,
            "size_bytes": amount,
            "sha256": digits,
            "autov2": digits,
            "autov3": digits,
            "outcome": Field(Column("bytes", MAX_TEXT_BYTES), _outcome),
            "fetched_at": time,
            "gone_at": perhaps,
        },
        "tensor_lists": {"digest": digest, "data": blob},
        "headers": {
            "file_id": identity,
            "data": blob,
            "file_bytes": amount,
            "list_digest": Field(digest.column, lambda raw: None if raw is None else _digest(raw)),
            "list_start": amount,
        },
        "old_headers": {
            "file_id": identity,
            "data": blob,
            "file_bytes": amount,
            "replaced_at": past,
        },
    }


def read_row(fields: Mapping[str, Field], raw: Sequence[Any]) -> dict[str, Any]:
    """The values of a row by column.

    Raises:
        UnfitError: One of them cannot be stored; the text names the column.
    """
    row: dict[str, Any] = {}
    for (name, field), value in zip(fields.items(), raw, strict=True):
        try:
            if isinstance(value, list):
                raise UnfitError(f"{value[0]:,} bytes are too many")  # noqa: TRY301
            row[name] = field.read(value)
        except UnfitError as error:
            raise UnfitError(f"{name}: {error}") from None
    return row


def moment(raw: Any) -> datetime | None:
    """A time in UTC, from microseconds or an ISO text."""
    if raw is None:
        return None
    try:
        if isinstance(raw, int) and not isinstance(raw, bool):
            return _EPOCH + timedelta(microseconds=raw)
        text = _text(raw)
        when = datetime.fromisoformat(text or "")
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UnfitError(f"{clean.quote(_shown(raw))} is no time of the years 1 to 9999") from None


def _shown(raw: Any) -> Any:
    return raw.decode(errors="replace") if isinstance(raw, bytes) else raw


def _integer(raw: Any) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int) or raw not in INT64:
        raise UnfitError(f"{clean.quote(_shown(raw))} is no integer of 64 bits")
    return raw


def _identity(raw: Any) -> int:
    number = _integer(raw)
    if number <= 0:
        raise UnfitError(f"{number} is no id of a site")
    return number


def _amount(raw: Any) -> int | None:
    if raw is None:
        return None
    number = _integer(raw)
    if number < 0:
        raise UnfitError(f"{number} is negative")
    return number


def _truth(raw: Any) -> bool | None:
    if raw is None or isinstance(raw, bool):
        return raw
    raise UnfitError(f"{clean.quote(_shown(raw))} is neither true nor false")


def _text(raw: Any, most: int = MAX_TEXT_BYTES) -> str | None:
    if raw is None:
        return None
    try:
        text = raw.decode() if isinstance(raw, bytes) else raw
    except UnicodeDecodeError:
        raise UnfitError("it is no text in UTF-8") from None
    if not isinstance(text, str):
        raise UnfitError(f"{clean.quote(text)} is no text")
    if len(text) > most:
        raise UnfitError("it is too long")
    if clean.text(text) != text:
        raise UnfitError(f"{clean.quote(text)} has characters that cannot be stored")
    return text


def _site(raw: Any) -> str:
    text = _text(raw)
    if text != SITE:
        raise UnfitError(f"{clean.quote(text)} is another site")
    return text


def _outcome(raw: Any) -> Outcome:
    try:
        return Outcome(_text(raw) or "")
    except ValueError:
        raise UnfitError(f"{clean.quote(_shown(raw))} is no outcome") from None


def _digits(raw: Any) -> str | None:
    text = _text(raw)
    if text is not None and not _HEX.fullmatch(text):
        raise UnfitError(f"{clean.quote(text)} is no hash")
    return text


def _json(raw: Any) -> Any:
    text = _text(raw, MAX_JSON_BYTES)
    if text is None:
        return None
    try:
        value = json.loads(text, parse_int=_number)
    except (ValueError, RecursionError):
        raise UnfitError("it is no JSON") from None
    return clean.json_value(value)


def _number(digits: str) -> int | float:
    number = int(digits)
    return number if number in INT64 else float(digits)


def _body(raw: Any) -> dict[str, Any] | None:
    value = _json(raw)
    if value is not None and not isinstance(value, dict):
        raise UnfitError("it is no JSON object")
    return value


def _names(raw: Any) -> list[str] | None:
    value = _json(raw)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise UnfitError("it is no list of texts")
    return value


def _blob(raw: Any) -> bytes:
    if not isinstance(raw, bytes):
        raise UnfitError("it is missing" if raw is None else f"{clean.quote(raw)} is no bytes")
    return raw


def _digest(raw: Any) -> bytes:
    digest = _blob(raw)
    if len(digest) != DIGEST_BYTES:
        raise UnfitError(f"{len(digest)} bytes are no SHA-256")
    return digest
