"""Read one file's header from Civitai, for one counted download.

The API answers the download URL with a redirect to a signed storage URL, which it counts. The ranges
of the file are then read from storage, all with the same signed URL. A file that cannot be read ends as
a Refusal, which names the outcome, or as a SiteError when the site refuses all our requests.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from http import HTTPStatus

import yarl

from crawler.errors import QuotaError, SiteError, UnreachableError
from crawler.http import Http, Meter, RequestError, Response, read_header
from crawler.http.addresses import followed
from crawler.http.client import REDIRECTS
from crawler.http.ranges import HeaderTooLongError, OpenRange
from crawler.http.retry import HurriedError, SlowError
from crawler.model import Fetched, HeaderBytes, Outcome, Target
from crawler.model.site import is_site_host
from crawler.sources.civitai import refusals
from crawler.sources.civitai.payload import moment

#: Requests for a file before it has failed.
FILE_TRIES = 3

#: Seconds of failed requests for a file before it has failed, without the waits between them: two
#: answers that never end.
FILE_PATIENCE = 60.0

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

# The Cache-Control of a 404 about this file. While the site cannot find any file, it is another.
_DEFINITE = "no-store, max-age=0"

#: Redirects followed from one download URL of the site to another.
MAX_SITE_HOPS = 3

_DOWNLOAD_PATH = re.compile(r"/api/download/")
_LOGIN_PATH = re.compile(r"/login(?:/|$)", re.IGNORECASE)
_PAGE_PATH = re.compile(r"/(?:models|model-versions)/\d+(?:/|$)")


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
    """The header of one file, or its refusal; retried while that may help.

    The first range has `first_bytes`. `renew` is asked once at most, as `Source.fetch` describes. A
    failure that may be the site's is `transient`.

    Raises:
        SiteError: The site cannot be reached, or refuses all requests, not only this file.
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
                raise Refusal(Outcome.PENDING, error.cause) from None
            link, renewed = None, True
            raise RequestError(error.cause, after=0, status=error.status) from None

    try:
        try:
            got = await http.retried(once, tries=FILE_TRIES, patience=FILE_PATIENCE)
            fetched = Fetched(target=target, prefix=got.prefix, file_bytes=got.file_bytes)
        except RequestError as error:
            if link is None and (error.unreachable or isinstance(error, SlowError)):
                about_all = UnreachableError if error.unreachable else SiteError
                raise about_all(http.base, error.cause, refusals.REACH_ADVICE) from None
            fetched = _not_read(target, tries, error)
    except SiteError as error:
        error.counted_downloads = meter.counted_downloads
        raise
    sender = link or (http.base if fetched.refusal is None else "")
    return replace(
        fetched,
        host=_host(sender),
        tries=tries,
        counted_downloads=meter.counted_downloads,
        storage_requests=meter.storage_requests,
        bytes_read=meter.bytes_read,
    )


def _host(url: str) -> str:
    """The host of a URL in lower case; empty if there is none."""
    try:
        return (yarl.URL(url, encoded=True).raw_host or "").lower()
    except ValueError:
        return ""


def _not_read(target: Target, tries: int, error: RequestError) -> Fetched:
    if isinstance(error, HurriedError):
        return Fetched(target=target, refusal=Outcome.PENDING, reason=error.cause)
    # The text of a final refusal does not count the tries, so that failures before it change nothing.
    times = f" (tried {tries} times)" if error.again else ""
    refusal = error if isinstance(error, Refusal) else Refusal(Outcome.FAILED, error.cause)
    # Where nothing says that it is about this file, it may be about all.
    named = refusal.outcome not in {Outcome.FAILED, Outcome.PENDING}
    return Fetched(
        target=target,
        refusal=refusal.outcome,
        reason=error.cause + times,
        transient=error.again or not (named or isinstance(error, HeaderTooLongError)),
        early_access_until=refusal.until,
    )


async def _resolve(
    http: Http,
    target: Target,
    read: Callable[[OpenRange], Awaitable[HeaderBytes]],
    first_bytes: int,
    meter: Meter,
    *,
    at: str | None = None,
    hops: int = MAX_SITE_HOPS,
) -> str | HeaderBytes:
    """The signed URL of a file, or its header if the API itself sends the bytes.

    `at` is the download URL to which the site redirected before.
    """
    path = f"/api/download/models/{target.version_id}"
    url = http.base + path if at is None else at
    ask = partial(http.api, path, [("fileId", str(target.file_id))], at=at)

    @asynccontextmanager
    async def open_range(first: int, last: int) -> AsyncIterator[Response]:
        """A range of a file that the API itself sends; the first one is open already."""
        meter.counted_downloads += 1
        if first == 0:
            yield response
            return
        async with ask(span=(first, last)) as more:
            yield more

    async with ask(span=(0, first_bytes - 1)) as response:
        if response.status in REDIRECTS:
            link = followed(response.location, yarl.URL(url, encoded=True))
            _refuse_web_page(http, link)
            if not _is_download(http, link):
                meter.counted_downloads += 1
                return link
        else:
            return await _sent_by_api(response, url, read, open_range)
    if not hops:
        raise Refusal(Outcome.FAILED, "the site redirects without end", again=True)
    return await _resolve(http, target, read, first_bytes, meter, at=link, hops=hops - 1)


