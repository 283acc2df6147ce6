"""The pages in a real browser: a walk through them, with a screen reader's and a keyboard's eyes."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from crawler.store.connect.database import open_for_reading
from crawler.web.server import PageServer
from tests.conftest import ON_SQLITE
from tests.web.browser import Open, Tab

#: A page of each kind, with hostile texts wherever there are any.
PAGES = (
    "loras/2",
    "loras/2/similar?by=settings",
    "loras/3/recipe/sd-scripts",
    "compare?ids=1,2,3",
    "compare",
    "stats?show=coverage",
    "stats?show=groups&by=creator&field=network_dim,optimizer",
    "suggest?base_model=Pony",
    "creators",
    "loras/4711",
)


@pytest.fixture
def running(told: sa.Engine) -> Iterator[PageServer]:
    """The page over `told` on a port of this machine."""
    engine = open_for_reading(told.url)
    with PageServer(engine) as server:
        yield server
    engine.dispose()


def _without_refusals(tab: Tab) -> list[str]:
    """What the console complains about, but for the status of a page that is not there."""
    return [one for one in tab.complaints if "404 (Not Found)" not in one]


@ON_SQLITE
def test_a_walk_through_the_pages(open_tab: Open, running: PageServer) -> None:
    tab = open_tab()
    page = tab.page
    page.goto(f"{running.url}?q=file_id = 3")
    page.get_by_role("link", name="Marble").first.click()
    assert page.get_by_role("heading", level=1).inner_text() == "Marble · v1"

    page.get_by_role("link", name="With the most similar settings").click()
    page.get_by_role("heading", name="With the most similar settings").wait_for()
    assert page.locator(".alike li").count() > 5
    assert page.url.endswith("/loras/3")  # it came by script

    page.get_by_label("Compare with file").fill("2")
    page.get_by_role("button", name="Compare").click()
    dim = page.get_by_role("rowheader", name="network_dim", exact=True)
    row = page.get_by_role("row").filter(has=dim)
    assert row.locator("td").all_inner_texts() == ["32", "64"]

    page.get_by_role("link", name="Statistics").click()
    page.get_by_role("link", name="Settings", exact=True).click()
    page.wait_for_selector("html[data-drawn]")
    assert page.locator(".plot .main-svg").count() > 0

    page.get_by_role("link", name="Suggest").click()
    page.get_by_label("Base model").select_option("Pony")
    page.get_by_role("button", name="Suggest").click()
    assert page.get_by_role("heading", name="Settings for Pony").is_visible()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="for ai-toolkit").click()
        page.get_by_role("link", name="Download ai-toolkit.yaml").click()
    assert waiting.value.suggested_filename == "ai-toolkit.yaml"

    page.get_by_role("link", name="Creators").click()
    page.get_by_role("link", name="files", exact=True).click()
    assert page.locator("th[aria-sort]").inner_text() == "files"
    page.get_by_role("link", name="stonecutter").click()
    assert page.get_by_label("Condition").input_value() == "creator = 'stonecutter'"

    assert tab.complaints == []
    assert all(one.startswith((running.url, "data:")) for one in tab.requests)


@ON_SQLITE
@pytest.mark.parametrize(
    ("width", "scheme"), [(360, "dark"), pytest.param(1600, "light", marks=pytest.mark.slow)]
)
def test_every_page_is_for_every_reader(
    open_tab: Open, running: PageServer, width: int, scheme: str
) -> None:
    tab = open_tab(width=width, scheme=scheme)
    for address in PAGES:
        tab.page.goto(running.url + address)
        if tab.page.locator(".plot").count():
            tab.page.wait_for_selector("html[data-drawn]")
        assert tab.overflow() == 0, address
        assert tab.faults() == [], address
        assert tab.page.title() != "run"
        assert tab.page.get_by_role("heading", level=1).count() == 1
    assert _without_refusals(tab) == []


@ON_SQLITE
def test_without_scripts_similar_loras_are_a_page(open_tab: Open, running: PageServer) -> None:
    tab = open_tab(scripts=False)
    tab.page.goto(f"{running.url}loras/3")
    tab.page.get_by_role("link", name="With the most caption tags").focus()
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_url("**/loras/3/similar?by=tags")
    assert tab.page.get_by_role("heading", level=1).inner_text() == "Most like Marble · v1"
    assert tab.page.locator(".alike li").count() > 5
