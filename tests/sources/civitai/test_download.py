import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from crawler.errors import QuotaError, SiteError
from crawler.http import HttpSettings, Secret, Timeouts, Waits
from crawler.model import Fetched, Outcome, Target
from crawler.sources.civitai.client import Civitai
from crawler.sources.civitai.download import MAX_SITE_HOPS
from tests.http.asking import PATIENT
from tests.http.raw_server import (
    Handler,
    RawServer,
    Request,
    always,
    json_answer,
    part,
    ranged,
    response,
)

pytestmark = pytest.mark.anyio

KEY = "0123456789abcdef-the-key"
SIGNATURE = "c0ffee-signature"
PATHS = {
    "r2": "/model/5/paper_lantern.Ab1c.safetensors?X-Amz-Expires=86400&response-content-disposition="
    "attachment%3B%20filename%3D%22paper%28lantern%29.safetensors%22&X-Amz-Credential=k%2F20260301"
    f"%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Signature={SIGNATURE}",
    "b2": f"/file/civitai-modelfiles/model/5/x.safetensors?Authorization=3_2026_{SIGNATURE}_dnld"
    "&b2ContentDisposition=attachment%3B+filename%3D%22paper+lantern.safetensors%22",
}
TARGET = Target(file_id=91, version_id=81, file_name="paper_lantern.safetensors", base_model="Pony")
HTML = b"<!doctype html><html><head><title>Civitai</title></head><body>A page</body></html>"
LOGIN_PAGE = b"<html><head><title>Sign in | Civitai</title></head></html>"
FORBIDDEN = response(403, b"<Error><Code>AccessDenied</Code></Error>")


def lora(header_bytes: int, body_bytes: int = 64) -> bytes:
    entry = {"dtype": "U8", "shape": [body_bytes], "data_offsets": [0, body_bytes]}
    text = msgspec.json.encode({"lantern": entry}).ljust(header_bytes - 8)
    return len(text).to_bytes(8, "little") + text + bytes(body_bytes)


FILE = lora(5000, 20_000)


def link(url: str, status: int = 307) -> bytes:
    return response(status, b"Redirecting", {"Location": url})


@asynccontextmanager
async def site(
    api: Handler, timeouts: Timeouts = PATIENT, **more: Any
) -> AsyncIterator[tuple[Civitai, RawServer]]:
    async with RawServer(api) as server:
        settings = HttpSettings(
            api_url=server.url,
            rate=0,
            api_key=Secret(KEY),
            timeouts=timeouts,
            waits=Waits(shortest=0, longest=0, longest_asked=0),
        )
        async with Civitai(settings, **more) as civitai:
            yield civitai, server


async def fetch(api: Handler, **more: Any) -> Fetched:
    async with site(api, **more) as (civitai, _):
        fetched = await civitai.fetch(TARGET)
    assert KEY not in repr(fetched)
    assert SIGNATURE not in repr(fetched)
    return fetched


async def fetch_from(storage: Handler, **more: Any) -> Fetched:
    """Fetch by a link to a storage host of its own."""
    async with RawServer(storage, "127.0.0.2") as server:
        fetched = await fetch(always(link(server.url + PATHS["r2"])), **more)
        assert all(KEY not in str(request.head) for request in server.requests)
        assert all("range" in request.headers for request in server.requests)
    return fetched


