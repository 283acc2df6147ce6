import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from crawler.errors import CursorError, LoraCrawlError, QuotaError, SiteError, UsageError
from crawler.http import HttpSettings, Secret, Waits
from crawler.model import ListQuery, Order
from crawler.sources.civitai.client import Civitai, origin_of
from tests.http.asking import PATIENT
from tests.http.raw_server import Handler, RawServer, always, json_answer, response

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
