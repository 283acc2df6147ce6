"""A drawn model as the list of August 2026 shows it: keys, their order, and what may be null."""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any
from urllib.parse import quote

from crawler.sandbox.chance import dice_for, happens, hexadecimal
from crawler.sandbox.contents import drawn_from, sha256, weights_sha256
from crawler.sandbox.dates import iso
from crawler.sandbox.drawing import Drawing
from crawler.sandbox.entries import Traits, Upload
from crawler.sandbox.faults import Faults
from crawler.sandbox.releases import Release

_ITEMS = 400  # a place of its own for `mix`
_LICENCES: tuple[Any, ...] = ([], "{Image,RentCivit}", "Sell", "None")
# What a version may leave open
_NOTHING: Mapping[str, Any] = {
    "baseModelType": None,
    "publishedAt": None,
    "trainedWords": [],
    "stats": {"downloadCount": None, "thumbsUpCount": 0, "thumbsDownCount": 0},
}
_UNKNOWN_YET = ("SHA256", "AutoV2", "AutoV3")  # hashes that a scan finds
_IMAGES = "https://image.sandbox.invalid"  # nothing ever answers there


def comments(likes: int) -> int:
    """How often a model with so many thumbs up was talked about."""
    return likes // 20


def item(
    drawing: Drawing,
    index: int,
    *,
    traits: Traits,
    counts: tuple[int, int],
    releases: Sequence[Release],
    size_bytes: Callable[[Upload], int],
    origin: str,
) -> dict[str, Any]:
    """One model with all its versions; links to files begin with `origin`."""
    faults = drawing.faults
    dice = dice_for(drawing.seed, _ITEMS, index)
    hidden, sparse = happens(dice, faults.hidden_stats), happens(dice, faults.sparse)
    downloads, likes = counts
    licence: Any = ["Image", "RentCivit"]
    if happens(dice, faults.odd_licence):
        licence = dice.choice(_LICENCES)
    body: dict[str, Any] = {
        "id": traits.model_id,
        "name": traits.name,
        "description": None if sparse else f"<p>{traits.name}, trained for the sandbox.</p>",
        "allowNoCredit": True,
        "allowCommercialUse": licence,
        "allowDerivatives": True,
        "allowDifferentLicense": True,
        "type": traits.type,
        "minor": traits.minor,
        "sfwOnly": traits.minor,
        "poi": traits.real_person,
        "nsfw": not traits.level & 1,
        "nsfwLevel": traits.level,
        "availability": "Public",
        "userId": drawing.creator_id(index),
        "baseModels": list(traits.base_models),
        "cosmetic": None,
        "supportsGeneration": True,
    }
    if traits.mode is not None:
        body["mode"] = traits.mode
    body["stats"] = {
        "downloadCount": None if hidden else downloads,
        "thumbsUpCount": likes,
        "thumbsDownCount": likes // 50,
        "commentCount": comments(likes),
        "tippedAmountCount": None if hidden else 0,
    }
    if traits.creator is not None:
        shown = happens(dice, 0.8) and not sparse
        picture = f"{_IMAGES}/{traits.creator}.jpeg" if shown else None
        body["creator"] = {"username": traits.creator, "image": picture}
    body["tags"] = list(traits.tags)
    versions: list[dict[str, Any]] = []
    body["modelVersions"] = versions
    for number, release in enumerate(releases):
        # its own, so that one more version changes nothing of the others
        dice = dice_for(drawing.seed, _ITEMS, index, release.version_id)
        version = _version(dice, traits, release, number)
        if sparse:
            version |= _NOTHING
        archived = traits.mode == "Archived"
        link = f"{origin}/api/download/models/{release.version_id}"
        files = [
            _file(drawing, dice, upload, size_bytes(upload))
            | _stamp(dice, faults, release, upload, link)
            for upload in (() if archived else release.uploads)
        ]
        files = [_unscanned(it) if happens(dice, faults.unscanned) else it for it in files]
        version["files"] = [it | {"metadata": {}} for it in files] if sparse else files
        taken_down = traits.mode == "TakenDown"
        version["images"] = [] if taken_down else [_image(drawing.seed, release, traits)]
        if not archived:
            version["downloadUrl"] = link
        versions.append(version)
    return body