@pytest.mark.parametrize("style", ["r2", "b2"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_header_costs_one_link_and_one_range(style: str, status: int) -> None:
    async with (
        RawServer(ranged(FILE), "127.0.0.2") as storage,
        site(always(link(storage.url + PATHS[style], status))) as (civitai, api),
    ):
        fetched = await civitai.fetch(TARGET)
        (asked,), (stored,) = api.requests, storage.requests
    assert fetched == Fetched(
        target=TARGET,
        prefix=FILE[:5000],
        file_bytes=len(FILE),
        tries=1,
        counted_downloads=1,
        storage_requests=1,
        bytes_read=len(FILE),
    )
    assert asked.target == "/api/download/models/81?fileId=91"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert stored.target == PATHS[style]
    assert stored.span == (0, 288 * 1024 - 1)
    assert "authorization" not in stored.headers


async def test_a_long_header_takes_a_second_range_of_the_same_link() -> None:
    file = lora(400_000)
    async with (
        RawServer(ranged(file), "127.0.0.2") as storage,
        site(always(link(storage.url + PATHS["b2"]))) as (civitai, api),
    ):
        fetched = await civitai.fetch(TARGET)
        assert fetched.prefix == file[:400_000]
        assert (fetched.counted_downloads, fetched.storage_requests, len(api.requests)) == (1, 2, 1)
        assert [request.target for request in storage.requests] == [PATHS["b2"]] * 2
        assert storage.requests[1].span == (288 * 1024, 399_999)


async def test_the_first_range_is_learnt_for_each_base_model() -> None:
    async with (
        RawServer(ranged(FILE), "127.0.0.2") as storage,
        site(always(link(storage.url + PATHS["r2"])), seen={"Pony": [60_000] * 19}) as (civitai, _),
    ):
        await civitai.fetch(TARGET)
        await civitai.fetch(TARGET)
        await civitai.fetch(other_base())
        spans = [request.span[1] + 1 for request in storage.requests]
    assert spans == [288 * 1024, 64 * 1024, 288 * 1024]


def other_base() -> Target:
    return Target(file_id=92, version_id=82, file_name="x.safetensors", base_model="SDXL 1.0")


def knowing_the_key(reply: bytes) -> Handler:
    """Gives a reply to every download."""

    async def handler(request: Request, _writer: asyncio.StreamWriter) -> bytes:
        return json_answer({"username": "me"}) if request.target == "/api/v1/me" else reply

    return handler


LOGIN = {
    "error": "Unauthorized",
    "message": "The creator of this asset requires you to be logged in to download it",
}


async def test_a_key_that_expires_during_a_run_is_a_site_error() -> None:
    """The site takes such a key for none: files then require a login."""
    for login in (json_answer(LOGIN, 401), response(401)):
        async with site(always(login)) as (civitai, server):
            with pytest.raises(SiteError, match="no longer knows this API key") as caught:
                await civitai.fetch(TARGET)
            assert "lora-crawl login" in caught.value.advice
            assert [request.target for request in server.requests][1:] == ["/api/v1/me"]


EARLY = {
    "error": "Early Access",
    "deadline": "2026-09-01T00:00:00.000Z",
    "message": "In Early Access",
}


@pytest.mark.parametrize(
    ("reply", "outcome", "word"),
    [
        (
            json_answer(
                {
                    "error": "Unauthorized",
                    "message": "The creator of this asset has disabled downloads on this file",
                },
                401,
            ),
            Outcome.DOWNLOADS_DISABLED,
            "disabled downloads",
        ),
        (
            json_answer(LOGIN, 401),
            Outcome.LOGIN_REQUIRED,
            "logged in",
        ),
        (response(401), Outcome.LOGIN_REQUIRED, "login"),
        (json_answer(EARLY, 403), Outcome.EARLY_ACCESS, "until 2026-09-01"),
        (json_answer({"error": "Early Access"}, 403), Outcome.EARLY_ACCESS, "early access"),
        (
            json_answer({"error": "You do not have access to download this file"}, 403),
            Outcome.FORBIDDEN,
            "do not have access",
        ),
        (
            json_answer({"error": "Model archived, not available for download"}, 410),
            Outcome.ARCHIVED,
            "archived",
        ),
        (json_answer({"error": "Missing modelVersionId"}, 400), Outcome.FAILED, "Missing model"),
        (json_answer({"error": "Method not allowed"}, 405), Outcome.FAILED, "405"),
        (link("/login?returnUrl=%2Fmodel-versions%2F81"), Outcome.LOGIN_REQUIRED, "login"),
        (link("https://auth.civitai.com/login?x=1"), Outcome.LOGIN_REQUIRED, "login"),
        (link("/model-versions/81"), Outcome.EARLY_ACCESS, "page"),
        (link("/models/71?modelVersionId=81"), Outcome.EARLY_ACCESS, "page"),
        (link("https://civitai.com/model-versions/81"), Outcome.EARLY_ACCESS, "page"),
        (response(200, LOGIN_PAGE, {"Content-Type": "text/html"}), Outcome.LOGIN_REQUIRED, "login"),
        (json_answer({"error": "odd"}), Outcome.FAILED, "odd"),
        (response(307), Outcome.FAILED, "cannot be read"),
        (link("http://[bad"), Outcome.FAILED, "cannot be read"),
    ],
)
async def test_a_refusal_has_its_outcome_at_once(reply: bytes, outcome: Outcome, word: str) -> None:
    fetched = await fetch(knowing_the_key(reply))
    assert (fetched.refusal, fetched.tries, fetched.storage_requests) == (outcome, 1, 0)
    assert word in fetched.reason
    assert fetched.prefix == b""


async def test_the_end_of_early_access_is_kept() -> None:
    fetched = await fetch(always(json_answer(EARLY, 403)))
    assert fetched.early_access_until == datetime(2026, 9, 1, tzinfo=UTC)


async def test_a_missing_file_is_asked_for_three_times() -> None:
    missing = json_answer({"error": "File not found"}, 404)
    fetched = await fetch(always(missing))
    assert (fetched.refusal, fetched.tries, fetched.counted_downloads) == (Outcome.NOT_FOUND, 3, 0)
    async with RawServer(ranged(FILE), "127.0.0.2") as storage:
        fetched = await fetch(always(missing, missing, link(storage.url + PATHS["r2"])))
    assert (fetched.prefix, fetched.tries) == (FILE[:5000], 3)


async def test_a_definite_404_is_believed_at_once() -> None:
    definite = {"Cache-Control": "no-store, max-age=0"}
    gone = json_answer({"error": "File not found"}, 404, definite)
    fetched = await fetch(always(gone))
    assert (fetched.refusal, fetched.tries, fetched.reason) == (
        *(Outcome.NOT_FOUND, 1, "File not found"),
    )
    assert not fetched.transient


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (response(404, HTML, {"Cache-Control": "no-store, max-age=0"}), Outcome.NOT_FOUND),
        (response(410), Outcome.ARCHIVED),
        (response(410, HTML), Outcome.ARCHIVED),
        (json_answer({"error": "Request blocked"}, 403), Outcome.FORBIDDEN),
        (json_answer({"message": "Slow down"}, 403), Outcome.FORBIDDEN),
    ],
)
async def test_a_refusal_that_may_not_be_the_sites_own_is_in_doubt(
    reply: bytes, outcome: Outcome
) -> None:
    fetched = await fetch(always(reply))
    assert (fetched.refusal, fetched.transient, fetched.tries) == (outcome, True, 3)


