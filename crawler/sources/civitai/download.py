"""Read one file's header from Civitai, for one counted download.

The API answers the download URL with a redirect to a signed storage URL, which it counts. The ranges
of the file are then read from storage, all with the same signed URL. A file that cannot be read ends as
a Refusal, which names the outcome, or as a SiteError when the site refuses us and not the file.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from http import HTTPStatus

import yarl

from crawler.errors import QuotaError, SiteError, UnreachableError
from crawler.http import Http, Meter, RequestError, Response, read_header
from crawler.http.addresses import followed
from crawler.http.client import REDIRECTS
from crawler.http.ranges import OpenRange
from crawler.http.retry import with_retries
from crawler.model import Fetched, HeaderBytes, Outcome, Target
from crawler.model.site import is_site_host
from crawler.sources.civitai import refusals
from crawler.sources.civitai.payload import moment

#: Requests for a file before it has failed.
FILE_TRIES = 3

_SUCCESS = range(200, 300)

# Storage answers these to an expired signature, which a new link mends.
_STALE_LINK = frozenset({401, 403})

# Storage does not have the file, perhaps not yet.
_NO_FILE = frozenset({404, 410})

# What these statuses of the download URL say about the file, if the response has no text.
_FINAL = {
    401: (Outcome.LOGIN_REQUIRED, "the site asks for a login"),
    404: (Outcome.NOT_FOUND, "the site has no such file"),
    410: (Outcome.ARCHIVED, "archived"),
}

# Statuses by which the site usually refuses us and not the file.
_BLOCKED = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS})

_LOGIN_PATH = re.compile(r"/login(?:/|$)", re.IGNORECASE)
_PAGE_PATH = re.compile(r"/(?:models|model-versions)/\d+(?:/|$)")

#: Reads a header through a function that opens ranges.
_Read = Callable[[OpenRange], Awaitable[HeaderBytes]]


class Refusal(RequestError):  # noqa: N818 - the site's answer, not an error of ours
    """The site does not give this file.

    Args:
        outcome: How the file ended.
        reason: The same in words.
        until: The end of early access, if the site names it.
        again: Whether a retry in this run may help.
    """

    def __init__(
        self, outcome: Outcome, reason: str, *, until: datetime | None = None, again: bool = False
    ) -> None:
        super().__init__(reason, again=again)
        self.outcome = outcome
        self.until = until


async def fetch_header(
    http: Http, target: Target, *, first_bytes: int, max_header: int, renew: Callable[[], bool]
) -> Fetched:
    """Retry one file until its header is read, it is refused, or the tries are used up.

    Args:
        http: The client, open.
        target: The file.
        first_bytes: Length of the first range.
        max_header: Longest header that is read, in bytes.
        renew: Asked before an expired link is resolved again, once, for a second counted download.

    Raises:
        SiteError: The site cannot be reached, or refuses us and not this file.
    """
    meter = Meter()
    read = partial(read_header, first_bytes=first_bytes, max_header=max_header)
    link: str | None = None
    renewed = False
    tries = 0

    async def once() -> HeaderBytes:
        nonlocal link, renewed, tries
        tries += 1
        got = link or await _resolve(http, target, read, first_bytes, meter)
        if isinstance(got, HeaderBytes):
            return got
        link = got
        try:
            return await read(
                partial(http.storage, link, meter=meter, watch=partial(_refuse_web_page, http))
            )
        except RequestError as error:
            if error.status in _NO_FILE:
                raise Refusal(Outcome.NOT_FOUND, error.cause, again=True) from None
            if error.status not in _STALE_LINK or renewed:
                raise
            if not renew():
                raise Refusal(Outcome.PENDING, "a new link would cost a download") from None
            link, renewed = None, True
            raise RequestError(error.cause, after=0, status=error.status) from None

    try:
        try:
            got = await with_retries(once, tries=FILE_TRIES, waits=http.settings.waits)
            fetched = Fetched(target=target, prefix=got.prefix, file_bytes=got.file_bytes)
        except RequestError as error:
            if link is None and error.unreachable:
                raise UnreachableError(http.base, error.cause, refusals.REACH_ADVICE) from None
            fetched = _not_read(target, tries, error)
    except SiteError as error:
        error.counted_downloads = meter.counted_downloads
        raise
    return replace(
        fetched,
        tries=tries,
        counted_downloads=meter.counted_downloads,
        storage_requests=meter.storage_requests,
        bytes_read=meter.bytes_read,
    )


def _not_read(target: Target, tries: int, error: RequestError) -> Fetched:
    # A final refusal says nothing of tries: its text must not depend on failures before it.
    times = f" (tried {tries} times)" if error.again else ""
    refusal = error if isinstance(error, Refusal) else None
    return Fetched(
        target=target,
        refusal=Outcome.FAILED if refusal is None else refusal.outcome,
        reason=error.cause + times,
        transient=error.again and refusal is None,
        early_access_until=None if refusal is None else refusal.until,
    )


async def _resolve(
    http: Http, target: Target, read: _Read, first_bytes: int, meter: Meter
) -> str | HeaderBytes:
    """The signed URL of a file, or its header where the API itself sends the bytes."""
    path = f"/api/download/models/{target.version_id}"
    url = http.base + path
    ask = partial(http.api, path, [("fileId", str(target.file_id))])
    async with ask(span=(0, first_bytes - 1)) as response:
        if response.status in REDIRECTS:
            link = followed(response.location, yarl.URL(url))
            _refuse_web_page(http, link)
            meter.counted_downloads += 1
            return link
        if response.status not in _SUCCESS:
            raise await _refusal(response, url)
        content_type = response.header("Content-Type").lower()
        if "html" in content_type or "json" in content_type:
            raise _not_a_file(url, content_type, await response.beginning())
        meter.counted_downloads += 1
        return await read(_ranges_of_api(response, ask, meter))


def _ranges_of_api(
    response: Response, ask: Callable[..., AbstractAsyncContextManager[Response]], meter: Meter
) -> OpenRange:
    """Ranges of a file that the API itself sends: the first is open, another is a new request."""

    @asynccontextmanager
    async def open_range(first: int, last: int) -> AsyncIterator[Response]:
        if first == 0:
            yield response
            return
        meter.counted_downloads += 1
        async with ask(span=(first, last)) as more:
            yield more

    return open_range


def _refuse_web_page(http: Http, url: str) -> None:
    """Raise Refusal if the URL is a web page, not a file."""
    try:
        where = yarl.URL(url, encoded=True)
        on_site = where.origin() == http.api_url.origin() or is_site_host(where.host or "")
    except ValueError:
        return  # The client refuses such a URL.
    if _LOGIN_PATH.match(where.raw_path):
        raise Refusal(Outcome.LOGIN_REQUIRED, "the site asks for a login")
    if on_site and _PAGE_PATH.match(where.raw_path):
        raise Refusal(Outcome.EARLY_ACCESS, "the site shows the model page instead of the file")


def _not_a_file(url: str, content_type: str, body: bytes) -> Refusal | SiteError:
    """What a successful response without a file means. An HTML page that is no login blocks us."""
    if not refusals.is_page(content_type, body):
        said = refusals.said(body) or "an error"
        return Refusal(Outcome.FAILED, f"the site sends no file but {said}")
    if refusals.is_login_page(body):
        return Refusal(Outcome.LOGIN_REQUIRED, "the site shows a login page instead of the file")
    return refusals.blocked(url, HTTPStatus.OK, refusals.said(body))


async def _refusal(response: Response, url: str) -> Refusal | RequestError | SiteError:
    """What an error status of the download URL means."""
    status, body = response.status, await response.beginning()
    text = refusals.said(body)
    if status == HTTPStatus.UNAUTHORIZED and "disabled downloads" in text:
        return Refusal(Outcome.DOWNLOADS_DISABLED, text)
    if status in _FINAL:
        outcome, reason = _FINAL[status]
        return Refusal(outcome, text or reason, again=outcome is Outcome.NOT_FOUND)
    if status == HTTPStatus.TOO_MANY_REQUESTS and refusals.is_quota(text):
        return QuotaError(url, text, refusals.QUOTA_ADVICE)
    if status in _BLOCKED:
        about_file = _forbidden(body, text) if status == HTTPStatus.FORBIDDEN else None
        return about_file or refusals.blocked(url, status, text)
    refused = response.refusal()
    if refused.again:
        return refused
    return Refusal(Outcome.FAILED, f"the site answers {status}" + (f": {text}" if text else ""))


def _forbidden(body: bytes, text: str) -> Refusal | None:
    """The refusal of a file by status 403; None when it refuses us."""
    error = refusals.fields(body)
    if error.get("error") == "Early Access":
        until = moment(error.get("deadline"))
        end = f" until {until:%Y-%m-%d %H:%M} UTC" if until else ""
        return Refusal(Outcome.EARLY_ACCESS, f"in early access{end}", until=until)
    if "do not have access" in text or (error and error.get("error") != "Forbidden"):
        return Refusal(Outcome.FORBIDDEN, text)
    return None
