"""Links to files, what the storage host sends, and what goes wrong on the way."""

import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from crawler.errors import UsageError
from crawler.sandbox import Catalogue, Changes, Faults, Sandbox
from crawler.sandbox.catalogue import Place

RANGE = {"Range": "bytes=0-99"}
PASSING = (
    "busy", "server_error", "html_reply", "edge_block", "lost_file", "storage_busy", "cut_body",
    "stall", "storage_forbidden", "expired_link",
)  # fmt: skip


def first(catalogue: Catalogue) -> Place:
    return next(iter(catalogue.files.values()))


def resolve(
    client: httpx.Client, sandbox: Sandbox, place: Place, key: str | None = None
) -> httpx.Response:
    path = f"/api/download/models/{place.version.version_id}?fileId={place.file.file_id}"
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return client.get(sandbox.url + path, headers=headers)


def link(client: httpx.Client, sandbox: Sandbox, place: Place) -> str:
    reply = resolve(client, sandbox, place)
    assert reply.status_code == 307
    location: str = reply.headers["location"]
    assert location.startswith(sandbox.storage_url)
    return location


def test_a_link_leads_to_ranges_and_to_the_whole_file(client: httpx.Client) -> None:
    catalogue = Catalogue(1, faults=Faults.plain())
    place = first(catalogue)
    content = catalogue.content(place)
    with Sandbox(catalogue) as sandbox:
        url = link(client, sandbox, place)
        part = client.get(url, headers={"Range": "bytes=8-1023"})
        assert (part.status_code, part.content) == (206, content.beginning[8:1024])
        assert part.headers["content-range"] == f"bytes 8-1023/{content.size}"
        last = client.get(url, headers={"Range": f"bytes={content.size - 5}-"})
        assert last.content == bytes(5)
        beyond = client.get(url, headers={"Range": f"bytes={content.size}-"})
        assert beyond.status_code == 416
        assert beyond.headers["content-range"] == f"bytes */{content.size}"
        assert sandbox.counters.bytes_sent == 1016 + 5
        with client.stream("GET", url) as whole:
            assert whole.status_code == 200
            assert sum(len(chunk) for chunk in whole.iter_raw()) == content.size
        seen = sandbox.counters
    assert seen.counted == {place.file.file_id: 1}
    assert (seen.resolutions, seen.downloads, seen.storage_requests, seen.key_leaks) == (1, 1, 4, 0)


def test_every_byte_of_a_link_is_signed(client: httpx.Client) -> None:
    catalogue = Catalogue(3, faults=Faults(odd_name=1.0))
    with Sandbox(catalogue) as sandbox:
        for place in catalogue.files.values():
            url = link(client, sandbox, place)
            assert client.get(url, headers=RANGE).status_code == 206
            assert client.head(url).status_code == 403
            for changed in (url.replace("%3B", "%3b"), f"{url}&x=1", url.replace(".safe", ".saf")):
                refused = client.get(changed, headers=RANGE)
                assert refused.status_code == 403
                assert "SignatureDoesNotMatch" in refused.text


def test_a_key_at_the_storage_host_is_a_leak(client: httpx.Client) -> None:
    catalogue = Catalogue(1, faults=Faults.plain())
    with Sandbox(catalogue) as sandbox:
        url = link(client, sandbox, first(catalogue))
        bearer = {"Authorization": f"Bearer {sandbox.key}"}
        assert client.get(url, headers=bearer).status_code == 400
        client.get(f"{url}&token={sandbox.key}")
        assert sandbox.counters.key_leaks == 2