async def test_a_download_address_that_never_ends_its_answer_is_a_site_error() -> None:
    async def drops(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 Text\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)

    brief = Timeouts(connect=2, stall=0.05, total=0.05)
    async with site(drops, timeouts=brief) as (civitai, _):
        with pytest.raises(SiteError, match="too slow"):
            await civitai.fetch(TARGET)


@pytest.mark.parametrize("status", [200, 401, 403, 404, 500])
async def test_a_key_is_refused_by_a_401_alone(status: int) -> None:
    async with site(always(response(status, HTML))) as (civitai, server):
        assert await civitai.refuses_key() is (status == 401)
        assert [request.target for request in server.requests] == ["/api/v1/me"]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
async def test_a_passing_fault_of_the_site_is_asked_again(status: int) -> None:
    busy = response(status, HTML, {"Retry-After": "2"})
    fetched = await fetch(always(busy))
    assert (fetched.refusal, fetched.tries) == (Outcome.FAILED, 3)
    assert f"answers {status}: an HTML page, “Civitai”" in fetched.reason
    async with RawServer(ranged(FILE), "127.0.0.2") as storage:
        fetched = await fetch(always(busy, link(storage.url + PATHS["r2"])))
    assert (fetched.prefix, fetched.tries, fetched.counted_downloads) == (FILE[:5000], 2, 1)


@pytest.mark.parametrize(
    ("reply", "word"),
    [
        (json_answer({"error": "Forbidden"}, 403), "Forbidden"),
        (response(403, b"error code: 1010", {"Content-Type": "text/plain"}), "1010"),
        (response(403, HTML, {"Content-Type": "text/html"}), "HTML page"),
        (response(200, HTML, {"Content-Type": "text/html"}), "“Civitai”"),
        (json_answer({"error": "legal restrictions", "code": "REGION_BLOCKED"}, 451), "region"),
    ],
)
async def test_what_is_about_us_is_a_site_error(reply: bytes, word: str) -> None:
    async with site(always(reply)) as (civitai, server):
        with pytest.raises(SiteError, match=word):
            await civitai.fetch(TARGET)
        assert len(server.requests) == 1


async def test_a_used_up_quota_is_not_asked_again() -> None:
    text = "We've noticed an unusual amount of downloading from your account. Come back later."
    async with site(always(json_answer({"error": text}, 429))) as (civitai, server):
        with pytest.raises(QuotaError, match="unusual amount"):
            await civitai.fetch(TARGET)
        assert len(server.requests) == 1


