"""Civitai's public API as a source: lists, models, and the headers of files."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Self, TypeVar

import yarl

from crawler.decode import clean
from crawler.errors import (
    CursorError,
    LoginError,
    QuotaError,
    ReplyError,
    SiteError,
    UnreachableError,
    UsageError,
)
from crawler.http import FirstRange, Http, HttpSettings, RequestError, Response
from crawler.http.addresses import api_address, followed
from crawler.http.client import REDIRECTS
from crawler.http.retry import Hold, HurriedError, SlowError, Turn
from crawler.model import Fetched, ListQuery, Model, Order, Outcome, Page, Target
from crawler.model.site import SITE_URL, is_site_host
from crawler.sources.base import PAGE_MODELS
from crawler.sources.civitai import payload, refusals
from crawler.sources.civitai.download import fetch_header

#: Requests for a list or a model before the site counts as failing.
LIST_TRIES = 5

#: Seconds of failed requests for a list before the site counts as failing, without the waits between
#: them: three answers that never end.
LIST_PATIENCE = 100.0

#: Requests for a part of a page. The whole page was tried LIST_TRIES times before.
PART_TRIES = 2

#: Redirects of the API followed in a row.
MAX_REDIRECTS = 3

#: Names of tags that are asked for, to find those like an unknown one.
MAX_TAGS = 100

#: Refusals in a row by the API's firewall before one is believed. It changes its decision often.
REFUSALS_IN_A_ROW = 3

#: Longest reply of a list, in bytes, uncompressed; a page of 100 models has about 5 MB.
MAX_LIST_BYTES = 32 * 1024 * 1024

#: Longest header that is read unless the user says otherwise, in bytes.
DEFAULT_MAX_HEADER_BYTES = 32 * 1024 * 1024

#: The site's ids are 32-bit; it answers larger ones with a validation error.
MAX_ID = 2**31 - 1

#: Statuses that are about all requests, not about one page.
_BUSY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})

_SORT = {
    Order.OLDEST: "Oldest",
    Order.MOST_DOWNLOADED: "Most Downloaded",
    Order.HIGHEST_RATED: "Highest Rated",
}

_T = TypeVar("_T")


def origin_of(api_url: str) -> str:
    """The spelling of an API's URL that a database stores; the site's hosts are one API.

    Raises:
        UsageError: It is not the URL of an API.
    """
    url = api_address(api_url)
    return SITE_URL if is_site_host(url.raw_host or "") else str(url).rstrip("/")


class Civitai:
    """The site, open between `async with`.

    Every method raises SiteError when the site cannot be reached or refuses us.

    Args:
        max_header: Longest header that is read, in bytes.
        seen: Known header lengths by base model, so that the first range fits.
        turn: As in `Http`.
        hold: The same.
        tell: Gets a sentence before each retry of a request to the API.

    Raises:
        UsageError: The settings are invalid.
    """

    def __init__(
        self,
        settings: HttpSettings,
        *,
        max_header: int = DEFAULT_MAX_HEADER_BYTES,
        seen: Mapping[str | None, Iterable[int]] | None = None,
        turn: Turn | None = None,
        hold: Hold | None = None,
        tell: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._http = Http(settings, turn=turn, hold=hold, tell=tell)
        self.origin = origin_of(settings.api_url)
        self._max_header = max_header
        self._first_range = FirstRange(seen)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._http.__aexit__(*error)

    def hurry(self) -> None:
        """The run is stopping: end every wait at once, and what is in flight in some seconds."""
        self._http.hurry()

    async def page(self, ask: ListQuery, cursor: str | None, *, limit: int = PAGE_MODELS) -> Page:
        """The first `limit` models at `cursor`, or of the list for None.

        Raises:
            UsageError: The site does not know the creator, or refuses a filter.
            CursorError: The site does not accept the cursor (any more).
            ReplyError: The site fails to give this page.
        """
        tries = LIST_TRIES if limit == PAGE_MODELS else PART_TRIES
        parameters = _parameters(ask, cursor, limit)
        try:
            return await self._json("/api/v1/models", payload.page, parameters, tries=tries)
        except refusals.RefusedError as error:
            if error.status == HTTPStatus.NOT_FOUND and error.is_api and ask.creator is not None:
                raise UsageError(f"the site has no creator {ask.creator!r}") from None
            if error.status != HTTPStatus.BAD_REQUEST:
                raise
            if cursor is not None and "cursor" in error.text.lower():
                raise CursorError(error.url, error.text, "Start the list again.") from None
            said = error.text or "answers 400"
            raise UsageError(f"the site does not accept this request: {said}") from None

    async def models_by_id(self, model_ids: Sequence[int]) -> tuple[Model, ...]:
        """Those of at most PAGE_MODELS models that the site lists, in any order, archived ones too."""
        ids = ",".join(map(str, model_ids))
        parameters = (
            ("ids", ids),
            ("limit", str(PAGE_MODELS)),
            ("nsfw", "true"),
            ("archived", "true"),
        )
        return (await self._json("/api/v1/models", payload.page, parameters)).models

    async def model(self, model_id: int) -> Model | None:
        """One model with all its versions; None when the site has no such model."""
        return await self._by_id("/api/v1/models", model_id, payload.model)

    async def model_of_version(self, version_id: int) -> int | None:
        """The id of the model that a version belongs to; None when the site has no such version."""
        return await self._by_id("/api/v1/model-versions", version_id, payload.model_id)

    async def me(self) -> str | None:
        """The user name that the key belongs to; None when the site does not accept the key.

        It is the first request of a run: without an answer it fails within `Timeouts.contact`.
        """
        try:
            return await self._json("/api/v1/me", payload.user_name, first=True)
        except refusals.RefusedError as error:
            if error.status == HTTPStatus.UNAUTHORIZED:
                return None
            raise

    async def refuses_key(self) -> bool:
        """Whether the site says that it does not know the key; any other answer is no.

        It is the first request of a run, with or without a key: it is answered at once, while a page
        of the list may take half a minute.

        Raises:
            UnreachableError: There is no answer within `Timeouts.contact`.
        """

        async def once() -> int:
            async with self._http.api("/api/v1/me") as response:
                return response.status

        try:
            status = await self._http.first(once)
        except RequestError as error:
            raise UnreachableError(self._http.base, error.cause, refusals.REACH_ADVICE) from None
        return self._http.settings.api_key is not None and status == HTTPStatus.UNAUTHORIZED

    async def base_models(self) -> tuple[str, ...]:
        """The names of all base models of the site; empty when it does not give them."""
        try:
            return await self._json("/api/v1/enums", payload.base_models)
        except refusals.RefusedError:
            return ()

    async def tags(self, text: str) -> tuple[str, ...]:
        """Names of tags that contain a text; empty when the site does not give them."""
        parameters = (("limit", str(MAX_TAGS)), ("query", text))
        try:
            return await self._json("/api/v1/tags", payload.tags, parameters)
        except (refusals.RefusedError, ReplyError):
            return ()

    async def fetch(self, target: Target, *, renew: Callable[[], bool] = lambda: True) -> Fetched:
        """The first bytes of one file, as `Source.fetch` describes."""
        first_bytes = self._first_range.bytes_for(target.base_model)
        fetched = await fetch_header(
            self._http, target, first_bytes=first_bytes, max_header=self._max_header, renew=renew
        )
        if fetched.refusal is None:
            self._first_range.learn(target.base_model, len(fetched.prefix))
        wants_login = fetched.refusal is Outcome.LOGIN_REQUIRED
        if wants_login and self._http.settings.api_key is not None and await self.refuses_key():
            # The site takes a key that has expired for none.
            cause = "no longer knows this API key: it may have expired or been revoked"
            error = LoginError(self.origin, cause, refusals.LOGIN_ADVICE)
            error.counted_downloads = fetched.counted_downloads
            raise error
        reason, host = self._blanked(fetched.reason), self._blanked(fetched.host)
        return replace(fetched, reason=reason, host=host)

    async def _by_id(self, path: str, number: int, read: Callable[[Any], _T]) -> _T | None:
        if not 0 < number <= MAX_ID:
            return None
        try:
            return await self._json(f"{path}/{number}", read)
        except refusals.RefusedError as error:
            if error.status == HTTPStatus.NOT_FOUND and error.is_api:
                return None
            raise

    async def _json(
        self,
        path: str,
        read: Callable[[Any], _T],
        parameters: Iterable[tuple[str, str]] = (),
        *,
        tries: int = LIST_TRIES,
        first: bool = False,
    ) -> _T:
        """The JSON at a path, passed through `read`; retried while that may help.

        `first`: it is the first request of a run.
        """
        url = self._http.base + path
        query = tuple(parameters)
        blocked = 0

        async def once() -> _T:
            nonlocal blocked
            at: str | None = None
            for _ in range(MAX_REDIRECTS + 1):
                async with self._http.api(path, query, at=at) as response:
                    if response.status == HTTPStatus.OK:
                        return _usable(await response.body(MAX_LIST_BYTES), read)
                    if response.status not in REDIRECTS:
                        body = await response.take(refusals.MAX_BYTES)
                        kind = response.header("Content-Type")
                        refused = refusals.RefusedError(url, response.status, body, kind)
                        blocked += response.status in refusals.BLOCKED
                        raise _failure(response, refused, believed=blocked >= REFUSALS_IN_A_ROW)
                    at = self._redirected(url, response)
            raise SiteError(url, "redirects without end", refusals.LATER_ADVICE)

        try:
            if first:
                return await self._http.first(once)
            return await self._http.retried(once, tries=tries, patience=LIST_PATIENCE, told=True)
        except RequestError as error:
            if error.unreachable:
                raise UnreachableError(url, error.cause, refusals.REACH_ADVICE) from None
            passing = error.status in _BUSY or isinstance(error, HurriedError | SlowError)
            failing = SiteError if passing else ReplyError
            raise failing(url, error.cause, refusals.LATER_ADVICE) from None

    def _redirected(self, url: str, response: Response) -> str:
        """The URL to which the API redirects, on the same host or another one of the site.

        Raises:
            SiteError: It is elsewhere.
        """
        api = self._http.api_url
        target = followed(response.location, yarl.URL(url))
        where = yarl.URL(target, encoded=True)
        both = is_site_host(api.raw_host or "") and is_site_host(where.raw_host or "")
        if where.origin() == api.origin() or (both and where.scheme in {"https", api.scheme}):
            return target
        shown = self._blanked(target.partition("?")[0])[: refusals.MAX_QUOTE_CHARS]
        advice = "If the API has moved there, give its new URL with --api-url."
        raise SiteError(url, f"answers {response.status} and redirects to {shown}", advice)

    def _blanked(self, text: str) -> str:
        key = self._http.settings.api_key
        return text if key is None else key.blanked(text)


def _usable(body: bytes, read: Callable[[Any], _T]) -> _T:
    """The JSON of a body, passed through `read`; raises RequestError if it makes no sense."""
    try:
        return read(payload.parse(body))
    except payload.ShapeError as error:
        said = refusals.said(body) if refusals.is_page("", body) else str(error)
        raise RequestError(f"answers nonsense: {said}") from None


def _failure(
    response: Response, refused: refusals.RefusedError, *, believed: bool
) -> RequestError | SiteError:
    """The error for an error status. Unless `believed`, a refusal of us is tried again."""
    if refusals.is_quota(refused):
        return QuotaError(refused.url, refused.text, refusals.QUOTA_ADVICE)
    failure = response.refusal()
    # The site limits pages by number with a 429 that never passes.
    passing = failure.again and "too many pages" not in refused.text.lower()
    if passing or (refused.status in refusals.BLOCKED and not believed):
        return RequestError(refused.cause, after=failure.after, status=failure.status)
    return refused


def _parameters(ask: ListQuery, cursor: str | None, limit: int) -> Iterable[tuple[str, str]]:
    """Names and values of the URL's query, in order.

    Raises:
        UsageError: A filter is not valid UTF-8, so no URL can contain it.
    """
    for text in (*ask.base_models, ask.creator, ask.tag, ask.search):
        if text is not None and clean.text(text) != text:
            raise UsageError(f"{clean.quote(text)} is not valid UTF-8; the site cannot be asked")
    yield "limit", str(limit)
    for model_type in ask.types:
        yield "types", model_type
    yield "sort", _SORT[ask.order]
    yield "period", "AllTime"
    yield "nsfw", "true" if ask.mature else "false"
    for base_model in ask.base_models:
        yield "baseModels", base_model
    optional = {"username": ask.creator, "tag": ask.tag, "query": ask.search, "cursor": cursor}
    for name, value in optional.items():
        if value is not None:
            yield name, value
