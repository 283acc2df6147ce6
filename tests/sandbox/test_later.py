"""The same catalogue some weeks later."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx
import pytest

from crawler.errors import UsageError
from crawler.sandbox import Catalogue, Changes, Faults, Sandbox
from crawler.sandbox.entries import Sort
from tests.sandbox.asking import ids, pages

EVERYTHING = Changes(
    new_models=0.1, new_versions=0.1, new_files=0.1, edited=0.1, stats=0.1, replaced_files=0.1,
    gone_models=0.1, gone_versions=0.1,
)  # fmt: skip


def items(catalogue: Catalogue) -> dict[int, dict[str, Any]]:
    return {
        item["id"]: item
        for page in pages(catalogue, "sort=Oldest&nsfw=1")
        for item in page["items"]
    }


def files(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for version in item["modelVersions"]:
        yield from version["files"]


@pytest.fixture(scope="module")
def plain() -> Catalogue:
    return Catalogue(100, faults=Faults.plain())


def changed(plain: Catalogue, changes: Changes) -> tuple[Any, Any]:
    """What is listed before and after, of the models that differ."""
    before, after = items(plain), items(plain.later(changes))
    differing = [it for it in before.keys() | after.keys() if before.get(it) != after.get(it)]
    return ({it: before.get(it) for it in differing}, {it: after.get(it) for it in differing})


def test_without_changes_nothing_but_the_date_is_another(plain: Catalogue) -> None:
    later = plain.later(Changes())
    assert items(later) == items(plain)
    assert later.truth() == plain.truth()
    assert later.now > plain.now


def test_new_models_come_last(plain: Catalogue) -> None:
    before, after = changed(plain, Changes(new_models=0.1))
    assert set(before.values()) == {None}
    later = plain.later(Changes(new_models=0.1))
    walk = ids(*pages(later, "sort=Oldest"))
    assert walk[:100] == list(items(plain))
    assert set(walk[100:]) == after.keys()
    assert len(later) == 110
    assert walk == sorted(walk)


def test_new_versions_move_a_model_to_the_end(plain: Catalogue) -> None:
    before, after = changed(plain, Changes(new_versions=0.1))
    assert len(after) == 10
    for old, new in zip(before.values(), after.values(), strict=True):
        assert [it["id"] for it in new["modelVersions"][1:]] == [
            it["id"] for it in old["modelVersions"]
        ]
    walk = ids(*pages(plain.later(Changes(new_versions=0.1)), "sort=Oldest"))
    assert set(walk[-10:]) == after.keys()


def test_new_files_move_nothing(plain: Catalogue) -> None:
    before, after = changed(plain, Changes(new_files=0.1))
    assert len(after) == 10
    for old, new in zip(before.values(), after.values(), strict=True):
        more = {file["id"] for file in files(new)} - {file["id"] for file in files(old)}
        assert len(more) == 1
    assert list(items(plain.later(Changes(new_files=0.1)))) == list(items(plain))


def test_edits_change_names_and_no_file(plain: Catalogue) -> None:
    before, after = changed(plain, Changes(edited=0.1))
    assert len(after) == 10
    for old, new in zip(before.values(), after.values(), strict=True):
        assert old["name"] != new["name"]
        assert list(files(old)) == list(files(new))
        assert {key for key in old if old[key] != new[key]} <= {"name", "tags", "description"}


def test_statistics_grow(plain: Catalogue) -> None:
    before, after = changed(plain, Changes(stats=0.1))
    assert len(after) == 10
    for old, new in zip(before.values(), after.values(), strict=True):
        assert new["stats"]["downloadCount"] > old["stats"]["downloadCount"]
        assert {key for key in old if old[key] != new[key]} == {"stats"}
    later = plain.later(Changes(stats=0.1))
    walk = ids(*pages(later, "sort=Most+Downloaded&limit=20"))
    counts = [items(later)[model_id]["stats"]["downloadCount"] for model_id in walk]
    assert counts == sorted(counts, reverse=True)
    assert len(walk) == 100


def test_replaced_files_keep_their_id_and_nothing_else(plain: Catalogue) -> None:
    before, after = changed(plain, Changes(replaced_files=0.1))
    later = plain.later(Changes(replaced_files=0.1))
    assert len(after) == 10
    for old, new in zip(before.values(), after.values(), strict=True):
        (differing,) = [
            (one, other) for one, other in zip(files(old), files(new), strict=True) if one != other
        ]
        one, other = differing
        assert one["id"] == other["id"]
        assert one["hashes"]["SHA256"] != other["hashes"]["SHA256"]
        first, second = plain.find_file(one["id"]), later.find_file(one["id"])
        assert first is not None
        assert second is not None
        assert plain.content(first).beginning != later.content(second).beginning
        assert later.content(second).size == other["sizeKB"] * 1024


def test_what_is_replaced_may_end_otherwise() -> None:
    catalogue = Catalogue(300, faults=Faults(no_metadata=0.5))
    later = catalogue.later(Changes(replaced_files=0.3))
    truth, truth_later = catalogue.truth(), later.truth()
    assert truth.keys() == truth_later.keys()
    assert 20 < sum(truth[it] != truth_later[it] for it in truth) < 90


def test_gone_models_are_found_nowhere(plain: Catalogue) -> None:
    before, after = changed(plain, Changes(gone_models=0.1))
    assert set(after.values()) == {None}
    assert len(before) == 10
    later = plain.later(Changes(gone_models=0.1))
    vanished = plain.truth().keys() - later.truth().keys()
    assert vanished == {file["id"] for item in before.values() for file in files(item)}
    for model_id, item in before.items():
        assert later.find_model(model_id) is None
        assert all(later.uploads(it["id"]) == () for it in item["modelVersions"])
    assert all(later.find_file(file_id) is None for file_id in vanished)


def test_gone_versions_leave_the_others(plain: Catalogue) -> None:
    before, after = changed(plain, Changes(gone_versions=0.5))
    assert len(after) > 8
    for old, new in zip(before.values(), after.values(), strict=True):
        kept = [it["id"] for it in new["modelVersions"]]
        every = [it["id"] for it in old["modelVersions"]]
        assert kept == [it for it in every if it != min(every)]


def test_weeks_add_up_and_are_the_same_each_time(plain: Catalogue) -> None:
    weeks = [plain]
    for _week in range(5):
        weeks.append(weeks[-1].later(EVERYTHING))
    for earlier, later in pairwise(weeks):
        assert len(later) > len(earlier)
        assert later.truth().keys() - earlier.truth().keys()
        assert earlier.truth().keys() - later.truth().keys()
        walk = ids(*pages(later, "sort=Oldest&limit=50"))
        times = [later.last_version_at(later.find_model(it) or 0) for it in walk]
        assert times == sorted(times)
        assert times[-1] < later.now
    last = weeks[-1]
    rebuilt = Catalogue(100, faults=Faults.plain(), weeks=(EVERYTHING,) * 5)
    assert items(rebuilt) == items(last)
    versions = [it["id"] for item in items(last).values() for it in item["modelVersions"]]
    assert len(versions) == len(set(versions))
    with pytest.raises(UsageError, match="5 weeks"):
        last.later(Changes())


def test_a_running_sandbox_goes_on_to_another_week() -> None:
    catalogue = Catalogue(40, faults=Faults.plain())
    later = catalogue.later(Changes(replaced_files=1.0, stats=1.0))
    upload = catalogue.releases(0)[0].uploads[0]
    with Sandbox(catalogue) as sandbox, httpx.Client(trust_env=False) as client:
        url = f"{sandbox.url}/api/download/models/{upload.version_id}?fileId={upload.file_id}"
        link = client.get(url).headers["location"]
        ranged = {"Range": "bytes=0-999"}
        assert client.get(link, headers=ranged).content == catalogue.content(upload).part(0, 1000)
        sandbox.show(later)
        replaced = later.find_file(upload.file_id)
        assert replaced is not None
        assert client.get(link, headers=ranged).content == later.content(replaced).part(0, 1000)
        listed = client.get(f"{sandbox.url}/api/v1/models?limit=1&sort=Most Downloaded").json()
        position = next(iter(listed["items"]))["id"]
        index = later.find_model(position)
        assert index is not None
        downloads = listed["items"][0]["stats"]["downloadCount"]
        assert downloads == later.counts(index, Sort.MOST_DOWNLOADED)[0]
