"""A server that shows the very bytes it was sent and answers with any bytes a test wants."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import msgspec


@dataclass(frozen=True)
class Request:
    """One request as it came: the target of its first line and its headers, in lower case."""

    head: bytes
    method: str
    target: str
    headers: Mapping[str, str]

    @property
    def span(self) -> tuple[int, int]:
        first, _, last = self.headers["range"].removeprefix("bytes=").partition("-")
        return int(first), int(last)


Handler = Callable[[Request, asyncio.StreamWriter], Awaitable[bytes | None]]


class RawServer:
    """Open between `async with`; `requests` grows with every request."""

    def __init__(self, handler: Handler, host: str = "127.0.0.1") -> None:
        self.handler = handler
        self.host = host
        self.requests: list[Request] = []
        self._busy: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, self.host, 0)
        listening = self._server.sockets[0]
        # Left alone, the system takes megabytes off a server's hands that nobody receives.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        self.port: int = listening.getsockname()[1]
        self.url = f"http://{self.host}:{self.port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._busy:
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)
        await asyncio.sleep(0)  # what was aborted is closed in the loop's next round
        await self._server.wait_closed()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").rstrip().split("\r\n")
            method, target, _ = first.split(" ")
            pairs = (line.partition(":") for line in lines)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            request = Request(head, method, target, headers)
            self.requests.append(request)
            if response := await self.handler(request, writer):
                writer.write(response)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()


def response(
    status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    """A whole response with its length; a header of None's text is left out."""
    lines = {"Content-Length": str(len(body)), "Connection": "close", **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Text\r\n{head}\r\n".encode("latin-1") + body


def json_answer(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> bytes:
    """A response in JSON."""
    kind = {"Content-Type": "application/json", **(headers or {})}
    return response(status, msgspec.json.encode(value), kind)


def always(*answers: bytes) -> Handler:
    """Gives the answers in turn, the last one for ever."""
    left = list(answers)

    async def handler(_request: Request, _writer: asyncio.StreamWriter) -> bytes:
        return left.pop(0) if len(left) > 1 else left[0]

    return handler


def ranged(body: bytes) -> Handler:
    """Serves the ranges of a file as storage does."""

    async def handler(request: Request, _writer: asyncio.StreamWriter) -> bytes:
        return part(body, *request.span)

    return handler


def part(body: bytes, first: int, last: int) -> bytes:
    """The response to a range of a file."""
    if first >= len(body):
        return response(416, headers={"Content-Range": f"bytes */{len(body)}"})
    last = min(last, len(body) - 1)
    where = {"Content-Range": f"bytes {first}-{last}/{len(body)}"}
    return response(206, body[first : last + 1], where)
