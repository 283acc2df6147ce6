"""Starting and stopping the sandbox on loopback addresses."""

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Thread
from types import TracebackType
from typing import Self

import uvicorn
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from crawler.errors import LoraCrawlError
from crawler.sandbox.api import Api
from crawler.sandbox.entries import Stock
from crawler.sandbox.faults import Faults
from crawler.sandbox.luck import Luck
from crawler.sandbox.signing import Signer
from crawler.sandbox.sockets import listen, listen_for_storage, url_of
from crawler.sandbox.storage import Storage
from crawler.sandbox.tally import Counters, Tally
from crawler.sandbox.world import World

SANDBOX_KEY = "sandbox-key"  # the API key that every sandbox takes
_IDLE_SECONDS = 75  # as long as nginx keeps a connection without requests
_START_SECONDS = 30.0  # more than any machine needs
_STOP_SECONDS = 1  # what is being sent when the sandbox stops gets so long
_SECRET_BYTES = 32
_TICK_SECONDS = 0.5  # how soon an interrupt is seen where waiting cannot be interrupted


class Sandbox:
    """A running catalogue, for code that is not async: started by `with`, stopped behind it.

    Attributes:
        url: Of the API, without a slash at the end.
        storage_url: Where the links to files lead.
        key: The API key that it takes.

    Args:
        stock: What is served, e.g. a Catalogue.
        faults: What goes wrong on the network; None for what the stock itself wants.
        latency: Seconds that every reply waits.
        host: A loopback address.
        port: Of the API; 0 takes a free one.
        seed: Decides which requests the faults strike.

    Raises:
        UsageError: The host is no loopback address, or the port cannot be had.
    """

    key = SANDBOX_KEY

    def __init__(
        self,
        stock: Stock,
        *,
        faults: Faults | None = None,
        latency: float = 0.0,
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int = 0,
    ) -> None:
        self._faults = stock.faults if faults is None else faults
        self._latency = latency
        self._world = World(stock, self._faults.edge_cache)
        self._seed = seed
        self._tally = Tally()
        api = listen(host, port)
        try:
            storage = listen_for_storage()
        except OSError:
            api.close()
            raise
        self._sockets = [api, storage]
        self.url, self.storage_url = url_of(api), url_of(storage)

    def __enter__(self) -> Self:
        config = uvicorn.Config(
            self._application(),
            access_log=False,
            lifespan="off",
            log_config=None,
            log_level=logging.CRITICAL,  # a reply cut short on purpose is no error
            timeout_graceful_shutdown=_STOP_SECONDS,
            timeout_keep_alive=_IDLE_SECONDS,
            ws="none",
        )
        self._server = _Server(config)
        self._thread = Thread(
            target=self._server.run, args=(self._sockets,), name="sandbox", daemon=True
        )
        self._thread.start()
        if not self._server.ready.wait(_START_SECONDS):
            raise LoraCrawlError("the sandbox did not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        for opened in self._sockets:
            opened.close()

    @property
    def counters(self) -> Counters:
        """What it has seen so far."""
        return self._tally.counters()

    def show(self, stock: Stock) -> None:
        """Serve another stock from now on at the same addresses, e.g. the same catalogue later.

        Counts go on, and so does the memory of the edge cache; the network keeps its faults.
        """
        self._world.show(stock)

    def wait(self) -> None:
        """Return when the server stops, which it does not by itself."""
        while self._thread.is_alive():
            self._thread.join(_TICK_SECONDS)

    def _application(self) -> ASGIApp:
        luck = Luck(self._seed, self._faults.most_strikes, self._tally.inject)
        signer = Signer(secrets.token_bytes(_SECRET_BYTES), self._faults.url_lifetime)
        api = Api(
            world=self._world,
            faults=self._faults,
            signer=signer,
            tally=self._tally,
            luck=luck,
            storage=self.storage_url,
            key=self.key,
        )
        storage = Storage(
            world=self._world,
            faults=self._faults,
            signer=signer,
            tally=self._tally,
            luck=luck,
            key=self.key,
        )
        address = self._sockets[1].getsockname()
        return _Hosts(api, api.application(), storage, address, self._latency)


def serve_forever(
    stock: Stock,
    announce: Callable[[Sandbox], None],
    *,
    faults: Faults | None = None,
    latency: float = 0.0,
    host: str = "127.0.0.1",
    port: int = 0,
    seed: int = 0,
) -> Counters:
    """Run a sandbox until an interrupt, and tell what it has seen.

    Args:
        stock: What is served.
        announce: Called once, when the sandbox answers.
        faults: What goes wrong on the network; None for what the stock itself wants.
        latency: Seconds that every reply waits.
        host: A loopback address.
        port: Of the API; 0 takes a free one.
        seed: Decides which requests the faults strike.

    Raises:
        UsageError: The host is no loopback address, or the port cannot be had.
    """
    with Sandbox(stock, faults=faults, latency=latency, host=host, port=port, seed=seed) as sandbox:
        announce(sandbox)
        with suppress(KeyboardInterrupt):  # that is how it ends
            sandbox.wait()
        return sandbox.counters


@dataclass(frozen=True, slots=True)
class _Hosts:
    """Both hosts as one ASGI application: which one is meant shows in the address asked."""

    api: Api
    application: ASGIApp
    storage: Storage
    storage_address: tuple[str, int]
    latency: float

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.latency > 0:
            await asyncio.sleep(self.latency)
        if tuple(scope["server"]) == self.storage_address:
            await self.storage(scope, receive, send)
            return
        self.api.tally.api_request()
        query = scope["query_string"].decode("latin-1")
        agent = Headers(scope=scope).get("user-agent", "")
        mood = self.api.mood(agent, scope["path"], query)
        await (mood or self.application)(scope, receive, send)


class _Server(uvicorn.Server):
    """A server that tells another thread when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self.ready.set()
