"""The first page: rows, facets, columns, order, places and downloads."""

import csv
import json
import re
import shlex
from html import unescape
from io import StringIO
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient
from typer.testing import CliRunner

from crawler.cli.app import app
from crawler.store.schema.tables import loras
from tests.faces import backend
from tests.web.rows import FILES, HOSTILE

__all__ = ["backend"]


def links(page: str) -> dict[str, str]:
    """The addresses that a page leads to, by their text."""
    found = re.findall(r'<a\b[^>]*?href="([^"]*)"[^>]*>(.*?)</a>', page, re.DOTALL)
    texts = ((" ".join(re.sub("<[^>]+>", "", text).split()), link) for link, text in found)
    return {unescape(text): unescape(link) for text, link in texts}


def ids(page: str) -> list[int]:
    """The files of the rows, in order."""
    return [
        int(found) for found in re.findall(r'<td class="number"><a href="/loras/(-?\d+)"', page)
    ]


def test_the_first_page_shows_rows_facets_and_the_command(client: TestClient) -> None:
    answer = client.get("/")

    assert answer.status_code == 200
    assert f"<strong>{FILES}</strong>" in answer.text
    assert ids(answer.text) == list(range(1, FILES + 1))
    assert "lora-crawl query" in answer.text
    for heading in ("Base model", "Trainer", "Optimizer", "Algorithm", "Rank", "Creator", "Month"):
        assert f"<h2>{heading}" in answer.text


@pytest.mark.parametrize("begin", ["", "rank:16..128 likes:1..", "v2 is null or nsfw"])
def test_a_facet_adds_a_condition_that_its_count_tells_and_takes_it_away(
    client: TestClient, begin: str
) -> None:
    before = client.get("/", params={"q": begin}).text
    tried = 0
    for text, link in [*links(before).items()][::3]:
        name, _, number = text.rpartition(" ")
        if not (link.startswith("/?q=") and number.isdigit() and name):
            continue
        narrowed = client.get(link)
        assert narrowed.status_code == 200, link
        total = re.search(r"<strong>([\d,]+)</strong> file", narrowed.text)
        assert total is not None
        assert total[1] == number, link
        back = links(narrowed.text)[text]
        assert client.get(back).text.count("<tr>") == before.count("<tr>"), (link, back)
        tried += 1
    assert tried > 5


def test_pages_have_every_row_once(client: TestClient) -> None:
    seen, link = [], "/?sort=-likes&limit=7&q=base_model is not null"
    while link:
        page = client.get(link).text
        seen += ids(page)
        link = links(page).get("Next page", "")
    expected = client.get("/?sort=-likes&limit=200&q=base_model is not null").text
    assert seen == ids(expected)
    assert len(seen) == len(set(seen)) == FILES - FILES // 3


def test_a_click_on_a_head_sorts_and_another_turns_the_order(client: TestClient) -> None:
    first = client.get(links(client.get("/").text)["images_seen"]).text
    assert 'aria-sort="descending"' in first
    second = client.get(links(first)["images_seen"]).text
    assert 'aria-sort="ascending"' in second
    known = [number for number in ids(second) if number % 4]
    assert known == sorted(known)
    assert ids(first)[:3] == [39, 38, 37]


def test_columns_are_chosen(client: TestClient) -> None:
    page = client.get("/?columns=likes&columns=model_tags,page_url").text
    heads = re.findall(r"<th scope=\"col\".*?</th>", page, re.DOTALL)
    assert [re.sub("<[^>]+>", "", head).strip() for head in heads] == [
        "likes",
        "model_tags",
        "page_url",
    ]
    assert 'href="https://civitai.com/models/1?modelVersionId=1" rel="noopener noreferrer"' in page


def test_a_mistake_is_shown_with_its_place(client: TestClient) -> None:
    answer = client.get("/?q=rank:16 and netwrk_dim > 3")

    assert answer.status_code == 400
    assert "there is no field named netwrk_dim" in answer.text
    assert "\n            ^^^^^^^^^^" in answer.text
    assert "did you mean network_dim" in answer.text
    assert 'value="rank:16 and netwrk_dim &gt; 3"' in answer.text