@pytest.mark.parametrize(
    ("fault", "with_key", "status", "words"),
    [
        ("gone", True, 404, "File not found"),
        ("archived", True, 410, "Model archived, not available for download"),
        ("downloads_disabled", True, 401, "has disabled downloads on this file"),
        ("login_required", False, 401, "requires you to be logged in to download it"),
        ("login_required", True, 307, ""),
        ("forbidden", False, 401, "requires you to be logged in to download it"),
        ("forbidden", True, 403, "do not have access to download this file"),
        ("early_access", True, 403, '"deadline":"2099-12-31T12:00:00.000Z"'),
        ("lost_file", True, 404, "File not found"),
        ("busy", True, 503, "overloaded"),
        ("html_reply", True, 200, "<html>"),
        ("edge_block", True, 403, "error code: 1010"),
        ("region_blocked", True, 451, "REGION_BLOCKED"),
    ],
)
def test_refusals(
    client: httpx.Client, fault: str, *, with_key: bool, status: int, words: str
) -> None:
    catalogue = Catalogue(1, faults=Faults(**{fault: 1}))  # type: ignore[arg-type]
    with Sandbox(catalogue) as sandbox:
        reply = resolve(client, sandbox, first(catalogue), sandbox.key if with_key else None)
        assert reply.status_code == status
        assert words in reply.text
        seen = sandbox.counters
    assert seen.downloads == (status == 307)
    assert (seen.injected[fault] == 1) == (status != 307 and (with_key or fault != "forbidden"))


def test_a_spent_quota(client: httpx.Client) -> None:
    catalogue = Catalogue(1, faults=Faults(quota=1))
    with Sandbox(catalogue) as sandbox:
        assert resolve(client, sandbox, first(catalogue)).status_code == 307
        refused = resolve(client, sandbox, first(catalogue))
    assert refused.status_code == 429
    assert "unusual amount of downloading" in refused.text


def test_a_file_of_another_version_is_not_found(client: httpx.Client) -> None:
    catalogue = Catalogue(2, faults=Faults.plain())
    one, *_others, last = catalogue.files.values()
    with Sandbox(catalogue) as sandbox:
        assert (
            resolve(client, sandbox, Place(last.model, last.version, one.file)).status_code == 404
        )


def test_the_key_has_a_user(client: httpx.Client) -> None:
    with Sandbox(Catalogue(1)) as sandbox:
        bearer = {"Authorization": f"Bearer {sandbox.key}"}
        me = client.get(f"{sandbox.url}/api/v1/me", headers=bearer)
    assert me.json()["username"] == "sandbox"


@pytest.mark.parametrize(
    ("fault", "first_status", "again"),
    [("storage_busy", 503, 503), ("storage_forbidden", 403, 206), ("expired_link", 403, 206)],
)
def test_a_new_link_mends_what_a_link_spoils(
    client: httpx.Client, fault: str, first_status: int, again: int
) -> None:
    catalogue = Catalogue(1, faults=Faults(**{fault: 1.0}))  # type: ignore[arg-type]
    with Sandbox(catalogue) as sandbox:
        url = link(client, sandbox, first(catalogue))
        statuses = [client.get(url, headers=RANGE).status_code for _ in range(2)]
    assert statuses == [first_status, again]


def test_a_body_may_be_cut(client: httpx.Client) -> None:
    catalogue = Catalogue(1, faults=Faults(cut_body=1.0))
    with Sandbox(catalogue) as sandbox:
        url = link(client, sandbox, first(catalogue))
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(url, headers={"Range": "bytes=0-99999"})
        assert sandbox.counters.bytes_sent == 50_000


def test_a_body_may_stall_and_the_sandbox_still_stops(client: httpx.Client) -> None:
    catalogue = Catalogue(1, faults=Faults(stall=1.0, stall_seconds=600))
    begun = time.monotonic()
    with Sandbox(catalogue) as sandbox:
        url = link(client, sandbox, first(catalogue))
        with pytest.raises(httpx.ReadTimeout):
            client.get(url, headers=RANGE, timeout=0.5)
        assert sandbox.counters.bytes_sent == 50
    assert time.monotonic() - begun < 60


def test_a_giant_in_place_of_a_range_is_not_sent_to_who_has_left(client: httpx.Client) -> None:
    catalogue = Catalogue(1, faults=Faults(giant_body=1.0, whole_file=1.0))
    with Sandbox(catalogue) as sandbox:
        url = link(client, sandbox, first(catalogue))
        with client.stream("GET", url, headers=RANGE) as reply:
            assert reply.status_code == 200
            assert int(reply.headers["content-length"]) > 24 * 1024**3
            assert next(reply.iter_raw())
        assert client.get(f"{sandbox.url}/api/v1/models").status_code == 200
        seen = sandbox.counters
    assert seen.most_sent < 16 * 1024**2
    assert seen.injected == {"giant_body": 1, "whole_file": 1}