async def test_a_site_out_of_reach_is_a_site_error_and_storage_out_of_reach_is_not() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        waits = Waits(shortest=0, longest=0)
        async with Civitai(HttpSettings(api_url=url, rate=0, waits=waits)) as civitai:
            with pytest.raises(SiteError, match="no connection"):
                await civitai.fetch(TARGET)
        fetched = await fetch(always(link(url + PATHS["r2"])))
    assert (fetched.refusal, fetched.tries, fetched.counted_downloads) == (Outcome.FAILED, 3, 1)
    assert "no connection to 127.0.0.1" in fetched.reason


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("https://files.evil.example/x", "`--storage-host files.evil.example`"),
        ("https://civitai-x.r2.cloudflarestorage.com/x", "--storage-host"),
        ("https://10.0.0.5/x", "private address 10.0.0.5"),
        ("http://b2.civitai.com/x", "--storage-host"),
        ("https://moth:sesame@b2.civitai.com/x", "user name"),
        ("ftp://b2.civitai.com/x", "cannot be read"),
    ],
)
async def test_a_link_to_an_unknown_host_is_not_asked(url: str, word: str) -> None:
    if url.startswith("http://b2"):
        word = (
            "b2.civitai.com"  # plain http is no known storage, though an API on loopback may use it
        )
    fetched = await fetch(always(link(f"{url}?sig={SIGNATURE}")))
    assert (fetched.refusal, fetched.tries, fetched.counted_downloads) == (Outcome.FAILED, 1, 1)
    assert fetched.storage_requests == 0
    assert word in fetched.reason
    assert "sesame" not in fetched.reason


async def test_a_stale_link_is_resolved_again_once() -> None:
    async def storage(request: Request, _writer: asyncio.StreamWriter) -> bytes:
        return part(FILE, *request.span) if "fresh" in request.target else FORBIDDEN

    async with RawServer(storage, "127.0.0.2") as server:
        old, fresh = link(server.url + PATHS["b2"]), link(server.url + PATHS["b2"] + "&fresh=1")
        fetched = await fetch(always(old, fresh))
        assert (fetched.prefix, fetched.tries, fetched.counted_downloads) == (FILE[:5000], 2, 2)
        assert fetched.storage_requests == 2
        fetched = await fetch(always(old))
        assert (fetched.refusal, fetched.tries, fetched.counted_downloads) == (Outcome.FAILED, 2, 2)
        assert "answers 403" in fetched.reason


async def test_a_link_that_may_not_be_renewed_leaves_the_file_pending() -> None:
    async with (
        RawServer(always(FORBIDDEN), "127.0.0.2") as storage,
        site(always(link(storage.url + PATHS["b2"]))) as (civitai, _),
    ):
        fetched = await civitai.fetch(TARGET, renew=lambda: False)
    assert (fetched.refusal, fetched.tries, fetched.counted_downloads) == (Outcome.PENDING, 1, 1)
    assert (fetched.reason, fetched.transient) == ("127.0.0.2 answers 403", True)


@pytest.mark.parametrize("status", [404, 410])
async def test_a_file_that_storage_does_not_have_is_not_found_after_three_tries(
    status: int,
) -> None:
    gone = response(status, b"<Error><Code>NoSuchKey</Code></Error>")
    fetched = await fetch_from(always(gone))
    assert (fetched.refusal, fetched.tries, fetched.counted_downloads) == (Outcome.NOT_FOUND, 3, 1)
    assert f"answers {status}" in fetched.reason
    fetched = await fetch_from(always(gone, part(FILE, 0, 300_000)))
    assert (fetched.prefix, fetched.tries, fetched.counted_downloads) == (FILE[:5000], 2, 1)


@pytest.mark.parametrize(
    "fault",
    [
        part(FILE, 0, 300_000)[:-100],
        part(FILE, 0, 300_000)[:30],
        response(503, headers={"Retry-After": "1"}),
        response(200, FILE, {"Content-Encoding": "gzip"}),
        b"",
    ],
)
async def test_a_fault_of_storage_is_tried_again_by_the_same_link(fault: bytes) -> None:
    good = part(FILE, 0, 300_000)
    fetched = await fetch_from(always(fault, fault, good))
    assert (fetched.prefix, fetched.tries, fetched.counted_downloads) == (FILE[:5000], 3, 1)
    fetched = await fetch_from(always(fault))
    assert (fetched.refusal, fetched.tries, fetched.counted_downloads) == (Outcome.FAILED, 3, 1)
    assert fetched.storage_requests == 3
    assert fetched.reason.endswith("(tried 3 times)")


