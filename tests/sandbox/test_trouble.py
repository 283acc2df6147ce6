"""Trouble on the network: whom it strikes, how often, and what the counters tell of it."""

from collections.abc import Iterator
from dataclasses import fields, replace

import httpx
import pytest

from crawler.sandbox import Catalogue, Faults, Sandbox
from crawler.sandbox.entries import Body, Upload
from crawler.sandbox.luck import Luck, subject_of, subject_of_file

RANGE = {"Range": "bytes=0-99", "User-Agent": "curl/8 test"}
PASSING = (
    "busy", "server_error", "bad_gateway", "gateway_timeout", "html_reply", "edge_block",
    "lost_file", "storage_busy", "cut_body", "stall", "storage_forbidden", "expired_link",
)  # fmt: skip


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, headers={"User-Agent": "test/1"}) as client:
        yield client


def first(catalogue: Catalogue) -> Upload:
    return catalogue.releases(0)[0].uploads[0]


def uploads(catalogue: Catalogue) -> Iterator[Upload]:
    for index in range(len(catalogue)):
        for release in catalogue.releases(index):
            yield from release.uploads


def resolve(client: httpx.Client, sandbox: Sandbox, upload: Upload) -> httpx.Response:
    path = f"/api/download/models/{upload.version_id}?fileId={upload.file_id}"
    return client.get(sandbox.url + path)


def fetched(client: httpx.Client, sandbox: Sandbox, upload: Upload) -> int:
    """How many tries it takes a patient client to have the first bytes of a file."""
    link = None
    for number in range(1, 10):
        if link is None:
            reply = resolve(client, sandbox, upload)
            if reply.status_code != 307:
                continue
            link = reply.headers["location"]
        try:
            with client.stream("GET", link, headers=RANGE) as reply:
                if reply.status_code == 403:
                    link = None
                elif reply.status_code in (200, 206) and len(first_bytes(reply)) == 100:
                    return number
        except httpx.RemoteProtocolError:
            continue
    raise AssertionError(upload)


def first_bytes(reply: httpx.Response) -> bytes:
    got = b""
    for chunk in reply.iter_raw(100):
        got += chunk
        if len(got) >= 100:
            break
    return got[:100]


def test_at_most_so_many_strikes_and_then_it_succeeds(client: httpx.Client) -> None:
    shares = dict.fromkeys(PASSING, 0.3)
    faults = Faults(**shares, stall_seconds=0.0, retry_after=0, most_strikes=2)  # type: ignore[arg-type]
    catalogue = Catalogue(60, seed=4, faults=faults)
    with Sandbox(catalogue, seed=4) as sandbox:
        tries = {fetched(client, sandbox, upload) for upload in uploads(catalogue)}
        counters = sandbox.counters
    assert tries == {1, 2, 3}
    assert counters.injected.keys() == set(PASSING)
    spoiled = counters.injected["storage_forbidden"] + counters.injected["expired_link"]
    files = len(list(uploads(catalogue)))
    assert counters.downloads == files + spoiled
    assert max(counters.counted.values()) == 2
    assert sum(counters.injected.values()) <= 2 * files


def test_the_mix_that_has_everything_leaves_every_file_to_be_had(client: httpx.Client) -> None:
    faults = replace(Faults.full(), tied_run=1, unlisted_run=0, stall_seconds=0.01)
    catalogue = Catalogue(150, seed=2, faults=faults)
    with Sandbox(catalogue, seed=2) as sandbox:
        for upload in uploads(catalogue):
            if upload.refusal is None and catalogue.content(upload).size >= 100:
                assert fetched(client, sandbox, upload) <= 3
        assert sandbox.counters.key_leaks == 0
        assert len(sandbox.counters.injected) > 10


def test_a_refusal_once_given_stays(client: httpx.Client) -> None:
    faults = Faults(gone=1.0, busy=0.3, server_error=0.3, retry_after=0, most_strikes=2)
    catalogue = Catalogue(40, seed=3, faults=faults)
    statuses = set()
    with Sandbox(catalogue, seed=3) as sandbox:
        for upload in uploads(catalogue):
            tries = [resolve(client, sandbox, upload).status_code for _try in range(3)]
            assert set(tries[tries.index(404) :]) == {404}
            statuses.add(tuple(tries))
    assert len(statuses) > 3


def test_one_seed_strikes_the_same_requests(client: httpx.Client) -> None:
    def statuses(seed: int) -> list[int]:
        catalogue = Catalogue(30, faults=Faults(busy=0.2, server_error=0.2, lost_file=0.2))
        with Sandbox(catalogue, seed=seed) as sandbox:
            return [resolve(client, sandbox, upload).status_code for upload in uploads(catalogue)]

    assert statuses(1) == statuses(1) != statuses(2)


