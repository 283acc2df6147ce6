"""Who is answered, and what every answer says."""

import pytest
from starlette.testclient import TestClient

from crawler.web.security import LOOPBACK, Hosts
from tests.conftest import ON_SQLITE
from tests.web.rows import PORT

PATHS = (
    "/",
    "/nothing",
    "/static/page.css",
    "/static/nothing.css",
    "/api/v1/loras",
    "/api/v1/x",
    "/?q=)",
)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        (f"127.0.0.1:{PORT}", True),
        (f"LocalHost:{PORT}", True),
        (f"[::1]:{PORT}", True),
        (f"evil.example:{PORT}", False),
        (f"127.0.0.1.evil.example:{PORT}", False),
        ("127.0.0.1", False),
        ("127.0.0.1:80", False),
        (f"192.168.1.5:{PORT}", False),
        ("", False),
        ("[::1]", False),
        (f"127.0.0.1:{PORT}:{PORT}", False),
    ],
)
def test_only_its_own_names_are_answered(host: str, *, allowed: bool) -> None:
    assert Hosts(LOOPBACK, PORT).allow(host) is allowed


def test_a_server_on_every_address_answers_to_addresses_and_not_to_names() -> None:
    hosts = Hosts(LOOPBACK, PORT, every_address=True)
    assert hosts.allow(f"192.168.1.5:{PORT}")
    assert hosts.allow(f"[fe80::1]:{PORT}")
    assert not hosts.allow(f"evil.example:{PORT}")


def test_the_port_of_http_need_not_be_named() -> None:
    assert Hosts(LOOPBACK, 80).allow("localhost")


@ON_SQLITE
@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_the_headers(client: TestClient, path: str) -> None:
    first, second = client.get(path), client.get(path)
    policies = [one.headers["content-security-policy"] for one in (first, second)]
    assert policies[0] != policies[1]
    assert "unsafe" not in policies[0]
    assert policies[0].startswith("default-src 'none'; script-src 'nonce-")
    assert first.headers["x-content-type-options"] == "nosniff"
    assert first.headers["referrer-policy"] == "no-referrer"
    assert first.headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in first.headers
    assert "server" not in first.headers


@ON_SQLITE
@pytest.mark.parametrize("path", PATHS)
def test_another_name_is_refused_everywhere(client: TestClient, path: str) -> None:
    answer = client.get(path, headers={"host": f"evil.example:{PORT}"})
    assert answer.status_code == 421
    assert "does not answer to that name" in answer.text


@ON_SQLITE
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_but_reading_is_allowed(client: TestClient, method: str) -> None:
    answer = client.request(method, "/")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


@ON_SQLITE
def test_other_sites_may_lead_here_but_not_ask(client: TestClient) -> None:
    foreign = {"sec-fetch-site": "cross-site"}
    asked = client.get("/api/v1/loras", headers=foreign | {"sec-fetch-mode": "no-cors"})
    assert asked.status_code == 403
    link = foreign | {"sec-fetch-mode": "navigate"}
    assert client.get("/", headers=link).status_code == 200
    assert client.get("/", headers=link | {"sec-fetch-dest": "document"}).status_code == 200
    for frame in ("iframe", "frame", "object", "embed"):
        assert client.get("/", headers=link | {"sec-fetch-dest": frame}).status_code == 403


@ON_SQLITE
@pytest.mark.parametrize(
    ("site", "status"), [("same-site", 403), ("same-origin", 200), ("none", 200), ("new", 403)]
)
def test_another_port_of_this_machine_is_another_site(
    client: TestClient, site: str, status: int
) -> None:
    headers = {"sec-fetch-site": site, "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}
    assert client.get("/api/v1/fields", headers=headers).status_code == status


@ON_SQLITE
def test_an_unexpected_error_tells_nothing_of_the_inside(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret \x1b[31m")

    monkeypatch.setattr("crawler.web.browse.page_of", fail)
    answer = client.get("/")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert r"secret \x1b[31m" in caplog.text
    assert "\x1b" not in caplog.text
