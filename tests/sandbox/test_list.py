"""The list: which models, in which order, and what is wrong with it on purpose."""

from collections import Counter
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest

from crawler.sandbox import Catalogue, Faults
from crawler.sandbox.entries import Sort
from tests.sandbox.asking import ORIGIN, ask, ids, pages, refused

STATISTICS = [sort for sort in Sort if sort not in (Sort.NEWEST, Sort.OLDEST)]


def listed(catalogue: Catalogue) -> list[int]:
    return [catalogue.traits(index).model_id for index in range(len(catalogue))]


@pytest.fixture(scope="module")
def plain() -> Catalogue:
    return Catalogue(250, faults=Faults.plain())


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_oldest_loses_nothing(plain: Catalogue, limit: int) -> None:
    walk = pages(plain, f"sort=Oldest&limit={limit}")
    assert ids(*walk) == listed(plain)


def test_oldest_brings_ties_again() -> None:
    catalogue = Catalogue(100, faults=Faults(tied_run=5))
    walk = ids(*pages(catalogue, "sort=Oldest&limit=7"))
    assert sorted(set(walk)) == listed(catalogue)
    catalogue = Catalogue(100, faults=Faults(ties=1.0))
    walk = ids(*pages(catalogue, "sort=Oldest&limit=9"))
    assert sorted(set(walk)) == listed(catalogue)
    assert max(Counter(walk).values()) == 2


def test_oldest_is_stuck_when_a_page_cannot_hold_the_ties() -> None:
    catalogue = Catalogue(30, faults=Faults(tied_run=12))
    walk = pages(catalogue, "sort=Oldest&limit=10")
    first, second, third = next(walk), next(walk), next(walk)
    assert ids(first) == ids(second) == ids(third) == listed(catalogue)[:10]
    cursors = {page["metadata"]["nextCursor"] for page in (first, second, third)}
    assert len(cursors) == 1


@pytest.fixture(scope="module")
def stuck() -> Catalogue:
    """The first 140 models share one time, some of them are for one maturity pass only."""
    return Catalogue(170, faults=Faults(tied_run=140, mature_only=0.3, minor=0.1, html_body=1.0))


def circles(catalogue: Catalogue, query: str) -> bool:
    """Whether the walk by `Oldest` comes back to its own cursor."""
    first = ask(catalogue, query)["metadata"].get("nextCursor")
    if first is None:
        return False
    return bool(first == ask(catalogue, f"{query}&cursor={first}")["metadata"].get("nextCursor"))


def split(catalogue: Catalogue, query: str, filters: list[list[str]]) -> set[int]:
    """The models of a walk that is cut by one filter after the other until no part circles."""
    if not circles(catalogue, query):
        return set(ids(*pages(catalogue, query)))
    parts, *rest = filters
    return {it for part in parts for it in split(catalogue, f"{query}&{part}", rest)}


def test_a_walk_that_is_split_gets_past_the_ties(stuck: Catalogue) -> None:
    traits = [stuck.traits(index) for index in range(len(stuck))]
    types = [f"types={kind}" for kind in ("LORA", "LoCon", "DoRA")]
    bases = sorted({f"baseModels={it}" for one in traits for it in one.base_models})
    creators = sorted({f"username={one.creator}" for one in traits})
    for mature in ("true", "false"):
        walk = f"sort=Oldest&nsfw={mature}"
        wanted = {
            one.model_id
            for one in traits
            if (one.in_mature_pass if mature == "true" else one.in_ordinary_pass)
        }
        for filters in ([types, bases, creators], [creators], [bases, creators]):
            assert split(stuck, walk, filters) == wanted
    assert circles(stuck, "sort=Oldest&nsfw=true&types=LORA")
    assert not circles(stuck, "sort=Oldest&nsfw=true&types=LoCon")


def test_newest_comes_through_the_ties_with_cursors_of_our_own(stuck: Catalogue) -> None:
    time = ask(stuck, "sort=Oldest&nsfw=true")["metadata"]["nextCursor"].split("|")[0]
    found: list[int] = []
    cursor = f"{time}|{2**31 - 1}"
    while page := ids(ask(stuck, f"sort=Newest&nsfw=true&limit=50&cursor={cursor}")):
        found += page
        cursor = f"{time}|{page[-1]}"
    tied = [stuck.traits(index) for index in range(140)]
    assert found == [one.model_id for one in reversed(tied) if one.in_mature_pass]


