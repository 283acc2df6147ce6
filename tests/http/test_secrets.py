import asyncio
import logging
import traceback
from contextlib import AbstractAsyncContextManager

import pytest

from crawler.errors import UsageError
from crawler.http import Http, HttpSettings, Meter, RequestError, Response, Secret
from tests.http.asking import IMPATIENT, KEY, ODD, SIGNATURE, get, settings
from tests.http.raw_server import RawServer, Request, always, part, response

pytestmark = pytest.mark.anyio


async def refused(ask: AbstractAsyncContextManager[Response]) -> None:
    async with ask as found:
        await found.body(1000)
        raise found.refusal()


async def silent(_request: Request, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that is logged while a request goes out, the libraries' own words included."""
    for name in (None, "httpx", "httpcore", "aiohttp", "aiohttp.client", "asyncio", "tenacity"):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


async def test_no_error_and_no_log_shows_the_key_or_a_signature(
    told: pytest.LogCaptureFixture,
) -> None:
    garbage = always(b"HTTP/1.1 boo\r\n\r\n")
    cut = always(response(200, b"x", {"Content-Length": "9"}))
    odd = always(response(503, b"x", {"Location": ODD, "Set-Cookie": SIGNATURE}))
    texts = []
    for handler in (silent, garbage, cut, always(b""), odd):
        async with (
            RawServer(handler) as server,
            Http(settings(server.url, timeouts=IMPATIENT)) as http,
        ):
            for ask in (http.storage(server.url + ODD, 0, 9, meter=Meter()), http.api(ODD)):
                with pytest.raises(RequestError) as caught:
                    await refused(ask)
                texts.append("".join(traceback.format_exception(caught.value)))
                texts.append(repr(caught.value))
            texts.append(repr(http.settings))
    texts.append(told.text)
    for text in texts:
        assert KEY not in text
        assert SIGNATURE not in text
    assert len(texts) == 26


async def test_the_log_names_what_is_asked_without_its_query(
    told: pytest.LogCaptureFixture,
) -> None:
    async with RawServer(always(part(b"x", 0, 0)), "127.0.0.2") as storage:
        moved = always(
            response(302, headers={"Location": f"/next?s={SIGNATURE}"}), part(b"x", 0, 0)
        )
        async with RawServer(moved) as server, Http(settings(server.url)) as http:
            await get(http, f"{server.url}/model/1?s={SIGNATURE}")
            await get(http, f"{storage.url}/model/2?s={SIGNATURE}")
            async with http.api("/api/v1/models", [("query", SIGNATURE)]) as found:
                await found.body(10)
        lines = [one.getMessage() for one in told.records if one.name == "httpx"]
        assert lines == [
            f'HTTP Request: GET {server.url}/model/1 "HTTP/1.1 302 Found"',
            f'HTTP Request: GET {server.url}/next "HTTP/1.1 206 Partial Content"',
            f'HTTP Request: GET {storage.url}/model/2 "HTTP/1.1 206 Partial Content"',
            f'HTTP Request: GET {server.url}/api/v1/models "HTTP/1.1 206 Partial Content"',
        ]
    assert KEY not in told.text
    assert SIGNATURE not in told.text


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret(f" {KEY}\n")
    assert secret.reveal() == KEY
    assert KEY not in f"{secret} {secret!r} {[secret]} {HttpSettings(api_key=secret)}"
    with pytest.raises(TypeError):
        secret.__reduce__()


@pytest.mark.parametrize("text", ["", "  ", "a b", "a\r\nHost: evil", "schlüssel", "a\x00"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Secret(text)
    assert text.strip() not in str(caught.value) or not text.strip()
