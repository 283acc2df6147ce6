import asyncio
import gzip
import socket
import time
import zlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from crawler.errors import UsageError
from crawler.http import Http, RequestError, Timeouts, Waits, client
from crawler.http.client import API_USER_AGENT
from crawler.http.retry import HurriedError
from crawler.http.transport import MAX_OVERHEAD_BYTES
from tests.http.asking import KEY, ODD, PATIENT, get, settings
from tests.http.raw_server import RawServer, Request, always, json_answer, part, response

pytestmark = pytest.mark.anyio


async def test_an_address_goes_out_byte_for_byte() -> None:
    async with RawServer(always(part(b"x" * 10, 0, 9))) as server:
        async with Http(settings(server.url)) as http:
            await get(http, server.url + ODD)
        assert server.requests[0].head.startswith(b"GET " + ODD.encode() + b" HTTP/1.1\r\n")


async def test_a_redirected_address_goes_out_byte_for_byte_too() -> None:
    async with RawServer(always(part(b"x", 0, 0)), "127.0.0.2") as last:
        hop = always(response(307, headers={"Location": last.url + ODD}))
        async with RawServer(hop) as server, Http(settings(server.url)) as http:
            await get(http, server.url + "/first")
        assert last.requests[0].target == ODD


async def test_a_file_request_has_a_range_and_no_compression_and_no_key() -> None:
    async with RawServer(always(part(b"x", 0, 0)), "127.0.0.2") as storage:
        async with Http(settings("http://127.0.0.1:9")) as http:
            await get(http, storage.url + "/f")
        headers = storage.requests[0].headers
    assert set(headers) == {"host", "user-agent", "accept", "accept-encoding", "range"}
    assert headers["range"] == "bytes=0-99"
    assert headers["accept-encoding"] == "identity"
    assert headers["user-agent"].startswith("curl/")
    assert headers["host"] == storage.url.removeprefix("http://")
    assert "authorization" not in headers
    assert KEY.encode() not in storage.requests[0].head


async def test_the_key_goes_to_the_api_and_to_no_other_port_of_its_host() -> None:
    async with (
        RawServer(always(part(b"x", 0, 0))) as storage,
        RawServer(always(json_answer({}))) as api,
        Http(settings(api.url + "/api/v1/")) as http,
    ):
        async with http.api("/api/v1/models", [("types", "LORA"), ("types", "a b&c")]) as found:
            assert await found.body(100) == b"{}"
        await get(http, storage.url + "/f")
        await get(http, api.url + "/f")
        asked, stored = api.requests
        assert asked.target == "/api/v1/models?types=LORA&types=a%20b%26c"
        assert asked.headers["authorization"] == f"Bearer {KEY}"
        assert asked.headers["user-agent"].startswith("lora-crawl/")
        assert "authorization" not in storage.requests[0].headers
        assert "authorization" not in stored.headers


def test_the_api_is_asked_by_a_name_that_no_browser_has() -> None:
    agent = API_USER_AGENT.lower()
    browsers = ("mozilla", "chrome", "safari", "firefox", "opera", "edge")
    assert not any(browser in agent for browser in browsers)


async def test_the_api_redirects_and_is_not_followed() -> None:
    async with RawServer(always(json_answer({}))) as other:
        moved = always(response(301, headers={"Location": other.url + "/api"}))
        async with (
            RawServer(moved) as api,
            Http(settings(api.url)) as http,
            http.api("/api/v1/models") as found,
        ):
            assert (found.status, found.location.decode()) == (301, other.url + "/api")
        assert other.requests == []


@pytest.mark.parametrize(
    "location",
    ["http://[bad", "http://999.1.1.1/", "https://xn--zz--zz.example/", "//", "x" * 20_000],
)
async def test_an_answer_is_had_wherever_it_leads(location: str) -> None:
    moved = always(response(302, b"moved", {"Location": location}))
    async with (
        RawServer(moved) as api,
        Http(settings(api.url)) as http,
        http.api("/x") as found,
    ):
        assert (found.status, found.location.decode()) == (302, location)
        assert (found.content_length, await found.body(10)) == (5, b"moved")


