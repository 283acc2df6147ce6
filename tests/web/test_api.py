"""The API: the answers of the page as JSON."""

import json
import re
from typing import Any

import pytest
import sqlalchemy as sa
from openapi_spec_validator import validate
from starlette.testclient import TestClient
from typer.testing import CliRunner

from crawler.cli.app import app
from crawler.store.schema.fields import FIELDS
from crawler.store.schema.tables import loras
from crawler.web.app import PAGES
from tests.conftest import ON_SQLITE
from tests.web.rows import FILES, HOSTILE


def test_pages_of_rows_follow_each_other(client: TestClient) -> None:
    asked: dict[str, str | int] = {
        "q": "network_dim:32..",
        "sort": "-published_at",
        "columns": "file_id,nsfw",
        "limit": 9,
    }
    items, after, totals = [], None, set()
    while True:
        answer = client.get("/api/v1/loras", params=asked | {"after": after or ""}).json()
        totals.add(answer["total"])
        items += answer["items"]
        if (after := answer["next"]) is None:
            break
    expected = [number for number in range(FILES, 0, -1) if number % 4]
    assert [one["file_id"] for one in items] == expected
    assert totals == {len(expected)}
    assert items[0] == {"file_id": 39, "nsfw": True}


def test_a_file_has_every_field(client: TestClient) -> None:
    found = client.get("/api/v1/loras/7").json()
    assert {field.name for field in FIELDS} <= found.keys()
    assert found["model_name"] == HOSTILE
    assert found["published_at"] == "2025-02-06T00:00:00Z"


@pytest.mark.parametrize("path", ["/api/v1/loras/999", "/api/v1/loras/x", "/api/v1/nothing"])
def test_what_is_not_there_is_a_problem(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 404


def test_a_mistake_has_its_place(client: TestClient) -> None:
    answer = client.get("/api/v1/loras", params={"q": "rank:3 netwrk_dim:3"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "there is no field named netwrk_dim",
        "text": "rank:3 netwrk_dim:3",
        "start": 7,
        "end": 17,
        "hint": "did you mean network_dim, network_module or network_dropout?"
        " `lora-crawl fields` lists all names",
        "caret": "rank:3 netwrk_dim:3\n       ^^^^^^^^^^",
    }


def test_values_complete_what_is_typed(client: TestClient) -> None:
    assert client.get("/api/v1/values?field=optimizer&begin=pro").json() == ["Prodigy"]
    assert client.get("/api/v1/values?field=author&begin=stonecutter1").json() == [
        "stonecutter1",
        "stonecutter10",
        "stonecutter11",
    ]
    assert client.get("/api/v1/values?field=rank&begin=1").json() == []
    assert client.get("/api/v1/values?field=nothing").json() == []


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("stats", ["stats"]),
        (
            "stats?field=likes,optimizer&field=nsfw&where=images_seen > 300 likes:1..",
            ["stats", "likes", "optimizer", "nsfw", "--where", "images_seen > 300 and likes>=1"],
        ),
        ("stats?by=month&where=nsfw", ["stats", "--by", "month", "--where", "nsfw"]),
        ("stats?by=creator&limit=2", ["stats", "--by", "creator", "--limit", "2"]),
        ("suggest?base_model=pony", ["suggest", "--base-model", "pony"]),
        (
            "suggest?base_model=Pony&images=5&tag=style&creator=stonecutter1&min_likes=1",
            ["suggest", "--base-model", "Pony", "--images", "5", "--tag", "style",
             "--creator", "stonecutter1", "--min-likes", "1"],
        ),
        ("fields", ["fields"]),
        ("fields?word=learning", ["fields", "learning"]),
        ("loras/9", ["show", "9"]),
    ],
)  # fmt: skip
def test_answers_are_those_of_the_commands(
    client: TestClient, browsed: sa.Engine, address: str, words: list[str]
) -> None:
    place = browsed.url.render_as_string(hide_password=False)
    command = [*words, "--json", "--db", place]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    answer = client.get(f"/api/v1/{address}")
    assert answer.status_code == 200, answer.text
    assert answer.json() == json.loads(done.stdout)


@pytest.mark.parametrize(
    "address",
    ["stats?field=nothing", "stats?by=nothing", "stats?where=)", "stats?limit=0",
     "stats?field=" + ",".join(field.name for field in FIELDS[:20]),
     "loras?columns=" + ",".join(f"optimizer_args.k{number}" for number in range(201)),
     "loras?sort=" + ",".join(f"-optimizer_args.k{number}" for number in range(11)),
     "suggest?base_model=Pony&tag=%00", "suggest?base_model=Pony&creator=a%00", "fields?word=%00",
     "values?field=creator&begin=%00", "stats?where=%00", "stats?by=%00", "loras?sort=%00",
     "loras?columns=likes&columns=%00",
     "suggest", "suggest?base_model=Ponny", "suggest?base_model=Pony&images=few"],
)  # fmt: skip
def test_what_cannot_be_answered_is_a_problem(client: TestClient, address: str) -> None:
    answer = client.get(f"/api/v1/{address}")
    assert answer.status_code == 400
    assert answer.json()["detail"]


@pytest.mark.parametrize("address", ["/", "/loras.csv", "/loras.json", "/api/v1/loras"])
@pytest.mark.parametrize("column", ["model_name", "other_settings", "model_tags"])
def test_rows_with_longer_texts_than_memory_is_for_are_refused(
    client: TestClient,
    browsed: sa.Engine,
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    column: str,
) -> None:
    for module in ("api", "browse"):
        monkeypatch.setattr(f"crawler.web.{module}.MAX_CHARACTERS", 20_000)
    asked = f"{address}?columns={column}"
    assert client.get(asked).status_code == 200
    long = "x" * 19_000
    texts = {"model_name": long, "other_settings": {"a": [long]}, "model_tags": [long]}
    with browsed.begin() as connection:
        ids = loras.c.file_id.in_([3, 4])
        connection.execute(loras.update().where(ids).values({column: texts[column]}))
    refused = client.get(asked)
    assert refused.status_code == 400
    assert "more than 20,000 characters" in refused.text
    assert client.get(f"{asked}&q=file_id = 3").status_code == 200


@ON_SQLITE
def test_fields_are_those_of_the_command(client: TestClient) -> None:
    names = [one["name"] for one in client.get("/api/v1/fields").json()]
    assert names == [field.name for field in FIELDS] + ["tags"]


@ON_SQLITE
def test_the_description_is_valid_and_names_every_address(client: TestClient) -> None:
    described: dict[str, Any] = client.get("/api/v1/openapi.json").json()
    validate(described)
    addresses = {path for path, _ in PAGES if path.startswith("/api/")}
    assert {*described["paths"], "/api/v1/openapi.json"} == addresses


@ON_SQLITE
def test_answers_have_what_the_description_says(client: TestClient) -> None:
    """By the names and types in it, since a program is written by them."""
    schemas = client.get("/api/v1/openapi.json").json()["components"]["schemas"]
    row = client.get("/api/v1/loras?columns=all&limit=1").json()["items"][0]
    types = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array",
             dict: "object", type(None): "null"}  # fmt: skip
    for name, value in row.items():
        allowed = schemas["Row"]["properties"][name]["type"]
        assert types[type(value)] in allowed or (type(value) is int and "number" in allowed), name
    time = row["published_at"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", time)
