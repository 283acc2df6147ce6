"""The first page as a person uses it: in a real browser."""

import re

import pytest

from crawler.web.server import PageServer
from tests.conftest import ON_SQLITE
from tests.web.browser import Open, Tab
from tests.web.rows import FILES


def total(tab: Tab) -> int:
    found = tab.page.locator(".total strong").inner_text()
    return int(found.replace(",", ""))


def stays_here(tab: Tab, server: PageServer) -> bool:
    """Whether nothing complained, and nothing but the server was asked."""
    foreign = [one for one in tab.requests if not one.startswith((server.url, "data:"))]
    return not foreign and not tab.complaints


@ON_SQLITE
def test_the_way_from_a_word_to_a_table(served: PageServer, open_tab: Open) -> None:
    tab = open_tab()
    page = tab.page
    page.goto(served.url)
    assert total(tab) == FILES

    box = page.get_by_role("combobox", name="Condition")
    box.press_sequentially("optim")
    page.get_by_role("option", name=re.compile("^optimizer ")).wait_for()
    box.press("ArrowDown")
    box.press("Enter")
    assert box.input_value() == "optimizer"
    box.press_sequentially(":pro")
    page.get_by_role("option", name="Prodigy").wait_for()
    box.press("ArrowDown")
    box.press("Tab")
    assert box.input_value() == "optimizer:Prodigy"
    box.press("Enter")
    page.wait_for_url("**/?q=optimizer*")
    prodigies = total(tab)
    assert 0 < prodigies < FILES

    page.get_by_role("link", name=re.compile("^64")).click()
    narrowed = total(tab)
    assert 0 < narrowed < prodigies
    page.get_by_role("link", name="Remove Rank 64", exact=False).click()
    assert total(tab) == prodigies

    page.get_by_role("link", name="images_seen").click()
    head = page.get_by_role("columnheader", name="images_seen")
    assert head.get_attribute("aria-sort") == "descending"

    page.get_by_text("Columns", exact=True).click()
    page.get_by_label("likes", exact=True).check()
    page.get_by_label("optimizer", exact=True).uncheck()
    page.get_by_role("button", name="Show these columns").click()
    heads = page.get_by_role("columnheader").all_inner_texts()
    assert "likes" in heads
    assert "optimizer" not in heads
    assert page.get_by_role("columnheader", name="images_seen").get_attribute("aria-sort")

    with page.expect_download() as saved:
        page.get_by_role("link", name="CSV").click()
    assert saved.value.path().read_text().count("\n") == prodigies + 1
    assert stays_here(tab, served)


@ON_SQLITE
def test_it_works_without_scripts(served: PageServer, open_tab: Open) -> None:
    tab = open_tab(scripts=False)
    page = tab.page
    page.goto(f"{served.url}?limit=15&sort=-likes")
    seen = []
    while True:
        seen += page.locator("tbody tr").all_inner_texts()
        if not (following := page.get_by_role("link", name="Next page")).count():
            break
        following.click()
    assert len(seen) == len(set(seen)) == FILES
    page.get_by_role("link", name="First page").click()
    page.get_by_role("searchbox", name="Condition").fill("rank:64 and likess > 3")
    page.get_by_role("button", name="Search").click()
    assert "there is no field named likess" in page.get_by_role("alert").inner_text()
    assert page.get_by_role("searchbox", name="Condition").input_value() == "rank:64 and likess > 3"


@ON_SQLITE
def test_hostile_texts_run_nothing(served: PageServer, open_tab: Open) -> None:
    tab = open_tab()
    tab.page.on("dialog", lambda _: pytest.fail("a script ran"))
    for address in ("?q=file_id = 7", "?q=<script>document.title='run'</script>", "<img src=x>"):
        tab.page.goto(served.url + address)
        assert tab.page.title() != "run"
    tab.page.goto(f"{served.url}?q=file_id = 7&columns=all")
    assert '<script>document.title="run"</script>' in tab.page.locator("tbody").inner_text()
    assert all("404" in one or "400" in one for one in tab.complaints)
    assert not [one for one in tab.requests if not one.startswith(served.url)]


@ON_SQLITE
@pytest.mark.parametrize(
    ("width", "scheme"), [(360, "dark"), pytest.param(1600, "light", marks=pytest.mark.slow)]
)
def test_everybody_can_read_it(served: PageServer, open_tab: Open, width: int, scheme: str) -> None:
    tab = open_tab(width=width, scheme=scheme)
    page = tab.page
    for address in ("nothing", "?q=rank > > 3", "?q=optimizer:Prodigy&sort=-likes"):
        page.goto(served.url + address)
        for summary in page.locator("summary:visible").all():
            if summary.locator("xpath=..").get_attribute("open") is None:
                summary.click()
        assert tab.overflow() <= 0
        assert tab.faults() == []
    page.goto(served.url)
    page.locator("#q").press_sequentially("lear")
    page.get_by_role("option").first.wait_for()
    page.locator("#q").press("ArrowDown")
    assert tab.overflow() <= 0
    assert tab.faults() == []
