"""The report in a real browser."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page

from crawler.web.findings.section import Among
from crawler.web.report import page, report
from tests.conftest import ON_SQLITE, Prepared
from tests.web.browser import Open, Tab
from tests.web.reported import FILES, fill

NOW = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)


@pytest.fixture
def file(prepared: Prepared, tmp_path: Path) -> Path:
    """A report of made-up files, some of which have hostile names."""
    engine = prepared("reported", fill)
    with engine.connect() as connection:
        made = report(connection, Among(), title="<i>Report</i>", now=NOW)
    path = tmp_path / "report.html"
    path.write_text(page(made), encoding="utf-8")
    return path


def shown(tab: Tab, file: Path) -> Tab:
    """The tab with the report, all charts drawn."""
    tab.page.goto(file.as_uri())
    tab.page.wait_for_selector("html[data-drawn]")
    return tab


@ON_SQLITE
def test_hostile_metadata_is_text_and_everybody_can_use_the_rest(
    open_tab: Open, file: Path, tmp_path: Path
) -> None:
    tab = shown(open_tab(), file)
    assert tab.page.locator("h1").inner_text() == "<i>Report</i>"
    texts = " ".join(tab.page.locator(".plot text").all_text_contents())
    assert "<script>document" in texts
    assert tab.page.locator(".plot svg a, .plot svg image").count() == 0
    links = tab.page.locator("#table a").evaluate_all("all => all.map(one => one.href)")
    assert links
    assert all(link.startswith("https://civitai.com/models/") for link in links)

    _sorts_and_filters(tab.page)
    _fits_paper(tab.page, tmp_path / "report.pdf")
    _is_for_every_reader(tab)

    # After all that nothing has run, was refused by the policy, or was asked for.
    assert tab.page.title() == "<i>Report</i>"
    assert tab.complaints == []
    assert tab.requests == [file.as_uri()]


def _sorts_and_filters(page: Page) -> None:
    heads = page.locator("#table thead th")
    at = heads.all_text_contents().index("rank")

    def ranks() -> list[int]:
        cells = page.locator(f"#table tbody tr:not([hidden]) td:nth-child({at + 1})")
        return [int(text) for text in cells.all_text_contents()]

    page.get_by_role("button", name="rank", exact=True).focus()
    page.keyboard.press("Enter")
    assert heads.nth(at).get_attribute("aria-sort") == "descending"
    assert ranks() == sorted(ranks(), reverse=True)
    page.keyboard.press("Enter")
    assert heads.nth(at).get_attribute("aria-sort") == "ascending"
    assert ranks() == sorted(ranks())

    whole = len(ranks())
    page.get_by_label("Filter").fill("pony prodigy")
    texts = page.locator("#table tbody tr:not([hidden])").all_text_contents()
    assert 0 < len(texts) < whole
    assert all("Pony" in text and "Prodigy" in text for text in texts)
    assert page.get_by_role("status").inner_text() == f"{len(texts)} of {whole} rows"
    page.get_by_label("Filter").fill("")
    assert len(ranks()) == whole


def _is_for_every_reader(tab: Tab) -> None:
    tab.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    for width in (1600, 360):
        tab.page.set_viewport_size({"width": width, "height": 900})
        assert tab.overflow() == 0
    # Further rows are like the first ones, and axe takes its time for each.
    tab.page.evaluate(
        "document.querySelectorAll('tbody').forEach("
        "body => [...body.rows].slice(6).forEach(row => row.remove()))"
    )
    assert tab.faults() == []
    tab.page.emulate_media(color_scheme="dark")
    assert tab.faults("color-contrast") == []


def _fits_paper(page: Page, pdf: Path) -> None:
    plots = page.locator(".chart:not(.wide) .plot")
    widths = "all => all.map(one => one.querySelector('.main-svg').getBoundingClientRect().width)"
    before = plots.evaluate_all(widths)
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert max(plots.evaluate_all(widths)) <= 320
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert plots.evaluate_all(widths) == before
    page.pdf(path=pdf, format="A4")
    assert pdf.read_bytes().startswith(b"%PDF")


@ON_SQLITE
def test_without_scripts_every_figure_is_in_a_table(open_tab: Open, file: Path) -> None:
    tab = open_tab(scripts=False)
    tab.page.goto(file.as_uri())

    tables = tab.page.locator(".chart table")
    assert tables.count() == tab.page.locator(".chart").count() > 0
    assert all(tables.nth(at).is_visible() for at in range(tables.count()))
    assert tab.page.locator("#table tbody tr").count() == FILES * 4 // 6
    assert tab.page.get_by_label("Filter").is_hidden()
