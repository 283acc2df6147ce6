"""The server: starting, stopping, single models, and trouble on the network."""

import _thread
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from crawler.errors import UsageError
from crawler.sandbox import Catalogue, Faults, Sandbox, serve_forever
from crawler.sandbox.entries import Upload


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, headers={"User-Agent": "test/1"}) as client:
        yield client


def first(catalogue: Catalogue) -> Upload:
    return catalogue.releases(0)[0].uploads[0]


def stored(client: httpx.Client, sandbox: Sandbox, catalogue: Catalogue) -> str:
    """Where the first file is to be had."""
    upload = first(catalogue)
    url = f"{sandbox.url}/api/download/models/{upload.version_id}?fileId={upload.file_id}"
    location: str = client.get(url).headers["location"]
    return location


def test_two_sandboxes_run_side_by_side(client: httpx.Client) -> None:
    with Sandbox(Catalogue(1)) as one, Sandbox(Catalogue(2)) as other:
        assert one.url != other.url
        assert one.url.startswith("http://127.0.0.1:")
        assert one.storage_url.startswith("http://127.0.0.")
        assert one.storage_url != one.url
        for sandbox in (one, other):
            assert client.get(f"{sandbox.url}/api/v1/models").status_code == 200
    assert one.counters.lists == other.counters.lists == 1
    with pytest.raises(httpx.ConnectError):
        client.get(f"{one.url}/api/v1/models")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org", ""])
def test_strangers_are_kept_out(host: str) -> None:
    with pytest.raises(UsageError, match="loopback"):
        Sandbox(Catalogue(1), host=host)


def test_a_taken_port_is_an_error_in_words(client: httpx.Client) -> None:
    with Sandbox(Catalogue(1)) as sandbox:
        port = int(sandbox.url.rpartition(":")[2])
        with pytest.raises(UsageError, match=f"127.0.0.1 port {port}"):
            Sandbox(Catalogue(1), port=port)
        assert client.get(f"{sandbox.url}/api/v1/models").status_code == 200


