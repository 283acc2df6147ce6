"""The two hosts: the API with its list, models and links to files, and storage behind these links."""

import asyncio
import re
import secrets
from bisect import bisect_left
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from itertools import islice
from math import inf
from operator import itemgetter
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from crawler.model import Outcome
from crawler.sandbox.catalogue import Catalogue, Content, Rank, Sort, rank_of, refusal_of
from crawler.sandbox.drawing import (
    KINDS,
    MODEL_TAGS,
    Body,
    SiteFile,
    SiteModel,
    SiteVersion,
    slug,
)
from crawler.sandbox.faults import Counters, FaultSchedule

_MOST_PER_PAGE = 100
_DOWNLOADS = "/api/download/models/"
_EARLY_ACCESS_ENDS = "2099-12-31T12:00:00.000Z"  # far enough for every test
_FORMATS = {"safetensors": "SafeTensor", "pt": "PickleTensor"}
_REFUSALS: Mapping[Outcome, tuple[int, str, str]] = {  # status, `error`, `message`
    Outcome.NOT_FOUND: (404, "File not found", ""),
    Outcome.ARCHIVED: (410, "Model archived, not available for download", ""),
    Outcome.DOWNLOADS_DISABLED: (
        401, "Unauthorized", "The creator of this asset has disabled downloads on this file",
    ),
    Outcome.LOGIN_REQUIRED: (
        401, "Unauthorized", "The creator of this asset requires you to be logged in to download it",
    ),
    Outcome.FORBIDDEN: (403, "You do not have access to download this file", ""),
    Outcome.EARLY_ACCESS: (403, "Early Access", "This asset is in Early Access."),
}  # fmt: skip
_DEFINITE = "no-store, max-age=0"  # Cache-Control of a refusal of this file
_PASSING = "private, no-store"  # of a 404 for a file that is there
_QUOTA = "We've noticed an unusual amount of downloading from your account. Come back later."
_REGION = "Access to this service is not available in your region due to legal restrictions."
_CHUNK_BYTES = 64 * 1024  # sent at a time: bodies have hundreds of megabytes
_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{0,18})")  # up to 18 digits fit into 64 bits


