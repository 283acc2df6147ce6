"""One file's header from Civitai, for one counted download, and what a refusal means."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from http import HTTPStatus

import yarl

from crawler.errors import QuotaError, SiteError, UnreachableError
from crawler.http import HeaderBytes, Http, Meter, RequestError, Response, read_header
from crawler.http.addresses import followed
from crawler.http.client import REDIRECTS
from crawler.http.ranges import OpenRange
from crawler.http.retry import with_retries
from crawler.model import Fetched, Outcome, Target
from crawler.safetensors.reader import needed_bytes
from crawler.sources.civitai import refusals as words
from crawler.sources.civitai.payload import moment

#: How often a file is asked for before it is given up.
FILE_TRIES = 3

_FOUND = range(200, 300)

# Storage answers these to a signature that ran out, which a new link mends.
_STALE_LINK = frozenset({401, 403})

# Storage has no such file, or not yet everywhere.
_NO_FILE = frozenset({404, 410})

_LOGIN_PATH = re.compile(r"/login(?:/|$)", re.IGNORECASE)
_PAGE_PATH = re.compile(r"/(?:models|model-versions)/\d+(?:/|$)")

Asking = Callable[..., AbstractAsyncContextManager[Response]]


class Refusal(RequestError):  # noqa: N818 - a response of the site, not a fault of ours
    """The site gives no bytes of this file.

    Args:
        outcome: How the file ended.
        reason: In words.
        until: The end of early access, when the site names it.
        again: Whether another try in this run may help.
    """

    def __init__(
        self, outcome: Outcome, reason: str, *, until: datetime | None = None, again: bool = False
    ) -> None:
        super().__init__(reason, again=again)
        self.outcome = outcome
        self.until = until


@dataclass(frozen=True, slots=True)
class Reading:
    """How much of a file is read, in bytes: at first, and at most."""

    first_bytes: int
    max_header: int


async def fetch_header(
    http: Http, target: Target, reading: Reading, renew: Callable[[], bool] = lambda: True
) -> Fetched:
    """Ask for one file until its header is there, it is refused, or the tries are used up.

    A link, once resolved, is used for every request of this file; only one that storage calls stale
    is resolved again, once, if `renew` allows that.

    Raises:
        SiteError: The site is out of reach, or refuses us and not this file.
    """
    meter = Meter()
    link: str | None = None
    renewed = False
    tries = 0

    async def once() -> HeaderBytes:
        nonlocal link, renewed, tries
        tries += 1
        got = link or await _resolve(http, target, reading, meter)
        if isinstance(got, HeaderBytes):
            return got
        link = got
        ask = partial(http.storage, link, meter=meter, watch=partial(_no_page, http))
        try:
            return await _read(ask, reading)
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
                raise UnreachableError(http.base, error.cause, words.REACH_ADVICE) from None
            fetched = _refused(target, tries, error)
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


async def _resolve(http: Http, target: Target, reading: Reading, meter: Meter) -> str | HeaderBytes:
    """The signed address of a file, or its header where the API itself sends the bytes."""
    path = f"/api/download/models/{target.version_id}"
    ask = partial(http.api, path, [("fileId", str(target.file_id))])
    async with ask(span=(0, reading.first_bytes - 1)) as response:
        if response.status in REDIRECTS:
            return _link(response, http, path, meter)
        if response.status not in _FOUND:
            raise await _refusal(response, http.base + path)
        content_type = response.header("Content-Type").lower()
        if "html" in content_type or "json" in content_type:
            raise _no_file(http.base + path, content_type, await response.beginning())
        meter.counted_downloads += 1
        return await _read(_reopening(response, ask, meter), reading)


def _reopening(response: Response, ask: Asking, meter: Meter) -> OpenRange:
    """Ranges of a file that the API itself sends: the first is open, a further one is asked for."""

    @asynccontextmanager
    async def open_range(first: int, last: int) -> AsyncIterator[Response]:
        if first == 0:
            yield response
            return
        meter.counted_downloads += 1
        async with ask(span=(first, last)) as more:
            yield more

    return open_range


def _link(response: Response, http: Http, path: str, meter: Meter) -> str:
    """Where a redirect of the download link leads, if it leads to the file."""
    url = followed(response.location, yarl.URL(http.base + path))
    _no_page(http, url)
    meter.counted_downloads += 1
    return url


def _no_page(http: Http, url: str) -> None:
    """Raise the Refusal that an address is which shows a page in place of a file."""
    try:
        where = yarl.URL(url, encoded=True)
        own = where.origin() == http.api_url.origin() or where.host in words.SAME_SITE
    except ValueError:
        return  # refused when it is to be asked
    if _LOGIN_PATH.match(where.raw_path):
        raise Refusal(Outcome.LOGIN_REQUIRED, "the site asks for a login")
    if own and _PAGE_PATH.match(where.raw_path):
        raise Refusal(Outcome.EARLY_ACCESS, "the site shows the model's page in place of the file")


def _no_file(url: str, content_type: str, body: bytes) -> Refusal | SiteError:
    """What a response is that ends well and holds no file; a page that is no login is about us."""
    if words.is_page(content_type, body):
        if words.is_login_page(body):
            return Refusal(Outcome.LOGIN_REQUIRED, "the site shows a login page for the file")
        return words.blocked(url, HTTPStatus.OK, words.said(body))
    return Refusal(Outcome.FAILED, f"the site sends no file but {words.said(body) or 'an error'}")


async def _refusal(  # noqa: PLR0911 - one line for each row of the site's table of errors
    response: Response, url: str
) -> Refusal | RequestError | SiteError:
    """What an error of the download link means."""
    status, body = response.status, await response.beginning()
    text = words.said(body)
    match status:
        case HTTPStatus.UNAUTHORIZED if "disabled downloads" in text:
            return Refusal(Outcome.DOWNLOADS_DISABLED, text)
        case HTTPStatus.UNAUTHORIZED:
            return Refusal(Outcome.LOGIN_REQUIRED, text or "the site asks for a login")
        case HTTPStatus.NOT_FOUND:
            return Refusal(Outcome.NOT_FOUND, text or "the site has no such file", again=True)
        case HTTPStatus.GONE:
            return Refusal(Outcome.ARCHIVED, text or "archived")
        case HTTPStatus.TOO_MANY_REQUESTS if words.is_quota(text):
            return QuotaError(url, text, words.QUOTA_ADVICE)
        case HTTPStatus.FORBIDDEN:
            return _forbidden(body, text) or words.blocked(url, status, text)
        case HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS:
            return words.blocked(url, status, text)
    return _other(response, text)


def _other(response: Response, text: str) -> Refusal | RequestError:
    """An error that says nothing of this file in particular."""
    refused = response.refusal()
    if refused.again:
        return refused
    words_of_it = f": {text}" if text else ""
    return Refusal(Outcome.FAILED, f"the site answers {response.status}{words_of_it}")


def _forbidden(body: bytes, text: str) -> Refusal | None:
    """The refusal of a file in a 403; None when it refuses the client."""
    error = words.fields(body)
    if error.get("error") == "Early Access":
        until = moment(error.get("deadline"))
        end = f" until {until:%Y-%m-%d %H:%M} UTC" if until else ""
        return Refusal(Outcome.EARLY_ACCESS, f"in early access{end}", until=until)
    if "do not have access" in text or (error and error.get("error") != "Forbidden"):
        return Refusal(Outcome.FORBIDDEN, text)
    return None


async def _read(open_range: OpenRange, reading: Reading) -> HeaderBytes:
    return await read_header(
        open_range,
        first_bytes=reading.first_bytes,
        needed=needed_bytes,
        max_header=reading.max_header,
    )


def _refused(target: Target, tries: int, error: RequestError) -> Fetched:
    # A response that is final reads the same, whatever went wrong before it came.
    times = f" (tried {tries} times)" if error.again else ""
    return Fetched(
        target=target,
        refusal=error.outcome if isinstance(error, Refusal) else Outcome.FAILED,
        reason=error.cause + times,
        transient=error.again and not isinstance(error, Refusal),
        early_access_until=error.until if isinstance(error, Refusal) else None,
    )
