"""The storage host: signed links, ranges, and bytes that are made while they are sent."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from crawler.sandbox.downloads import is_browser
from crawler.sandbox.entries import Body, Content, Upload
from crawler.sandbox.faults import Faults
from crawler.sandbox.luck import Luck, subject_of_file
from crawler.sandbox.ranges import Span, span
from crawler.sandbox.signing import BadLinkError, Signer, is_b2_target
from crawler.sandbox.tally import Tally
from crawler.sandbox.world import World

_CHUNK_BYTES = 64 * 1024  # sent at a time: bodies have hundreds of megabytes
_ORDINARY = (Body.TRAINED, Body.REAL)
_BAD_LINK = "the link is not, or no longer, good"
_UNWELCOME = ("Forbidden", "this client is not welcome")
_TOOLS = ("curl", "wget")  # what the edge lets through besides browsers


@dataclass(frozen=True, slots=True)
class _Parcel:
    """Which bytes of which file are to be sent."""

    subject: str
    name: str
    content: Content
    part: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """What the storage host needs to answer.

    Attributes:
        key: The API key, to see whether it leaks.
    """

    world: World
    faults: Faults
    signer: Signer
    tally: Tally
    luck: Luck
    key: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as an ASGI application."""
        self.tally.count("storage_requests")
        headers = Headers(scope=scope)
        target = scope["raw_path"] + b"?" + scope["query_string"]
        if "authorization" in headers or self.key.encode() in target:
            self.tally.count("key_leaks")
        found = self._judge(scope["method"], headers, target)
        if isinstance(found, Response):
            await found(scope, receive, send)
            return
        start = {
            "type": "http.response.start",
            "status": 206 if found.part.partial else 200,
            "headers": _headers(found).raw,
        }
        await send(start)
        await self._send(found, receive, send)

    def _judge(self, method: str, headers: Headers, target: bytes) -> Response | _Parcel:
        """An error, or what is to be sent."""
        if "authorization" in headers:
            return _error(400, "InvalidRequest", "Missing x-amz-content-sha256")
        if method != "GET":
            return _error(403, "SignatureDoesNotMatch", "the method is signed, too")
        agent = headers.get("user-agent", "")
        if self.faults.agent_rules and is_b2_target(target) and not _welcome(agent):
            self.tally.inject("agent_rules")
            return _error(403, *_UNWELCOME)
        try:
            upload = self.signer.checked(self.world.stock, target, time.time())
        except BadLinkError as error:
            return _error(403, str(error), _BAD_LINK)
        subject = subject_of_file(upload.file_id)
        return self._trouble(subject) or self._parcel(subject, upload, headers.get("range"))

    def _parcel(self, subject: str, upload: Upload, asked: str | None) -> Response | _Parcel:
        if asked and self.luck.happens(self.faults.whole_file, "whole_file", subject):
            asked = None
        if upload.body not in _ORDINARY:
            self.tally.inject(upload.body.value)
        content = self.world.stock.content(upload)
        part = span(asked, content.size)
        if part is None:
            unmet = _error(416, "InvalidRange", "there are no such bytes")
            unmet.headers["Content-Range"] = f"bytes */{content.size}"
            return unmet
        return _Parcel(subject, upload.name, content, part)

    def _trouble(self, subject: str) -> Response | None:
        """What goes wrong with a good request for a file, None when nothing does."""
        faults, luck = self.faults, self.luck
        if luck.spoils_link(faults.expired_link, "expired_link", subject):
            return _error(403, "ExpiredRequest", _BAD_LINK)
        if luck.spoils_link(faults.storage_forbidden, "storage_forbidden", subject):
            return _error(403, *_UNWELCOME)
        if luck.strikes(faults.storage_busy, "storage_busy", subject):
            return _error(503, "SlowDown", "please reduce your request rate")
        return None

    async def _send(self, parcel: _Parcel, receive: Receive, send: Send) -> None:
        part, subject = parcel.part, parcel.subject
        stalls = self.luck.strikes(self.faults.stall, "stall", subject)
        cut = stalls or self.luck.strikes(self.faults.cut_body, "cut_body", subject)
        place, end = part.start, (part.start + part.end) // 2 if cut else part.end
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            while not gone.done():
                stop = min(place + _CHUNK_BYTES, end)
                body = parcel.content.part(place, stop)
                more = cut or stop < end
                await send({"type": "http.response.body", "body": body, "more_body": more})
                self.tally.sent(stop - place, stop - part.start)
                place = stop
                # sending to who has left returns at once, and would keep the news of it out
                await asyncio.sleep(0)
                if place >= end:  # asked only now: an empty file is sent, too
                    break
            if stalls:
                await asyncio.wait((gone,), timeout=self.faults.stall_seconds)
        finally:
            # returning with bytes owed makes the server close the connection: that is the cut
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _headers(parcel: _Parcel) -> Headers:
    part = parcel.part
    values = {
        "Content-Type": "binary/octet-stream",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(parcel.name)}",
        "Accept-Ranges": "bytes",
        "Content-Length": str(part.end - part.start),
    }
    if part.partial:
        values["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{parcel.content.size}"
    return Headers(values)


def _welcome(agent: str) -> bool:
    return is_browser(agent) or any(tool in agent.lower() for tool in _TOOLS)


def _error(status: int, code: str, message: str) -> Response:
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    )
    return Response(text, status, media_type="application/xml")