@dataclass(slots=True, kw_only=True)
class Site:
    """A sandbox that runs: what both hosts know, and the endpoints of the API."""

    catalogue: Catalogue  # what is served now
    schedule: FaultSchedule
    counters: Counters
    storage_url: str  # where links to files begin
    links: dict[str, int] = field(default_factory=dict)  # path and query of each, and its file
    key: str  # the only valid API key

    def routes(self) -> list[Route]:
        """Every endpoint at its path."""
        return [
            Route("/api/v1/models", self._models),
            Route("/api/v1/models/{id:int}", self._model),
            Route("/api/v1/me", self._me),
            Route("/api/v1/enums", self._enums),
            Route(f"{_DOWNLOADS}{{id:int}}", self._download),
        ]

    def trouble(self, request: Request) -> Response | None:
        """The error response that a fault causes; None if no fault occurs."""
        schedule, subject = self.schedule, str(request.url)
        self.counters.api_requests += 1
        if request.url.path.startswith(_DOWNLOADS):
            subject = f"file {request.query_params.get('fileId')}"
        if schedule.faults.region_blocked:
            self.counters.injected["region_blocked"] += 1
            return _json({"error": _REGION, "code": "REGION_BLOCKED"}, 451)
        if schedule.fails("html_reply", subject):
            return HTMLResponse("<html><body>Be back in a few minutes...</body></html>")
        if schedule.fails("edge_block", subject):
            return PlainTextResponse("error code: 1010", 403)
        if schedule.fails("busy", subject):
            body = {"error": "Model search is temporarily overloaded - please retry."}
            return _json(body, 503, {"Retry-After": "0"})
        if schedule.fails("server_error", subject):
            status = (500, 502, 504)[len(subject) % 3]
            return HTMLResponse(f"<html><title>{status}</title>cloudflare</html>", status)
        return None

    async def _models(self, request: Request) -> Response:
        """One page of the list.

        A model that is not listed is left out after the page is cut, so pages run short.
        """
        self.counters.lists += 1
        query, catalogue = request.query_params, self.catalogue
        try:
            limit = int(query.get("limit", _MOST_PER_PAGE))
            sort = Sort(query.get("sort", Sort.OLDEST))
            floor = _floor(sort, query.get("cursor"))
        except ValueError as error:
            return _json({"message": f"Invalid limit, sort or cursor: {error}"}, 400)
        creator = query.get("username")
        if creator is not None and all(model.creator != creator for model in catalogue.models):
            return _json({"message": "User not found"}, 404)
        ranked = catalogue.orders[sort]
        behind = islice(ranked, bisect_left(ranked, floor, key=itemgetter(0)), None)
        found = (model for _rank, model in behind if _matches(model, query))
        chosen, following = list(islice(found, limit)), next(found, None)
        shown = [model for model in chosen if model.listed]
        bases, metadata = query.getlist("baseModels"), {}
        if following is not None:
            metadata["nextCursor"] = "|".join(map(str, rank_of(following, sort)))
        items = [self._item(model, request, bases) for model in shown]
        return _json({"items": items, "metadata": metadata})

    async def _model(self, request: Request) -> Response:
        for model in self.catalogue.models:
            if model.model_id == request.path_params["id"]:
                return _json(self._item(model, request))
        return _json({"error": "No model with this id"}, 404)

    async def _me(self, request: Request) -> Response:
        if not self._has_key(request):
            return _json({"error": "Unauthorized"}, 401)
        return _json({"id": 1, "username": "sandbox", "tier": "free", "status": "active"})

    async def _enums(self, _request: Request) -> Response:
        versions = (version for model in self.catalogue.models for version in model.versions)
        names = {version.base_model for version in versions if version.base_model}
        return _json({"BaseModel": sorted(names)})

    async def _download(self, request: Request) -> Response:
        quota = self.schedule.faults.quota
        self.counters.resolutions += 1
        if quota is not None and self.counters.downloads >= quota:
            self.counters.injected["quota"] += 1
            return _json({"error": _QUOTA}, 429)
        place = self.catalogue.files.get(int(request.query_params.get("fileId", 0)))
        if place is None or place.version.version_id != request.path_params["id"]:
            return _refusal(Outcome.NOT_FOUND)
        file, subject = place.file, f"file {place.file.file_id}"
        refusal = refusal_of(file, key=self._has_key(request))
        if refusal is not None:
            switch = {Outcome.NOT_FOUND: "gone"}.get(refusal, str(refusal))
            self.schedule.refused(switch, subject)
            return _refusal(refusal)
        if self.schedule.fails("lost_file", subject):
            return _refusal(Outcome.NOT_FOUND, _PASSING)
        self.counters.counted[file.file_id] += 1
        # set by hand: RedirectResponse would quote the link once more
        return Response(status_code=307, headers={"Location": new_link(self, file)})

    def _has_key(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"Bearer {self.key}"

    def _item(
        self, model: SiteModel, request: Request, base_models: Collection[str] = ()
    ) -> dict[str, Any]:
        """A model with its versions, those of `base_models` alone when there are any."""
        return {
            "id": model.model_id,
            "name": model.name,
            "description": f"<p>{model.name}, made for the sandbox.</p>",
            "allowCommercialUse": ["Image", "RentCivit"],
            "type": model.type,
            "minor": model.minor,
            "nsfw": not model.level & 1,
            "nsfwLevel": model.level,
            "stats": {"downloadCount": model.downloads, "thumbsUpCount": model.likes},
            "creator": {"username": model.creator, "image": None},
            "tags": list(model.tags),
            "modelVersions": [
                self._version_body(model, version, request)
                for version in model.versions
                if not base_models or version.base_model in base_models
            ],
        }

    def _version_body(
        self, model: SiteModel, version: SiteVersion, request: Request
    ) -> dict[str, Any]:
        time = version.published_at.isoformat(timespec="milliseconds")
        published_at = time.replace("+00:00", "Z")
        early = version.files[0].refusal is Outcome.EARLY_ACCESS
        url = f"{request.url.scheme}://{request.url.netloc}{_DOWNLOADS}{version.version_id}"
        return {
            "id": version.version_id,
            "name": f"v{version.version_id % 32 + 1}.0",
            "baseModel": version.base_model,
            "publishedAt": published_at,
            "nsfwLevel": model.level,
            "trainedWords": [version.trigger],
            "paidAccess": {"endsAt": _EARLY_ACCESS_ENDS} if early else None,
            "stats": {"downloadCount": model.downloads // 2, "thumbsUpCount": model.likes // 2},
            "files": [
                self._file_body(file, url) | ({"primary": True} if file is version.files[0] else {})
                for file in version.files
            ],
            "images": [{"url": f"https://image.sandbox.invalid/{version.version_id}.jpeg"}],
            "downloadUrl": url,
        }

    def _file_body(self, file: SiteFile, version_url: str) -> dict[str, Any]:
        catalogue = self.catalogue
        whole, weights = catalogue.digest(file, "file"), catalogue.digest(file, "weights")
        hashes = {"SHA256": whole, "AutoV2": whole[:10], "AutoV3": weights[:12]}
        return {
            "id": file.file_id,
            "sizeKB": catalogue.size_of(file.file_id) / 1024,
            "name": file.name,
            "type": file.type,
            "metadata": {"format": _FORMATS.get(file.name.rpartition(".")[2], "Other")},
            "hashes": {name: it.upper() for name, it in hashes.items()},
            "downloadUrl": f"{version_url}?fileId={file.file_id}",
        }


def new_link(site: Site, file: SiteFile) -> str:
    """A signed link to a file.

    It contains many percent signs on purpose: a client that changes a byte of it gets a 403.
    """
    stem, _dot, suffix = file.name.rpartition(".")
    name = quote(f'attachment; filename="{file.name}"', safe="")
    target = (
        f"/model/{quote(slug(stem))}.{file.file_id}.{suffix}?X-Amz-Expires=86400"
        f"&response-content-disposition={name}&X-Amz-Credential=SANDBOX%2Fs3%2Faws4_request"
        f"&X-Amz-SignedHeaders=host&X-Amz-Signature={secrets.token_hex()}"
    )
    site.links[target] = file.file_id
    return site.storage_url + target


def _floor(sort: Sort, cursor: str | None) -> Rank:
    """The lowest rank of the page after a cursor.

    Raises:
        ValueError: It is not a cursor.
    """
    if cursor is None:
        return (-inf, 0, 0)
    first, second, model_id = map(float, cursor.split("|"))
    # `Oldest` repeats every model of this time, because its cursor has no id
    return (first, 0, 0) if sort is Sort.OLDEST else (first, second, int(model_id))


def _matches(model: SiteModel, query: QueryParams) -> bool:
    """Whether a model matches the filters of a request. A tag that no model has is ignored."""
    types, bases, tag = query.getlist("types"), query.getlist("baseModels"), query.get("tag")
    ids = query.get("ids")
    return (
        (ids is None or str(model.model_id) in ids.split(","))
        and model.in_pass(mature=query.get("nsfw") == "true")
        and (not types or model.type in types)
        and (not bases or any(version.base_model in bases for version in model.versions))
        and (tag not in (*KINDS, *MODEL_TAGS) or tag in model.tags)
        and query.get("username") in (None, model.creator)
        and query.get("query", "").lower() in model.name.lower()
    )


def _refusal(outcome: Outcome, cache_control: str = _DEFINITE) -> Response:
    status, error, message = _REFUSALS[outcome]
    until = {"deadline": _EARLY_ACCESS_ENDS} if outcome is Outcome.EARLY_ACCESS else {}
    body = {"error": error, "message": message or error} | until
    return _json(body, status, {"Cache-Control": cache_control})


def _json(
    body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")


async def stored_file(site: Site, request: Request) -> Response:
    """The response to a request for a file. The link must be valid, and no API key may be sent."""
    site.counters.storage_requests += 1
    target = f"{request.scope['raw_path'].decode()}?{request.scope['query_string'].decode()}"
    if "authorization" in request.headers or site.key in target:
        site.counters.key_leaks += 1
        return _storage_error(400, "InvalidRequest")
    place = site.catalogue.files.get(site.links.get(target, 0))
    if place is None or request.method != "GET":
        return _storage_error(403, "SignatureDoesNotMatch")
    subject = f"file {place.file.file_id}"
    for fault, code in (("expired_link", "ExpiredRequest"), ("storage_forbidden", "Forbidden")):
        if site.schedule.spoils_link(fault, subject):
            return _storage_error(403, code)
    if site.schedule.fails("storage_busy", subject):
        return _storage_error(503, "SlowDown")
    if place.file.body is not Body.TRAINED:
        site.counters.injected[place.file.body] += 1
    asked = request.headers.get("range", "")
    if asked and site.schedule.happens("whole_file", subject):
        asked = ""
    return _part(site, subject, site.catalogue.content(place), asked)


def _part(site: Site, subject: str, content: Content, asked: str) -> Response:
    """The bytes that a `Range` header asks for; anything but one range means the whole file."""
    match, size = _RANGE.fullmatch(asked), content.size
    start, end = (int(match[1]), min(int(match[2] or size) + 1, size)) if match else (0, size)
    if match and start >= end:
        return _storage_error(416, "InvalidRange", {"Content-Range": f"bytes */{size}"})
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(end - start)}
    if match:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    body = _chunks(site, subject, content, range(start, end))
    media_type = "binary/octet-stream"
    return StreamingResponse(body, 206 if match else 200, headers, media_type)


async def _chunks(site: Site, subject: str, content: Content, span: range) -> AsyncIterator[bytes]:
    """The bytes of a reply; ending early makes the server close the connection."""
    stalls = site.schedule.fails("stall", subject)
    if stalls or site.schedule.fails("cut_body", subject):
        span = span[: len(span) // 2]
    for at in range(span.start, span.stop, _CHUNK_BYTES):
        stop = min(at + _CHUNK_BYTES, span.stop)
        yield content.part(at, stop)
        site.counters.bytes_sent += stop - at
        site.counters.most_sent = max(site.counters.most_sent, stop - span.start)
        # sending to a client that has left returns at once, and would hide that it has left
        await asyncio.sleep(0)
    if stalls:
        await asyncio.sleep(site.schedule.faults.stall_seconds)


def _storage_error(status: int, code: str, headers: dict[str, str] | None = None) -> Response:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code></Error>'
    return Response(text, status, headers, media_type="application/xml")
