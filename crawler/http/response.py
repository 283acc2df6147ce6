"""A response, read in pieces and within limits, and every failure of a request as a RequestError."""

import os
import re
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp
import httpx

from crawler.http.addresses import PrivateAddressError
from crawler.http.retry import RequestError, SlowError, retry_after
from crawler.http.transport import LOCATION

#: Client errors after which a retry may help, as after every server error.
_PASSING_STATUSES = frozenset({408, 425, 429})

_FIRST_SERVER_ERROR = 500

#: Most bytes that one step of unpacking yields.
UNPACKED_STEP_BYTES = 1024 * 1024

#: Bytes that a packed body may have beyond those it unpacks to, as no sensible packer writes.
_IDLE_BYTES = 64 * 1024

_GZIP_WINDOW = 16 + zlib.MAX_WBITS

_LENGTH = re.compile(r"[0-9]{1,19}")


@dataclass(slots=True)
class Meter:
    """Counts the cost of one file, in the numbers of `Fetched`."""

    counted_downloads: int = 0
    storage_requests: int = 0
    bytes_read: int = 0


class Response:
    """Status and headers of a response, and its body as a stream.

    Args:
        response: Not read yet; the caller closes it.
        meter: Counts the body's bytes.
        unpacked: Whether to unpack a gzip body. Other encodings were not requested, and nested ones
            could unpack to any size.
        blank: Puts asterisks in the place of a key that the server may repeat.
    """

    def __init__(
        self,
        response: httpx.Response,
        meter: Meter,
        *,
        unpacked: bool = False,
        blank: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self._response = response
        self._blank = blank
        self._meter = meter
        self._ahead = bytearray()  # received, not taken yet
        packed = self.header("Content-Encoding").strip().lower() == "gzip"
        raw = response.aiter_raw()
        self._pieces = _unpacked(raw) if unpacked and packed else raw

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status_code

    @property
    def host(self) -> str:
        """The host that answered."""
        return self._response.url.raw_host.decode()

    @property
    def location(self) -> bytes:
        """The `Location`, byte for byte; empty without one."""
        location: bytes = self._response.extensions[LOCATION]
        return location

    @property
    def content_length(self) -> int | None:
        """Bytes of the body as sent, None when the server does not state it."""
        text = self.header("Content-Length")
        return int(text) if _LENGTH.fullmatch(text) else None

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asks to wait, None when it does not say."""
        return retry_after(self.header("Retry-After") or None)

    def header(self, name: str) -> str:
        """The first value of a header, empty without one."""
        return next(iter(self._response.headers.get_list(name)), "")

    async def take(self, count: int) -> bytes:
        """The next `count` bytes of the body, fewer at its end.

        Raises:
            RequestError: The body was cut or stalled.
        """
        while len(self._ahead) < count:
            with translated(self.host):
                piece = await anext(self._pieces, b"")
            if not piece:
                break
            self._meter.bytes_read += len(piece)
            self._ahead += piece
        taken = bytes(self._ahead[:count])
        del self._ahead[:count]
        return self._blank(taken)

    async def body(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            RequestError: The body was cut, stalled, or is longer than `limit` bytes.
        """
        body = await self.take(limit + 1)
        if len(body) > limit:
            raise RequestError(f"{self.host} answers with more than {limit:,} bytes", again=False)
        return body

    def refusal(self) -> RequestError:
        """The RequestError for an unexpected status."""
        return RequestError(
            f"{self.host} answers {self.status}",
            again=self.status in _PASSING_STATUSES or self.status >= _FIRST_SERVER_ERROR,
            after=self.retry_after,
            status=self.status,
        )


async def _unpacked(raw: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Unpack a gzip body in steps: a few kilobytes may become gigabytes.

    Raises:
        ValueError: It is no gzip, or it goes on without becoming anything.
    """
    unpacker = zlib.decompressobj(_GZIP_WINDOW)
    idle = 0
    async for packed in raw:
        idle += len(packed)
        rest, step = packed, b""
        while rest or len(step) == UNPACKED_STEP_BYTES:
            try:
                step = unpacker.decompress(rest, UNPACKED_STEP_BYTES)
            except zlib.error:
                raise ValueError("not gzip") from None
            rest = unpacker.unconsumed_tail
            if step:
                idle -= len(step)
                yield step
        if unpacker.eof:
            return
        if idle > _IDLE_BYTES:
            raise ValueError("gzip of nothing")


@contextmanager
def translated(host: str) -> Iterator[None]:
    """Turn every failure of a request into a RequestError whose text names only the host.

    The libraries' exceptions quote URLs, so neither text nor traceback shows them.
    """
    try:
        yield
    except (httpx.HTTPError, aiohttp.ClientError, OSError, ValueError) as error:
        raise _meaning(host, error) from None


def _meaning(host: str, error: Exception) -> RequestError:
    """The RequestError for an exception of the libraries.

    httpx-aiohttp raises ConnectTimeout for a refused connection, an unknown name, a bad certificate
    and a closed connection alike; its cause, an exception of aiohttp, distinguishes them.
    """
    beneath = error.__cause__ if isinstance(error, httpx.TransportError) else None
    match beneath or error:
        case aiohttp.ClientConnectorError(os_error=PrivateAddressError()):
            return RequestError(f"{host} leads to a private address", again=False)
        case aiohttp.ConnectionTimeoutError():
            what = f"no connection to {host} in time"
        case aiohttp.ClientHttpProxyError() as refused:
            what = f"the proxy answers {refused.status}"
        case aiohttp.ClientProxyConnectionError():
            what = "no connection to the proxy"
        case aiohttp.ClientConnectorDNSError():
            what = f"the name {host} cannot be found"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            what = f"{host} has no valid certificate (TLS)"
        case aiohttp.ClientConnectorError() as unreached:
            # asyncio replaces the system's message by one with the address.
            number = unreached.os_error.errno
            what = f"no connection to {host}: {os.strerror(number) if number else 'failed'}"
        case TimeoutError():
            return SlowError(host)
        case interrupted:
            return RequestError(f"{host} {_interruption(interrupted)}")
    return RequestError(what, unreachable=True)


def _interruption(error: BaseException) -> str:
    match error:
        case aiohttp.ClientPayloadError():
            return "cut its response short"
        case aiohttp.ServerDisconnectedError() | OSError():
            return "closed the connection"
    return f"does not speak HTTP correctly ({type(error).__name__})"
