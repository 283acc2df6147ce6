"""The client for the API and for storage, and its settings.

Requests to the API are evenly spaced and may carry the key. Requests to storage carry no key and go
only to URLs that `addresses` allows. No redirect is followed except from storage to storage.
"""

import asyncio
import math
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote, urlencode

import httpx
import yarl

from crawler import __version__
from crawler.errors import UsageError
from crawler.http.addresses import (
    CheckedResolver,
    api_address,
    followed,
    is_loopback_host,
    storage_address,
    storage_rule,
)
from crawler.http.response import Meter, Response, translated
from crawler.http.retry import (
    Hold,
    HurriedError,
    RequestError,
    SlowError,
    T,
    Turn,
    Waits,
    even_turns,
    with_retries,
)
from crawler.http.transport import ExactTransport, request_for, system_proxies
from crawler.model.site import SITE_URL

#: Seconds that requests in flight have to end once the run is stopping.
GRACE_SECONDS = 3.0

#: Requests at most until the first answer of a run, and the waits between them; see `Timeouts.contact`.
CONTACT_TRIES = 4
CONTACT_WAITS = Waits(shortest=0.2, longest=0.5)

#: Redirects followed from storage to storage; real downloads need none.
MAX_STORAGE_HOPS = 5

#: Statuses with a `Location`.
REDIRECTS = frozenset({301, 302, 303, 307, 308})

# A printable ASCII character that JSON writes with an escape, as no encoder needs to.
_ESCAPED = re.compile(rb"\\u00[2-7]")

#: Statuses whose `Retry-After` concerns all requests, not only this one.
_BUSY = frozenset({429, 503})


#: The User-Agent for the API. It must not contain a browser's name: Civitai answers browsers with HTML
#: pages, and programs with JSON.
API_USER_AGENT = f"lora-crawl/{__version__} (+https://pypi.org/project/lora-crawl/)"

#: The User-Agent for storage, whose firewall refuses unknown ones and accepts curl.
STORAGE_USER_AGENT = f"curl/8.5.0 lora-crawl/{__version__}"