def test_newest_loses_a_model_at_every_page_boundary(plain: Catalogue) -> None:
    walk = list(pages(plain, "sort=Newest&limit=10"))
    expected = [model for at, model in enumerate(reversed(listed(plain))) if at % 11 != 10]
    assert ids(*walk) == expected


@pytest.mark.parametrize("sort", STATISTICS)
def test_orders_by_statistics_are_complete_and_sorted(plain: Catalogue, sort: Sort) -> None:
    walk = ids(*pages(plain, f"sort={sort.replace(' ', '+')}&limit=30"))
    assert sorted(walk) == listed(plain)
    positions = [plain.find_model(model_id) for model_id in walk]
    keys = [
        (*(-count for count in plain.counts(position, sort)), position)
        for position in positions
        if position is not None
    ]
    assert keys == sorted(keys)


def test_cursors_are_spelled_as_the_site_spells_them(plain: Catalogue) -> None:
    page = ask(plain, "sort=Oldest&limit=3")
    time, model_id = page["metadata"]["nextCursor"].split("|")
    following = ask(plain, f"ids={model_id}")["items"][0]
    last = following["modelVersions"][0]["publishedAt"]
    assert last.replace("T", " ").rstrip("Z").rstrip("0").rstrip(".") == time
    page = ask(plain, "sort=Most+Downloaded&limit=3")
    downloads, likes, model_id = page["metadata"]["nextCursor"].split("|")
    following = ask(plain, f"ids={model_id}")["items"][0]["stats"]
    assert (following["downloadCount"], following["thumbsUpCount"]) == (int(downloads), int(likes))


def test_the_next_page_echoes_everything_at_another_host(plain: Catalogue) -> None:
    page = ask(plain, "limit=2&page=1&token=abc&types=LORA&types=LoCon")
    cursor = page["metadata"]["nextCursor"]
    parts = urlsplit(page["metadata"]["nextPage"])
    assert parts.netloc not in ORIGIN
    assert parts.netloc.endswith(".invalid")
    assert parse_qsl(parts.query) == [
        ("limit", "2"), ("page", "1"), ("token", "abc"),
        ("types", "LORA"), ("types", "LoCon"), ("cursor", cursor),
    ]  # fmt: skip
    following = ask(plain, parts.query)
    assert set(following["metadata"]) == {"nextCursor", "nextPage"}
    again = parse_qsl(urlsplit(following["metadata"]["nextPage"]).query)
    assert [name for name, _value in again].count("cursor") == 1


def test_both_passes_are_the_whole_only_together() -> None:
    catalogue = Catalogue(400, faults=Faults(mature_only=0.3, minor=0.1))
    ordinary = set(ids(*pages(catalogue, "sort=Oldest&nsfw=false")))
    mature = set(ids(*pages(catalogue, "sort=Oldest&nsfw=true")))
    assert ordinary - mature
    assert mature - ordinary
    assert ordinary & mature
    assert ordinary | mature == set(listed(catalogue))


def test_unlisted_models_make_pages_short_and_empty() -> None:
    catalogue = Catalogue(60, faults=Faults(unlisted_run=25))
    walk = list(pages(catalogue, "sort=Oldest&limit=10"))
    assert [len(page["items"]) for page in walk] == [1, 0, 4, 10, 10, 10]
    assert all("nextCursor" in page["metadata"] for page in walk[:-1])
    model_id = listed(catalogue)[3]
    assert ids(ask(catalogue, f"ids={model_id}")) == [model_id]


def test_the_last_page_has_no_cursor_at_all(plain: Catalogue) -> None:
    *_before, last = pages(plain, "sort=Oldest&limit=100")
    assert last["metadata"] == {}
    assert len(last["items"]) == 50


def test_page_is_accepted_and_ignored(plain: Catalogue) -> None:
    first, second = ask(plain, "limit=10&page=1"), ask(plain, "limit=10&page=2")
    assert ids(first) == ids(second)
    assert second["metadata"]["currentPage"] == 2
    assert second["metadata"]["pageSize"] == 10
    status, body = refused(plain, "limit=100&page=11")
    assert status == 429
    assert "cursors" in body["error"]


def test_an_empty_catalogue_is_one_empty_page() -> None:
    for sort in Sort:
        page = ask(Catalogue(0), f"sort={sort.replace(' ', '+')}")
        assert page == {"items": [], "metadata": {}}


