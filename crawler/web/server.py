"""The server of the page: a listener, and the application in a thread of its own."""

import asyncio
import ipaddress
import logging
import socket
import time
from functools import partial
from threading import Thread
from typing import Any, Self

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from crawler.errors import LoraCrawlError, UsageError
from crawler.store.connect.database import Engine
from crawler.web.app import Site
from crawler.web.limits import MAX_WAITING
from crawler.web.security import LOOPBACK, Hosts

_BACKLOG = 256  # connections that wait to be accepted
_TICK_SECONDS = 0.01  # how soon a start is seen
_INTERRUPT_SECONDS = 0.2  # how soon an interrupt is seen

#: Seconds after which a connection ends on which nothing moves, though nothing is being answered.
_SILENT_SECONDS = 15.0


class _Connection(H11Protocol):
    """A connection that does not stay for ever: there are at most MAX_WAITING."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Look after it."""
        super().connection_made(transport)
        self.loop.call_later(_SILENT_SECONDS, self._look, None)

    def _look(self, before: tuple[Any, int] | None) -> None:
        """End it if there is no new request, and nothing was sent since the look before."""
        if self not in self.connections:
            return
        now = (self.cycle, self.transport.get_write_buffer_size())
        if now == before and getattr(self.cycle, "response_complete", True):
            self.transport.abort()
        else:
            self.loop.call_later(_SILENT_SECONDS, self._look, now)


class PageServer:
    """A running page, for code that is not async: `with` starts it and stops it.

    Attributes:
        url: Its address, for a browser on this machine.
        is_open: Whether other machines can reach it.

    Args:
        engine: The database, opened to read.
        host: The address or name to listen on.
        port: The port; 0 chooses a free one.

    Raises:
        UsageError: It cannot listen there.
    """

    def __init__(self, engine: Engine, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._socket = _listen(host, port)
        address, port = self._socket.getsockname()[:2]
        found = ipaddress.ip_address(address.partition("%")[0])
        self.is_open = not found.is_loopback
        name = f"[{address}]" if found.version == 6 else address  # noqa: PLR2004 - of IPv6
        given = host.lower() if found.version == 4 or ":" not in host else f"[{host.lower()}]"  # noqa: PLR2004 - of IPv4
        self.url = f"http://{'127.0.0.1' if found.is_unspecified else name}:{port}/"
        hosts = Hosts(LOOPBACK | {name, given}, port, every_address=found.is_unspecified)
        self._site = Site(engine, hosts)

    def __enter__(self) -> Self:
        config = uvicorn.Config(
            self._site.application,
            access_log=False,
            http=_Connection,
            lifespan="off",
            limit_concurrency=MAX_WAITING,
            log_config=None,
            log_level=logging.CRITICAL,  # the application tells its own errors
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=0,  # nobody waits for an answer that nobody reads
            ws="none",
        )
        self._server = uvicorn.Server(config)
        run = partial(self._server.run, [self._socket])
        self._thread = Thread(target=run, name="page", daemon=True)
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise LoraCrawlError("the server did not start")
            time.sleep(_TICK_SECONDS)
        self._site.begin()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
        self._site.close()

    def wait(self) -> None:
        """Wait until the server stops. It does not stop by itself."""
        while self._thread.is_alive():
            self._thread.join(_INTERRUPT_SECONDS)


def _listen(host: str, port: int) -> socket.socket:
    """A listener; raises UsageError if there can be none."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        advice = "choose another --port, or --port 0 for any free one"
        raise UsageError(f"cannot listen on {host} port {port}: {reason}; {advice}") from error
