"""The report's figures are those of the other commands, on both databases."""

import json
import shlex
import stat
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crawler.answers.text import number, rounded, share
from tests.cli.headers import Run
from tests.conftest import ON_SQLITE, Prepared
from tests.stored import as_user
from tests.web.reported import HOSTILE, by_first, fill, tables

WHERE = "base_model = 'Pony' or base_model = 'SDXL 1.0'"

#: A report of the files that a condition selects.
Written = Callable[..., str]


@pytest.fixture
def filled(prepared: Prepared) -> str:
    engine: sa.Engine = prepared("reported", fill)
    return engine.url.render_as_string(hide_password=False)


@pytest.fixture
def written(run: Run, filled: str, tmp_path: Path) -> Written:
    def write(*words: str) -> str:
        out = tmp_path / "report.html"
        told = run("report", str(out), *words, "--force", "--db", filled)
        assert told.exit_code == 0, told.stderr
        return out.read_text(encoding="utf-8")

    return write


@pytest.fixture
def ask(run: Run, filled: str) -> Callable[..., Any]:
    """What a command prints as JSON."""

    def answer(*words: str) -> Any:
        # As a superuser nobody may run a statement.
        place = as_user(filled, "reader") if words[0] == "sql" else filled
        told = run(*words, "--json", "--db", place)
        assert told.exit_code == 0, told.stderr
        return json.loads(told.stdout)

    return answer


def commands(html: str) -> list[list[str]]:
    """The commands that a report names, as words."""
    pieces = [piece.partition("</pre>")[0] for piece in html.split("<pre>")[1:]]
    lines = [line for piece in pieces for line in piece.splitlines() if line.strip()]
    return [shlex.split(unescape(line)) for line in lines]


def test_ten_figures_are_those_of_stats_and_sql(written: Written, ask: Callable[..., Any]) -> None:
    html = written("--where", WHERE)
    found = tables(html)

    def sql(statement: str) -> Any:
        ((value,),) = (row.values() for row in ask("sql", statement))
        return value

    def stats(field: str, *words: str) -> list[dict[str, Any]]:
        return list(ask("stats", field, "--where", WHERE, *words))

    # What was crawled.
    pony = by_first(found["coverage-base-model"])["Pony"]
    decoded = "select count(*) from loras where base_model = 'Pony' and outcome = 'decoded'"
    assert pony["training metadata"] == number(sql(decoded))
    login = f"select count(*) from loras where outcome = 'login_required' and ({WHERE})"
    assert by_first(found["coverage-refusals"])["login required"]["files"] == number(sql(login))
    (trainers,) = stats("trainer")
    expected = {one["value"]: number(one["count"]) for one in trainers["histogram"]}
    told = by_first(found["coverage-trainer"])
    assert {name: cells["files"] for name, cells in told.items()} == expected

    # Settings.
    (ranks,) = stats("network_dim")
    assert found["settings-network_dim"][1:] == [
        [str(one["value"]), number(one["count"]), share(one["count"] / ranks["count"])]
        for one in ranks["histogram"]
    ]
    assert f"Median {number(ranks['median'])}, IQR" in html
    (steps,) = stats("steps")
    counts = [number(one["count"]) for one in steps["histogram"]]
    assert [row[1] for row in found["settings-steps"][1:]] == counts
    rates = {one["optimizer"]: one for one in stats("effective_unet_lr", "--by", "optimizer")}
    (prodigy,) = (row for row in found["settings-rates"] if row[0] == "Prodigy")
    names = ("quartile1", "median", "quartile3")
    expected_rates = [rounded(rates["Prodigy"][name]) for name in names]
    assert prodigy[1:] == [number(rates["Prodigy"]["count"]), *expected_rates]

    # How settings changed.
    months = {one["month"]: one for one in stats("images_seen", "--by", "month")}
    assert found["months-images_seen"][1:] == [
        [month, number(one["count"]), *(rounded(one[name]) for name in ("median", *names[::2]))]
        for month, one in months.items()
    ]
    march = (
        "select 1.0 * sum(case when optimizer = 'Prodigy' then 1 else 0 end) / count(optimizer)"
        " as part from loras where cast(published_at as text) like '2025-03%'"
        f" and ({WHERE})"
    )
    assert by_first(found["months-optimizer"])["2025-03"]["Prodigy"] == share(float(sql(march)))

    # The well-liked.
    (best,) = (words for words in commands(html) if any("likes_per_month" in one for one in words))
    answers = {one["field"]: one for one in ask(*best[1:])}
    (rank,) = (row for row in found["liked-settings"] if row[:2] == ["rank", "most liked tenth"])
    values = (answers["network_dim"][name] for name in names)
    assert rank[2:] == [number(answers["network_dim"]["count"]), *map(number, values)]

    prodigy_share = sql(
        "select 1.0 * sum(case when optimizer = 'Prodigy' then 1 else 0 end) / count(optimizer)"
        f" as part from loras where {WHERE}"
    )
    assert by_first(found["liked-optimizer"])["Prodigy"]["all"] == share(float(prodigy_share))

    # The creators, and the table.
    authors = ask("authors", "--where", WHERE)
    row = by_first(found["creators-effort"])[authors[0]["creator"]]
    assert row["runs"] == number(authors[0]["runs"])
    assert row["megapixels"] == number(round(authors[0]["megapixels_seen"]))
    condition = ("query", f"({WHERE}) and outcome = 'decoded'", "--limit", "0")
    asked = ask(*condition, "--sort", "-likes", "--columns", "creator,network_dim,likes")
    shown = [
        (row["creator"], row["rank"], row["likes"]) for row in map(_of(found), found["table"][1:])
    ]
    assert shown == [
        (one["creator"], str(one["network_dim"]), number(one["likes"])) for one in asked
    ]