def tries(client: httpx.Client, sandbox: Sandbox, place: Place) -> int:
    """How many tries it takes a patient client to have the first bytes of a file."""
    url = None
    for number in range(1, 10):
        if url is None:
            reply = resolve(client, sandbox, place)
            url = reply.headers.get("location")
            if url is None:
                continue
        try:
            reply = client.get(url, headers=RANGE)
        except httpx.RemoteProtocolError:
            continue
        if reply.status_code == 206:
            return number
        url = None if reply.status_code == 403 else url
    raise AssertionError(place)


def test_a_file_fails_so_often_and_then_succeeds(client: httpx.Client) -> None:
    shares: dict[str, Any] = dict.fromkeys(PASSING, 0.3)
    catalogue = Catalogue(40, seed=4, faults=Faults(**shares, stall_seconds=0, most_strikes=2))
    with Sandbox(catalogue) as sandbox:
        needed = {tries(client, sandbox, place) for place in catalogue.files.values()}
        seen = sandbox.counters
    assert needed == {1, 2, 3}
    assert seen.injected.keys() == set(PASSING)
    spoiled = seen.injected["storage_forbidden"] + seen.injected["expired_link"]
    assert seen.downloads == len(catalogue.files) + spoiled


def test_a_refusal_once_given_stays(client: httpx.Client) -> None:
    faults = Faults(gone=1.0, busy=0.3, server_error=0.3, most_strikes=2)
    catalogue = Catalogue(20, seed=3, faults=faults)
    found = set()
    with Sandbox(catalogue) as sandbox:
        for place in catalogue.files.values():
            statuses = [resolve(client, sandbox, place).status_code for _try in range(3)]
            assert set(statuses[statuses.index(404) :]) == {404}
            found.add(tuple(statuses))
    assert len(found) > 3


def test_one_seed_strikes_the_same_requests(client: httpx.Client) -> None:
    def statuses(seed: int) -> list[int]:
        catalogue = Catalogue(20, seed=seed, faults=Faults(busy=0.2, lost_file=0.2))
        places = list(catalogue.files.values())[:20]
        with Sandbox(catalogue) as sandbox:
            return [resolve(client, sandbox, place).status_code for place in places]

    assert statuses(1) == statuses(1) != statuses(2)


def test_a_running_sandbox_goes_on_to_another_week(client: httpx.Client) -> None:
    catalogue = Catalogue(1, faults=Faults.plain())
    later = catalogue.later(Changes(replaced_files=1.0))
    place = first(catalogue)
    with Sandbox(catalogue) as sandbox:
        url = link(client, sandbox, place)
        assert client.get(url, headers=RANGE).content == catalogue.content(place).part(0, 100)
        sandbox.show(later)
        wide = {"Range": "bytes=0-99999"}
        assert client.get(url, headers=wide).content == later.content(first(later)).part(0, 100_000)


def test_two_sandboxes_run_side_by_side_on_loopback(client: httpx.Client) -> None:
    with Sandbox(Catalogue(1), latency=0.2) as one, Sandbox(Catalogue(1)) as other:
        assert len({one.url, other.url, one.storage_url, other.storage_url}) == 4
        assert {str(urlsplit(it.url).hostname) for it in (one, other)} == {"127.0.0.1"}
        begun = time.monotonic()
        assert client.get(f"{one.url}/api/v1/models").status_code == 200
        assert time.monotonic() - begun >= 0.2
        with pytest.raises(UsageError, match="cannot listen on 127"):
            Sandbox(Catalogue(1), port=int(one.url.rpartition(":")[2]))
    assert (one.counters.lists, other.counters.lists) == (1, 0)
    with pytest.raises(httpx.ConnectError):
        client.get(one.url)