async def test_neither_cookies_nor_netrc_are_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login lantern password moth\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    given = always(json_answer({}, headers={"Set-Cookie": "a=b; Path=/"}))
    async with RawServer(given) as api:
        url = f"http://localhost:{api.port}"  # libraries keep no cookies of bare addresses anyway
        async with Http(settings(url, api_key=None)) as http:
            for _ in range(2):
                async with http.api("/api/v1/models") as found:
                    assert found.header("Set-Cookie") == ""
                    await found.body(100)
        assert not {"cookie", "authorization"} & set(api.requests[1].headers)


async def test_a_list_may_travel_compressed_and_is_measured_unpacked() -> None:
    packed = gzip.compress(bytes(1_000_000))
    given = always(response(200, packed, {"Content-Encoding": "gzip"}))
    async with RawServer(given) as api, Http(settings(api.url)) as http:
        async with http.api("/api/v1/models") as found:
            assert await found.body(1_000_000) == bytes(1_000_000)
        assert api.requests[0].headers["accept-encoding"] == "gzip"
        with pytest.raises(RequestError, match="more than 999,999 bytes"):
            async with http.api("/api/v1/models") as found:
                await found.body(999_999)


@pytest.mark.parametrize("encoding", ["gzip, gzip", "deflate", "zstd", "br"])
async def test_only_what_was_asked_for_is_unpacked(encoding: str) -> None:
    packed = gzip.compress(gzip.compress(b"{}"))
    given = always(response(200, packed, {"Content-Encoding": encoding}))
    async with (
        RawServer(given) as api,
        Http(settings(api.url)) as http,
        http.api("/api/v1/models") as found,
    ):
        assert await found.body(1000) == packed


async def test_a_list_that_is_packed_wrongly_is_no_answer() -> None:
    given = always(response(200, b"{}", {"Content-Encoding": "gzip"}))
    async with RawServer(given) as api, Http(settings(api.url)) as http:
        with pytest.raises(RequestError, match="does not speak HTTP correctly"):
            async with http.api("/api/v1/models") as found:
                await found.body(1000)


async def test_no_more_of_a_body_is_taken_than_asked_for() -> None:
    async with (
        RawServer(always(response(500, bytes(500_000)))) as api,
        Http(settings(api.url)) as http,
        http.api("/x") as found,
    ):
        assert await found.take(1000) == bytes(1000)


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 200"])
async def test_a_closed_connection_is_one_request_and_not_two(reply: bytes) -> None:
    async with RawServer(always(reply)) as api, Http(settings(api.url)) as http:
        with pytest.raises(RequestError, match="closed the connection"):
            async with http.api("/x"):
                pass
        assert len(api.requests) == 1


async def test_every_request_to_the_api_waits_for_its_turn_and_storage_does_not() -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        turns += 1

    async with (
        RawServer(always(part(b"x", 0, 0))) as api,
        RawServer(always(part(b"x", 0, 0))) as storage,
        Http(settings(api.url), turn=turn) as http,
    ):
        for _ in range(3):
            async with http.api("/x") as found:
                await found.body(10)
        await get(http, storage.url + "/f")
        assert turns == 3
        # A link that leads back to the API itself is one more request to it.
        await get(http, api.url + "/f")
    assert turns == 4


@pytest.mark.parametrize("status", [429, 503])
async def test_every_request_to_the_api_waits_as_long_as_one_answer_asks_for(status: int) -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        turns += 1

    waits = Waits(shortest=0, longest=0, longest_asked=0.5)
    busy = always(response(status, headers={"Retry-After": "9"}), json_answer({}))
    async with (
        RawServer(busy) as api,
        Http(settings(api.url, waits=waits), turn=turn) as http,
    ):
        async with http.api("/one") as found:
            assert found.status == status
        async with asyncio.TaskGroup() as group:
            for name in ("/two", "/three"):
                group.create_task(_asked(http, name))
        assert len(api.requests) == 3
    # Each of the two had its turn while the API was closed, and took another one afterwards.
    assert turns == 1 + 2 * 2


