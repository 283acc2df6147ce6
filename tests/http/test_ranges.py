import asyncio
import contextlib
import socket
import threading
from functools import partial

import msgspec
import pytest

from crawler.http import Http, HttpSettings, Meter, RequestError, Timeouts, read_header
from crawler.model import HeaderBytes
from tests.http.asking import IMPATIENT, PATIENT
from tests.http.raw_server import Handler, RawServer, Request, always, part, ranged, response

pytestmark = pytest.mark.anyio

FIRST = 32 * 1024


def lora(header_bytes: int, body_bytes: int = 64) -> bytes:
    """A sound file whose header, with the 8 bytes of its length, has so many bytes."""
    entry = {"dtype": "U8", "shape": [body_bytes], "data_offsets": [0, body_bytes]}
    text = msgspec.json.encode({"lantern": entry}).ljust(header_bytes - 8)
    return len(text).to_bytes(8, "little") + text + bytes(body_bytes)


async def read(
    handler: Handler,
    *,
    max_header: int = 1 << 25,
    meter: Meter | None = None,
    timeouts: Timeouts = PATIENT,
) -> HeaderBytes:
    settings = HttpSettings(api_url="http://127.0.0.1:9", rate=0, timeouts=timeouts)
    async with RawServer(handler) as server, Http(settings) as http:
        ask = partial(http.storage, server.url + "/f", meter=meter or Meter())
        return await read_header(ask, first_bytes=FIRST, max_header=max_header)


async def test_a_short_header_takes_one_request() -> None:
    file, meter = lora(5000, 100_000), Meter()
    assert await read(ranged(file), meter=meter) == HeaderBytes(file[:5000], len(file))
    assert (meter.storage_requests, meter.bytes_read) == (1, FIRST)


@pytest.mark.parametrize("header_bytes", [FIRST - 1, FIRST, FIRST + 1, FIRST + 8, 300_000])
async def test_a_longer_header_is_completed_with_exactly_what_is_missing(header_bytes: int) -> None:
    file, meter = lora(header_bytes), Meter()
    assert await read(ranged(file), meter=meter) == HeaderBytes(file[:header_bytes], len(file))
    assert meter.storage_requests == (1 if header_bytes <= FIRST else 2)
    assert meter.bytes_read == max(min(FIRST, len(file)), header_bytes)


@pytest.mark.parametrize("size", [1, 7, 8, 100, 4095, 4096, 5000])
async def test_a_file_shorter_than_the_range_comes_whole(size: int) -> None:
    file = b"<html>" + b"x" * size
    got = await read(ranged(file))
    assert got == HeaderBytes(file[:4096], len(file))


async def test_an_empty_file_has_no_bytes() -> None:
    assert await read(ranged(b"")) == HeaderBytes(b"", 0)


@pytest.mark.parametrize("header_bytes", [200, 5000, 150_000])
async def test_a_whole_file_in_place_of_a_range_is_left_behind_the_header(
    header_bytes: int,
) -> None:
    file = lora(header_bytes, 300)
    sent = 0

    async def send(writer: asyncio.StreamWriter, data: bytes) -> None:
        nonlocal sent
        writer.write(data)
        await writer.drain()
        sent += len(data)

    async def endless(_request: Request, writer: asyncio.StreamWriter) -> None:
        await send(writer, f"HTTP/1.1 200 OK\r\nContent-Length: {1 << 34}\r\n\r\n".encode())
        await send(writer, file)
        while True:
            await send(writer, bytes(16_384))

    got = await read(endless)
    assert got == HeaderBytes(file[:header_bytes], 1 << 34)
    assert sent < 1024 * 1024


