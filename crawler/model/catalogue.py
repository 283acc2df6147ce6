"""The contents of a site's list: Page > Model > Version > File."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

#: A month, for rates over time.
MONTH = timedelta(days=365.25 / 12)

#: The site's model types that are LoRAs.
LORA_TYPES = ("LORA", "LoCon", "DoRA")


class Order(StrEnum):
    """The orders in which a catalogue can be walked."""

    OLDEST = "oldest"
    MOST_DOWNLOADED = "most-downloaded"
    HIGHEST_RATED = "highest-rated"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """One list query: an order, filters, and one of the two maturity passes.

    Attributes:
        types: The site's model types, a union.
        base_models: As the site names them, a union; empty means all.
        mature: The maturity pass with `nsfw=true`. Neither pass lists everything: together they are
            the whole catalogue.
    """

    order: Order
    types: tuple[str, ...] = LORA_TYPES
    base_models: tuple[str, ...] = ()
    creator: str | None = None
    tag: str | None = None
    search: str | None = None
    mature: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One set of bytes at a URL.

    Attributes:
        file_id: The site's own id, positive; negative for a local file.
        name: The file name as the site gives it.
        type: The site's name for its type (`Model`, `Training Data`, `VAE` …).
        format: The format that the site names (`SafeTensor`, `PickleTensor` …), None when it names none.
        size_bytes: As the site gives it, rounded from KiB; None when it gives none.
        sha256: In upper-case hexadecimal digits; None until the site has hashed the file.
        autov2: The first 10 digits of `sha256`, as the site gives them.
        autov3: The first digits of the SHA-256 of the bytes after the header.
        is_primary: Whether the site offers this file first.
        version_id: The version that its download URL names, None when it names none. The files of a
            version may include one of another version.
    """

    file_id: int
    name: str
    type: str | None = None
    format: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    autov2: str | None = None
    autov3: str | None = None
    is_primary: bool = False
    version_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One published version of a model. Times are in UTC, with a time zone.

    Attributes:
        is_gated: The site lists it as not open to everybody, with or without a known end.
        body: The site's JSON for this version without pictures, cleaned for both databases.
    """

    version_id: int
    name: str
    base_model: str | None = None
    published_at: datetime | None = None
    early_access_until: datetime | None = None
    is_gated: bool = False
    trained_words: tuple[str, ...] = ()
    nsfw_level: int | None = None
    downloads: int | None = None
    likes: int | None = None
    files: tuple[File, ...] = ()
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model of the site with all its versions.

    Attributes:
        type: `LORA`, `LoCon` or `DoRA`.
        creator: The user name, None when the site names none.
        nsfw_level: The site's bit mask: 1 PG, 2 PG-13, 4 R, 8 X, 16 XXX.
        downloads: Of all versions; None when the creator hides them.
        likes: Thumbs up of all versions; None when the creator hides them.
        mode: `Archived` or `TakenDown`, else None.
        body: The site's JSON without versions and pictures, cleaned like that of a version.
    """

    model_id: int
    name: str
    type: str | None = None
    creator: str | None = None
    tags: tuple[str, ...] = ()
    nsfw: bool | None = None
    nsfw_level: int | None = None
    downloads: int | None = None
    likes: int | None = None
    mode: str | None = None
    versions: tuple[Version, ...] = ()
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One reply of a list.

    Attributes:
        models: May be empty before the end of the list; only a missing cursor is the end.
        next_cursor: Opaque; None at the end.
        unreadable: One sentence for each item that was skipped because it has no usable id.
        left_out: One clause for each place that the site fails to list, and why.
    """

    models: tuple[Model, ...]
    next_cursor: str | None
    unreadable: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorState:
    """One maturity pass of a walk, between two runs.

    Attributes:
        cursor: The next page; None at the beginning. Of an ended pass, its last page.
        pass_number: How many times the walk has started from the beginning, from 1.
        ended: The pass has reached the end of the list.
        began_at: When the pass began; None when unknown.
        refreshing: The pass reads known models again.
    """

    cursor: str | None
    pass_number: int
    ended: bool
    began_at: datetime | None = None
    refreshing: bool = False


def likes_per_month(likes: int | None, age: timedelta | None) -> float | None:
    """Likes per month of a model of this age, at least one month; None where one of them is unknown.

    The likes of the first week do not predict a month.
    """
    return None if likes is None or age is None else likes / max(age / MONTH, 1.0)
