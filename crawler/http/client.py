"""The one client. It asks the API and storage, each by its own rules, and never follows by itself."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from types import TracebackType
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
from crawler.http.settings import HttpSettings
from crawler.http.transport import ExactTransport, Proxies, request_for, system_proxies

#: Redirects followed from one storage host to the next; real ones need none.
MAX_STORAGE_HOPS = 5

#: Statuses that name another place.
REDIRECTS = frozenset({301, 302, 303, 307, 308})

#: Statuses whose `Retry-After` is about whoever asks, not about what was asked for.
_BUSY = frozenset({429, 503})


class Http:
    """The client, open between `async with`.

    Every failure of a request is raised as RequestError. No request carries cookies or anything from a
    .netrc file; the key goes to the API's own scheme, host and port alone.

    Args:
        settings: What to ask and how.
        turn: Awaited before each request to the API; made from the settings' rate when None.

    Raises:
        UsageError: The settings make no sense.
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
            # The total is watched in _sent, where a slow reader's time counts too.
            timeout=httpx.Timeout(timeouts.stall, connect=timeouts.connect),
            follow_redirects=False,
            trust_env=False,  # proxies are the business of the transport
        )
        self._client = await self._stack.enter_async_context(client)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
        """The API's response to one GET, whatever its status; a redirect is a response like any other.

        Args:
            path: Below the API's address, beginning with a slash.
            parameters: Of the query, in this order; a name may stand there several times.
            span: First and last byte of a Range, None for a request without one.
            compressed: Whether the body may travel compressed; never a file's.

        Raises:
            RequestError: No response came, or its body failed while it was read.
        """
        text = self.base + path
        if query := urlencode(list(parameters), quote_via=quote):
            text += "?" + query
        headers = {"User-Agent": self.settings.user_agent, "Accept": "application/json"}
        if self.settings.api_key is not None:
            headers["Authorization"] = f"Bearer {self.settings.api_key.reveal()}"
        url = yarl.URL(text, encoded=True)
        await self._admitted()
        async with self._sent(url, headers, span, Meter(), compressed=compressed) as response:
            self._heed(response)
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

        Redirects from storage to storage are followed; each address is checked before it is asked.

        Args:
            raw: The address as the API gave it; it goes out byte for byte.
            first: Index of the first byte.
            last: Index of the last byte.
            meter: Counts the requests and the bytes.
            watch: Sees where a redirect leads before that is checked or asked, and may raise.

        Raises:
            RequestError: An address may not be asked, no response came, or its body failed.
        """
        headers = {"User-Agent": self.settings.storage_user_agent, "Accept": "*/*"}
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
        raise RequestError("the download is sent from host to host without an end", again=False)

    async def _admitted(self) -> None:
        """Wait for a turn at the API's host, and until it takes requests again."""
        await self._turn()
        while (left := self._closed_until - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(left)
            await self._turn()

    def _heed(self, response: Response) -> None:
        """Keep every request back, not this one's next try alone, where the API asks to wait."""
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
