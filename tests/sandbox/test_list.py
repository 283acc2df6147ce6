"""The list: which models, in which order, page by page."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from crawler.sandbox import Catalogue, Faults, Sandbox

ORDERS = ("Oldest", "Most Downloaded", "Highest Rated")


def pages(client: httpx.Client, sandbox: Sandbox, **query: Any) -> Iterator[dict[str, Any]]:
    """Every page of a walk; gives up on a walk that does not end."""
    for _page in range(100):
        reply = client.get(f"{sandbox.url}/api/v1/models", params=query)
        assert reply.status_code == 200, reply.text
        page = reply.json()
        yield page
        if "nextCursor" not in page["metadata"]:
            return
        query["cursor"] = page["metadata"]["nextCursor"]
    pytest.fail("the walk does not end")


def ids(client: httpx.Client, sandbox: Sandbox, **query: Any) -> list[int]:
    return [item["id"] for page in pages(client, sandbox, **query) for item in page["items"]]


@pytest.fixture(scope="module")
def plain() -> Catalogue:
    return Catalogue(60, faults=Faults.plain())


@pytest.fixture(scope="module")
def sandbox(plain: Catalogue) -> Iterator[Sandbox]:
    with Sandbox(plain) as running:
        yield running


@pytest.mark.parametrize("limit", [7, 100])
@pytest.mark.parametrize("sort", ORDERS)
def test_every_order_is_complete(
    client: httpx.Client, sandbox: Sandbox, plain: Catalogue, sort: str, limit: int
) -> None:
    found = ids(client, sandbox, sort=sort, limit=limit)

    models = {model.model_id: model for model in plain.models}
    assert len(found) == len(models)
    assert found == sorted(
        models,
        key=lambda it: {
            "Oldest": (models[it].versions[0].published_at, it),
            "Most Downloaded": (-models[it].downloads, -models[it].likes, it),
            "Highest Rated": (-models[it].likes, -models[it].downloads, it),
        }[sort],
    )


def test_both_passes_are_the_whole_only_together(client: httpx.Client) -> None:
    catalogue = Catalogue(120, faults=Faults(mature_only=0.3, minor=0.1))
    with Sandbox(catalogue) as sandbox:
        ordinary, mature = (set(ids(client, sandbox, nsfw=it)) for it in ("false", "true"))
    assert ordinary - mature
    assert mature - ordinary
    assert ordinary | mature == {model.model_id for model in catalogue.models}


def test_oldest_brings_ties_again_and_stands_still_where_a_page_cannot_hold_them(
    client: httpx.Client,
) -> None:
    with Sandbox(Catalogue(40, faults=Faults(tied_run=12))) as sandbox:
        found = Counter(ids(client, sandbox, sort="Oldest", limit=13))
        assert len(found) == 40
        assert set(ids(client, sandbox, sort="Most Downloaded", limit=10)) == found.keys()
        walk = pages(client, sandbox, sort="Oldest", limit=10)
        first, second = next(walk), next(walk)
    assert first == second


def test_unlisted_models_make_pages_short(client: httpx.Client) -> None:
    catalogue = Catalogue(60, faults=Faults(unlisted_run=25))
    hidden = catalogue.models[3]
    assert not hidden.listed
    with Sandbox(catalogue) as sandbox:
        walk = list(pages(client, sandbox, limit=10))
        assert [len(page["items"]) for page in walk] == [1, 0, 4, 10, 10, 10]
        by_id = client.get(f"{sandbox.url}/api/v1/models/{hidden.model_id}").json()
    assert by_id["name"] == hidden.name


def test_filters(client: httpx.Client, sandbox: Sandbox, plain: Catalogue) -> None:
    model = plain.models[17]

    def found(**query: Any) -> set[int]:
        walk = set(ids(client, sandbox, **query))
        assert 0 < len(walk) < len(plain.models)
        return walk

    assert found(username=model.creator) == {
        it.model_id for it in plain.models if it.creator == model.creator
    }
    assert found(tag="character") == {it.model_id for it in plain.models if "character" in it.tags}
    assert found(types=["LoCon", "DoRA"]) == {
        it.model_id for it in plain.models if it.type != "LORA"
    }
    assert model.model_id in found(query=model.name.upper())
    (page,) = pages(client, sandbox, baseModels="Pony", limit=100)
    assert {it["baseModel"] for one in page["items"] for it in one["modelVersions"]} == {"Pony"}
    assert len(ids(client, sandbox, tag="nobody's")) == len(plain.models)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("models?username=nobody", 404, "User not found"),
        ("models?cursor=x", 400, "cursor"),
        ("models?sort=Newest", 400, "Newest"),
        ("models/1", 404, "No model"),
        ("me", 401, "Unauthorized"),
    ],
)
def test_refusals(
    client: httpx.Client, sandbox: Sandbox, path: str, status: int, words: str
) -> None:
    reply = client.get(f"{sandbox.url}/api/v1/{path}")
    assert reply.status_code == status
    assert words in reply.text


def test_an_item_says_what_the_catalogue_has(
    client: httpx.Client, sandbox: Sandbox, plain: Catalogue
) -> None:
    model = plain.models[5]
    item = client.get(f"{sandbox.url}/api/v1/models/{model.model_id}").json()
    assert item["stats"]["downloadCount"] == model.downloads
    assert [it["id"] for it in item["modelVersions"]] == [it.version_id for it in model.versions]
    (file,) = item["modelVersions"][0]["files"]
    place = plain.files[file["id"]]
    assert file["primary"] is True
    assert file["sizeKB"] * 1024 == plain.content(place).size
    assert file["hashes"]["SHA256"] == plain.digest(place.file, "file").upper()