@pytest.mark.parametrize(("asked", "told"), [("9", [0.5]), ("0.2", []), ("0", []), (None, [])])
async def test_others_are_told_how_long_the_api_wants_no_request(
    asked: str | None, told: list[float]
) -> None:
    held: list[float] = []

    async def hold(seconds: float) -> None:
        held.append(seconds)

    busy = response(503, headers={} if asked is None else {"Retry-After": asked})
    waits = Waits(shortest=0, longest=0, longest_asked=0.5)
    async with (
        RawServer(always(busy)) as api,
        Http(settings(api.url, waits=waits), hold=hold) as http,
        http.api("/one"),
    ):
        assert held == told


async def test_the_first_contact_does_not_count_the_time_until_its_turn() -> None:
    contact = 0.05
    turns = 0

    async def turn() -> None:
        nonlocal turns
        turns += 1
        await asyncio.sleep(contact * 4)

    quick = settings("http://127.0.0.1:9", timeouts=replace(PATIENT, contact=contact))
    async with Http(quick, turn=turn) as http:

        async def once() -> int:
            await http._admitted()
            return turns

        assert await http.first(once) == 1
        assert await once() == 2


async def _asked(http: Http, path: str) -> None:
    async with http.api(path) as found:
        assert await found.body(10) == b"{}"


async def test_a_plain_request_goes_through_the_proxy_unchanged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with RawServer(always(part(b"x", 0, 0))) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://moth:w%40x@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.3,.lantern.example")
        async with Http(settings("http://127.0.0.1:9")) as http:
            await get(http, "http://127.0.0.2:81" + ODD)
            with pytest.raises(RequestError, match=r"no connection to 127\.0\.0\.3"):
                await get(http, "http://127.0.0.3:9/f")
        asked = proxy.requests[0]
        assert asked.target == "http://127.0.0.2:81" + ODD
        assert asked.headers["proxy-authorization"] == "Basic bW90aDp3QHg="
        assert len(proxy.requests) == 1


async def test_an_encrypted_request_asks_the_proxy_for_a_tunnel_and_shows_it_no_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with RawServer(always(response(403))) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"moth:sesame@127.0.0.1:{proxy.port}")
        async with Http(settings("https://api.lantern.example")) as http:
            with pytest.raises(RequestError, match="the proxy answers 403") as caught:
                async with http.api("/api/v1/models"):
                    pass
        assert caught.value.unreachable
        asked = proxy.requests[0]
        assert (asked.method, asked.target) == ("CONNECT", "api.lantern.example:443")
        assert asked.headers["proxy-authorization"] == "Basic bW90aDpzZXNhbWU="
        assert KEY.encode() not in asked.head


async def test_an_unusable_proxy_is_a_usage_error_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://moth:sesame@127.0.0.1:1080")
    with pytest.raises(UsageError) as caught:
        Http(settings("http://127.0.0.1:9"))
    assert "sesame" not in str(caught.value)


async def test_refused_connections_and_unknown_names_say_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        for address, words in [
            (url, "no connection to 127.0.0.1: Connection refused"),
            ("https://lantern.invalid", "the name lantern.invalid cannot be found"),
        ]:
            async with Http(settings(address)) as http:
                with pytest.raises(RequestError, match=words) as caught:
                    async with http.api("/x"):
                        pass
            assert caught.value.unreachable


@pytest.mark.parametrize("host", ["999.1.1.1", "[v1.x]", "xn--zz--zz.lantern.example"])
async def test_what_is_no_host_is_not_asked(host: str) -> None:
    async with Http(settings("https://civitai.com", storage_hosts=("*",))) as http:
        with pytest.raises(RequestError, match="is not a host name") as caught:
            await get(http, f"https://{host}/f")
    assert not caught.value.again


async def test_a_name_that_leads_into_a_private_network_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def resolved(host: str, port: int, *_more: object, **_flags: object) -> list[tuple[Any, ...]]:
        assert host == "files.lantern.example"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    hosts = ("files.lantern.example",)
    async with Http(settings("https://civitai.com", storage_hosts=hosts)) as http:
        with pytest.raises(RequestError, match="leads to a private address") as caught:
            await get(http, "https://files.lantern.example/f")
    assert not caught.value.again


