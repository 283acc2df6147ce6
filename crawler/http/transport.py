"""httpx over aiohttp, which sends every URL exactly as it is spelled.

A signed URL is valid only byte for byte, but httpx and its aiohttp transport both rewrite URLs. So
`request_for` gives httpx a URL without the query, for its logs and errors, and carries the real one
past it; ExactTransport sends that one. The same way back, a response carries its `Location`.
ExactTransport also chooses the proxy for each request.
"""

import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
import yarl
from aiohttp.abc import AbstractResolver
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import AiohttpResponseStream, map_aiohttp_exceptions

from crawler.errors import UsageError
from crawler.http.retry import RequestError

#: Longest header line, in bytes: a signed URL with a long file name has about 2,000.
MAX_HEADER_LINE_BYTES = 32 * 1024

#: Receive buffer of a socket, in bytes. The system's default takes megabytes of a body that is not
#: wanted. This one still allows 640 KB a second at a delay of 100 ms.
RECEIVE_BYTES = 64 * 1024

#: Bytes of a response that are not its body, at most: a head and the framing of chunks have a few
#: kilobytes, and what was received ahead has 300 at most.
MAX_OVERHEAD_BYTES = 512 * 1024

#: Keys of the extensions that carry the URL of a request (a yarl.URL), and the `Location` of a response
#: (byte for byte, empty without one).
_URL = "url"
LOCATION = "location"

#: Headers hidden from httpx: it parses a `Location` even when it does not follow it, and fails if that
#: is not a URL; and it keeps cookies.
_HIDDEN_FROM_HTTPX = frozenset({b"location", b"set-cookie"})


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy and the headers that authenticate us to it; its repr shows no password."""

    url: yarl.URL
    headers: Mapping[str, str] = field(repr=False)


def system_proxies() -> dict[str, Proxy]:
    """The proxies of the environment or of the system's settings, by the scheme of the request.

    aiohttp can read them too, but then it also sends the passwords of a .netrc file.

    Raises:
        UsageError: The URL of a proxy is invalid, or the kind of proxy is not supported.
    """
    known = getproxies()
    return {scheme: _proxy(known[scheme]) for scheme in ("http", "https") if known.get(scheme)}


def _proxy(text: str) -> Proxy:
    try:
        url = yarl.URL(text if "://" in text else f"http://{text}")
        port = url.port
    except ValueError:
        url, port = yarl.URL(), None
    if url.scheme not in ("http", "https") or not url.raw_host or not port:
        raise UsageError(
            "HTTP_PROXY or HTTPS_PROXY is not the URL of a proxy; write it like"
            " http://proxy.example.org:3128"
        )
    headers = {}
    if url.user:
        token = b64encode(f"{url.user}:{url.password or ''}".encode()).decode()
        headers["Proxy-Authorization"] = f"Basic {token}"
    return Proxy(url.with_user(None), headers)


def request_for(url: yarl.URL, headers: Mapping[str, str]) -> httpx.Request:
    """A GET of a URL, for an ExactTransport.

    Raises:
        RequestError: The host is not a valid name.
    """
    shown = f"{url.origin()}{url.raw_path}"
    try:
        return httpx.Request("GET", shown, headers=headers, extensions={_URL: url})
    except (httpx.InvalidURL, ValueError):
        raise RequestError(f"{url.raw_host} is not a host name", again=False) from None


class _Connection(ResponseHandler):
    """A connection that is closed when it sends much that is no body.

    Endless `100 Continue` and endless extensions of chunks never become a response.

    Attributes:
        allowance: Bytes that may still be received; every byte of a body adds two.
    """

    allowance = MAX_OVERHEAD_BYTES

    def set_response_params(self, **parameters: Any) -> None:
        """Begin a request."""
        self.allowance = MAX_OVERHEAD_BYTES
        super().set_response_params(**parameters)

    def data_received(self, data: bytes) -> None:
        """Take what was received."""
        self.allowance -= len(data)
        if self.allowance >= 0:
            super().data_received(data)
        elif self.transport is not None:
            self.set_exception(HttpProcessingError(message="more overhead than response"))
            self.transport.abort()


class _Connector(aiohttp.TCPConnector):
    """Opens connections of the kind above; aiohttp has no public way to choose it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = cast("partial[ResponseHandler]", partial(_Connection, loop=self._loop))


class _Body(AiohttpResponseStream):
    """A response body; what is received of it counts for its connection."""

    CHUNK_SIZE = 64 * 1024

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        super().__init__(response)
        self._connection = response.connection.protocol if response.connection else None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in super().__aiter__():
            if isinstance(self._connection, _Connection):
                self._connection.allowance += 2 * len(piece)
            yield piece


class ExactTransport(AiohttpTransport):
    """Sends what `request_for` made. Created inside a running event loop, closed by its client.

    Args:
        resolver: Looks up every host name.
        proxies: As `system_proxies` returns them.
    """

    def __init__(self, resolver: AbstractResolver, proxies: Mapping[str, Proxy]) -> None:
        context = ssl.create_default_context()
        self._proxies = proxies
        self._session = aiohttp.ClientSession(
            # The crawl decides how many requests run at once; the connector sets no limit.
            connector=_Connector(limit=0, resolver=resolver, ssl=context, socket_factory=_socket),
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(_without_resending,),
            max_field_size=MAX_HEADER_LINE_BYTES,
            max_line_size=MAX_HEADER_LINE_BYTES,
        )
        super().__init__(verify=context, client=self._session)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the body of the response stays compressed as it was sent."""
        url: yarl.URL = request.extensions[_URL]
        timeout = request.extensions["timeout"]
        headers = [(name.decode(), value.decode()) for name, value in request.headers.raw]
        proxy = self._proxies.get(url.scheme)
        if proxy is not None and proxy_bypass(f"{url.host}:{url.port}"):
            proxy = None
        if proxy is not None and url.scheme == "http":
            headers += proxy.headers.items()  # without a tunnel the proxy reads the request
        found = await self._session.get(
            url,
            headers=headers,
            allow_redirects=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(
                sock_connect=timeout["connect"], sock_read=timeout["read"]
            ),
            proxy=None if proxy is None else proxy.url,
            proxy_headers=None if proxy is None else proxy.headers,
        )
        location = (value for name, value in found.raw_headers if name.lower() == b"location")
        return httpx.Response(
            found.status,
            headers=[
                (name, value)
                for name, value in found.raw_headers
                if name.lower() not in _HIDDEN_FROM_HTTPX
            ],
            stream=_Body(found),
            extensions={LOCATION: next(location, b"")},
        )


def _socket(info: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol = info[:3]
    made = socket.socket(family, kind, protocol)
    # Everything that arrives before the connection is closed costs traffic, read or not.
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    return made


async def _without_resending(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Turn errors into httpx's before aiohttp sees them.

    When the connection closes, aiohttp would send a GET again. That would bypass the rate limit and
    could count as a second download.
    """
    with map_aiohttp_exceptions():
        return await handler(request)