@pytest.fixture
def heeds_interrupts() -> Iterator[None]:
    """Also where the tests were begun in the background, by a shell that ignores interrupts there."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_interrupts")
def test_it_runs_until_an_interrupt() -> None:
    catalogue, seen = Catalogue(5), []

    def announce(sandbox: Sandbox) -> None:
        seen.append(httpx.get(f"{sandbox.url}/api/v1/models", trust_env=False).status_code)
        threading.Timer(0.2, _thread.interrupt_main).start()

    counters = serve_forever(catalogue, announce, host="localhost")
    assert seen == [200]
    assert counters.api_requests == 1


def test_a_model_by_its_id(client: httpx.Client) -> None:
    catalogue = Catalogue(60, faults=Faults(mature_only=0.5))
    with Sandbox(catalogue) as sandbox:
        base = f"{sandbox.url}/api/v1"
        for index in range(0, 60, 7):
            release = catalogue.releases(index)[0]
            model_id = catalogue.traits(index).model_id
            body = client.get(f"{base}/models/{model_id}").json()
            version = body["modelVersions"][0]
            assert body["id"] == model_id
            assert version["status"] == "Published"
            assert version["createdAt"]
            assert not {"description", "vaeId", "paidAccess", "supportsGeneration"} & set(version)
            assert all(value not in (None, []) for value in version.values())
            assert "id" not in version["images"][0]
            single = client.get(f"{base}/model-versions/{release.version_id}").json()
            assert single["modelId"] == model_id
            assert single["usageControl"] == "Download"
            assert [file["id"] for file in single["files"]] == [
                upload.file_id for upload in release.uploads
            ]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("models/1", 404, "No model with id 1"),
        ("models/0", 400, "whole number"),
        ("models/2147483648", 400, "whole number"),
        ("models/abc", 400, "whole number"),
        ("model-versions/1", 404, "Model not found"),
        ("model-versions/-1", 400, "whole number"),
    ],
)
def test_ids_of_nothing(client: httpx.Client, path: str, status: int, words: str) -> None:
    with Sandbox(Catalogue(5)) as sandbox:
        reply = client.get(f"{sandbox.url}/api/v1/{path}")
        assert reply.status_code == status
        assert words in reply.json()["error"]


def test_lists_are_for_get_only(client: httpx.Client) -> None:
    with Sandbox(Catalogue(5)) as sandbox:
        url = f"{sandbox.url}/api/v1/models"
        assert client.post(url).status_code == client.head(url).status_code == 405
        reply = client.get(url)
        assert reply.headers["cache-control"].startswith("public, s-maxage=300")
        known = client.get(url, headers={"Authorization": f"Bearer {sandbox.key}"})
        assert "public" not in known.headers["cache-control"]


@pytest.mark.parametrize(
    ("faults", "status", "kind"),
    [
        (Faults(busy=1.0), 503, "application/json"),
        (Faults(server_error=1.0), 500, "application/json"),
        (Faults(bad_gateway=1.0), 502, "text/html"),
        (Faults(html_reply=1.0), 200, "text/html"),
        (Faults(region_blocked=True), 451, "application/json"),
    ],
)
def test_moods_of_the_api(client: httpx.Client, faults: Faults, status: int, kind: str) -> None:
    with Sandbox(Catalogue(5), faults=faults) as sandbox:
        reply = client.get(f"{sandbox.url}/api/v1/models")
        assert reply.status_code == status
        assert reply.headers["content-type"].startswith(kind)
        assert reply.headers.get("retry-after") == ("2" if status == 503 else None)


def test_a_share_of_requests_fails_and_a_retry_helps(client: httpx.Client) -> None:
    def statuses(seed: int) -> list[int]:
        with Sandbox(Catalogue(5), faults=Faults(busy=0.5), seed=seed) as sandbox:
            url = f"{sandbox.url}/api/v1/models"
            return [client.get(url).status_code for _try in range(30)]

    once = statuses(1)
    assert set(once) == {200, 503}
    assert statuses(1) == once
    assert statuses(2) != once


def test_bare_clients_are_turned_away_where_the_edges_do(client: httpx.Client) -> None:
    catalogue = Catalogue(40, faults=Faults(agent_rules=True))
    with Sandbox(catalogue) as sandbox:
        url = f"{sandbox.url}/api/v1/models"
        reply = client.get(url, headers={"User-Agent": "Python-urllib/3.11"})
        assert (reply.status_code, reply.text) == (403, "error code: 1010")
        seen = set()
        for index in range(40):
            upload = catalogue.releases(index)[0].uploads[0]
            path = f"/api/download/models/{upload.version_id}?fileId={upload.file_id}"
            location = client.get(sandbox.url + path).headers["location"]
            bare = client.get(location, headers={"Range": "bytes=0-7"})
            curl = {"Range": "bytes=0-7", "User-Agent": "curl/8.5.0"}
            assert client.get(location, headers=curl).status_code == 206
            seen.add(("b2ContentDisposition" in location, bare.status_code))
        assert seen == {(True, 403), (False, 206)}


def test_a_range_may_get_the_whole_file(client: httpx.Client) -> None:
    catalogue = Catalogue(1, faults=Faults(whole_file=1.0))
    with Sandbox(catalogue) as sandbox:
        url = stored(client, sandbox, catalogue)
        with client.stream("GET", url, headers={"Range": "bytes=0-7"}) as reply:
            assert reply.status_code == 200
            size = catalogue.content(first(catalogue)).size
            assert int(reply.headers["content-length"]) == size


def test_a_body_may_be_cut(client: httpx.Client) -> None:
    catalogue = Catalogue(1, faults=Faults(cut_body=1.0))
    with Sandbox(catalogue) as sandbox:
        url = stored(client, sandbox, catalogue)
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(url, headers={"Range": "bytes=0-99999"})
    assert sandbox.counters.bytes_sent == 50_000


def test_a_body_may_stall_and_the_sandbox_still_stops(client: httpx.Client) -> None:
    catalogue = Catalogue(1, faults=Faults(stall=1.0, stall_seconds=600))
    begun = time.monotonic()
    with Sandbox(catalogue) as sandbox:
        url = stored(client, sandbox, catalogue)
        with pytest.raises(httpx.ReadTimeout):
            client.get(url, headers={"Range": "bytes=0-99"}, timeout=0.3)
    assert sandbox.counters.bytes_sent == 50
    assert time.monotonic() - begun < 60


def test_it_stops_in_the_middle_of_a_reply(client: httpx.Client) -> None:
    catalogue = Catalogue(1, faults=Faults(stall=1.0, stall_seconds=600))
    begun = time.monotonic()
    with ExitStack() as running:
        sandbox = running.enter_context(Sandbox(catalogue))
        url = stored(client, sandbox, catalogue)
        with client.stream("GET", url, headers={"Range": "bytes=0-99"}) as reply:
            chunks = reply.iter_raw()
            assert len(next(chunks)) == 50
            running.close()
            with pytest.raises(httpx.RemoteProtocolError):
                next(chunks)
    assert time.monotonic() - begun < 60


def test_every_reply_waits(client: httpx.Client) -> None:
    with Sandbox(Catalogue(1), latency=0.2) as sandbox:
        begun = time.monotonic()
        client.get(f"{sandbox.url}/api/v1/me")
        assert time.monotonic() - begun >= 0.2


def test_requests_in_a_second_are_counted(client: httpx.Client) -> None:
    with Sandbox(Catalogue(1)) as sandbox:
        for _request in range(5):
            client.get(f"{sandbox.url}/api/v1/me")
        counters = sandbox.counters
    assert counters.api_requests == 5
    assert 1 <= counters.most_in_a_second <= 5
