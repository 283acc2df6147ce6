"""Recorded replies and recorded headers, served by the same endpoints as made-up ones."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from crawler.errors import UsageError
from crawler.model import Outcome
from crawler.sandbox.dates import DAY, milliseconds
from crawler.sandbox.entries import SETTLED, Body, Content, Sort, Traits, Upload
from crawler.sandbox.faults import Faults
from crawler.sandbox.recordings import Recording, read_recordings

_UNDATED = "2023-01-01"  # for a model whose versions tell no time
_SORT_KEYS = {
    Sort.MOST_DISCUSSED: "commentCount",
    Sort.MOST_COLLECTED: "favoriteCount",
    Sort.MOST_DOWNLOADED: "downloadCount",
}
_LIKES = ("thumbsUpCount", "favoriteCount")  # the newer name, and the one of 2023


class Replay:
    """A catalogue of recorded models, each file of which holds one of the recorded headers.

    Args:
        bodies: A JSON file with recorded models in `items`.
        headers: A folder of recorded headers; see `crawler.sandbox.recordings`.
        faults: What goes wrong on the network; by default nothing.

    Raises:
        UsageError: A file cannot be read, or there is nothing in it.
    """

    def __init__(self, bodies: Path, headers: Path, faults: Faults | None = None) -> None:
        self._faults = faults or Faults.plain()
        self._items = sorted(_read_items(bodies), key=lambda item: int(item["id"]))
        self._recordings = read_recordings(headers)
        self._traits = [_traits(item) for item in self._items]
        self._times = [_last_version_at(item) for item in self._items]
        self._models = {item["id"]: place for place, item in enumerate(self._items)}
        self._versions = {
            version["id"]: place
            for place, item in enumerate(self._items)
            for version in item["modelVersions"]
        }
        self._uploads = {
            version["id"]: _uploads(item, version)
            for item in self._items
            for version in item["modelVersions"]
        }
        self._files = {it.file_id: it for uploads in self._uploads.values() for it in uploads}

    def __len__(self) -> int:
        return len(self._items)

    @property
    def faults(self) -> Faults:
        """What goes wrong on the network."""
        return self._faults

    @property
    def now(self) -> int:
        """The day after the last publication, milliseconds of Unix time."""
        return max(self._times) + DAY

    @property
    def creators(self) -> AbstractSet[str]:
        """Every user name, in lower case."""
        return {traits.creator.lower() for traits in self._traits if traits.creator}

    @property
    def tags(self) -> AbstractSet[str]:
        """Every tag of models, in lower case."""
        return {tag.lower() for traits in self._traits for tag in traits.tags}

    @property
    def in_time_order(self) -> bool:
        """Recorded ids do not ascend with the time of the last version."""
        return False

    @property
    def restless(self) -> AbstractSet[int]:
        """Nothing moves in a recording."""
        return frozenset()

    @property
    def settled_after(self) -> int:
        """A recording never changes."""
        return 0

    def resting_at(self, index: int) -> int:
        """The same as `last_version_at`."""
        return self._times[index]

    def last_version_at(self, index: int, tick: int = SETTLED) -> int:  # noqa: ARG002 - never moves
        """When a model last had a new version, milliseconds of Unix time."""
        return self._times[index]

    def traits(self, index: int) -> Traits:
        """What one model is filtered by."""
        return self._traits[index]

    def counts(self, index: int, sort: Sort, tick: int = SETTLED) -> tuple[int, int]:  # noqa: ARG002
        """The two numbers that an order by statistics compares."""
        item = self._items[index]
        stats: Mapping[str, Any] = item.get("stats") or {}
        likes = next((stats[key] for key in _LIKES if stats.get(key) is not None), 0)
        if sort is Sort.MOST_IMAGES:
            return sum(len(version["images"]) for version in item["modelVersions"]), likes
        if sort in _SORT_KEYS:
            return stats.get(_SORT_KEYS[sort]) or 0, likes
        return likes, stats.get("downloadCount") or 0

    def item(self, index: int, origin: str, tick: int = SETTLED) -> Mapping[str, Any]:  # noqa: ARG002
        """One model as it was recorded, with links that begin with `origin`."""
        item = self._items[index]
        versions = [_relinked(version, origin) for version in item["modelVersions"]]
        return {**item, "modelVersions": versions}

    def find_model(self, model_id: int) -> int | None:
        """The position of a model."""
        return self._models.get(model_id)

    def find_version(self, version_id: int) -> int | None:
        """The position of the model that a version belongs to."""
        return self._versions.get(version_id)

    def find_file(self, file_id: int) -> Upload | None:
        """A file by its id."""
        return self._files.get(file_id)

    def uploads(self, version_id: int) -> tuple[Upload, ...]:
        """The files of a version; empty when there is no such version."""
        return self._uploads.get(version_id, ())

    def recording(self, file_id: int) -> Recording:
        """Which recorded header a file got."""
        return self._recordings[file_id % len(self._recordings)]

    def content(self, upload: Upload) -> Content:
        """The bytes of a file."""
        return self.recording(upload.file_id).content


def _read_items(bodies: Path) -> Sequence[Mapping[str, Any]]:
    try:
        reply = msgspec.json.decode(bodies.read_bytes(), type=dict[str, Any])
        items: list[dict[str, Any]] = reply["items"]
    except (OSError, KeyError, msgspec.MsgspecError) as error:
        raise UsageError(f"{bodies} holds no recorded reply: {error}") from error
    if not items:
        raise UsageError(f"{bodies} holds no models")
    return items


def _traits(item: Mapping[str, Any]) -> Traits:
    versions = item["modelVersions"]
    level = item.get("nsfwLevel", 4 if item.get("nsfw") else 1)
    return Traits(
        model_id=item["id"],
        name=item["name"],
        type=item["type"],
        base_models=tuple({it["baseModel"]: None for it in versions if it.get("baseModel")}),
        creator=(item.get("creator") or {}).get("username"),
        tags=tuple(item.get("tags", ())),
        level=level,
        minor=bool(item.get("minor")),
        real_person=bool(item.get("poi")),
        mode=item.get("mode"),
    )


def _last_version_at(item: Mapping[str, Any]) -> int:
    times = [
        version.get("publishedAt") or version.get("createdAt") or _UNDATED
        for version in item["modelVersions"]
    ]
    return max(map(milliseconds, times or [_UNDATED]))


def _uploads(item: Mapping[str, Any], version: Mapping[str, Any]) -> tuple[Upload, ...]:
    return tuple(
        Upload(
            file_id=file["id"],
            version_id=version["id"],
            user_id=item.get("userId", 0),
            name=file["name"],
            type=file.get("type", "Model"),
            format=(file.get("metadata") or {}).get("format") or "Other",
            fp=(file.get("metadata") or {}).get("fp"),
            body=Body.REAL,
            primary=bool(file.get("primary")),
            refusal=_refusal(item),
        )
        for file in version["files"]
    )


def _refusal(item: Mapping[str, Any]) -> Outcome | None:
    if item.get("poi"):
        return Outcome.NOT_FOUND
    return Outcome.ARCHIVED if item.get("mode") == "Archived" else None


def _relinked(version: Mapping[str, Any], origin: str) -> dict[str, Any]:
    body = dict(version)
    if "downloadUrl" in body:
        body["downloadUrl"] = _moved(body["downloadUrl"], origin)
    body["files"] = [
        {**file, "downloadUrl": _moved(file["downloadUrl"], origin)}
        if "downloadUrl" in file
        else file
        for file in version["files"]
    ]
    return body


def _moved(link: str, origin: str) -> str:
    parts = urlsplit(link)
    return f"{origin}{parts.path}" + (f"?{parts.query}" if parts.query else "")