@pytest.mark.parametrize(
    ("switch", "status", "words"),
    [
        ("storage_busy", 503, "SlowDown"),
        ("storage_forbidden", 403, "Forbidden"),
        ("expired_link", 403, "ExpiredRequest"),
    ],
)
def test_moods_of_the_storage(client: httpx.Client, switch: str, status: int, words: str) -> None:
    catalogue = Catalogue(1, faults=Faults(**{switch: 1.0}))  # type: ignore[arg-type]
    with Sandbox(catalogue) as sandbox:
        link = resolve(client, sandbox, first(catalogue)).headers["location"]
        reply = client.get(link, headers=RANGE)
        assert reply.status_code == status
        assert words in reply.text
        again = client.get(link, headers=RANGE).status_code
        assert again == (503 if switch == "storage_busy" else 206)
        assert sandbox.counters.injected[switch] == (2 if again == 503 else 1)


@pytest.mark.parametrize(
    ("switch", "status", "words"),
    [
        ("gateway_timeout", 504, "504 Gateway Timeout"),
        ("edge_block", 403, "error code: 1010"),
        ("blacklisted", 403, "Forbidden"),
    ],
)
def test_more_moods_of_the_api(client: httpx.Client, switch: str, status: int, words: str) -> None:
    catalogue = Catalogue(1, faults=Faults(**{switch: 1}))  # type: ignore[arg-type]
    with Sandbox(catalogue) as sandbox:
        reply = resolve(client, sandbox, first(catalogue))
        assert reply.status_code == status
        assert words in reply.text
        assert sandbox.counters.injected == {switch: 1}


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        (Faults(gone=1.0), {"gone": 1}),
        (Faults(archived_late=1.0), {"archived_late": 1}),
        (Faults(login_required=1.0), {"login_required": 1}),
        (Faults(early_access=1.0), {"early_access": 1}),
        (Faults(downloads_disabled=1.0), {"downloads_disabled": 1}),
        (Faults(quota=0), {"quota": 1}),
        (Faults(region_blocked=True), {}),
        (Faults(), {}),
    ],
)
def test_refusals_are_counted(client: httpx.Client, faults: Faults, told: dict[str, int]) -> None:
    catalogue = Catalogue(1, faults=faults)
    with Sandbox(catalogue) as sandbox:
        resolve(client, sandbox, first(catalogue))
        assert sandbox.counters.injected == told


def test_bodies_and_lost_models_are_counted(client: httpx.Client) -> None:
    catalogue = Catalogue(8, faults=Faults(lfs_body=1.0, unlisted=1.0, whole_file=1.0))
    with Sandbox(catalogue) as sandbox:
        link = resolve(client, sandbox, first(catalogue)).headers["location"]
        assert client.get(link, headers=RANGE).status_code == 200
        assert client.get(f"{sandbox.url}/api/v1/models").json()["items"] == []
        told = {"lfs_body": 1, "whole_file": 1, "unlisted": 8}
        assert sandbox.counters.injected == told
    switches = {field.name for field in fields(Faults)}
    assert switches >= set(told)
    assert {body.value for body in Body} - switches == {"trained", "real"}


def test_a_giant_in_place_of_a_range_is_not_sent_to_who_has_left(client: httpx.Client) -> None:
    catalogue = Catalogue(2, faults=Faults(giant_body=1.0, whole_file=1.0))
    with Sandbox(catalogue) as sandbox:
        for upload in uploads(catalogue):
            link = resolve(client, sandbox, upload).headers["location"]
            with client.stream("GET", link, headers=RANGE) as reply:
                assert reply.status_code == 200
                assert int(reply.headers["content-length"]) > 24 * 1024**3
                assert first_bytes(reply) == catalogue.content(upload).beginning[:100]
        # answered only once the server has done with the ones before
        assert client.get(f"{sandbox.url}/api/v1/models").status_code == 200
        assert sandbox.counters.most_sent < 16 * 1024**2


def test_both_hosts_and_every_spelling_mean_the_same_file() -> None:
    assert subject_of("/api/download/models/7", "fileId=12&token=x") == subject_of_file(12)
    assert subject_of("/api/download/models/7", "") == "/api/download/models/7?"
    assert subject_of("/api/download/models/7", "fileId=x") == "/api/download/models/7?fileId=x"
    assert subject_of("/api/v1/models", "fileId=12") == "/api/v1/models?fileId=12"


def test_luck_without_an_end_never_tires() -> None:
    told: list[str] = []
    luck = Luck(0, None, told.append)
    assert all(luck.strikes(1.0, "busy", "x") for _try in range(50))
    assert told == ["busy"] * 50
    assert not luck.strikes(0.0, "busy", "x")
