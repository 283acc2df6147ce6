"""One answer of a server, read in pieces and within limits."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp

from crawler.http.addresses import PrivateAddressError
from crawler.http.failure import RequestError
from crawler.http.rates import asked_pause

#: Most bytes read of an answer that refuses: enough for an error text or a login page's beginning.
MAX_REFUSAL_BYTES = 64 * 1024

#: Bytes taken from a connection at once.
PIECE_BYTES = 64 * 1024

#: Statuses below 500 after which the same request may succeed later.
PASSING_STATUSES = frozenset({408, 425, 429})

FIRST_SERVER_ERROR = 500


@dataclass(slots=True)
class Meter:
    """Counts what travelled for one file.

    Attributes:
        counted: Downloads that the site counted: links it resolved.
        storage_requests: Requests to storage hosts.
        bytes_read: Body bytes that travelled from storage.
    """

    counted: int = 0
    storage_requests: int = 0
    bytes_read: int = 0


class Answer:
    """The head of an answer, and its body as a stream. Left early, the connection is closed."""

    def __init__(self, response: aiohttp.ClientResponse, meter: Meter) -> None:
        self._response = response
        self._meter = meter

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status

    @property
    def host(self) -> str:
        """Who answered."""
        return self._response.url.raw_host or ""

    @property
    def location(self) -> bytes:
        """The `Location` as it came, empty without one."""
        for name, value in self._response.raw_headers:
            if name.lower() == b"location":
                return value
        return b""

    @property
    def content_length(self) -> int | None:
        """Bytes of the body, None when the server does not say."""
        return self._response.content_length

    @property
    def is_chunked(self) -> bool:
        """Whether the body marks its own end, so that a cut one is noticed."""
        return "chunked" in self.header("Transfer-Encoding").lower()

    @property
    def asked_pause(self) -> float | None:
        """Seconds that the server asks to wait, None when it does not."""
        return asked_pause(self.header("Retry-After") or None)

    def header(self, name: str) -> str:
        """The first value of a header, empty without one."""
        return self._response.headers.get(name, "")

    async def piece(self) -> bytes:
        """The next bytes of the body, empty at its end.

        Raises:
            RequestError: It was cut or stalled.
        """
        with translated(self.host):
            piece = await self._response.content.read(PIECE_BYTES)
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
            after=self.asked_pause,
            status=self.status,
        )


@contextmanager
def translated(host: str) -> Iterator[None]:
    """Turn every failure of a request into a RequestError whose text holds no address but the host.

    The exceptions underneath quote whole URLs, signatures included, so nothing of them is shown and
    they are cut off from the traceback.
    """
    try:
        yield
    except aiohttp.ClientConnectorError as error:
        raise _unreached(host, error) from None
    except aiohttp.ConnectionTimeoutError:
        raise RequestError(f"no connection to {host} in time", unreachable=True) from None
    except (TimeoutError, aiohttp.ServerTimeoutError):
        raise RequestError(f"{host} is too slow") from None
    except aiohttp.ClientHttpProxyError as error:
        raise RequestError(f"the proxy answers {error.status}", unreachable=True) from None
    except aiohttp.ClientPayloadError:
        raise RequestError(f"{host} cut its answer short") from None
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, OSError):
        raise RequestError(f"{host} closed the connection") from None
    except (aiohttp.ClientError, ValueError) as error:
        raise RequestError(f"{host} does not speak HTTP rightly ({type(error).__name__})") from None


def _unreached(host: str, error: aiohttp.ClientConnectorError) -> RequestError:
    cause = error.os_error
    if isinstance(cause, PrivateAddressError):
        return RequestError(f"{host} leads to a private address", again=False)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return RequestError("no connection to the proxy", unreachable=True)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return RequestError(f"the name {host} cannot be found", unreachable=True)
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return RequestError(f"{host} cannot prove who it is (TLS)", unreachable=True)
    return RequestError(f"no connection to {host}: {cause.strerror or 'refused'}", unreachable=True)
