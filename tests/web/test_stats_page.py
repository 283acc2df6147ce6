"""Statistics and suggestions in the browser."""

import json
import re
from contextlib import AbstractContextManager
from html import unescape

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from crawler.store.read.limited import in_time
from crawler.web.limits import STATISTICS_SECONDS
from tests.faces import backend
from tests.web.reported import by_first, tables
from tests.web.test_lora_page import said, text_of

__all__ = ["backend"]

SECTIONS = ("coverage", "settings", "months", "liked", "creators")


@pytest.mark.parametrize("show", SECTIONS)
def test_every_section_of_the_report_has_its_page(client: TestClient, show: str) -> None:
    answer = client.get(f"/stats?show={show}")
    assert answer.status_code == 200
    assert 'aria-current="page">' in answer.text
    assert ("<figure" in answer.text) == ("plotly.min.js" in answer.text)
    assert "<figure" in answer.text or show not in {"coverage", "settings"}


def test_a_section_counts_what_the_command_counts(client: TestClient, browsed: sa.Engine) -> None:
    page = client.get("/stats?show=settings&q=optimizer = 'Prodigy'").text
    (found,) = json.loads(
        said(browsed, "stats", "network_dim", "--where", "optimizer = 'Prodigy'", "--json")
    )
    shown = by_first(tables(page)["settings-network_dim"])
    assert {row["files"] for row in shown.values()} == {
        str(one["count"]) for one in found["histogram"]
    }
    assert "lora-crawl stats" in page


@pytest.mark.parametrize("by", ["optimizer", "month", "network_dim", "nsfw"])
def test_groups_are_those_of_the_command(client: TestClient, browsed: sa.Engine, by: str) -> None:
    page = client.get(f"/stats?by={by}&field=images_seen,trainer").text
    found = json.loads(said(browsed, "stats", "images_seen", "--by", by, "--json"))
    told = [one for one in found if one["count"]]
    rows = tables(page)["by-images_seen"][1:]
    assert [int(row[1]) for row in rows] == [one["count"] for one in told]
    assert [float(row[3].replace(",", "")) for row in rows] == pytest.approx(
        [one["median"] for one in told], rel=0.01
    )
    assert f"trainer by {by}" in page


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/stats?show=x", 400),
        ("/stats?q=)", 400),
        ("/stats?by=nothing", 400),
        ("/stats?by=optimizer&field=x", 400),
        ("/stats?by=optimizer&field=" + ",".join(["steps"] * 30), 400),
        ("/stats?q=" + "1" * 5000, 400),
        ("/suggest?base_model=x", 400),
        ("/suggest?base_model=Pony&images=0", 400),
        ("/suggest?base_model=Pony&min_likes=-1", 400),
        ("/suggest/word?base_model=Pony", 404),
        ("/suggest/sd-scripts?base_model=Pony&creator=nobody-at-all", 400),
    ],
)
def test_what_cannot_be_answered_is_a_page_with_the_error(
    client: TestClient, address: str, status: int
) -> None:
    answer = client.get(address)
    assert answer.status_code == status
    assert 'role="alert"' in answer.text


def test_no_file_at_all_says_why(client: TestClient) -> None:
    for show in SECTIONS:
        answer = client.get(f"/stats?show={show}&q=optimizer = 'prodigy'")
        assert answer.status_code == 200
        assert "did you mean" in answer.text


def test_a_suggestion_is_that_of_the_command(pages: TestClient, told: sa.Engine) -> None:
    assert 'name="base_model"' in pages.get("/suggest").text
    answer = pages.get("/suggest?base_model=Pony")
    page = text_of(answer.text)
    found = json.loads(said(told, "suggest", "--base-model", "Pony", "--json"))
    assert f"Based on {found['loras']} LoRAs" in page
    dim = found["settings"]["network_dim"]
    assert f"network_dim {dim['suggested']} {dim['loras']}" in page
    examples = re.findall(r'<th scope="row"><a href="/loras/(\d+)">', answer.text)
    assert [int(one) for one in examples] == [one["file_id"] for one in found["examples"]]


def test_a_suggestion_can_be_downloaded(pages: TestClient) -> None:
    for form in ("sd-scripts", "kohya_ss", "onetrainer", "ai-toolkit"):
        page = pages.get(f"/suggest/{form}?base_model=Pony&images=40").text
        links = [unescape(one) for one in re.findall(r'href="([^"]*)" download', page)]
        assert links
        for link in links:
            assert pages.get(link).headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "address",
    [
        *(f"/stats?show={show}" for show in SECTIONS),
        "/stats?by=creator&field=optimizer,network_dim,model_name",
        "/stats?by=optimizer&field=sd_model_name",
        "/suggest?base_model=Pony",
        "/suggest?base_model=Pony&tag=<script>document.title=1</script>",
        "/suggest/sd-scripts?base_model=Pony",
    ],
)
def test_hostile_texts_are_shown_as_text(pages: TestClient, address: str) -> None:
    answer = pages.get(address)
    assert answer.status_code == 200
    assert "<script>document" not in answer.text
    assert "<img" not in answer.text
    assert "\x1b" not in answer.text
    assert "\u202e" not in answer.text
    assert len(answer.text) < 400_000


def test_statistics_may_take_longer_than_other_pages(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawler.web.app.STATEMENT_SECONDS", 1)
    allowed = []

    def noted(connection: sa.Connection, seconds: float) -> AbstractContextManager[None]:
        allowed.append(seconds)
        return in_time(connection, seconds)

    monkeypatch.setattr("crawler.web.app.in_time", noted)
    for address in ("/creators", "/stats", "/suggest", "/", "/loras/1"):
        client.get(address)
    assert allowed == [STATISTICS_SECONDS] * 3 + [1] * 2
