import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from crawler.errors import (
    CursorError,
    LoraCrawlError,
    QuotaError,
    ReplyError,
    SiteError,
    UnreachableError,
    UsageError,
)
from crawler.http import HttpSettings, Secret, Timeouts, Waits
from crawler.http.client import CONTACT_TRIES
from crawler.model import ListQuery, Order, Target
from crawler.sources.civitai.client import LIST_TRIES, Civitai, origin_of
from tests.http.asking import PATIENT
from tests.http.raw_server import Handler, RawServer, Request, always, json_answer, response

pytestmark = pytest.mark.anyio

KEY = "0123456789abcdef-the-key"
EMPTY: dict[str, Any] = {"items": [], "metadata": {}}
HTML = b"<!DOCTYPE html><html><head><title> Just a moment... </title></head></html>"
BUSY = json_answer({"error": "overloaded"}, 503, {"Retry-After": "2"})


def settings(url: str, **more: Any) -> HttpSettings:
    return HttpSettings(
        api_url=url,
        rate=0,
        api_key=Secret(KEY),
        timeouts=PATIENT,
        waits=Waits(shortest=0, longest=0, longest_asked=0),
        **more,
    )


@asynccontextmanager
async def site(handler: Handler) -> AsyncIterator[tuple[Civitai, RawServer]]:
    async with RawServer(handler) as server, Civitai(settings(server.url)) as civitai:
        yield civitai, server


async def error_of(
    handler: Handler, ask: ListQuery | None = None, cursor: str | None = None
) -> LoraCrawlError:
    async with site(handler) as (civitai, _):
        with pytest.raises(LoraCrawlError) as caught:
            await civitai.page(ask or ListQuery(order=Order.OLDEST), cursor)
    assert KEY not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://civitai.com", "https://civitai.com"),
        ("https://CIVITAI.red/api/v1/", "https://civitai.com"),
        ("https://www.civitai.green", "https://civitai.com"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
        ("https://Mirror.example/api/v1", "https://mirror.example"),
        ("https://evilcivitai.com", "https://evilcivitai.com"),
    ],
)
def test_an_origin_has_one_spelling(url: str, origin: str) -> None:
    assert Civitai(HttpSettings(api_url=url)).origin == origin_of(url) == origin


async def test_a_question_is_asked_as_the_site_understands_it() -> None:
    ask = ListQuery(
        order=Order.MOST_DOWNLOADED,
        types=("LORA", "DoRA"),
        base_models=("SD 1.5", "Pony"),
        creator="moth wing",
        tag="style",
        search="lantern & glow",
        mature=True,
    )
    async with site(always(json_answer(EMPTY))) as (civitai, server):
        await civitai.page(ask, "12|3 4")
        await civitai.page(ListQuery(order=Order.OLDEST), None)
        first, second = (urlsplit(request.target) for request in server.requests)
    assert first.path == "/api/v1/models"
    assert parse_qsl(first.query) == [
        ("limit", "100"),
        ("types", "LORA"),
        ("types", "DoRA"),
        ("sort", "Most Downloaded"),
        ("period", "AllTime"),
        ("nsfw", "true"),
        ("baseModels", "SD 1.5"),
        ("baseModels", "Pony"),
        ("username", "moth wing"),
        ("tag", "style"),
        ("query", "lantern & glow"),
        ("cursor", "12|3 4"),
    ]
    assert parse_qsl(second.query)[-3:] == [
        ("sort", "Oldest"),
        ("period", "AllTime"),
        ("nsfw", "false"),
    ]


async def test_an_empty_page_with_a_cursor_is_a_page() -> None:
    async with site(always(json_answer({"items": [], "metadata": {"nextCursor": "9"}}))) as (
        civitai,
        _,
    ):
        page = await civitai.page(ListQuery(order=Order.OLDEST), "8")
    assert (page.models, page.next_cursor) == ((), "9")


