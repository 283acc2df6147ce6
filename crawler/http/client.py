"""The client for the API and for storage.

The API is asked at an even rate and may receive the key. Storage is asked without a key, and only at
URLs that `addresses` allows. No redirect is followed except from storage to storage.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Self
from urllib.parse import quote, urlencode

import httpx
import yarl

from crawler.http.addresses import (
    CheckedResolver,
    api_address,
    followed,
    is_loopback_host,
    storage_address,
    storage_rule,
)
from crawler.http.response import Meter, Response, translated
from crawler.http.retry import RequestError, Turn, even_turns
from crawler.http.settings import API_USER_AGENT, STORAGE_USER_AGENT, HttpSettings
from crawler.http.transport import ExactTransport, Proxies, request_for, system_proxies

#: Redirects followed from storage to storage; real downloads need none.
MAX_STORAGE_HOPS = 5

#: Statuses with a `Location`.
REDIRECTS = frozenset({301, 302, 303, 307, 308})

#: Statuses whose `Retry-After` concerns all requests, not only this one.
_BUSY = frozenset({429, 503})


class Http:
    """The client, open between `async with`.

    Every failure of a request is a RequestError. No request carries cookies or anything from a .netrc
    file. The key goes to the API's own scheme, host and port only.

    Args:
        settings: The API's URL, the key, the rate, the limits.
        turn: Awaited before each request to the API; None follows the settings' rate.

    Raises:
        UsageError: The settings are invalid.
    """

    def __init__(self, settings: HttpSettings, *, turn: Turn | None = None) -> None:
        self.settings = settings
        self.api_url = api_address(settings.api_url)
        self.base = str(self.api_url).rstrip("/")
        self._turn = even_turns(settings.rate) if turn is None else turn
        self._rules = tuple(storage_rule(host) for host in settings.storage_hosts)
        self._proxies = system_proxies() if settings.use_proxies else Proxies({})
        self._stack = AsyncExitStack()
        self._client: httpx.AsyncClient | None = None
        self._closed_until = 0.0  # on the event loop's clock

    async def __aenter__(self) -> Self:
        api_host = (self.api_url.raw_host or "").lower()
        resolver = CheckedResolver(
            trusted=self._proxies.hosts | {api_host}, loopback=is_loopback_host(api_host)
        )
        self._stack.push_async_callback(resolver.close)
        timeouts = self.settings.timeouts
        client = httpx.AsyncClient(
            transport=ExactTransport(resolver, self._proxies),
            # _sent limits the total, which includes the time of a slow reader.
            timeout=httpx.Timeout(timeouts.stall, connect=timeouts.connect),
            follow_redirects=False,
            trust_env=False,  # the transport knows the proxies
        )
        self._client = await self._stack.enter_async_context(client)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._client = None
        await self._stack.aclose()

    @asynccontextmanager
    async def api(
        self,
        path: str,
        parameters: Iterable[tuple[str, str]] = (),
        *,
        span: tuple[int, int] | None = None,
        compressed: bool = False,
    ) -> AsyncIterator[Response]:
        """The API's response to one GET, whatever its status; redirects are not followed.

        Args:
            path: Below the API's URL, with a slash at the start.
            parameters: Of the query, in this order; a name may occur several times.
            span: First and last byte of the Range; None sends no Range.
            compressed: Whether the body may be compressed; never for a file.

        Raises:
            RequestError: No response came, or reading its body failed.
        """
        text = self.base + path
        if query := urlencode(list(parameters), quote_via=quote):
            text += "?" + query
        headers = {"User-Agent": API_USER_AGENT, "Accept": "application/json"}
        if self.settings.api_key is not None:
            headers["Authorization"] = f"Bearer {self.settings.api_key.reveal()}"
        url = yarl.URL(text, encoded=True)
        await self._admitted()
        async with self._sent(url, headers, span, Meter(), compressed=compressed) as response:
            self._obey_retry_after(response)
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

        Redirects are followed, and each URL is checked before it is requested.

        Args:
            raw: The URL as the API gave it; it is sent byte for byte.
            first: Index of the first byte.
            last: Index of the last byte.
            meter: Counts the requests and the bytes.
            watch: Called with the URL of a redirect before it is checked; may raise.

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

    async def _admitted(self) -> None:
        """Wait for a turn at the API's host, and until it accepts requests again."""
        await self._turn()
        while (left := self._closed_until - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(left)
            await self._turn()

    def _obey_retry_after(self, response: Response) -> None:
        """Hold back all requests to the API, not only this one, when it asks to wait."""
        if response.status in _BUSY and response.retry_after is not None:
            pause = min(response.retry_after, self.settings.waits.longest_asked)
            until = asyncio.get_running_loop().time() + pause
            self._closed_until = max(self._closed_until, until)

    @asynccontextmanager
    async def _sent(
        self,
        url: yarl.URL,
        headers: dict[str, str],
        span: tuple[int, int] | None,
        meter: Meter,
        *,
        compressed: bool = False,
    ) -> AsyncIterator[Response]:
        if self._client is None:
            raise RuntimeError("the client is not open")
        headers = {**headers, "Accept-Encoding": "gzip" if compressed else "identity"}
        if span is not None:
            headers["Range"] = f"bytes={span[0]}-{span[1]}"
        host = url.raw_host or ""
        request = request_for(url, headers)
        try:
            async with asyncio.timeout(self.settings.timeouts.of(span)) as clock:
                with translated(host):
                    response = await self._client.send(request, stream=True)
                async with aclosing(response):
                    yield Response(response, meter, unpacked=compressed)
        except TimeoutError:
            if clock.expired():
                raise RequestError(f"{host} is too slow") from None
            raise
