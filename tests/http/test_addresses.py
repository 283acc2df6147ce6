import asyncio
import ipaddress
import socket
import threading

import pytest
import yarl

from crawler.errors import UsageError
from crawler.http import RequestError
from crawler.http.addresses import (
    CheckedResolver,
    PrivateAddressError,
    api_address,
    check_public,
    followed,
    is_public,
    storage_address,
    storage_rule,
)

CIVITAI = yarl.URL("https://civitai.com")
LOCAL = yarl.URL("http://127.0.0.1:8000")
R2 = "civitai-delivery-worker-prod.5ac0637cfd0766c97916cefa3764fbdf.r2.cloudflarestorage.com"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://civitai.com", "https://civitai.com"),
        ("https://Civitai.com/", "https://civitai.com"),
        ("https://civitai.com:443/api/v1/", "https://civitai.com"),
        ("http://127.0.0.1:8000/api/v1", "http://127.0.0.1:8000"),
        ("https://mirror.example/Site/api/v1", "https://mirror.example/Site"),
        (" http://[::1]:80 ", "http://[::1]"),
    ],
)
def test_an_api_address_is_what_a_person_writes(text: str, expected: str) -> None:
    assert str(api_address(text)).rstrip("/") == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "civitai.com",
        "ftp://civitai.com",
        "https://",
        "https://name:word@civitai.com",
        "https://civitai.com?token=abc",
        "https://civitai.com:0",
        "https://civitai.com:99999",
    ],
)
def test_what_is_no_api_address_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        api_address(text)


@pytest.mark.parametrize(
    "raw",
    [
        f"https://{R2}/model/1/lantern.safetensors?X-Amz-Signature=ab%2Fcd",
        f"https://{R2.upper()}/model/1/x",
        "https://5ac0637cfd0766c97916cefa3764fbdf.r2.cloudflarestorage.com/bucket/x",
        "https://b2.civitai.com/file/civitai-modelfiles/model/1/x?Authorization=3_a",
        "https://b2.civitai.com:443/file/x",
        "https://s3.us-west-004.backblazeb2.com/civitai-modelfiles/model/1/x",
        "https://civitai-modelfiles.s3.us-west-004.backblazeb2.com/model/1/x",
        "https://civitai-modelfiles-b2.f004.backblazeb2.com/model/1/x",
        "https://f004.backblazeb2.com/file/civitai-modelfiles-b2/model/1/x",
    ],
)
def test_the_storage_of_the_site_may_be_asked(raw: str) -> None:
    assert storage_address(raw, api=CIVITAI, rules=()).raw_path.endswith("/x") or "lantern" in raw


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (f"http://{R2}/x", "without encryption"),
        ("https://civitai-x.r2.cloudflarestorage.com/x", "--storage-host"),
        ("https://civitai-prod.ffff.r2.cloudflarestorage.com/x", "--storage-host"),
        ("https://s3.us-west-004.backblazeb2.com/other-bucket/x", "--storage-host"),
        ("https://s3.us-west-004.backblazeb2.com/civitai-modelfiles/../other/x", "--storage-host"),
        ("https://s3.us-west-004.backblazeb2.com/civitai-modelfiles/%2e%2E/o/x", "--storage-host"),
        ("https://f004.backblazeb2.com/civitai-modelfiles/x", "--storage-host"),
        ("https://f004.backblazeb2.com/file/other-bucket/x", "--storage-host"),
        ("https://other-bucket.s3.us-west-004.backblazeb2.com/x", "--storage-host"),
        ("https://civitai-x.f005.backblazeb2.com/x", "--storage-host"),
        ("https://civitai-x.f004.backblazeb2.example/x", "--storage-host civitai-x.f004."),
        ("https://civitai-x.evil.f004.backblazeb2.com/x", "--storage-host"),
        ("https://b2.civitai.com:8443/x", "--storage-host"),
        ("https://b2.civitai.com.evil.example/x", "--storage-host b2.civitai.com.evil.example"),
        ("https://evilb2.civitai.com/x", "--storage-host"),
        ("https://civitai.com/x", "--storage-host civitai.com"),
        ("https://user@b2.civitai.com/x", "user name"),
        ("https://b2.civitai.com@evil.example/x", "user name"),
        ("https://@b2.civitai.com/x", "user name"),
        ("https://127.0.0.1/x", "private address"),
        ("https://[::1]/x", "private address"),
        ("https://[::ffff:10.0.0.1]/x", "private address"),
        ("https://10.1.2.3/x", "private address"),
        ("https://169.254.169.254/latest/meta-data", "private address"),
        ("https://224.0.0.1/x", "private address"),
        ("https://2130706433/x", "private address"),
        ("https://127.1/x", "private address"),
        ("https://0/x", "private address"),
        ("https://0x7f.0.0.1/x", "private address"),
        ("https://0300.0250.1/x", "private address"),
        ("https://127.0.0.1./x", "private address"),
        ("https://b2.civitai.com\\@evil.example/x", "cannot be read"),
        ("https:///x", "cannot be read"),
        ("file:///etc/passwd", "cannot be read"),
        ("https://h:99999/x", "cannot be read"),
    ],
)
def test_nothing_else_may_be_asked(raw: str, word: str) -> None:
    with pytest.raises(RequestError) as caught:
        storage_address(raw, api=CIVITAI, rules=())
    assert word in caught.value.cause
    assert not caught.value.again