@pytest.mark.parametrize(
    "fault",
    [
        BUSY,
        json_answer({"error": "slow down"}, 429),
        response(500, HTML),
        response(504, HTML),
        response(200, HTML, {"Content-Type": "text/html"}),
        response(200, b'{"items": [', {"Content-Type": "application/json"}),
        json_answer({"items": None}),
        json_answer({"error": "no items here"}),
        response(200, b"{}", {"Content-Length": "90"}),
        b"",
    ],
)
async def test_a_passing_fault_is_asked_again_and_a_lasting_one_is_the_sites(fault: bytes) -> None:
    async with site(always(fault, fault, fault, fault, json_answer(EMPTY))) as (civitai, server):
        assert (await civitai.page(ListQuery(order=Order.OLDEST), None)).models == ()
        assert len(server.requests) == 5
    error = await error_of(always(fault))
    assert isinstance(error, SiteError)
    assert error.advice


async def test_a_page_of_html_is_named_by_its_title() -> None:
    error = await error_of(always(response(200, HTML)))
    assert "answers nonsense: an HTML page, “Just a moment...”" in str(error)


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (response(401, b'{"error": "Unauthorized"}'), "lora-crawl login"),
        (
            json_answer({"error": "You've requested too many pages, please use cursors"}, 429),
            "cursors",
        ),
        (response(404, HTML), "--api-url"),
        (response(301, headers={"Location": "https://elsewhere.example/"}), "301"),
    ],
)
async def test_what_is_about_us_is_a_site_error_at_once(fault: bytes, word: str) -> None:
    async with site(always(fault)) as (civitai, server):
        with pytest.raises(SiteError, match=word):
            await civitai.page(ListQuery(order=Order.OLDEST), None)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (response(403, b"error code: 1010"), "1010"),
        (json_answer({"error": "not in your region", "code": "REGION_BLOCKED"}, 451), "region"),
    ],
)
async def test_a_refusal_of_us_is_believed_when_it_came_three_times(
    fault: bytes, word: str
) -> None:
    async with site(always(fault)) as (civitai, server):
        with pytest.raises(SiteError, match=word):
            await civitai.page(ListQuery(order=Order.OLDEST), None)
        assert len(server.requests) == 3
    async with site(always(fault, fault, json_answer({"items": []}))) as (civitai, server):
        assert (await civitai.page(ListQuery(order=Order.OLDEST), None)).models == ()
        assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("enums", "names"),
    [
        (json_answer({"BaseModel": ["Pony", "SD 1.5", "Pony", 5, ""]}), ("Pony", "SD 1.5")),
        (json_answer({"ModelType": ["LORA"]}), ()),
        (json_answer(["Pony"]), ()),
        (response(404, HTML), ()),
    ],
)
async def test_the_base_models_are_what_the_site_enumerates(
    enums: bytes, names: tuple[str, ...]
) -> None:
    async with site(always(enums)) as (civitai, _):
        assert await civitai.base_models() == names


async def test_a_used_up_quota_is_told_apart() -> None:
    text = "We've noticed an unusual amount of downloading from your account."
    assert isinstance(await error_of(always(json_answer({"error": text}, 429))), QuotaError)


async def test_an_unknown_creator_is_a_usage_error() -> None:
    fault = always(json_answer({"message": "User not found"}, 404))
    error = await error_of(fault, ListQuery(order=Order.OLDEST, creator="nobody"))
    assert isinstance(error, UsageError)
    assert "'nobody'" in str(error)
    assert isinstance(await error_of(fault), SiteError)


ISSUES = '[{"code": "invalid_value", "path": ["types", 0], "message": "Invalid option"}]'


@pytest.mark.parametrize(
    "error",
    [
        {"name": "ZodError", "message": ISSUES},
        {"name": "ZodError", "issues": [{"path": ["types", 0], "message": "Invalid option"}]},
        "types.0: Invalid option",
    ],
)
async def test_a_refused_filter_is_a_usage_error_in_the_sites_words(error: object) -> None:
    found = await error_of(always(json_answer({"error": error}, 400)))
    assert isinstance(found, UsageError)
    assert "types.0: Invalid option" in str(found)


async def test_a_cursor_that_is_not_taken_any_more_is_told_apart() -> None:
    fault = always(json_answer({"message": "Invalid cursor: expected 2 value(s)"}, 400))
    assert isinstance(await error_of(fault, cursor="1|2|3"), CursorError)


