"""Files at an address that a person names: a page or a download of Civitai, or any https address."""

import re
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from crawler.errors import UsageError
from crawler.http import Http, HttpSettings, Meter, RequestError, read_header
from crawler.http.addresses import is_loopback_host
from crawler.http.ranges import DEFAULT_FIRST_BYTES
from crawler.http.retry import with_retries
from crawler.model import Fetched, File, Model, Outcome, Target, Version
from crawler.safetensors.reader import needed_bytes
from crawler.sources.civitai.client import DEFAULT_MAX_HEADER_BYTES, Civitai, origin_of

#: How often an address is asked before it is given up.
_TRIES = 3

#: Longest response to the question which model a version belongs to, in bytes.
_MAX_VERSION_BYTES = 8 * 1024 * 1024

_ID = re.compile(r"[0-9]{1,18}")

#: What a status of any server says about a file.
_OUTCOMES = {
    401: Outcome.LOGIN_REQUIRED,
    403: Outcome.FORBIDDEN,
    404: Outcome.NOT_FOUND,
    410: Outcome.NOT_FOUND,
}


@dataclass(frozen=True, slots=True)
class Place:
    """What an address of the site points at; None where it does not say."""

    model_id: int | None = None
    version_id: int | None = None
    file_id: int | None = None


async def read_address(address: str, settings: HttpSettings) -> Fetched:
    """The header of the file at an address; never more of the file than that.

    A page without a version means the newest published version that has a file, a version its
    primary file. Addresses of other sites are asked without any key, and only over https unless
    they are on this machine.

    Args:
        address: Begins with http:// or https://.
        settings: Of the site's API, with its key.

    Raises:
        SiteError: The site is out of reach, or refuses us and not this file.
        UsageError: The settings make no sense.
    """
    try:
        parts = urlsplit(address)
        if "@" in parts.netloc:
            return _refused(Outcome.FAILED, "an address must hold no user and no password")
        local = is_loopback_host(parts.hostname)
        origin_of(f"{parts.scheme}://{parts.netloc}")
    except (ValueError, UsageError):
        return _refused(Outcome.FAILED, "it is no address")
    place = place_of(address, settings.api_url)
    if place is not None:
        return await _from_site(place, settings)
    if not address.lower().startswith("https://") and not local:
        return _refused(Outcome.FAILED, "only https addresses are read")
    return await _from_anywhere(address)


def place_of(address: str, api_url: str) -> Place | None:
    """What an address of the site points at; None for an address of another site.

    Raises:
        UsageError: `address` or `api_url` is no address of a server.
    """
    parts = urlsplit(address)
    if origin_of(f"{parts.scheme}://{parts.netloc}") != origin_of(api_url):
        return None
    query = parse_qs(parts.query)
    match [part for part in parts.path.split("/") if part]:
        case ["api", "download", "models", version, *_]:
            return Place(version_id=_id([version]), file_id=_id(query.get("fileId")))
        case ["api", "v1", "models", model] | ["models", model, *_]:
            return Place(model_id=_id([model]), version_id=_id(query.get("modelVersionId")))
        case ["api", "v1", "model-versions", version] | ["model-versions", version, *_]:
            return Place(version_id=_id([version]))
    return Place()


async def _from_site(place: Place, settings: HttpSettings) -> Fetched:
    if place == Place():
        return _refused(Outcome.FAILED, "the address is neither a model's page nor a download")
    async with Civitai(settings) as source:
        if place.version_id is not None and place.file_id is not None:
            return await source.fetch(_target(place.version_id, place.file_id))
        model_id = place.model_id
        if model_id is None and place.version_id is not None:
            model_id = await _model_of(place.version_id, settings)
        model = None if model_id is None else await source.model(model_id)
        if model is None:
            return _refused(Outcome.NOT_FOUND, "the site has no such model")
        found = chosen_file(model, place.version_id)
        if found is None:
            return _refused(Outcome.NOT_FOUND, "the site lists no file there")
        version, file = found
        return await source.fetch(_target(version.version_id, file.file_id, file.name))


def chosen_file(model: Model, version_id: int | None) -> tuple[Version, File] | None:
    """The primary file of a version, of the newest published one that has files when None is named."""
    with_files = [
        version
        for version in model.versions
        if version.files and version_id in (None, version.version_id)
    ]
    if not with_files:
        return None
    newest = max(with_files, key=_age)
    return newest, max(newest.files, key=lambda file: file.is_primary)


def _age(version: Version) -> tuple[bool, float, int]:
    published = version.published_at
    return published is not None, published.timestamp() if published else 0.0, version.version_id


async def _model_of(version_id: int, settings: HttpSettings) -> int | None:
    """The model that a version belongs to, None when the site does not know it."""

    async def once() -> Any:
        path = f"/api/v1/model-versions/{version_id}"
        async with Http(settings) as http, http.api(path, compressed=True) as response:
            if response.status != 200:  # noqa: PLR2004  (OK)
                raise response.refusal()
            return msgspec.json.decode(await response.body(_MAX_VERSION_BYTES))

    try:
        found = await with_retries(once, tries=_TRIES, waits=settings.waits)
    except (RequestError, msgspec.MsgspecError):
        return None
    model_id = found.get("modelId") if isinstance(found, dict) else None
    return model_id if isinstance(model_id, int) else None


async def _from_anywhere(address: str) -> Fetched:
    parts = urlsplit(address)
    # Named as the API, a host may stand on this machine; the key stays out of these settings.
    settings = HttpSettings(
        api_url=f"{parts.scheme}://{parts.netloc}", rate=0, storage_hosts=("*",)
    )
    meter = Meter()
    async with Http(settings) as http:
        read = partial(
            read_header,
            partial(http.storage, address.partition("#")[0], meter=meter),
            first_bytes=DEFAULT_FIRST_BYTES,
            needed=needed_bytes,
            max_header=DEFAULT_MAX_HEADER_BYTES,
        )
        try:
            got = await with_retries(read, tries=_TRIES, waits=settings.waits)
        except RequestError as error:
            return _refused(_OUTCOMES.get(error.status or 0, Outcome.FAILED), error.cause)
    return Fetched(
        target=_target(0, 0),
        prefix=got.prefix,
        file_bytes=got.file_bytes,
        storage_requests=meter.storage_requests,
        bytes_read=meter.bytes_read,
    )


def _target(version_id: int, file_id: int, name: str = "") -> Target:
    return Target(file_id=file_id, version_id=version_id, file_name=name)


def _refused(outcome: Outcome, reason: str) -> Fetched:
    return Fetched(target=_target(0, 0), refusal=outcome, reason=reason)


def _id(texts: list[str] | None) -> int | None:
    return int(texts[0]) if texts and _ID.fullmatch(texts[0]) else None
