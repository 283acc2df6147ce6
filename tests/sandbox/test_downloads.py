"""Links to files: who gets one, and what the storage host makes of it."""

from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from crawler.sandbox import Catalogue, Faults, Sandbox
from crawler.sandbox.entries import Upload

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, headers={"User-Agent": "test/1"}) as client:
        yield client


def first(catalogue: Catalogue) -> Upload:
    return catalogue.releases(0)[0].uploads[0]


def resolve(
    client: httpx.Client, sandbox: Sandbox, upload: Upload, query: str = "", **more: Any
) -> httpx.Response:
    return client.get(
        f"{sandbox.url}/api/download/models/{upload.version_id}{query}",
        follow_redirects=False,
        **more,
    )


def link(client: httpx.Client, sandbox: Sandbox, upload: Upload) -> str:
    reply = resolve(client, sandbox, upload, f"?fileId={upload.file_id}")
    assert reply.status_code == 307
    location: str = reply.headers["location"]
    assert location.startswith(sandbox.storage_url)
    return location


def test_a_link_leads_to_the_first_bytes(client: httpx.Client) -> None:
    catalogue = Catalogue(3, faults=Faults.plain())
    upload = first(catalogue)
    content = catalogue.content(upload)
    with Sandbox(catalogue) as sandbox:
        url = link(client, sandbox, upload)
        reply = client.get(url, headers={"Range": "bytes=0-1023"})
        assert reply.status_code == 206
        assert reply.content == content.beginning[:1024]
        assert reply.headers["content-range"] == f"bytes 0-1023/{content.size}"
        middle = client.get(url, headers={"Range": f"bytes=8-{len(content.beginning) + 9}"})
        assert middle.content == content.beginning[8:] + bytes(10)
        last = client.get(url, headers={"Range": "bytes=-5"})
        assert last.content == bytes(5)
        counters = sandbox.counters
    assert counters.counted == {upload.file_id: 1}
    assert counters.downloads == counters.resolutions == 1
    assert counters.storage_requests == 3
    assert counters.bytes_sent == 1024 + len(content.beginning) + 2 + 5
    assert counters.key_leaks == 0


def test_without_a_range_the_whole_file_streams(client: httpx.Client) -> None:
    catalogue = Catalogue(1, faults=Faults.plain())
    upload = first(catalogue)
    with Sandbox(catalogue) as sandbox:
        url = link(client, sandbox, upload)
        with client.stream("GET", url) as reply:
            assert reply.status_code == 200
            assert int(reply.headers["content-length"]) == catalogue.content(upload).size
            total = sum(len(chunk) for chunk in reply.iter_raw())
        assert total == catalogue.content(upload).size
        beyond = client.get(url, headers={"Range": f"bytes={total}-"})
        assert beyond.status_code == 416
        assert beyond.headers["content-range"] == f"bytes */{total}"


def test_who_stops_reading_stops_the_sending(client: httpx.Client) -> None:
    catalogue = Catalogue(1, faults=Faults.plain())
    upload = first(catalogue)
    size = catalogue.content(upload).size
    assert size > 20_000_000
    with Sandbox(catalogue) as sandbox:
        with client.stream("GET", link(client, sandbox, upload)) as reply:
            next(reply.iter_raw(1024))
        # a second request on another connection is answered after the first one was given up
        client.get(link(client, sandbox, upload), headers={"Range": "bytes=0-7"})
    assert sandbox.counters.bytes_sent < size