def _version(dice: Random, traits: Traits, release: Release, number: int) -> dict[str, Any]:
    deadline = next((upload.early_access_until for upload in release.uploads), None)
    until = None if deadline is None else deadline.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    downloads = dice.randint(1, 500)
    body: dict[str, Any] = {
        "id": release.version_id,
        "index": number,
        "name": release.name,
        "baseModel": release.base_model,
        "baseModelType": "Standard",
        "publishedAt": iso(release.published_at),
        "flags": 0,
        "availability": "Public" if release.listed else "Unsearchable",
        "nsfwLevel": traits.level,
        "description": None,
        "trainedWords": list(release.trained_words),
        "vaeId": None,
    }
    if until is not None:
        body["earlyAccessDeadline"] = until
    body["paidAccess"] = None if until is None else {"permanent": False, "endsAt": until}
    body["stats"] = {
        "downloadCount": downloads,
        "thumbsUpCount": downloads // 9,
        "thumbsDownCount": 0,
    }
    body["supportsGeneration"] = True
    return body


def _file(drawing: Drawing, dice: Random, upload: Upload, size: int) -> dict[str, Any]:
    seed, file_id = drawing.seed, upload.file_id
    whole, weights = sha256(seed, upload), weights_sha256(seed, upload).upper()
    number = drawn_from(upload)
    hashes = {
        "AutoV1": hexadecimal(8, seed, _ITEMS, number, 1).upper(),
        "AutoV2": whole[:10],
        "SHA256": whole,
        "CRC32": hexadecimal(8, seed, _ITEMS, number, 2).upper(),
        "BLAKE3": hexadecimal(64, seed, _ITEMS, number, 3).upper(),
        "AutoV3": weights[:12],
    }
    metadata = {"format": upload.format}
    if upload.fp is not None:
        metadata |= {"size": "full", "fp": upload.fp}
    if happens(dice, drawing.faults.wrong_size):
        size += size // 10
    return {
        "id": file_id,
        "sizeKB": size / 1024,
        "name": upload.name,
        "overrideName": None,
        "type": upload.type,
        "metadata": metadata,
        "hashes": {} if happens(dice, drawing.faults.no_hashes) else hashes,
    }


def _stamp(
    dice: Random, faults: Faults, release: Release, upload: Upload, link: str
) -> dict[str, Any]:
    """What the site itself adds to a file: its scans, its link, its rank among the files."""
    scanned_at = iso(release.published_at)
    body: dict[str, Any] = {
        "pickleScanResult": "Success",
        "pickleScanMessage": None,
        "virusScanResult": "Success",
        "virusScanMessage": None,
        "scannedAt": scanned_at[:-1] if happens(dice, faults.naive_time) else scanned_at,
        "downloadUrl": link if upload.type == "Model" else f"{link}?type={quote(upload.type)}",
    }
    if upload.primary:
        body["primary"] = True
    return body


def _unscanned(file: Mapping[str, Any]) -> dict[str, Any]:
    hashes = {name: it for name, it in file["hashes"].items() if name not in _UNKNOWN_YET}
    pending = {"pickleScanResult": "Pending", "virusScanResult": "Pending", "scannedAt": None}
    return {**file, **pending, "hashes": hashes}


def _image(seed: int, release: Release, traits: Traits) -> dict[str, Any]:
    number = release.version_id * 20
    return {
        "id": number,
        "url": f"{_IMAGES}/{hexadecimal(32, seed, _ITEMS, number)}/{number}.jpeg",
        "nsfwLevel": traits.level & -traits.level,
        "width": 832,
        "height": 1216,
        "hash": "U00000fQfQfQfQfQfQfQfQfQfQfQ",
        "type": "image",
        "minor": False,
        "poi": False,
        "hasMeta": True,
        "hasPositivePrompt": True,
        "onSite": False,
        "remixOfId": None,
    }
