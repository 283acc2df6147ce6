"""Read one file's header from a URL that the user gives: of Civitai, or of any https server."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from crawler.errors import UsageError
from crawler.http import Http, HttpSettings, Meter, RequestError, read_header
from crawler.http.addresses import is_loopback_host
from crawler.http.ranges import DEFAULT_FIRST_BYTES
from crawler.http.retry import with_retries
from crawler.model import Fetched, File, Model, Outcome, Target, Version
from crawler.model.site import UrlIds, ids_of_url
from crawler.sources.civitai.client import DEFAULT_MAX_HEADER_BYTES, Civitai, origin_of
from crawler.sources.civitai.download import FILE_TRIES

#: Parameters by which a download URL of the site names a further file of a version, besides `fileId`.
_FILTERS = frozenset({"type", "format", "size", "fp", "quantType"})

#: What the status of any server says about a file.
_OUTCOMES = {
    401: Outcome.LOGIN_REQUIRED,
    403: Outcome.FORBIDDEN,
    404: Outcome.NOT_FOUND,
    410: Outcome.NOT_FOUND,
}


async def read_url(url: str, settings: HttpSettings) -> Fetched:
    """The header of the file at a URL.

    A model page means its newest published version that has files, and a version its primary file,
    unless the URL names the type, format, size or precision of another. The settings are those of the
    site's API; their key goes to the site alone. Other servers need https, except on this machine.

    Raises:
        SiteError: The site cannot be reached or refuses us.
        UsageError: The settings are invalid.
    """
    try:
        parts = urlsplit(url)
        if "@" in parts.netloc:
            return _refused(Outcome.FAILED, "a URL must not contain a user or a password")
        local = is_loopback_host(parts.hostname)
        origin = origin_of(f"{parts.scheme}://{parts.netloc}")
    except (ValueError, UsageError):
        return _refused(Outcome.FAILED, "it is not a URL")
    if origin == origin_of(settings.api_url):
        filters = {name: value for name, value in parse_qsl(parts.query) if name in _FILTERS}
        return await _from_site(ids_of_url(url), filters, settings)
    if not url.lower().startswith("https://") and not local:
        return _refused(Outcome.FAILED, "only https URLs are read")
    return await _from_anywhere(url, f"{parts.scheme}://{parts.netloc}")


async def _from_site(ids: UrlIds, filters: Mapping[str, str], settings: HttpSettings) -> Fetched:
    if ids == UrlIds():
        return _refused(Outcome.FAILED, "the URL is neither a model page nor a download")
    async with Civitai(settings) as source:
        if ids.version_id is not None and ids.file_id is not None:
            return await source.fetch(_target(ids.version_id, ids.file_id))
        model_id = ids.model_id
        if model_id is None and ids.version_id is not None:
            model_id = await source.model_of_version(ids.version_id)
            if model_id is None:
                return _refused(Outcome.NOT_FOUND, "the site has no such version")
        model = None if model_id is None else await source.model(model_id)
        if model is None:
            return _refused(Outcome.NOT_FOUND, "the site has no such model")
        found = chosen_file(model, ids.version_id, filters)
        if found is None:
            return _refused(Outcome.NOT_FOUND, "the site lists no such file there")
        version, file = found
        return await source.fetch(_target(version.version_id, file.file_id, file.name))


def chosen_file(
    model: Model, version_id: int | None, filters: Mapping[str, str] | None = None
) -> tuple[Version, File] | None:
    """The primary file of a version; for None, of the newest published version that has files.

    With filters, the first file of that version to which they apply.
    """
    with_files = [
        one for one in model.versions if one.files and version_id in (None, one.version_id)
    ]
    if not with_files:
        return None
    never = datetime.min.replace(tzinfo=UTC)
    newest = max(with_files, key=lambda one: (one.published_at or never, one.version_id))
    files = [file for file in newest.files if filters is None or _fits(newest, file, filters)]
    return (newest, max(files, key=lambda file: file.is_primary)) if files else None


def _fits(version: Version, file: File, filters: Mapping[str, str]) -> bool:
    """Whether a file has the type, format, size and precision that the filters name."""
    traits: dict[str, Any] = {}
    for one in version.body.get("files") or ():
        if isinstance(one, dict) and one.get("id") == file.file_id:
            metadata = one.get("metadata")
            traits |= metadata if isinstance(metadata, dict) else {}
    traits["type"] = file.type
    return all(str(traits.get(name)).lower() == value.lower() for name, value in filters.items())


async def _from_anywhere(url: str, server: str) -> Fetched:
    # The server takes the place of the API, so that it may be this machine. No key is in these settings.
    settings = HttpSettings(api_url=server, rate=0, storage_hosts=("*",))
    meter = Meter()
    async with Http(settings) as http:
        read = partial(
            read_header,
            partial(http.storage, url.partition("#")[0], meter=meter),
            first_bytes=DEFAULT_FIRST_BYTES,
            max_header=DEFAULT_MAX_HEADER_BYTES,
        )
        try:
            got = await with_retries(read, tries=FILE_TRIES, waits=settings.waits)
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