@pytest.mark.parametrize(
    "address",
    ["/?limit=0", "/?limit=x", "/?limit=9999", "/?after=x", "/?sort=nothing", "/?columns=likes,x",
     "/?after=WyIiLDEsMl0", "/?q=" + "1" * 5000],
)  # fmt: skip
def test_what_cannot_be_answered_is_refused(client: TestClient, address: str) -> None:
    assert client.get(address).status_code == 400
    assert client.get(f"/api/v1/loras{address[1:]}").status_code == 400


def test_an_empty_answer_says_why(client: TestClient) -> None:
    page = client.get("/?q=optimizer = 'prodigy'").text
    assert "no row has optimizer &#39;prodigy&#39;" in page
    assert "did you mean &#39;Prodigy&#39;" in page


def test_hostile_texts_are_shown_as_text(client: TestClient) -> None:
    page = client.get("/?q=file_id = 7").text
    assert "<script>document" not in page
    assert "&lt;script&gt;document.title=&#34;run&#34;&lt;/script&gt;" in page
    assert r"\x1b[31m\u202eLoRA" in page
    assert "\x1b" not in page


def test_texts_of_any_length_are_cut(client: TestClient, browsed: sa.Engine) -> None:
    long = "<b>'" * 250_000
    with browsed.begin() as connection:
        changed = {"optimizer": long, "trainer": "", "model_name": long}
        connection.execute(loras.update().where(loras.c.file_id == 1).values(changed))
    page = client.get("/?columns=file_id,model_name,optimizer&sort=-model_name").text
    assert len(page) < 200_000
    assert page.count("(1,000,000 characters)") == 3
    assert "<span>(empty)</span>" in page
    assert "<b>" not in page
    following = links(client.get("/?sort=-model_name&limit=1").text)["Next page"]
    assert len(following) < 1_000
    assert ids(client.get(following).text) != [1]


def test_downloads_have_every_row_of_the_view(client: TestClient) -> None:
    view = "?q=nsfw&sort=-likes,file_id&columns=file_id,model_name&limit=3"
    rows = list(csv.DictReader(StringIO(client.get(f"/loras.csv{view}").text)))
    assert len(rows) == FILES // 2
    answer = client.get(f"/loras.json{view}")
    assert answer.headers["content-disposition"] == 'attachment; filename="loras.json"'
    assert [one["file_id"] for one in answer.json()] == [int(row["file_id"]) for row in rows]
    assert HOSTILE in [one["model_name"] for one in answer.json()]


def test_the_command_gives_the_same_rows(client: TestClient, browsed: sa.Engine) -> None:
    q = "optimizer = 'Ärger ''n'' \\' or model_name like '%\"$`!%' or likes:5"
    page = client.get("/", params={"q": q, "sort": "-likes", "limit": "20"}).text
    if (shown := re.search(r"<code>(lora-crawl query .*?)</code></pre>", page, re.DOTALL)) is None:
        raise AssertionError(page)
    words = shlex.split(unescape(shown[1]))[1:]
    place = browsed.url.render_as_string(hide_password=False)
    done = CliRunner().invoke(app, [*words, "--db", place, "--json"], catch_exceptions=False)
    assert [one["file_id"] for one in json.loads(done.stdout)] == ids(page)


def test_links_keep_what_was_chosen(client: TestClient) -> None:
    page = client.get("/?q=nsfw&sort=likes&columns=likes,file_id&limit=5").text
    for name in ("Next page", "file_id", "CSV"):
        query = parse_qs(urlsplit(links(page)[name]).query)
        assert query["q"] == ["nsfw"]
        assert query["columns"] == ["likes,file_id"]
        assert query["limit"] == ["5"]
    assert links(page)["Charts"] == "/stats?q=nsfw"
