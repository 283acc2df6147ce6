import json
from collections.abc import Callable

import pytest

from crawler.web.charts import Chart, Quartiles, Series, Spreads, bars, histogram, lines, spreads
from crawler.web.figure import Axis

HOSTILE = "<b>bold</b> & <a href='https://example.com'>\u202e</a>"


def _histogram(name: str) -> Chart:
    bins = [(name, name, 3), (f"{name} or more", name, 1)]
    return histogram("key", "Ranks", "4 files", Axis("rank"), bins, exact=False)


def _bars(name: str) -> Chart:
    series = [Series(name, [1, None]), Series("all", [0.5, 0.25])]
    share = Axis("share", is_share=True)
    return bars("key", "Ranks", "4 files", [name, name], series, name="model", x=share)


def _lines(name: str) -> Chart:
    one = Series(name, [1, 2], low=[0, 1], high=[2, 3])
    y = Axis("rank")
    return lines("key", "Ranks", "4 files", [name, "later"], [one], name="x", y=y, counts=[3, 4])


def _spreads(name: str) -> Chart:
    groups = [Quartiles(name, 12, 0, 1e-4, 5e-4)]
    series = [Spreads(name, groups), Spreads("all", groups)]
    return spreads("key", "Rates", "4 files", series, name="group", x=Axis("rate", log=True))


EVERY = pytest.mark.parametrize("make", [_histogram, _bars, _lines, _spreads])


@EVERY
def test_the_table_has_a_cell_for_every_head(make: Callable[[str], Chart]) -> None:
    chart = make("one")

    assert chart.rows
    assert {len(row) for row in chart.rows} == {len(chart.head)}


@EVERY
def test_plotly_gets_no_tags_and_no_entities(make: Callable[[str], Chart]) -> None:
    figure = json.dumps(make(HOSTILE).figure)

    assert "<" not in figure
    assert "&lt;b&gt;" in figure
    assert "&amp;" in figure
    assert "\\u202e" not in figure.replace("\\\\u202e", "")


@EVERY
def test_a_figure_in_a_page_ends_no_script(make: Callable[[str], Chart]) -> None:
    text = make("</script><script>alert(1)</script>").json

    assert not {*"<>&"} & {*text}
    assert json.loads(text)["layout"]["height"] > 0


@EVERY
def test_a_long_name_is_cut_in_the_drawing(make: Callable[[str], Chart]) -> None:
    assert len(make("x" * 1_000_000).json) < 10_000


def test_names_that_are_equal_stay_two_bars() -> None:
    data = _bars("same").figure["data"][0]

    assert data["y"] == [0, 1]


def test_the_end_of_a_line_on_a_logarithmic_axis_is_above_0() -> None:
    (first, _) = _spreads("one").figure["data"]

    assert first["error_x"]["arrayminus"][0] < first["x"][0]


def test_shares_are_percentages_in_the_table() -> None:
    assert _bars("one").rows == (("one", "100%", "50%"), ("one", "", "25%"))


def test_an_axis_with_ends_goes_no_further() -> None:
    groups = [Quartiles("one", 12, 0.5, 1, 10_000)]
    x = Axis("ratio", log=True, ends=(0.1, 10))
    chart = spreads("key", "Ratios", "4 files", [Spreads("all", groups)], name="group", x=x)

    low, high = chart.figure["layout"]["xaxis"]["range"]
    assert -1 <= low < 0
    assert 1 <= high < 1.1
    assert chart.rows[0][-1] == "10,000"