async def test_packed_nothing_and_packed_zeros_end_within_their_limits() -> None:
    zeros = gzip.compress(bytes(80_000_000))
    packer = zlib.compressobj(wbits=31)
    start = packer.compress(b"{") + packer.flush(zlib.Z_SYNC_FLUSH)
    nothing = b"\x00\x00\x00\xff\xff" * 100_000  # empty stored blocks
    packed = {"Content-Encoding": "gzip"}
    answers = [response(200, body, packed) for body in (zeros, start + nothing)]
    async with RawServer(always(*answers)) as api, Http(settings(api.url)) as http:
        with pytest.raises(RequestError, match="more than 3,000,000 bytes"):
            async with http.api("/x") as found:
                await found.body(3_000_000)
        with pytest.raises(RequestError, match="does not speak HTTP correctly"):
            async with http.api("/x") as found:
                await found.body(3_000_000)


OVERHEADS = {
    "continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "hints": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </style>\r\n\r\n"),
    "extensions": (b"1;x=", b"y" * 1000),
    "tiny chunks": (b"", b"1\r\n \r\n"),
}


@pytest.mark.parametrize("kind", OVERHEADS)
async def test_what_never_becomes_a_body_is_cut_off(kind: str) -> None:
    first, endless = OVERHEADS[kind]
    sent = 0

    async def handler(_request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        if kind in ("extensions", "tiny chunks"):
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(first)
        piece = endless * (50_000 // len(endless))
        while True:
            writer.write(piece)
            sent += len(piece)
            await writer.drain()

    async with RawServer(handler) as api, Http(settings(api.url)) as http:
        with pytest.raises(RequestError) as caught:
            async with http.api("/x") as found:
                await found.body(100_000_000)
    assert caught.value.again
    assert sent < 4 * MAX_OVERHEAD_BYTES


async def test_a_hurry_ends_waits_at_once_and_what_is_in_flight_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "GRACE_SECONDS", 0.2)

    both = asyncio.Barrier(3)

    async def handler(request: Request, _writer: asyncio.StreamWriter) -> bytes | None:
        if request.target in ("/busy", "/silent"):
            await both.wait()
        if request.target == "/busy":
            return response(503, headers={"Retry-After": "250"})
        if request.target == "/whole":
            return response(200, b"{}")
        await asyncio.sleep(60)
        return None

    async def get(path: str) -> bytes:
        async with http.api(path) as found:
            if found.status != 200:
                raise found.refusal()
            return await found.body(10)

    asked = Waits(longest_asked=300)
    async with RawServer(handler) as api, Http(settings(api.url, waits=asked)) as http:
        stuck = [
            asyncio.create_task(http.retried(partial(get, path), tries=3))
            for path in ("/silent", "/busy")
        ]
        await both.wait()
        stuck.append(asyncio.create_task(get("/whole")))  # waits until the API is not busy
        http.hurry()
        ended = await asyncio.gather(*stuck, return_exceptions=True)
    assert [type(error) for error in ended] == [HurriedError] * 3


async def test_a_hurry_in_the_moment_when_an_answer_takes_too_long() -> None:
    """Both timers are due in one turn of the event loop, that of the answer first."""
    begun = asyncio.Event()

    async def silent(_request: Request, _writer: asyncio.StreamWriter) -> None:
        begun.set()
        await asyncio.sleep(60)

    slow = Timeouts(connect=5, stall=20, answer=0.3)
    async with RawServer(silent) as api, Http(settings(api.url, timeouts=slow)) as http:

        async def get() -> None:
            async with http.api("/x"):
                pass

        asked = asyncio.create_task(get())
        await begun.wait()
        failed: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: failed.append(context))
        loop.call_later(0.3, http.hurry)
        time.sleep(0.4)  # noqa: ASYNC251 - neither timer may run before both are due
        with pytest.raises(RequestError):
            await asked
        assert failed == []


@pytest.mark.parametrize("begun", [b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK\r\n\r\n"])
async def test_an_answer_in_drops_is_given_up_as_a_whole(begun: bytes) -> None:
    async def handler(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(begun)
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    drops = Timeouts(connect=5, stall=20, answer=0.3)
    async with RawServer(handler) as api, Http(settings(api.url, timeouts=drops)) as http:
        with pytest.raises(RequestError, match="is too slow") as caught:
            async with http.api("/x") as found:
                await found.body(1000)
    assert caught.value.again
