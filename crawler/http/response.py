"""One response of a server, read in pieces and within limits."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp
import httpx

from crawler.http.addresses import PrivateAddressError
from crawler.http.retry import RequestError, retry_after
from crawler.http.transport import location_of

#: Most bytes read of a response that refuses: enough for an error text or a login page's beginning.
MAX_REFUSAL_BYTES = 64 * 1024

#: Statuses below 500 after which the same request may succeed later.
PASSING_STATUSES = frozenset({408, 425, 429})

FIRST_SERVER_ERROR = 500

_LENGTH = re.compile(r"[0-9]{1,19}")


@dataclass(slots=True)
class Meter:
    """Counts what travelled for one file.

    Attributes:
        counted_downloads: Downloads that the site counted: links it resolved.
        storage_requests: Requests to storage hosts.
        bytes_read: Body bytes that travelled from storage.
    """

    counted_downloads: int = 0
    storage_requests: int = 0
    bytes_read: int = 0


class Response:
    """The head of a response, and its body as a stream. Left early, the connection is closed.

    Args:
        response: Not read yet; whoever has it closes it.
        meter: Counts the body's bytes.
        unpacked: Whether a body that travels as gzip is to be unpacked. Other encodings were not
            asked for, and one within the other could unpack to any size.
    """

    def __init__(self, response: httpx.Response, meter: Meter, *, unpacked: bool = False) -> None:
        self._response = response
        self._meter = meter
        packed = self.header("Content-Encoding").strip().lower() == "gzip"
        self._pieces = response.aiter_bytes() if unpacked and packed else response.aiter_raw()

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status_code

    @property
    def host(self) -> str:
        """Who answered."""
        return self._response.url.raw_host.decode()

    @property
    def location(self) -> bytes:
        """The `Location` as it came, empty without one."""
        return location_of(self._response)

    @property
    def content_length(self) -> int | None:
        """Bytes of the body as it travels, None when the server does not say."""
        text = self.header("Content-Length")
        return int(text) if _LENGTH.fullmatch(text) else None

    @property
    def is_chunked(self) -> bool:
        """Whether the body marks its own end, so that a cut one is noticed."""
        return "chunked" in self.header("Transfer-Encoding").lower()

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asks to wait, None when it does not."""
        return retry_after(self.header("Retry-After") or None)

    def header(self, name: str) -> str:
        """The first value of a header, empty without one."""
        return next(iter(self._response.headers.get_list(name)), "")

    async def piece(self) -> bytes:
        """The next bytes of the body, empty at its end.

        Raises:
            RequestError: It was cut or stalled.
        """
        with translated(self.host):
            piece = await anext(self._pieces, b"")
        self._meter.bytes_read += len(piece)
        return piece

    async def body(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            RequestError: As in `piece`, or it is longer than `limit` bytes.
        """
        gathered = bytearray()
        while piece := await self.piece():
            gathered += piece
            if len(gathered) > limit:
                raise RequestError(
                    f"{self.host} answers with more than {limit:,} bytes", again=False
                )
        return bytes(gathered)

    async def beginning(self, limit: int = MAX_REFUSAL_BYTES) -> bytes:
        """At most `limit` bytes of the body, however much there is.

        Raises:
            RequestError: As in `piece`.
        """
        gathered = bytearray()
        while len(gathered) < limit and (piece := await self.piece()):
            gathered += piece
        return bytes(gathered[:limit])

    def refusal(self) -> RequestError:
        """The RequestError that this status is, where another one was due."""
        passing = self.status in PASSING_STATUSES or self.status >= FIRST_SERVER_ERROR
        return RequestError(
            f"{self.host} answers {self.status}",
            again=passing,
            after=self.retry_after,
            status=self.status,
        )


@contextmanager
def translated(host: str) -> Iterator[None]:
    """Turn every failure of a request into a RequestError whose text holds no address but the host.

    The exceptions underneath quote addresses, so nothing of them is shown and they are cut off from
    the traceback.
    """
    try:
        yield
    except (httpx.HTTPError, aiohttp.ClientError, OSError, ValueError) as error:
        raise _meaning(host, error) from None


def _meaning(host: str, error: Exception) -> RequestError:
    """What a failure is in words, and whether another try may help.

    httpx-aiohttp gives a refused connection, an unknown name, a bad certificate and a connection
    closed under way one type, ConnectTimeout; they are told apart by aiohttp's exceptions beneath.
    """
    beneath = error.__cause__ if isinstance(error, httpx.TransportError) else None
    match beneath or error:
        case (
            aiohttp.ClientConnectorError()
            | aiohttp.ConnectionTimeoutError()
            | aiohttp.ClientHttpProxyError()
        ) as unreached:
            return _unreached(host, unreached)
        case TimeoutError():
            what = "is too slow"
        case aiohttp.ClientPayloadError():
            what = "cut its response short"
        case aiohttp.ServerDisconnectedError() | OSError():
            what = "closed the connection"
        case other:
            what = f"does not speak HTTP rightly ({type(other).__name__})"
    return RequestError(f"{host} {what}")


def _unreached(
    host: str,
    error: (
        aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | aiohttp.ClientHttpProxyError
    ),
) -> RequestError:
    match error:
        case aiohttp.ClientConnectorError(os_error=PrivateAddressError()):
            return RequestError(f"{host} leads to a private address", again=False)
        case aiohttp.ConnectionTimeoutError():
            what = f"no connection to {host} in time"
        case aiohttp.ClientHttpProxyError():
            what = f"the proxy answers {error.status}"
        case aiohttp.ClientProxyConnectionError():
            what = "no connection to the proxy"
        case aiohttp.ClientConnectorDNSError():
            what = f"the name {host} cannot be found"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            what = f"{host} cannot prove who it is (TLS)"
        case _:
            # asyncio writes its own words and the address over the system's.
            number = error.os_error.errno
            what = f"no connection to {host}: {os.strerror(number) if number else 'failed'}"
    return RequestError(what, unreachable=True)