class Secret:
    """An API key that no text, repr or log shows; only `reveal` returns it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        value = value.strip()
        if not value or not value.isascii() or not value.isprintable() or " " in value:
            raise UsageError("the API key is empty or has invalid characters")
        self._value = value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> str:
        raise TypeError("a Secret cannot be pickled")

    def reveal(self) -> str:
        """The key itself, for a request header."""
        return self._value

    def blanked(self, text: str) -> str:
        """A text that a server sent, with asterisks in place of the key."""
        return re.sub(re.escape(self._value), "*" * len(self._value), text, flags=re.IGNORECASE)

    def blanked_body(self, body: bytes) -> bytes:
        """The same for bytes of a body, where JSON may have escapes of the key's characters."""
        forms = (re.escape(one) for one in self._value)
        if _ESCAPED.search(body):
            forms = (rf"(?:{re.escape(one)}|\\u{ord(one):04x})" for one in self._value)
        key = re.compile("".join(forms).encode(), re.IGNORECASE)
        return key.sub(lambda found: b"*" * len(found[0]), body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Limits of the duration of one request, in seconds.

    Attributes:
        connect: Until the connection is open, TLS included.
        stall: Between two pieces of a response.
        answer: For one response of the API. The site's own router gives up after 30 s.
        total: For one range; enough for 32 MiB at 200 KB/s.
        slowest: Least bytes a second of a range, beyond one stall, so that a small range cannot take
            the time of a large one.
        contact: For the first answer of a run, all tries together. Starting the command takes up to
            2 s more, and a person waits 5 s at most to learn that there is no network.
    """

    connect: float = 15.0
    stall: float = 30.0
    answer: float = 35.0
    total: float = 180.0
    slowest: float = 32 * 1024
    contact: float = 2.5

    def of(self, span: tuple[int, int] | None) -> float:
        """Seconds for the response to a request for a range, first and last byte; None: no range."""
        if span is None:
            return self.answer
        return min(self.total, self.stall + (span[1] - span[0] + 1) / self.slowest)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Settings of the client.

    Attributes:
        api_url: As the user writes it, with or without `/api/v1`.
        api_key: Sent to the API's own scheme, host and port, and nowhere else.
        rate: Requests a second to the API, evenly spaced, retries included; 0 = no limit.
        storage_hosts: Further hosts that a download may redirect to: `name`, `.suffix`, or `*` for
            every public host. Private addresses are always refused.
    """

    api_url: str = SITE_URL
    api_key: Secret | None = None
    rate: float = 2.0
    storage_hosts: tuple[str, ...] = ()
    timeouts: Timeouts = field(default_factory=Timeouts)
    waits: Waits = field(default_factory=Waits)


class Http:
    """The client, open between `async with`.

    Every failure of a request is a RequestError. No request carries cookies or anything from a .netrc
    file.

    Args:
        turn: Awaited before each request to the API; None follows the settings' rate.
        hold: Awaited when the API asks for a pause of all requests, for others who use it too.
        tell: Gets a sentence before each retry of a request to the API.

    Raises:
        UsageError: The settings are invalid.
    """

    def __init__(
        self,
        settings: HttpSettings,
        *,
        turn: Turn | None = None,
        hold: Hold | None = None,
        tell: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.settings = settings
        self.api_url = api_address(settings.api_url)
        self.base = str(self.api_url).rstrip("/")
        self._turn = even_turns(settings.rate) if turn is None else turn
        self._hold = hold
        self._has_turn = False  # and the next request needs no other
        if settings.api_key is not None and self.api_url.scheme == "http":
            host = self.api_url.raw_host
            if not is_loopback_host(host):
                raise UsageError(
                    f"the API key is not sent to {host} without encryption; use https in the URL of"
                    " the API, or remove the key"
                )
        self._rules = tuple(storage_rule(host) for host in settings.storage_hosts)
        self._proxies = system_proxies()
        self._client: httpx.AsyncClient
        self._tell = tell
        self._closed_until = 0.0  # on the event loop's clock
        self._hurried = False
        self._waits: set[asyncio.Timeout] = set()
        self._exchanges: set[asyncio.Timeout] = set()

    async def __aenter__(self) -> Self:
        api_host = (self.api_url.raw_host or "").lower()
        trusted = {api_host, *(proxy.url.raw_host or "" for proxy in self._proxies.values())}
        resolver = CheckedResolver(trusted=trusted, loopback=is_loopback_host(api_host))
        timeouts = self.settings.timeouts
        self._client = httpx.AsyncClient(
            transport=ExactTransport(resolver, self._proxies),
            # _sent limits the total, which includes the time of a slow reader.
            timeout=httpx.Timeout(timeouts.stall, connect=timeouts.connect),
            follow_redirects=False,
            trust_env=False,  # the transport knows the proxies
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.aclose()

    @asynccontextmanager
    async def api(
        self,
        path: str,
        parameters: Iterable[tuple[str, str]] = (),
        *,
        span: tuple[int, int] | None = None,
        at: str | None = None,
    ) -> AsyncIterator[Response]:
        """The API's response to one GET, whatever its status; redirects are not followed.

        The path starts with a slash, below the API's URL. `span` is the first and last byte of the
        Range; None for a response that is not a file, which may be compressed. `at` is the URL to ask
        instead, after a redirect; another host than the API's own gets no key. If the response repeats
        the key, it has asterisks there.

        Raises:
            RequestError: No response came, or reading its body failed.
        """
        text = self.base + path
        if query := urlencode(list(parameters), quote_via=quote):
            text += "?" + query
        headers = {"User-Agent": API_USER_AGENT, "Accept": "application/json"}
        url = yarl.URL(text if at is None else at, encoded=True)
        key = self.settings.api_key
        if key is not None and url.origin() == self.api_url.origin():
            headers["Authorization"] = f"Bearer {key.reveal()}"
        await self._admitted()
        async with self._sent(url, headers, span, Meter(), secret=key) as response:
            if response.status in _BUSY and response.retry_after is not None:
                pause = min(response.retry_after, self.settings.waits.longest_asked)
                until = asyncio.get_running_loop().time() + pause
                self._closed_until = max(self._closed_until, until)
                if self._hold is not None and pause:
                    await self._hold(pause)
            yield response

    @asynccontextmanager
    async def storage(
        self,
        raw: str,
        first: int,
        last: int,
        *,
        meter: Meter,
        watch: Callable[[str], None] | None = None,
    ) -> AsyncIterator[Response]:
        """A storage host's response to a GET of the bytes from `first` to `last`, both included.

        The URL `raw` is sent byte for byte. Redirects are followed, and each URL is checked before it
        is requested. `watch` gets the URL of each redirect before the check; it may raise.

        Raises:
            RequestError: A URL may not be requested, no response came, or reading its body failed.
        """
        headers = {"User-Agent": STORAGE_USER_AGENT, "Accept": "*/*"}
        for _ in range(MAX_STORAGE_HOPS + 1):
            url = storage_address(raw, api=self.api_url, rules=self._rules)
            if url.origin() == self.api_url.origin():
                await self._admitted()
            meter.storage_requests += 1
            async with self._sent(url, headers, (first, last), meter) as response:
                if response.status not in REDIRECTS:
                    yield response
                    return
                raw = followed(response.location, url)
            if watch is not None:
                watch(raw)
        raise RequestError("the download is redirected from host to host without end", again=False)

    def hurry(self) -> None:
        """The run is stopping: end every wait at once, and every request after GRACE_SECONDS.

        What was waited for then raises HurriedError; so does everything that would wait later.
        """
        self._hurried = True
        now = asyncio.get_running_loop().time()
        for clock in self._waits | self._exchanges:
            if clock.expired():
                continue  # It ends in this turn of the event loop, and cannot be changed any more.
            grace = 0.0 if clock in self._waits else GRACE_SECONDS
            clock.reschedule(min(clock.when() or math.inf, now + grace))

    async def retried(
        self,
        once: Callable[[], Coroutine[object, object, T]],
        *,
        tries: int,
        patience: float = math.inf,
        told: bool = False,
    ) -> T:
        """The result of `once`, as `with_retries` describes; `told`: whether retries are told.

        Raises:
            RequestError: The last one, once the tries are used up or a retry cannot help.
        """
        return await with_retries(
            once,
            tries=tries,
            waits=self.settings.waits,
            patience=patience,
            sleep=self._sleep,
            tell=self._tell if told else lambda _: None,
        )

    async def first(self, once: Callable[[], Coroutine[object, object, T]]) -> T:
        """The result of `once`, the first request of a run, which decides quickly and tells its retries.

        Raises:
            RequestError: No try succeeded, or `Timeouts.contact` is over.
        """
        # Others may have the turns before; that time is not the API's.
        await self._admitted()
        self._has_turn = True
        failure = RequestError(f"no answer from {self.api_url.host}", unreachable=True)

        async def noted() -> T:
            nonlocal failure
            try:
                return await once()
            except RequestError as error:
                failure = error
                raise

        clock = asyncio.timeout(self.settings.timeouts.contact)
        try:
            async with clock:
                return await with_retries(
                    noted,
                    tries=CONTACT_TRIES,
                    waits=CONTACT_WAITS,
                    sleep=self._sleep,
                    tell=self._tell,
                )
        except TimeoutError:
            if not clock.expired():
                raise
            raise failure from None

    async def _sleep(self, seconds: float) -> None:
        async with self._waiting():
            await asyncio.sleep(seconds)

    async def _admitted(self) -> None:
        """Wait for a turn at the API's host, and until it accepts requests again."""
        if self._has_turn:
            self._has_turn = False
            return
        async with self._waiting():
            await self._turn()
            while (left := self._closed_until - asyncio.get_running_loop().time()) > 0:
                await asyncio.sleep(left)
                await self._turn()

    @asynccontextmanager
    async def _waiting(self) -> AsyncIterator[None]:
        """A wait that ends with HurriedError when the run is stopping."""
        clock = asyncio.timeout(0 if self._hurried else None)
        try:
            async with clock:
                self._waits.add(clock)
                yield
        except TimeoutError:
            raise HurriedError from None
        finally:
            self._waits.discard(clock)

    @asynccontextmanager
    async def _sent(
        self,
        url: yarl.URL,
        headers: dict[str, str],
        span: tuple[int, int] | None,
        meter: Meter,
        *,
        secret: Secret | None = None,
    ) -> AsyncIterator[Response]:
        headers = {**headers, "Accept-Encoding": "gzip" if span is None else "identity"}
        if span is not None:
            headers["Range"] = f"bytes={span[0]}-{span[1]}"
        host = url.raw_host or ""
        request = request_for(url, headers)
        most = self.settings.timeouts.of(span)
        clock = asyncio.timeout(min(most, GRACE_SECONDS) if self._hurried else most)
        try:
            async with clock:
                self._exchanges.add(clock)
                with translated(host):
                    response = await self._client.send(request, stream=True)
                async with aclosing(response):
                    blank = bytes if secret is None else secret.blanked_body
                    yield Response(response, meter, unpacked=span is None, blank=blank)
        except TimeoutError:
            if not clock.expired():
                raise
            raise HurriedError if self._hurried else SlowError(host) from None
        finally:
            self._exchanges.discard(clock)