def test_a_large_catalogue_is_entered_anywhere() -> None:
    catalogue = Catalogue(10_000_000, faults=Faults.plain())
    page = ask(catalogue, "sort=Oldest&limit=3&cursor=2025-06-01%7C1")
    assert page["items"][0]["modelVersions"][0]["publishedAt"].startswith("2025-06-01")
    following = ask(catalogue, f"sort=Oldest&limit=1&cursor={page['metadata']['nextCursor']}")
    assert ids(following)[0] > max(ids(page))
    newest = ask(catalogue, "sort=Newest&limit=1")
    assert ids(newest) == [catalogue.traits(9_999_999).model_id]


def test_a_limit_of_nothing_gives_nothing(plain: Catalogue) -> None:
    assert ask(plain, "limit=0") == {"items": [], "metadata": {}}


@pytest.mark.parametrize(
    "query",
    [
        "limit=101", "limit=-1", "limit=ten", "limit=1.5", "page=0", "sort=newest", "period=Days",
        "types=LORA,LoCon", "types=lora", "nsfw=Mature", "tag=a&tag=b", "allowNoCredit=true",
        "browsingLevel=1", "ids=1,x", "periodMode=all",
    ],
)  # fmt: skip
def test_what_is_invalid_gets_zods_400(plain: Catalogue, query: str) -> None:
    status, body = refused(plain, query)
    assert status == 400
    assert body["error"]["name"] == "ZodError"
    assert body["error"]["message"].startswith("[")


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("sort=Oldest&cursor=1|2|3", 400, "expected 2 value(s) for this sort, received 3"),
        ("sort=Newest&cursor=7", 400, "expected 2 value(s)"),
        ("sort=Most+Liked&cursor=2024-01-01|3", 400, "expected 3 value(s)"),
        ("sort=Most+Liked&cursor=a|2|3", 400, 'unparseable numeric value "a"'),
        ("sort=Oldest&cursor=soon|3", 400, 'unparseable date value "soon"'),
        ("cursor=" + "9" * 30 + "|1|1", 400, "unparseable numeric"),
        ("query=a&page=2", 400, "page param with query"),
        ("query=a&cursor=x", 400, "offset"),
        ("username=nobody", 404, "User not found"),
        ("favorites=false", 401, "Unauthorized"),
        ("availability=Private", 401, "not authorized"),
    ],
)
def test_other_refusals(plain: Catalogue, query: str, status: int, words: str) -> None:
    found, body = refused(plain, query)
    assert found == status
    assert words in str(body)


@pytest.mark.parametrize("cursor", ["0|0|0", "-5|3|1", "999999999999999999|0|0"])
def test_a_cursor_beyond_every_row_is_no_crash(plain: Catalogue, cursor: str) -> None:
    page = ask(plain, f"cursor={cursor}")
    assert len(page["items"]) in (0, 100)


def test_unknown_parameters_and_tags_are_dropped(plain: Catalogue) -> None:
    everything = ids(ask(plain, "limit=100"))
    assert ids(ask(plain, "type=Checkpoint")) == everything
    assert ids(ask(plain, "tag=nothing+has+this")) == everything
    assert ids(ask(plain, "tag=style,concept")) == everything
    styles = ask(plain, "tag=STYLE")["items"]
    assert styles
    assert all("style" in item["tags"] for item in styles)


def test_filters_are_unions_and_cut_versions_down() -> None:
    catalogue = Catalogue(600, faults=Faults.plain())
    assert ask(catalogue, "baseModels=Pony,SD+1.5")["items"] == []
    assert ask(catalogue, "baseModels=None")["items"] == []
    wanted = "baseModels=Pony&baseModels=SD+2.1"
    found = [item for page in pages(catalogue, wanted) for item in page["items"]]
    bases = {version["baseModel"] for item in found for version in item["modelVersions"]}
    assert bases == {"Pony", "SD 2.1"}
    assert any(len(item["baseModels"]) == 2 for item in found)
    for kind in ("LoCon", "DoRA"):
        items = ask(catalogue, f"types={kind}")["items"]
        assert {item["type"] for item in items} == {kind}


def test_a_creators_models(plain: Catalogue) -> None:
    name = plain.traits(17).creator
    assert name is not None
    items = ask(plain, f"username={name.upper()}")["items"]
    assert {item["creator"]["username"] for item in items} == {name}


