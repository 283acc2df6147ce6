"""The server of a sandbox: two listeners on loopback, one for the API and one for storage."""

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from crawler.errors import LoraCrawlError, UsageError
from crawler.sandbox.catalogue import Catalogue
from crawler.sandbox.faults import Counters, FaultSchedule
from crawler.sandbox.hosts import Site, stored_file

_HOST = "127.0.0.1"
# Not the API's origin, to test that a client does not send its key here. On Linux all of 127.0.0.0/8
# is loopback; elsewhere only the port differs.
_STORAGE_HOST = "127.0.0.2"
_BACKLOG = 1024  # connections that wait to be accepted
# Bytes in the kernel count as sent, read or not: so no more than a chunk waits there
_SEND_BYTES = 64 * 1024
_IDLE_SECONDS = 75  # as long as nginx keeps a connection without requests
_STOP_SECONDS = 1  # for replies that are being sent when the sandbox stops
_TICK_SECONDS = 0.01  # how soon a start is seen
_INTERRUPT_SECONDS = 0.5  # how soon an interrupt is seen


class Sandbox:
    """A running catalogue, for code that is not async: `with` starts it and stops it.

    Attributes:
        url: Of the API, without a slash at the end.
        storage_url: Where the links to files lead.
        key: The API key that it accepts.

    Args:
        catalogue: The catalogue to serve. Its faults and seed also determine the network faults.
        latency: Delay of every reply, in seconds.
        port: Port of the API; 0 chooses a free port.

    Raises:
        UsageError: The port is in use or not allowed.
    """

    key = "sandbox-key"

    def __init__(self, catalogue: Catalogue, *, latency: float = 0.0, port: int = 0) -> None:
        self._sockets = _listen(port)
        addresses = (listener.getsockname() for listener in self._sockets)
        self.url, self.storage_url = (f"http://{host}:{port}" for host, port in addresses)
        counters = Counters()
        self._site = Site(
            catalogue=catalogue,
            schedule=FaultSchedule(catalogue.seed, catalogue.faults, counters.injected),
            counters=counters,
            storage_url=self.storage_url,
            key=self.key,
        )
        self._latency = latency

    def __enter__(self) -> Self:
        config = uvicorn.Config(
            self._application(),
            access_log=False,
            lifespan="off",
            log_config=None,
            log_level=logging.CRITICAL,  # a reply cut short on purpose is not an error
            timeout_graceful_shutdown=_STOP_SECONDS,
            timeout_keep_alive=_IDLE_SECONDS,
            ws="none",
        )
        self._server = uvicorn.Server(config)
        run = partial(self._server.run, self._sockets)
        self._thread = Thread(target=run, name="sandbox", daemon=True)
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise LoraCrawlError("the sandbox did not start")
            time.sleep(_TICK_SECONDS)
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        for opened in self._sockets:
            opened.close()

    @property
    def counters(self) -> Counters:
        """A copy of the counters."""
        return self._site.counters.copy()

    def show(self, catalogue: Catalogue) -> None:
        """Replace the served catalogue, for example by a later one. Counters and faults continue."""
        self._site.catalogue = catalogue

    def wait(self) -> None:
        """Wait until the server stops. It does not stop by itself."""
        while self._thread.is_alive():
            self._thread.join(_INTERRUPT_SECONDS)

    def _application(self) -> Callable[[Scope, Receive, Send], object]:
        """Both hosts as one ASGI application. The address of a request selects the host."""
        site, latency = self._site, self._latency
        endpoints = Starlette(routes=site.routes())
        files = Starlette(routes=[Route("/{path:path}", partial(stored_file, site))])
        storage_address = self._sockets[1].getsockname()

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            await asyncio.sleep(latency)
            if tuple(scope["server"]) == storage_address:
                await files(scope, receive, send)
            else:
                await (site.trouble(Request(scope)) or endpoints)(scope, receive, send)

        return application


def _listen(port: int) -> list[socket.socket]:
    """Listeners for the API and for storage; raises UsageError if the port cannot be opened."""
    try:
        api = socket.create_server((_HOST, port), backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise UsageError(f"cannot listen on {_HOST} port {port}: {error}") from error
    try:
        files = socket.create_server((_STORAGE_HOST, 0), backlog=_BACKLOG)
    except OSError:
        files = socket.create_server((_HOST, 0), backlog=_BACKLOG)
    files.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)
    return [api, files]