async def test_a_site_out_of_reach_is_a_site_error_with_advice() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with Civitai(settings(url)) as civitai:
            with pytest.raises(SiteError, match="no connection") as caught:
                await civitai.page(ListQuery(order=Order.OLDEST), None)
    assert "--api-url" in caught.value.advice
    assert caught.value.url == url + "/api/v1/models"


async def test_the_first_contact_decides_quickly_and_tells_its_tries() -> None:
    async def silent(_request: Request, _writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    told: list[str] = []
    async with RawServer(silent) as server:
        quick = replace(settings(server.url), timeouts=replace(PATIENT, contact=0.05))
        async with Civitai(quick, tell=told.append) as civitai:
            for ask in (civitai.me, civitai.refuses_key):
                with pytest.raises(UnreachableError, match=r"no answer from 127\.0\.0\.1"):
                    await ask()
    assert not told
    async with RawServer(always(b"")) as server, Civitai(settings(server.url)) as civitai:
        with pytest.raises(SiteError, match="closed the connection"):
            await civitai.me()
        assert len(server.requests) == CONTACT_TRIES
    async with RawServer(always(b"", BUSY)) as server:
        quick = replace(settings(server.url), api_key=None)
        async with Civitai(quick, tell=told.append) as civitai:
            assert not await civitai.refuses_key()
    assert told == ["127.0.0.1 closed the connection; trying again (2 of 4)"]


async def test_a_busy_site_is_named_when_the_first_contact_takes_too_long() -> None:
    async with RawServer(always(json_answer({}, 503, {"Retry-After": "60"}))) as server:
        waits = Waits(longest_asked=60)
        busy = replace(settings(server.url), timeouts=replace(PATIENT, contact=0.5), waits=waits)
        async with Civitai(busy) as civitai:
            with pytest.raises(SiteError, match="answers 503"):
                await civitai.me()


async def test_one_model_is_had_by_its_id() -> None:
    async with site(always(json_answer({"id": 71, "modelVersions": [{"id": 81}]}))) as (
        civitai,
        server,
    ):
        model = await civitai.model(71)
        assert model is not None
        assert model.versions[0].version_id == 81
        assert server.requests[0].target == "/api/v1/models/71"


async def test_a_model_that_is_not_there_is_none() -> None:
    missing = always(json_answer({"error": "No model with id 5"}, 404))
    async with site(missing) as (civitai, server):
        assert await civitai.model(5) is None
        assert len(server.requests) == 1
        assert await civitai.model(2**31) is None
        assert await civitai.model(-5) is None
        assert len(server.requests) == 1
    for stranger in (b"Not Found", HTML, b"[]"):
        async with site(always(response(404, stranger))) as (civitai, _):
            with pytest.raises(SiteError, match="404"):
                await civitai.model(5)


async def test_a_key_is_checked_by_whose_it_is() -> None:
    async with site(always(json_answer({"id": 5, "username": "mothwing"}))) as (civitai, server):
        assert await civitai.me() == "mothwing"
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    async with site(always(json_answer({"error": "Unauthorized"}, 401))) as (civitai, _):
        assert await civitai.me() is None


async def test_the_words_of_a_failing_answer_are_shown() -> None:
    body = {"message": "An unexpected error occurred", "error": "Cannot read 'file'"}
    error = await error_of(always(json_answer(body, 500)))
    assert "answers 500: An unexpected error occurred: Cannot read 'file'" in str(error)
    for odd in ({"detail": "no lantern"}, ["no lantern"], "no lantern"):
        assert "no lantern" in str(await error_of(always(json_answer(odd, 502))))


async def test_a_page_that_fails_is_told_apart_from_a_busy_site() -> None:
    for fault in (response(500, b"oops"), response(200, b"{"), response(504, HTML)):
        assert isinstance(await error_of(always(fault)), ReplyError)
    for fault in (BUSY, json_answer({"error": "slow down"}, 429), response(404, b"no")):
        assert not isinstance(await error_of(always(fault)), ReplyError)


async def test_a_part_of_a_page_is_asked_with_its_limit_and_not_for_long() -> None:
    async with site(always(response(500, b"oops"))) as (civitai, server):
        with pytest.raises(ReplyError):
            await civitai.page(ListQuery(order=Order.OLDEST), "5|7", limit=12)
    assert [parse_qsl(urlsplit(one.target).query)[0] for one in server.requests] == [
        ("limit", "12")
    ] * 2


async def test_many_models_are_asked_for_at_once() -> None:
    body = {"items": [{"id": 7}, {"id": 9}]}
    async with site(always(json_answer(body))) as (civitai, server):
        assert [one.model_id for one in await civitai.models_by_id([7, 8, 9])] == [7, 9]
        assert ("ids", "7,8,9") in parse_qsl(urlsplit(server.requests[0].target).query)


async def test_a_redirect_within_the_api_is_followed_with_the_key() -> None:
    moved = response(308, headers={"Location": "/elsewhere/models?limit=100"})
    async with site(always(moved, json_answer(EMPTY))) as (civitai, server):
        assert (await civitai.page(ListQuery(order=Order.OLDEST), None)).models == ()
    assert server.requests[1].target == "/elsewhere/models?limit=100"
    assert server.requests[1].headers["authorization"] == f"Bearer {KEY}"


async def test_a_redirect_to_another_host_of_the_site_is_followed_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answer(request: Request, _writer: asyncio.StreamWriter) -> bytes:
        if request.target.startswith("http://civitai.com/"):
            to = request.target.replace(".com", ".red" if "limit" in request.target else ".example")
            return response(302, headers={"Location": to})
        return json_answer(EMPTY)

    async with RawServer(answer) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        async with Civitai(replace(settings("http://civitai.com"), api_key=None)) as civitai:
            await civitai.page(ListQuery(order=Order.OLDEST), None)
            with pytest.raises(
                SiteError, match=r"302 and redirects to http://civitai\.example/api"
            ):
                await civitai.model(5)
    hosts = [urlsplit(one.target).hostname for one in proxy.requests]
    assert hosts == ["civitai.com", "civitai.red", "civitai.com"]


async def test_redirects_in_a_ring_end() -> None:
    async with site(always(response(302, headers={"Location": "/api/v1/models"}))) as (civitai, _):
        with pytest.raises(SiteError, match="redirects without end"):
            await civitai.page(ListQuery(order=Order.OLDEST), None)


async def test_a_key_that_the_site_repeats_is_blanked_out() -> None:
    shown = f"no lantern for {KEY}"
    page = {"items": [{"id": 1, "name": shown}], "metadata": {"nextCursor": f"{KEY}|1"}}
    for fault in (json_answer({"error": shown}, 400), response(500, shown.encode())):
        assert "no lantern for ****" in str(await error_of(always(fault)))
    away = response(302, headers={"Location": f"https://{KEY}.example/{KEY}?token={KEY}"})
    assert "redirects to https://****" in str(await error_of(always(away)))
    escaped = "".join(f"\\u{ord(one):04X}" for one in KEY[1:])
    for written in (KEY, KEY.upper(), KEY[0] + escaped):
        body = json.dumps(page).replace(KEY, written).encode()
        async with site(always(response(200, body))) as (civitai, _):
            found = await civitai.page(ListQuery(order=Order.OLDEST), None)
        assert found.models[0].name.startswith("no lantern for ****")
        assert KEY.lower() not in repr(found).lower()
    target = Target(file_id=1, version_id=2, file_name="a.safetensors")
    for fault in (json_answer({"error": shown}, 404), away):
        async with site(always(fault)) as (civitai, _):
            fetched = await civitai.fetch(target)
            assert KEY not in fetched.reason + fetched.host


def test_a_key_is_not_sent_without_encryption() -> None:
    for url in ("http://civitai.com", "http://192.168.1.5:8000"):
        with pytest.raises(UsageError, match="without encryption"):
            Civitai(settings(url))
    Civitai(settings("http://localhost:8000"))
    Civitai(replace(settings("http://civitai.com"), api_key=None))


async def test_a_site_in_drops_is_told_and_is_no_page_that_fails() -> None:
    async def handler(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    told: list[str] = []
    async with RawServer(handler) as server:
        slow = replace(settings(server.url), timeouts=Timeouts(answer=0.1))
        async with Civitai(slow, tell=told.append) as civitai:
            with pytest.raises(SiteError, match="is too slow") as caught:
                await civitai.page(ListQuery(order=Order.OLDEST), None)
    assert not isinstance(caught.value, ReplyError)
    assert len(told) == LIST_TRIES - 1