def test_a_named_storage_host_may_be_asked_unless_it_is_private() -> None:
    def ask(raw: str, rule: str) -> str:
        return str(storage_address(raw, api=CIVITAI, rules=(storage_rule(rule),)))

    assert ask("https://Files.Example.org/x", "files.example.org")
    assert ask("https://a.example.org:8443/x", ".example.org")
    assert ask("https://anything.example/x", "*")
    for raw, rule in [
        ("https://example.org/x", ".example.org"),
        ("https://notfiles.example.org/x", "files.example.org"),
        ("https://10.0.0.1/x", "10.0.0.1"),
        ("https://127.0.0.1/x", "*"),
        ("https://2130706433/x", "*"),
        ("https://10.1/x", "10.1"),
        ("http://files.example.org/x", "files.example.org"),
    ]:
        with pytest.raises(RequestError):
            ask(raw, rule)


@pytest.mark.parametrize(
    "text", ["", "https://a.example", "a.example/x", "a.example:80", "a b", ".."]
)
def test_a_storage_host_is_a_name(text: str) -> None:
    with pytest.raises(UsageError):
        storage_rule(text)


def test_an_api_on_loopback_may_lead_to_any_loopback_address_but_to_no_other_private_one() -> None:
    for raw in ("http://127.0.0.2:9/x", "https://localhost:1/x", "http://[::1]:5/x"):
        assert str(storage_address(raw, api=LOCAL, rules=())) == raw
    for raw in ("http://10.0.0.1/x", "https://192.168.1.1/x", "http://localhost.evil.example/x"):
        with pytest.raises(RequestError):
            storage_address(raw, api=LOCAL, rules=())


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (b"https://h/a%28b?x=%2f+&&e=|{}", "https://h/a%28b?x=%2f+&&e=|{}"),
        (b"/login?returnUrl=%2Fx", "https://civitai.com/login?returnUrl=%2Fx"),
        (b"//h/x", "https://h/x"),
        (b"other?y=1", "https://civitai.com/api/other?y=1"),
        (b"https://h/x#part", "https://h/x"),
        (b"https://h/a b\xc3\xa9", "https://h/a%20b%C3%A9"),
    ],
)
def test_a_location_is_followed_as_it_is_spelled(location: bytes, expected: str) -> None:
    assert followed(location, yarl.URL("https://civitai.com/api/download")) == expected


@pytest.mark.parametrize(
    "location", [b"", b"  ", b"https://h/\x00", b"/x\r\nHost: evil", b"/" * 20_000]
)
def test_an_unreadable_location_is_an_error(location: bytes) -> None:
    with pytest.raises(RequestError):
        followed(location, CIVITAI)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("1.1.1.1", True),
        ("2606:4700::1111", True),
        ("64:ff9b::101:101", True),
        ("64:ff9b::a00:1", False),
        ("::ffff:192.168.0.1", False),
        ("2002:7f00:1::", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("ff02::1", False),
    ],
)
def test_public_addresses_are_told_from_private_ones(address: str, *, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def look_up(
        _host: str, port: int, family: socket.AddressFamily, kind: socket.SocketKind, *, flags: int
    ) -> list[object]:
        assert flags == socket.AI_ADDRCONFIG
        return [(family, kind, 6, "", (one, port)) for one in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.mark.anyio
async def test_a_name_is_connected_to_by_its_public_addresses_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve_to(monkeypatch, "10.0.0.1", "1.1.1.1", "::1")
    resolver = CheckedResolver(trusted={"api.example"}, loopback=False)
    assert [one["host"] for one in await resolver.resolve("b2.civitai.com")] == ["1.1.1.1"]
    assert len(await resolver.resolve("API.example")) == 3


@pytest.mark.anyio
async def test_a_name_that_leads_only_to_private_addresses_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve_to(monkeypatch, "10.0.0.1", "127.0.0.1")
    with pytest.raises(PrivateAddressError):
        await CheckedResolver(trusted=(), loopback=False).resolve("b.example")
    local = CheckedResolver(trusted=(), loopback=True)
    assert [one["host"] for one in await local.resolve("b.example")] == ["127.0.0.1"]


def test_a_name_server_that_never_answers_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered = threading.Event()
    ended: list[bool] = []

    def look_up(*_: object, **__: object) -> list[object]:
        ended.append(answered.wait(30))
        return []

    async def scenario() -> None:
        resolver = CheckedResolver(trusted={"api.example"}, loopback=False)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await resolver.resolve("api.example")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    asyncio.run(scenario())

    assert not ended
    answered.set()


@pytest.mark.anyio
async def test_a_lookup_that_fails_says_so_and_this_machine_has_a_name() -> None:
    resolver = CheckedResolver(trusted=(), loopback=True)
    with pytest.raises(socket.gaierror):
        await resolver.resolve("lantern.invalid")
    found = await resolver.resolve("localhost", 81)
    assert {(one["hostname"], one["port"]) for one in found} == {("localhost", 81)}


@pytest.mark.parametrize(
    ("url", "base", "wrong"),
    [
        ("https://huggingface.co/x", "https://huggingface.co", None),
        ("https://127.0.0.1/x", "https://huggingface.co", "private address 127.0.0.1"),
        ("https://169.254.169.254/x", "https://huggingface.co", "private address 169.254.169.254"),
        ("https://[::1]/x", "https://huggingface.co", "private address ::1"),
        ("http://8.8.8.8/x", "https://huggingface.co", "without encryption"),
        ("https://8.8.8.8/x", "https://huggingface.co", None),
        ("http://127.0.0.2:5/x", "http://127.0.0.1:4", None),
        ("http://10.0.0.1/x", "http://10.0.0.1", None),
    ],
)
def test_where_another_client_may_be_led(url: str, base: str, wrong: str | None) -> None:
    if wrong is None:
        check_public(url, base=base)
        return
    with pytest.raises(RequestError, match=wrong):
        check_public(url, base=base)