async def test_hardly_more_travels_of_a_body_without_an_end_than_is_read() -> None:
    """As `sent` counts it above a sender waits for this very loop; a thread of its own does not."""
    file, sent = lora(900_000, 300), 0

    def serve(listening: socket.socket) -> None:
        nonlocal sent
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(65_536)
            connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {1 << 34}\r\n\r\n".encode())
            connection.sendall(file)
            while True:
                sent += connection.send(bytes(16_384))

    with socket.create_server(("127.0.0.2", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        async with Http(HttpSettings(api_url="http://127.0.0.1:9", rate=0)) as http:
            url = f"http://127.0.0.2:{listening.getsockname()[1]}/f"
            ask = partial(http.storage, url, meter=Meter())
            got = await read_header(ask, first_bytes=FIRST, max_header=1 << 25)
        await asyncio.to_thread(thread.join)
    assert got == HeaderBytes(file[:900_000], 1 << 34)
    assert sent < 256 * 1024


async def test_a_chunked_whole_file_tells_its_length_only_by_ending() -> None:
    def chunked(file: bytes) -> Handler:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        return always(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(file), file))

    file = lora(6000, 500_000)
    assert await read(chunked(file)) == HeaderBytes(file[:6000], None)
    assert await read(chunked(file[:5500])) == HeaderBytes(file[:4096], 5500)
    assert await read(chunked(b"PK\x03\x04")) == HeaderBytes(b"PK\x03\x04", 4)


async def test_a_second_answer_that_is_the_whole_file_is_read_past_the_known_part() -> None:
    file, meter = lora(100_000, 4_000_000), Meter()

    async def handler(request: Request, _writer: asyncio.StreamWriter) -> bytes:
        first, last = request.span
        return part(file, first, last) if first == 0 else response(200, file)

    assert await read(handler, meter=meter) == HeaderBytes(file[:100_000], len(file))
    assert meter.bytes_read < FIRST + 300_000


async def test_a_header_beyond_the_limit_is_not_read() -> None:
    meter = Meter()
    with pytest.raises(RequestError, match="999,992 bytes") as caught:
        await read(ranged(lora(1_000_000)), max_header=999_991, meter=meter)
    assert not caught.value.again
    assert meter.bytes_read == FIRST
    got = await read(ranged(lora(1_000_000)), max_header=999_992)
    assert len(got.prefix) == 1_000_000
    with pytest.raises(RequestError, match="--max-header"):
        await read(always(response(200, lora(1_000_000))), max_header=1000)


FILE = lora(50_000)
LENGTH = len(FILE)


@pytest.mark.parametrize(
    ("handler", "word"),
    [
        (always(response(206, FILE[:FIRST])), "which bytes"),
        (always(response(206, FILE[:10], {"Content-Range": "bytes 0-9"})), "which bytes"),
        (always(response(206, FILE[:10], {"Content-Range": "bytes 10-19/900"})), "10 to 19"),
        (always(response(206, FILE[:10], {"Content-Range": "bytes 0-9/9"})), "0 to 9 of 9"),
        (always(response(206, FILE[:10], {"Content-Range": "bytes 9-0/900"})), "9 to 0"),
        (always(response(206, FILE[:10], {"Content-Range": "bytes 0-19/900"})), "another range"),
        (always(response(206, FILE[:10], {"Content-Range": f"bytes 0-9/{LENGTH}"})), "only 10"),
        (
            always(response(206, FILE, {"Content-Range": f"bytes 0-{LENGTH - 1}/{LENGTH}"})),
            "not the first",
        ),
        (
            always(
                response(206, FILE[:FIRST], {"Content-Range": f"bytes 0-{FIRST - 1}/{LENGTH}"}),
                response(206, FILE[:99], {"Content-Range": f"bytes 0-98/{LENGTH}"}),
            ),
            "0 to 98",
        ),
        (
            always(part(FILE, 0, FIRST - 1), part(FILE + b"x", FIRST, 49_999)),
            "a moment before",
        ),
        (always(part(FILE, 0, FIRST - 1), response(200, FILE + b"x")), "a moment before"),
        (always(part(FILE, 0, FIRST - 1), response(416)), "answers 416"),
        (always(response(416, headers={"Content-Range": "bytes */900"})), "does not send them"),
        (always(response(416)), "does not say how many"),
        (always(response(200, FILE, {"Content-Encoding": "gzip"})), "compressed"),
        (always(response(206, b"", {"Content-Encoding": "br"})), "compressed"),
        (always(response(200, FILE[:40_000], {"Content-Length": str(LENGTH)})), "cut"),
        (always(part(FILE, 0, FIRST - 1)[:-5]), "cut"),
        (always(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + FILE[:40_000]), "cut"),
        (always(b"SSH-2.0-OpenSSH\r\n\r\n"), "does not speak HTTP"),
        (always(b""), "closed the connection"),
        (always(response(503, headers={"Retry-After": "7"})), "answers 503"),
        (always(response(404)), "answers 404"),
        (always(response(304)), "answers 304"),
        (always(response(302, headers={"Location": "/f"})), "from host to host"),
        (always(response(302, headers={"Location": "https://10.0.0.1/f"})), "private address"),
        (always(response(302, headers={"Location": "https://evil.example/f"})), "evil.example"),
        (always(response(302)), "cannot be read"),
    ],
)
async def test_a_server_that_contradicts_itself_is_not_believed(
    handler: Handler, word: str
) -> None:
    with pytest.raises(RequestError, match=word):
        await read(handler)


async def test_another_try_is_worth_it_after_a_fault_and_not_after_a_refusal() -> None:
    for status, again in [(500, True), (503, True), (429, True), (404, False), (400, False)]:
        with pytest.raises(RequestError) as caught:
            await read(always(response(status, headers={"Retry-After": "7"})))
        assert (caught.value.status, caught.value.again, caught.value.after) == (status, again, 7)


async def test_a_stalled_body_and_a_trickle_come_to_an_end() -> None:
    async def stall(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(part(FILE, 0, FIRST - 1)[:9000])
        await writer.drain()
        await asyncio.sleep(30)

    async def trickle(_request: Request, writer: asyncio.StreamWriter) -> None:
        for byte in part(FILE, 0, FIRST - 1):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)

    for handler in (stall, trickle):
        with pytest.raises(RequestError, match="too slow"):
            await read(handler, timeouts=IMPATIENT)


def test_a_small_range_is_given_less_time_than_a_large_one() -> None:
    usual = Timeouts()
    assert usual.of(None) < usual.of((0, (1 << 25) - 1)) == 180
    assert usual.of((0, 288 * 1024 - 1)) == 39
    assert 30 < usual.of((0, 7)) < 31


async def test_a_redirect_from_storage_to_storage_is_followed() -> None:
    async with RawServer(ranged(FILE), "127.0.0.2") as other:
        got = await read(always(response(302, headers={"Location": other.url + "/f?a=%2f"})))
        assert got == HeaderBytes(FILE[:50_000], LENGTH)
        assert {request.target for request in other.requests} == {"/f?a=%2f"}
