"""httpx over aiohttp, each address going out as it is spelled."""

import socket
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
import yarl
from aiohttp.abc import AbstractResolver
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import AiohttpResponseStream, map_aiohttp_exceptions

from crawler.errors import UsageError
from crawler.http.retry import RequestError


@dataclass(frozen=True, slots=True)
class Proxy:
    """One proxy, and the headers by which it knows us; its password is in no repr."""

    url: yarl.URL
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Proxies:
    """Proxies by the scheme of the request."""

    by_scheme: Mapping[str, Proxy]

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts of the proxies, in lower case."""
        return frozenset(proxy.url.raw_host or "" for proxy in self.by_scheme.values())

    def of(self, url: yarl.URL) -> Proxy | None:
        """The proxy for one address, None when it is asked directly."""
        proxy = self.by_scheme.get(url.scheme)
        if proxy is None or url.host is None or proxy_bypass(f"{url.host}:{url.port}"):
            return None
        return proxy


def system_proxies() -> Proxies:
    """What the environment (or the system's settings) names.

    aiohttp can read it too, but then it also sends what a .netrc file holds for a host.

    Raises:
        UsageError: A proxy's address cannot be read, or is of a kind that is not supported.
    """
    known = getproxies()
    return Proxies(
        {scheme: _read(known[scheme]) for scheme in ("http", "https") if known.get(scheme)}
    )


def _read(text: str) -> Proxy:
    try:
        url = yarl.URL(text if "://" in text else f"http://{text}")
        port = url.port
    except ValueError:
        port = None
        url = yarl.URL()
    if url.scheme not in ("http", "https") or not url.raw_host or not port:
        raise UsageError(
            "HTTP_PROXY or HTTPS_PROXY names no proxy that can be used; one looks like"
            " http://proxy.example.org:3128"
        )
    headers = {}
    if url.user:
        token = b64encode(f"{url.user}:{url.password or ''}".encode()).decode()
        headers["Proxy-Authorization"] = f"Basic {token}"
    return Proxy(url.with_user(None), headers)


#: Longest single header line, in bytes: a signed address with a long file name has some 2,000.
MAX_HEADER_LINE_BYTES = 32 * 1024

#: What the system may hold of a body before we read it, in bytes. Left alone it takes megabytes of one
#: that is not wanted; so much still lets 640 KB a second through over a way of 100 ms.
RECEIVE_BYTES = 64 * 1024

#: Where a request carries its address, and a response its `Location`, past httpx.
_ADDRESS = "address"
_LOCATION = "location"

#: What httpx would act upon by itself: it reads a `Location` even when it follows none, and fails
#: where that is no address; and it keeps cookies.
_KEPT_FROM_HTTPX = frozenset({b"location", b"set-cookie"})


class _Body(AiohttpResponseStream):
    """A body in pieces of a size that suits ranges; a piece of gzip unpacks to 66 MB at most."""

    CHUNK_SIZE = 64 * 1024


def request_for(url: yarl.URL, headers: Mapping[str, str]) -> httpx.Request:
    """A GET of an address, for an ExactTransport to send.

    httpx logs and quotes the address it knows, so it knows the one without the query, where
    signatures are.

    Raises:
        RequestError: httpx takes the host for none.
    """
    shown = f"{url.origin()}{url.raw_path}"
    try:
        return httpx.Request("GET", shown, headers=headers, extensions={_ADDRESS: url})
    except (httpx.InvalidURL, ValueError):
        raise RequestError(f"{url.raw_host} is no name of a host", again=False) from None


def location_of(response: httpx.Response) -> bytes:
    """The `Location` of a response as it came, empty without one."""
    location: bytes = response.extensions[_LOCATION]
    return location


class ExactTransport(AiohttpTransport):
    """Sends what `request_for` made; opened in a running event loop, closed by its client.

    The transport it is made from would spell addresses anew, which breaks signatures, and knows one
    proxy for all of them.

    Args:
        resolver: Looks up every name.
        proxies: Which request goes through which proxy.
    """

    def __init__(self, resolver: AbstractResolver, proxies: Proxies) -> None:
        context = ssl.create_default_context()
        self._proxies = proxies
        self._session = aiohttp.ClientSession(
            # How many requests run at once is the crawl's business; the connector sets no limit.
            connector=aiohttp.TCPConnector(
                limit=0, resolver=resolver, ssl=context, socket_factory=_socket
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(_once,),
            max_field_size=MAX_HEADER_LINE_BYTES,
            max_line_size=MAX_HEADER_LINE_BYTES,
        )
        super().__init__(verify=context, client=self._session)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The head of the response; its body comes as it is on the wire."""
        url: yarl.URL = request.extensions[_ADDRESS]
        timeout = request.extensions["timeout"]
        headers = [(name.decode(), value.decode()) for name, value in request.headers.raw]
        proxy = self._proxies.of(url)
        if proxy is not None and url.scheme == "http":
            headers += proxy.headers.items()  # without a tunnel the request itself is the proxy's
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
                if name.lower() not in _KEPT_FROM_HTTPX
            ],
            stream=_Body(found),
            extensions={_LOCATION: next(location, b"")},
        )


def _socket(info: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol = info[:3]
    made = socket.socket(family, kind, protocol)
    # What is sent by the time we leave a body that never ends has travelled, read or not.
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    return made


async def _once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Make failures httpx's before aiohttp sees them.

    It would send a GET a second time by itself when the connection closes: past the rate limit, and
    as a second counted download.
    """
    with map_aiohttp_exceptions():
        return await handler(request)
