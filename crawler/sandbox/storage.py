"""The storage host: signed links, ranges, and bytes that are made while they are sent."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from crawler.sandbox.catalogue import Catalogue, Content
from crawler.sandbox.drawing import Body, SiteFile, slug
from crawler.sandbox.faults import Counters, FaultSchedule

_CHUNK_BYTES = 64 * 1024  # sent at a time: bodies have hundreds of megabytes
_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{0,18})")  # up to 18 digits fit into 64 bits


@dataclass(slots=True, kw_only=True)
class Site:
    """What both hosts know while a sandbox runs."""

    catalogue: Catalogue  # what is served now
    schedule: FaultSchedule
    counters: Counters
    storage_url: str  # where links to files begin
    links: dict[str, int] = field(default_factory=dict)  # path and query of each, and its file
    key: str  # the only valid API key


def subject_of(file: SiteFile) -> str:
    """What requests for a file, on either host, are about."""
    return f"file {file.file_id}"


def new_link(site: Site, file: SiteFile) -> str:
    """A signed link to a file.

    It is full of percent signs on purpose: a client that rewrites a byte of it gets a 403.
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


async def answer(site: Site, request: Request) -> Response:
    """A file or a part of it, to a client that brings a good link and no API key."""
    site.counters.storage_requests += 1
    target = f"{request.scope['raw_path'].decode()}?{request.scope['query_string'].decode()}"
    if "authorization" in request.headers or site.key in target:
        site.counters.key_leaks += 1
        return _error(400, "InvalidRequest")
    place = site.catalogue.files.get(site.links.get(target, 0))
    if place is None or request.method != "GET":
        return _error(403, "SignatureDoesNotMatch")
    subject = subject_of(place.file)
    for fault, code in (("expired_link", "ExpiredRequest"), ("storage_forbidden", "Forbidden")):
        if site.schedule.spoils_link(fault, subject):
            return _error(403, code)
    if site.schedule.fails("storage_busy", subject):
        return _error(503, "SlowDown")
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
        return _error(416, "InvalidRange", {"Content-Range": f"bytes */{size}"})
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


def _error(status: int, code: str, headers: dict[str, str] | None = None) -> Response:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code></Error>'
    return Response(text, status, headers, media_type="application/xml")