def raw_get(url: str, method: str = "GET") -> tuple[int, bytes]:
    """A request that sends the target byte for byte."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=10)
    with closing(connection):
        connection.request(method, f"{parts.path}?{parts.query}", headers={"Range": "bytes=0-7"})
        reply = connection.getresponse()
        return reply.status, reply.read()


def test_every_byte_of_a_link_is_signed(client: httpx.Client) -> None:
    catalogue = Catalogue(12, faults=Faults.plain())
    kinds = set()
    with Sandbox(catalogue) as sandbox:
        for index in range(12):
            for release in catalogue.releases(index):
                url = link(client, sandbox, release.uploads[0])
                kinds.add("X-Amz-Signature=" in url)
                assert raw_get(url)[0] == 206
                assert raw_get(url, "HEAD")[0] == 403
                for changed in (
                    url.replace("%3B", "%3b"),
                    url.replace("%22", '"'),
                    url.replace("attachment", "%61ttachment"),
                    f"{url}&x=1",
                    f"{url}~",
                ):
                    status, body = raw_get(changed)
                    assert status == 403
                    assert b"SignatureDoesNotMatch" in body
        assert raw_get(f"{sandbox.storage_url}/model/1/other.1.safetensors")[0] == 403
    assert kinds == {True, False}, "links of both kinds are handed out"


def test_an_old_link_is_refused(client: httpx.Client) -> None:
    catalogue = Catalogue(1, faults=Faults(url_lifetime=0))
    with Sandbox(catalogue) as sandbox:
        reply = client.get(link(client, sandbox, first(catalogue)))
        assert reply.status_code == 403
        assert b"ExpiredRequest" in reply.content


def test_a_key_at_the_storage_host_is_a_leak(client: httpx.Client) -> None:
    catalogue = Catalogue(1, faults=Faults.plain())
    with Sandbox(catalogue) as sandbox:
        url = link(client, sandbox, first(catalogue))
        reply = client.get(url, headers={"Authorization": f"Bearer {sandbox.key}"})
        assert reply.status_code == 400
        assert b"InvalidRequest" in reply.content
        client.get(f"{url}&token={sandbox.key}")
        assert sandbox.counters.key_leaks == 2


@pytest.mark.parametrize(
    ("faults", "status", "words"),
    [
        (Faults(gone=1.0), 404, "File not found"),
        (Faults(real_person=1.0), 404, "File not found"),
        (Faults(archived_late=1.0), 410, "Model archived, not available for download"),
        (Faults(archived=1.0), 410, "Model archived, not available for download"),
        (Faults(downloads_disabled=1.0), 401, "has disabled downloads on this file"),
        (Faults(login_required=1.0), 401, "requires you to be logged in to download it"),
        (Faults(forbidden=1.0), 401, "requires you to be logged in to download it"),
        (Faults(early_access=1.0), 403, '"deadline":"2099-12-31T12:00:00.000Z"'),
        (Faults(lost_file=1.0), 404, "File not found"),
        (Faults(quota=0), 429, "unusual amount of downloading"),
    ],
)
def test_refusals(client: httpx.Client, faults: Faults, status: int, words: str) -> None:
    catalogue = Catalogue(1, faults=faults)
    with Sandbox(catalogue) as sandbox:
        reply = resolve(client, sandbox, first(catalogue))
        assert reply.status_code == status
        assert words in reply.text
        assert reply.json()["error"]
        assert sandbox.counters.downloads == 0


def test_a_key_opens_what_asks_for_one(client: httpx.Client) -> None:
    catalogue = Catalogue(1, faults=Faults(login_required=1.0))
    with Sandbox(catalogue) as sandbox:
        upload = first(catalogue)
        bearer = {"Authorization": f"Bearer {sandbox.key}"}
        assert resolve(client, sandbox, upload, headers=bearer).status_code == 307
        assert resolve(client, sandbox, upload, f"?token={sandbox.key}").status_code == 307
        wrong = {"Authorization": "Bearer wrong"}
        assert resolve(client, sandbox, upload, headers=wrong).status_code == 401
        me = f"{sandbox.url}/api/v1/me"
        assert client.get(me).status_code == 401
        assert client.get(me, headers=bearer).json()["username"] == "sandbox"


def test_nobody_gets_what_is_forbidden(client: httpx.Client) -> None:
    catalogue = Catalogue(1, faults=Faults(forbidden=1.0))
    with Sandbox(catalogue) as sandbox:
        bearer = {"Authorization": f"Bearer {sandbox.key}"}
        reply = resolve(client, sandbox, first(catalogue), headers=bearer)
        assert reply.status_code == 403
        assert reply.json() == {"error": "You do not have access to download this file"}


@pytest.mark.parametrize("faults", [Faults(login_required=1.0), Faults(early_access=1.0)])
def test_a_browser_is_sent_to_a_page(client: httpx.Client, faults: Faults) -> None:
    catalogue = Catalogue(1, faults=faults)
    with Sandbox(catalogue) as sandbox:
        upload = first(catalogue)
        reply = resolve(client, sandbox, upload, headers=BROWSER)
        assert reply.status_code == 307
        url = f"{sandbox.url}/api/download/models/{upload.version_id}"
        page = client.get(url, headers=BROWSER, follow_redirects=True)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")


def test_a_browser_reads_plain_text(client: httpx.Client) -> None:
    catalogue = Catalogue(1, faults=Faults(gone=1.0))
    with Sandbox(catalogue) as sandbox:
        reply = resolve(client, sandbox, first(catalogue), headers=BROWSER)
        assert (reply.status_code, reply.text) == (404, "File not found")


def test_which_file_of_a_version(client: httpx.Client) -> None:
    catalogue = Catalogue(1, faults=Faults(twin_links=1.0, training_data=1.0))
    one, twin, data = catalogue.releases(0)[0].uploads
    with Sandbox(catalogue) as sandbox:
        for query, wanted in [
            ("", one),
            ("?type=Model&format=SafeTensor&size=full&fp=fp16", one),
            ("?type=Training%20Data", data),
            (f"?fileId={twin.file_id}", twin),
        ]:
            before = sandbox.counters.counted.get(wanted.file_id, 0)
            assert resolve(client, sandbox, one, query).status_code == 307
            assert sandbox.counters.counted[wanted.file_id] == before + 1
        assert resolve(client, sandbox, one, "?type=VAE").status_code == 404
        assert resolve(client, sandbox, one, "?fileId=1").status_code == 404
        assert resolve(client, sandbox, one, "?fileId=x").status_code == 400
        assert client.get(f"{sandbox.url}/api/download/models/x").status_code == 400
        assert client.get(f"{sandbox.url}/api/download/models/1").status_code == 404


def test_a_wrong_link_is_right_by_file_id(client: httpx.Client) -> None:
    catalogue = Catalogue(1, faults=Faults(wrong_link=1.0))
    with Sandbox(catalogue) as sandbox:
        upload = first(catalogue)
        assert resolve(client, sandbox, upload).status_code == 404
        link(client, sandbox, upload)