@pytest.mark.parametrize(
    "body", [HTML, b"PK\x03\x04" + bytes(100), b"version https://git-lfs", b"{}"]
)
async def test_what_is_no_lora_is_handed_over_to_be_judged(body: bytes) -> None:
    fetched = await fetch_from(ranged(body))
    assert (fetched.refusal, fetched.prefix, fetched.file_bytes) == (None, body, len(body))
    fetched = await fetch_from(always(response(200, body, {"Content-Type": "text/html"})))
    assert (fetched.refusal, fetched.prefix) == (None, body)


async def test_an_empty_file_is_no_failure() -> None:
    fetched = await fetch_from(ranged(b""))
    assert (fetched.refusal, fetched.prefix, fetched.file_bytes) == (None, b"", 0)


async def test_a_header_beyond_the_limit_fails_with_the_option_to_raise() -> None:
    fetched = await fetch_from(ranged(FILE), max_header=4000)
    assert (fetched.refusal, fetched.tries) == (Outcome.FAILED, 1)
    assert "--max-header" in fetched.reason


@pytest.mark.parametrize("where", ["/login?returnUrl=%2F", "https://auth.civitai.com/login"])
async def test_storage_that_redirects_to_a_login_wants_one(where: str) -> None:
    fetched = await fetch_from(always(link(where)))
    assert (fetched.refusal, fetched.storage_requests) == (Outcome.LOGIN_REQUIRED, 1)


def typed(raw: bytes, headers: Mapping[str, str]) -> bytes:
    head, _, body = raw.partition(b"\r\n\r\n")
    more = "".join(f"\r\n{name}: {value}" for name, value in headers.items()).encode()
    return head + more + b"\r\n\r\n" + body


async def test_a_file_that_the_api_itself_sends_is_read_like_any_other() -> None:
    file = lora(400_000, 3_000_000)
    octets = {"Content-Type": "application/octet-stream"}
    fetched = await fetch(always(typed(response(200, file), octets)))
    assert (fetched.prefix, fetched.file_bytes) == (file[:400_000], len(file))
    assert (fetched.counted_downloads, fetched.storage_requests) == (1, 0)

    fetched = await fetch(ranged(file))
    assert (fetched.prefix, fetched.file_bytes) == (file[:400_000], len(file))
    assert (fetched.counted_downloads, fetched.storage_requests) == (2, 0)


async def test_a_fetch_that_is_cancelled_leaves_nothing_open() -> None:
    async def silent(_request: Request, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    async with site(silent) as (civitai, _):
        task = asyncio.create_task(civitai.fetch(TARGET))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_final_answer_reads_the_same_after_a_failure_before_it() -> None:
    final = json_answer({"error": "You do not have access to download this file"}, 403)
    first, later = await fetch(always(final)), await fetch(always(response(500), final))
    assert (first.tries, later.tries) == (1, 2)
    assert (first.refusal, first.reason) == (later.refusal, later.reason)


async def test_a_redirect_to_another_download_url_is_asked_with_the_key() -> None:
    """A mirror that sends downloads on to the real API."""
    async with RawServer(ranged(FILE), "127.0.0.2") as storage:

        async def api(request: Request, _: asyncio.StreamWriter) -> bytes:
            if "again" in request.target:
                return link(storage.url + PATHS["r2"])
            return link(f"{request.target}&again=1")

        async with site(api) as (civitai, server):
            fetched = await civitai.fetch(TARGET)
        assert (fetched.prefix, fetched.counted_downloads) == (FILE[:5000], 1)
        assert [request.headers["authorization"] for request in server.requests] == [
            f"Bearer {KEY}",
            f"Bearer {KEY}",
        ]


async def test_downloads_that_redirect_to_each_other_end() -> None:
    async def api(request: Request, _: asyncio.StreamWriter) -> bytes:
        return link(request.target)

    async with site(api) as (civitai, server):
        fetched = await civitai.fetch(TARGET)
    assert (fetched.refusal, fetched.counted_downloads) == (Outcome.FAILED, 0)
    assert "redirects without end" in fetched.reason
    assert len(server.requests) == fetched.tries * (MAX_SITE_HOPS + 1)


async def test_another_host_of_the_site_gets_no_key() -> None:
    elsewhere = always(link("https://civitai.com/api/download/models/81?fileId=91"))
    async with site(elsewhere) as (civitai, server):
        with pytest.raises(SiteError, match=r"--api-url https://civitai\.com"):
            await civitai.fetch(TARGET)
    assert len(server.requests) == 1