async def _sent_by_api(
    response: Response,
    url: str,
    read: Callable[[OpenRange], Awaitable[HeaderBytes]],
    open_range: OpenRange,
) -> HeaderBytes:
    """The header of a file that the API itself sends; raises the error that it sends instead."""
    content_type = response.header("Content-Type").lower()
    is_file = "html" not in content_type and "json" not in content_type
    if response.status in _SUCCESS and is_file:
        return await read(open_range)
    body = await response.take(refusals.MAX_BYTES)
    refused = refusals.RefusedError(url, response.status, body, content_type)
    if response.status in _SUCCESS:
        raise _not_a_file(refused, body)
    raise _refusal(response, refused, body)


def _is_download(http: Http, url: str) -> bool:
    """Whether the site redirects to another of its own download URLs, not to storage.

    Raises:
        SiteError: It is on another host of the site, which does not get the key.
    """
    try:
        where = yarl.URL(url, encoded=True)
        on_api = where.origin() == http.api_url.origin()
    except ValueError:
        return False  # The client refuses this URL later.
    if not _DOWNLOAD_PATH.search(where.raw_path) or not (on_api or is_site_host(where.host or "")):
        return False
    if on_api or (http.settings.api_key is None and where.scheme == "https"):
        return True
    advice = f"Use its downloads: --api-url {where.origin()}"
    raise SiteError(http.base, f"redirects downloads to {where.origin()}", advice)


def _refuse_web_page(http: Http, url: str) -> None:
    """Raise Refusal if the URL is a web page, not a file."""
    try:
        where = yarl.URL(url, encoded=True)
        on_site = where.origin() == http.api_url.origin() or is_site_host(where.host or "")
    except ValueError:
        return  # The client refuses this URL later.
    if _LOGIN_PATH.match(where.raw_path):
        raise Refusal(Outcome.LOGIN_REQUIRED, "the site asks for a login")
    if on_site and _PAGE_PATH.match(where.raw_path):
        raise Refusal(Outcome.EARLY_ACCESS, "the site shows the model page instead of the file")


def _not_a_file(refused: refusals.RefusedError, body: bytes) -> Refusal | SiteError:
    """The error for a successful response without a file. Other HTML than a login page is a site error."""
    if not refused.is_page:
        return Refusal(Outcome.FAILED, f"the site sends no file but {refused.text or 'an error'}")
    if refusals.is_login_page(body):
        return Refusal(Outcome.LOGIN_REQUIRED, "the site shows a login page instead of the file")
    return refused


def _refusal(
    response: Response, refused: refusals.RefusedError, body: bytes
) -> Refusal | RequestError | SiteError:
    """The error for an error status of the download URL."""
    status, text = refused.status, refused.text
    if status == HTTPStatus.UNAUTHORIZED and "disabled downloads" in text:
        return Refusal(Outcome.DOWNLOADS_DISABLED, text)
    if status in _FINAL:
        return _final(response, refused)
    if refusals.is_quota(refused):
        return QuotaError(refused.url, text, refusals.QUOTA_ADVICE)
    if status in refusals.BLOCKED:
        about_file = _forbidden(body, text) if status == HTTPStatus.FORBIDDEN else None
        return about_file or refused
    failure = response.refusal()
    said = f"the site {refused.cause}"
    if failure.again:
        return RequestError(said, after=failure.after, status=status)
    return Refusal(Outcome.FAILED, said)


def _final(response: Response, refused: refusals.RefusedError) -> Refusal:
    """The refusal by a status that is about the file.

    A 404 may be about all files, and so may what is not the API's JSON, such as the page of a firewall.
    """
    outcome, reason = _FINAL[refused.status]
    said = refused.text or reason
    definite = response.header("Cache-Control").strip().lower() == _DEFINITE
    own = refused.is_api and (definite or outcome is not Outcome.NOT_FOUND)
    if own or outcome is Outcome.LOGIN_REQUIRED:
        return Refusal(outcome, said)
    return Refusal(outcome, f"the site answers {refused.status}: {said}", again=True)


def _forbidden(body: bytes, text: str) -> Refusal | None:
    """The refusal of a file by status 403; None if the site refuses all our requests."""
    error = refusals.fields(body)
    if error.get("error") == "Early Access":
        until = moment(error.get("deadline"))
        end = f" until {until:%Y-%m-%d %H:%M} UTC" if until else "; the site names no end"
        return Refusal(Outcome.EARLY_ACCESS, f"in early access{end}", until=until)
    if not error or error.get("error") == "Forbidden":
        return None
    return Refusal(Outcome.FORBIDDEN, text, again="do not have access" not in text)
