"""Civitai's public API as a source."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self, TypeVar

from crawler.decode import clean
from crawler.errors import CursorError, QuotaError, SiteError, UnreachableError, UsageError
from crawler.http import FirstRange, Http, HttpSettings, RequestError
from crawler.http.addresses import api_address
from crawler.http.retry import Turn, with_retries
from crawler.model import Fetched, ListQuery, Model, Order, Page, Target
from crawler.sources.civitai import payload as shapes
from crawler.sources.civitai import refusals as words
from crawler.sources.civitai.download import Reading, fetch_header

#: Models on one page, the most that the site gives.
PAGE_MODELS = 100

_SORT = {
    Order.OLDEST: "Oldest",
    Order.MOST_DOWNLOADED: "Most Downloaded",
    Order.HIGHEST_RATED: "Highest Rated",
}


def parameters(ask: ListQuery, cursor: str | None) -> Iterable[tuple[str, str]]:
    """Names and values of the query, in their order.

    Raises:
        UsageError: A filter holds bytes that are no UTF-8, which no address can.
    """
    for text in (*ask.base_models, ask.creator, ask.tag, ask.search):
        if text is not None and clean.text(text) != text:
            raise UsageError(f"{clean.quote(text)} is no text in UTF-8, so it cannot be asked for")
    yield "limit", str(PAGE_MODELS)
    for model_type in ask.types:
        yield "types", model_type
    yield "sort", _SORT[ask.order]
    yield "period", "AllTime"
    yield "nsfw", "true" if ask.mature else "false"
    for base_model in ask.base_models:
        yield "baseModels", base_model
    named = (
        ("username", ask.creator),
        ("tag", ask.tag),
        ("query", ask.search),
        ("cursor", cursor),
    )
    for name, value in named:
        if value is not None:
            yield name, value


#: How often a list or a model is asked for before the site is said to be in trouble.
LIST_TRIES = 5

#: How often the API refuses us, and not what was asked, before that is believed.
REFUSALS_IN_A_ROW = 3

#: Statuses of such refusals: a firewall's mood comes and goes.
_BLOCKED = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS})

#: Longest reply of the list, in bytes once unpacked; a page of 100 models has some 5 MB.
MAX_LIST_BYTES = 64 * 1024 * 1024

#: Longest header that is read unless the user says otherwise, in bytes.
DEFAULT_MAX_HEADER_BYTES = 32 * 1024 * 1024

#: The site's ids are 32-bit; it answers larger ones with an error of validation.
MAX_MODEL_ID = 2**31 - 1

_T = TypeVar("_T")


def origin_of(api_url: str) -> str:
    """The one spelling of an API's address by which a database remembers it.

    Raises:
        UsageError: It is no address of an API.
    """
    url = api_address(api_url)
    if (url.raw_host or "").removeprefix("www.") in words.SAME_SITE:
        return "https://civitai.com"
    return str(url).rstrip("/")


@dataclass(frozen=True, slots=True)
class _Refused:
    """A response that refuses what was asked, for good."""

    status: int
    text: str
    is_page: bool


class Civitai:
    """The site, open between `async with`.

    Args:
        settings: Where the API is, the key, the rate.
        max_header: Longest header that is read, in bytes.
        seen: Header lengths known from before, by base model, so that the first range fits.
        turn: Awaited before each request to the API in place of the settings' rate.

    Raises:
        UsageError: The settings make no sense.
    """

    def __init__(
        self,
        settings: HttpSettings,
        *,
        max_header: int = DEFAULT_MAX_HEADER_BYTES,
        seen: Mapping[str | None, Iterable[int]] | None = None,
        turn: Turn | None = None,
    ) -> None:
        self._http = Http(settings, turn=turn)
        self._origin = origin_of(settings.api_url)
        self._max_header = max_header
        self._first_range = FirstRange(seen)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    @property
    def origin(self) -> str:
        """The API's address in one spelling; civitai.com, .red and .green are one."""
        return self._origin

    async def page(self, ask: ListQuery, cursor: str | None) -> Page:
        """The page at `cursor`, the first one for None.

        Raises:
            UsageError: The site knows no such creator or tag, or refuses a filter.
            CursorError: The site does not take this cursor (any more).
            SiteError: The site is in trouble or refuses us.
        """
        path = "/api/v1/models"
        got = await self._json(path, parameters(ask, cursor), shapes.page)
        if isinstance(got, _Refused):
            raise self._list_error(path, ask, cursor, got)
        if ask.tag is not None and cursor is None and got.models:
            # For a tag that it does not know the site drops the filter and lists everything.
            tag = ask.tag.strip().casefold()
            if not any(tag == one.casefold() for model in got.models for one in model.tags):
                raise UsageError(f"the site knows no tag {ask.tag!r}")
        return got

    async def model(self, model_id: int) -> Model | None:
        """One model with all its versions; None when the site has none of that id.

        Raises:
            SiteError: The site is in trouble or refuses us.
        """
        if not 0 < model_id <= MAX_MODEL_ID:
            return None
        path = f"/api/v1/models/{model_id}"
        got = await self._json(path, (), shapes.model)
        if not isinstance(got, _Refused):
            return got
        if got.status == HTTPStatus.NOT_FOUND and not got.is_page:
            return None
        raise self._site_error(path, got)

    async def me(self) -> str | None:
        """The user name that the key belongs to, None when the site does not take the key.

        Raises:
            SiteError: The site is in trouble or refuses us.
        """
        path = "/api/v1/me"
        got = await self._json(path, (), shapes.user_name)
        if not isinstance(got, _Refused):
            return got
        if got.status == HTTPStatus.UNAUTHORIZED:
            return None
        raise self._site_error(path, got)

    async def base_models(self) -> tuple[str, ...]:
        """Every base model that the site knows by name; empty when it does not tell.

        Raises:
            SiteError: The site is in trouble.
        """
        got = await self._json("/api/v1/enums", (), shapes.base_models)
        return () if isinstance(got, _Refused) else got

    async def fetch(self, target: Target, *, renew: Callable[[], bool] = lambda: True) -> Fetched:
        """The first bytes of one file, at least its whole header, for one counted download.

        Args:
            target: The file.
            renew: As in `Source.fetch`.

        Raises:
            SiteError: The site is out of reach, or refuses us and not this file.
        """
        first_bytes = self._first_range.bytes_for(target.base_model)
        reading = Reading(first_bytes, self._max_header)
        fetched = await fetch_header(self._http, target, reading, renew)
        if fetched.refusal is None:
            self._first_range.learn(target.base_model, len(fetched.prefix))
        return fetched

    async def _json(
        self, path: str, parameters: Iterable[tuple[str, str]], read: Callable[[Any], _T]
    ) -> _T | _Refused:
        """What the API says at a path, read; asked again while that may help."""
        asked = tuple(parameters)
        blocked = 0

        async def once() -> _T | _Refused:
            nonlocal blocked
            async with self._http.api(path, asked, compressed=True) as response:
                if response.status != HTTPStatus.OK:
                    body = await response.beginning()
                    text = words.said(body)
                    if response.status == HTTPStatus.TOO_MANY_REQUESTS and words.is_quota(text):
                        raise QuotaError(self._http.base + path, text, words.QUOTA_ADVICE)
                    refusal = response.refusal()
                    if refusal.again and not words.is_page_cap(text):
                        raise refusal
                    blocked += response.status in _BLOCKED
                    if response.status in _BLOCKED and blocked < REFUSALS_IN_A_ROW:
                        raise RequestError(refusal.cause)
                    is_page = words.is_page(response.header("Content-Type"), body)
                    return _Refused(response.status, text, is_page)
                body = await response.body(MAX_LIST_BYTES)
                try:
                    return read(shapes.parse(body))
                except shapes.ShapeError as error:
                    said = words.said(body) if words.is_page("", body) else str(error)
                    raise RequestError(f"answers nonsense: {said}") from None

        try:
            return await with_retries(once, tries=LIST_TRIES, waits=self._http.settings.waits)
        except RequestError as error:
            where = self._http.base + path
            if error.unreachable:
                raise UnreachableError(where, error.cause, words.REACH_ADVICE) from None
            raise SiteError(where, error.cause, words.LATER_ADVICE) from None

    def _list_error(
        self, path: str, ask: ListQuery, cursor: str | None, got: _Refused
    ) -> SiteError | UsageError:
        if got.status == HTTPStatus.NOT_FOUND and not got.is_page and ask.creator is not None:
            return UsageError(f"the site knows no creator {ask.creator!r}")
        if (
            got.status == HTTPStatus.BAD_REQUEST
            and cursor is not None
            and words.is_about_cursor(got.text)
        ):
            return CursorError(self._http.base + path, got.text, "The list must be begun anew.")
        if got.status == HTTPStatus.BAD_REQUEST:
            return UsageError(f"the site does not take this question: {got.text or 'answers 400'}")
        return self._site_error(path, got)

    def _site_error(self, path: str, got: _Refused) -> SiteError:
        return words.blocked(self._http.base + path, got.status, got.text)