def _of(found: dict[str, list[list[str]]]) -> Callable[[list[str]], dict[str, str]]:
    return lambda cells: dict(zip(found["table"][0], cells, strict=True))


def test_every_command_that_a_report_names_runs(written: Written, run: Run, filled: str) -> None:
    named = commands(written("--where", WHERE, "--copies"))

    assert {words[1] for words in named} == {"stats", "authors"}
    for words in named:
        told = run(*words[1:], "--json", "--db", filled)
        assert told.exit_code == 0, told.stderr
        assert "left out" not in told.stderr


def test_hostile_text_is_only_text(written: Written) -> None:
    html = written()

    assert html.count("<script") == 3 + html.count('<script type="application/json"')
    assert "<img" not in html.partition("<body>")[2].partition("<script>")[0]
    assert 'href="javascript' not in html
    assert "\x1b" not in html
    assert "\u202e" not in html.partition("<body>")[2].partition("<script>")[0]
    assert "(1,000,000 characters)" in html
    assert len(html.encode()) < 8_000_000
    cells = [row[0] for row in tables(html)["table"]]
    assert HOSTILE[0] in cells


@ON_SQLITE
def test_a_title_is_text_too(written: Written) -> None:
    html = written("--title", "<b>Pony</b> & more")

    assert "<h1>&lt;b&gt;Pony&lt;/b&gt; &amp; more</h1>" in html
    assert "<title>&lt;b&gt;Pony&lt;/b&gt; &amp; more</title>" in html


def test_sections_without_data_say_so(written: Written) -> None:
    html = written("--where", "outcome = 'login_required'")

    assert html.count("None of these files states how it was trained.") == 3
    assert 'id="coverage-refusals"' in html
    assert 'id="settings-network_dim"' not in html


def test_a_condition_that_nothing_meets_is_explained(run: Run, filled: str, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    told = run("report", str(out), "--where", "base_model = 'Pnoy'", "--db", filled)

    assert "no row has base_model 'Pnoy'; did you mean 'Pony'" in told.stderr
    assert "No file matches." in out.read_text(encoding="utf-8")


def test_an_empty_database_has_a_report(run: Run, engine: sa.Engine, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    place = engine.url.render_as_string(hide_password=False)
    told = run("report", str(out), "--db", place)

    assert told.exit_code == 0
    assert "the database has no files yet" in told.stderr
    assert out.exists()


@ON_SQLITE
def test_a_file_is_overwritten_only_when_asked(run: Run, filled: str, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    out.write_text("mine")
    told = run("report", str(out), "--db", filled)
    assert (told.exit_code, told.stderr) == (
        2,
        f"Error: {out} exists\nuse --force to overwrite it\n",
    )
    assert out.read_text() == "mine"

    assert run("report", str(out), "--force", "-q", "--db", filled).stderr == ""
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]
    assert stat.S_IMODE(out.stat().st_mode) & 0o077 == 0o044


@pytest.mark.parametrize("place", [".", "no/such/folder.html"])
def test_a_place_that_cannot_be_written_is_refused_at_once(
    run: Run, tmp_path: Path, place: str
) -> None:
    told = run("report", str(tmp_path / place), "--db", "/no/such.db")

    assert told.exit_code == 2
    assert "folder" in told.stderr


@ON_SQLITE
def test_a_wrong_condition_is_shown_with_a_caret(run: Run, filled: str, tmp_path: Path) -> None:
    told = run("report", str(tmp_path / "r.html"), "--where", "ranc > 3", "--db", filled)

    assert told.exit_code == 2
    assert "^" in told.stderr
    assert not (tmp_path / "r.html").exists()


@ON_SQLITE
def test_the_report_is_the_same_each_time(written: Written) -> None:
    def without_time(html: str) -> str:
        return html.partition('<footer class="page">')[0]

    assert without_time(written()) == without_time(written())