def test_search_counts_its_cursor(plain: Catalogue) -> None:
    walk = list(pages(plain, "query=style&limit=10"))
    assert [page["metadata"].get("nextCursor") for page in walk][:2] == ["10", "20"]
    names = [item["name"] for page in walk for item in page["items"]]
    assert len(names) > 20
    assert all("Style" in name for name in names)


def test_a_period_looks_back_from_the_last_publication(plain: Catalogue) -> None:
    recent = ids(*pages(plain, "period=Year&sort=Oldest"))
    assert recent == listed(plain)[-len(recent) :]
    assert 20 < len(recent) < 120
    assert ids(ask(plain, "period=Day&periodMode=stats")) == ids(ask(plain, ""))


def test_archived_models_are_hidden_unless_asked_for() -> None:
    catalogue = Catalogue(20, faults=Faults(archived=1.0))
    assert ask(catalogue, "")["items"] == []
    items = ask(catalogue, "archived=false")["items"]  # any text at all is true
    assert len(items) == 20
    for item in items:
        assert item["mode"] == "Archived"
        assert all(version["files"] == [] for version in item["modelVersions"])
        assert all("downloadUrl" not in version for version in item["modelVersions"])


def test_items_show_the_oddities_that_are_switched_on() -> None:
    faults = Faults(
        hidden_stats=1.0, no_creator=1.0, odd_licence=1.0, no_hashes=1.0, naive_time=1.0,
        taken_down=1.0, twin_links=1.0, training_data=1.0,
    )  # fmt: skip
    catalogue = Catalogue(50, faults=faults)
    licences = set()
    for item in ask(catalogue, "")["items"]:
        assert item["stats"]["downloadCount"] is None
        assert "creator" not in item
        assert item["mode"] == "TakenDown"
        licences.add(str(item["allowCommercialUse"]))
        for version in item["modelVersions"]:
            assert version["images"] == []
            one, twin, data = version["files"]
            assert one["primary"] is True
            assert "primary" not in twin
            assert one["downloadUrl"] == twin["downloadUrl"] == version["downloadUrl"]
            assert data["downloadUrl"].endswith("?type=Training%20Data")
            assert one["hashes"] == {}
            assert not one["scannedAt"].endswith("Z")
    assert {"[]", "{Image,RentCivit}", "Sell", "None"} == licences


def test_items_leave_open_what_they_may() -> None:
    catalogue = Catalogue(30, faults=Faults(sparse=1.0, unscanned=1.0, odd_name=1.0))
    names = set()
    for item in ask(catalogue, "")["items"]:
        assert item["description"] is None
        assert item["creator"]["image"] is None
        for version in item["modelVersions"]:
            assert version["publishedAt"] is version["baseModelType"] is None
            assert version["trainedWords"] == []
            assert version["stats"]["downloadCount"] is None
            for file in version["files"]:
                assert file["metadata"] == {}
                assert file["scannedAt"] is None
                assert file["virusScanResult"] == "Pending"
                assert file["hashes"].keys() == {"AutoV1", "CRC32", "BLAKE3"}
                names.add(file["name"])
    assert "猫耳 スタイル.safetensors" in names
    assert 'a "quoted" name.safetensors' in names


def test_todays_keys_in_their_order() -> None:
    catalogue = Catalogue(1, faults=replace(Faults.plain(), early_access=1.0))
    item = ask(catalogue, "")["items"][0]
    assert list(item) == [
        "id", "name", "description", "allowNoCredit", "allowCommercialUse", "allowDerivatives",
        "allowDifferentLicense", "type", "minor", "sfwOnly", "poi", "nsfw", "nsfwLevel",
        "availability", "userId", "baseModels", "cosmetic", "supportsGeneration", "stats",
        "creator", "tags", "modelVersions",
    ]  # fmt: skip
    version = item["modelVersions"][0]
    assert version["earlyAccessDeadline"] == version["paidAccess"]["endsAt"]
    assert version["downloadUrl"].startswith(f"{ORIGIN}/api/download/models/")
    file = version["files"][0]
    assert file["hashes"]["SHA256"].startswith(file["hashes"]["AutoV2"])
    assert len(file["hashes"]["AutoV3"]) == 12
    only = ask(catalogue, "primaryFileOnly=yes")["items"][0]["modelVersions"][0]["files"]
    assert only == [file]
