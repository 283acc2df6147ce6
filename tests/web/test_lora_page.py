"""One LoRA, its recipe, what is like it, and LoRAs side by side; creators."""

import json
import re
from html import unescape

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient
from typer.testing import CliRunner

from crawler.cli.app import app
from tests.faces import backend

__all__ = ["backend"]


def said(told: sa.Engine, *words: str) -> str:
    """What the command prints."""
    place = told.url.render_as_string(hide_password=False)
    return CliRunner().invoke(app, [*words, "--db", place], catch_exceptions=False).stdout


def text_of(page: str) -> str:
    """The words of a page, without tags."""
    inside = page[page.index("<main") : page.index("</main>")].replace("<wbr>", "")
    return " ".join(unescape(re.sub("<[^>]+>", " ", inside)).split())


def test_a_lora_says_what_show_says(pages: TestClient, told: sa.Engine) -> None:
    page = text_of(pages.get("/loras/3").text)
    shown = json.loads(said(told, "show", "3", "--json"))
    assert "Marble · v1" in page
    for sentence in ("1,200 steps of batch 2", "Trained by kohya's sd-scripts", "1girl 40"):
        assert sentence in page
    dim = shown["medians"]["network_dim"]
    assert f"network_dim 32 {dim['percentile']} {dim['median']:g} 32" in page
    assert "trigger words: marble, polished marble" in page
    assert "5_marble 40 images, 5 repeats" in page


def test_versions_lead_to_each_other_with_what_changed(pages: TestClient) -> None:
    page = pages.get("/loras/2").text
    assert "network_dim 32 → 64" in text_of(page)
    assert 'href="/loras/1"' in page
    assert "/compare?ids=2,1" in page
    assert '<h2 id="versions">' not in pages.get("/loras/3").text


def test_a_file_that_was_not_read_says_why(pages: TestClient) -> None:
    page = text_of(pages.get("/loras/9").text)
    assert "pending" in page
    assert "Read by the next lora-crawl sync." in page
    assert "Recipe" not in page
    answer = pages.get("/loras/9/recipe/sd-scripts")
    assert answer.status_code == 400
    assert "the header of this file was not read" in answer.text


def test_a_header_without_metadata_says_so(pages: TestClient) -> None:
    assert "contains no training metadata" in text_of(pages.get("/loras/20").text)


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/loras/4711", 404),
        ("/loras/x", 404),
        ("/loras/-9223372036854775809", 404),
        ("/loras/4711/similar", 404),
        ("/loras/3/similar?by=size", 400),
        ("/loras/20/similar?by=tags", 400),
        ("/loras/3/recipe/word", 404),
        ("/loras/3/recipe/sd-scripts/../x", 404),
        ("/loras/3/recipe/sd-scripts/x.toml", 404),
        ("/compare?ids=3,4711", 404),
        ("/compare?ids=3&ids=x", 404),
        ("/compare?ids=1,2,3,4,5,6,7", 400),
        ("/creators?sort=size", 400),
        ("/creators?q=)", 400),
        ("/creators?limit=0", 400),
    ],
)
def test_what_is_not_there_is_a_page_with_the_error(
    pages: TestClient, address: str, status: int
) -> None:
    answer = pages.get(address)
    assert answer.status_code == status
    assert 'role="alert"' in answer.text
    assert "<title>" in answer.text


@pytest.mark.parametrize("form", ["sd-scripts", "kohya_ss", "onetrainer", "ai-toolkit"])
def test_a_recipe_has_the_files_that_the_command_writes(
    pages: TestClient, told: sa.Engine, form: str
) -> None:
    page = pages.get(f"/loras/3/recipe/{form}").text
    links = re.findall(r'href="(/loras/3/recipe/[\w-]+/[\w.-]+)" download', page)
    printed = said(told, "recipe", "3", "--format", form)
    assert len(links) > 1
    for link in links:
        answer = pages.get(link)
        name = link.rpartition("/")[2]
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert f"# --- {name}" in printed
        if name != "report.txt":
            assert answer.text in printed


@pytest.mark.parametrize("by", ["settings", "tags"])
def test_similar_loras_are_those_of_the_command(
    pages: TestClient, told: sa.Engine, by: str
) -> None:
    page = pages.get(f"/loras/3/similar?by={by}").text
    found = json.loads(said(told, "similar", "3", "--by", by, "--json"))
    back, *listed = re.findall(r'<p><a href="/loras/(\d+)"', page)
    assert back == "3"
    assert [int(one) for one in listed] == [one["file_id"] for one in found]
    assert len(listed) == len(set(listed)) > 5


def test_a_comparison_has_the_settings_of_diff(pages: TestClient, told: sa.Engine) -> None:
    page = pages.get("/compare?ids=1,2&ids=2").text.replace("<wbr>", "")
    names = re.findall(r'<th scope="row"><code>([^<]*)</code>', page)
    found = json.loads(said(told, "diff", "1", "2", "--json"))
    expected = [unescape(name) for name in names if name in {one["field"] for one in found}]
    assert "network_dim" in expected
    assert {one["field"] for one in found} <= {*map(unescape, names)} | {
        one["field"] for one in found if "<" in one["field"] or "\x1b" in one["field"]
    }
    everything = pages.get("/compare?ids=1,2&all=yes").text
    assert len(re.findall(r'<th scope="row">', everything)) > len(names)


def test_a_comparison_begins_with_a_form(pages: TestClient) -> None:
    assert 'name="ids"' in pages.get("/compare").text
    page = pages.get("/compare?ids=3").text
    assert "Marble · v1" in page
    assert '<input type="hidden" name="ids" value="3">' in page
    assert "<form" not in pages.get("/compare?ids=1,2,3,4,5,6").text


def test_equal_settings_are_told(pages: TestClient) -> None:
    assert "No setting differs" in pages.get("/compare?ids=3,4").text


def test_creators_are_those_of_authors(pages: TestClient, told: sa.Engine) -> None:
    for sort in ("", "loras", "creator"):
        page = pages.get("/creators", params={"sort": sort} if sort else {}).text
        options = ["--sort", sort] if sort else []
        found = json.loads(said(told, "authors", *options, "--json"))
        listed = re.findall(r'<th scope="row"><a href="([^"]*)">', page)
        assert len(listed) == len(found)
    assert 'aria-sort="ascending"' in page
    row = text_of(pages.get("/creators?q=creator = 'stonecutter'").text)
    assert "stonecutter 6 6 100%" in row
    assert pages.get(unescape(listed[0])).status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "/loras/2",
        "/loras/2/similar",
        "/loras/3/similar?by=tags",
        "/loras/2/recipe/sd-scripts",
        "/loras/2/recipe/ai-toolkit",
        "/compare?ids=1,2,20",
        "/compare?ids=1,2&all=yes",
        "/creators",
        "/creators?q=creator like '%<script>%'",
    ],
)
def test_hostile_texts_are_shown_as_text(pages: TestClient, address: str) -> None:
    answer = pages.get(address)
    assert answer.status_code == 200, answer.text
    assert "<script>document" not in answer.text
    assert "<img" not in answer.text
    assert 'href="javascript:' not in answer.text
    assert "\x1b" not in answer.text
    assert "\u202e" not in answer.text
    assert len(answer.text) < 300_000
