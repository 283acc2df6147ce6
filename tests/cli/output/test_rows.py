"""Rows in every format, with values from a hostile net."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from crawler.answers.visible import visible
from crawler.cli.output.console import open_console
from crawler.cli.output.rows import FOR_PEOPLE, Format, chosen, write_rows
from crawler.cli.output.table import print_table
from crawler.errors import UsageError

NAMES = ("file_id", "model_name", "learning_rate", "v2", "model_tags", "published_at")
ROWS = (
    (
        1,
        'a\x1b[31m[red]b,"c" :smile:\n|d',
        1e-05,
        True,
        ["x", "\u202e猫"],
        datetime(2024, 5, 1, tzinfo=UTC),
    ),
    (-22, "=1+1", 0.5, False, {"a": None}, datetime(2024, 5, 1, 1, 2, 3, 4, tzinfo=UTC)),
    (9007199254740993, None, None, None, None, None),
)
MACHINE = tuple(form for form in Format if form not in FOR_PEOPLE)


def written(
    capfd: pytest.CaptureFixture[str],
    form: Format,
    names: tuple[str, ...] = NAMES,
    rows: tuple[tuple[object, ...], ...] = ROWS,
    *,
    safe_csv: bool = False,
) -> str:
    assert write_rows(names, iter(rows), form, safe_csv=safe_csv) == len(rows)
    return capfd.readouterr().out


def test_json_is_one_array_of_real_values(capfd: pytest.CaptureFixture[str]) -> None:
    text = written(capfd, Format.JSON)
    first, second, third = json.loads(text)
    assert first == {
        "file_id": 1,
        "model_name": 'a\x1b[31m[red]b,"c" :smile:\n|d',
        "learning_rate": 1e-05,
        "v2": True,
        "model_tags": ["x", "\u202e猫"],
        "published_at": "2024-05-01T00:00:00Z",
    }
    assert second["model_tags"] == {"a": None}
    assert second["published_at"] == "2024-05-01T01:02:03.000004Z"
    assert third["file_id"] == 9007199254740993
    assert third["model_name"] is None
    assert "\\u001b" in text
    assert "\\u202e猫" in text


def test_jsonl_is_an_object_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    lines = written(capfd, Format.JSONL).splitlines()
    assert [json.loads(line)["file_id"] for line in lines] == [1, -22, 9007199254740993]


@pytest.mark.parametrize(("form", "text"), [(Format.JSON, "[]\n"), (Format.JSONL, "")])
def test_no_rows_in_json(capfd: pytest.CaptureFixture[str], form: Format, text: str) -> None:
    assert written(capfd, form, rows=()) == text


def test_csv_reads_back_by_rfc_4180(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    write_rows(NAMES, iter(ROWS), Format.CSV)
    raw = capfdbinary.readouterr().out
    assert raw.count(b"\r\n") == raw.count(b"\n") == 1 + len(ROWS)
    head, first, second, third = csv.reader(io.StringIO(raw.decode(), newline=""))
    assert tuple(head) == NAMES
    assert first == [
        "1",
        r'a\x1b[31m[red]b,"c" :smile:\n|d',
        "1e-05",
        "true",
        r'["x","\u202e猫"]',
        "2024-05-01T00:00:00Z",
    ]
    assert second[1:4] == ["=1+1", "0.5", "false"]
    assert third == ["9007199254740993", "", "", "", "", ""]


def test_tsv_has_as_many_cells_in_every_line(capfd: pytest.CaptureFixture[str]) -> None:
    rows = (("a\tb", "c\nd\re", "\x00"), (None, 1, True))
    text = written(capfd, Format.TSV, ("x", "y", "z"), rows)
    assert text == "x\ty\tz\na\\tb\tc\\nd\\re\t\\x00\n\t1\ttrue\n"


@pytest.mark.parametrize("form", [Format.CSV, Format.TSV])
def test_safe_csv_disarms_formulas_and_spares_numbers(
    capfd: pytest.CaptureFixture[str], form: Format
) -> None:
    texts = ("=1", "+x", "-x", "@x", "\t=1", "\r=1", "x=1", "-1e5", "\N{FULLWIDTH EQUALS SIGN}1")
    rows = ((-5, -0.5, *texts),)
    names = ("=n", "o", *(f"c{at}" for at in range(len(texts))))
    text = written(capfd, form, names, rows, safe_csv=True)
    dialect = csv.excel if form is Format.CSV else csv.excel_tab
    head, row = csv.reader(io.StringIO(text), dialect)
    assert head[:2] == ["'=n", "o"]
    assert row == [
        "-5",
        "-0.5",
        "'=1",
        "'+x",
        "'-x",
        "'@x",
        r"'\t=1",
        r"'\r=1",
        "x=1",
        "-1e5",
        "'\N{FULLWIDTH EQUALS SIGN}1",
    ]


def test_markdown_cells_stay_cells(capfd: pytest.CaptureFixture[str]) -> None:
    rows = ((1, "a|b\\|c"), (2, "![x](http://x.test/p.png) <b>"), (None, None))
    head, rule, first, second, third = written(
        capfd, Format.MARKDOWN, ("n", "t"), rows
    ).splitlines()
    assert (head, rule) == ("| n | t |", "| ---: | --- |")
    assert first == r"| 1 | a\|b\\\|c |"
    assert second == r"| 2 | !\[x\](http://x.test/p.png) \<b\> |"
    assert third == "|  |  |"


def test_what_a_database_may_return_beside_our_columns(capfd: pytest.CaptureFixture[str]) -> None:
    names = ("b", "d", "whole", "i", "b")
    rows = ((b"\x00\xff", Decimal("1.50"), Decimal(7), float("inf"), "again"),)
    assert json.loads(written(capfd, Format.JSON, names, rows)) == [
        {"b": "00ff", "d": 1.5, "whole": 7, "i": None, "b_2": "again"}
    ]
    assert written(capfd, Format.TSV, names, rows).splitlines()[1] == "00ff\t1.50\t7\tinf\tagain"


@pytest.mark.parametrize("form", list(Format))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters()), name=st.text(st.characters(), max_size=5))
def test_nothing_is_printed_raw(
    capfd: pytest.CaptureFixture[str], form: Format, text: str, name: str
) -> None:
    out = written(capfd, form, (name, "n"), ((text, 1), ({"k": [text]}, None)))
    for line in out.splitlines():
        cells = line.split("\t") if form is Format.TSV else [line]
        assert all(visible(each) == each for each in cells)


@pytest.mark.parametrize("form", MACHINE)
def test_rows_are_written_as_they_come(monkeypatch: pytest.MonkeyPatch, form: Format) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)

    def rows() -> Iterator[tuple[str]]:
        for number in range(300):
            yield (f"row {number} of many",)
            if number > 100:  # a format may look at a hundred rows before it begins
                assert f"row {number} of many" in stream.getvalue()

    assert write_rows(("n",), rows(), form) == 300


@pytest.mark.parametrize("form", list(Format))
def test_an_error_before_the_first_row_leaves_stdout_empty(
    capfd: pytest.CaptureFixture[str], form: Format
) -> None:
    def rows() -> Iterator[tuple[int]]:
        raise UsageError("the statement cannot be run")
        yield (1,)

    with pytest.raises(UsageError):
        write_rows(("n",), rows(), form)
    assert capfd.readouterr().out == ""


def table(width: int, names: tuple[str, ...], rows: tuple[tuple[object, ...], ...]) -> list[str]:
    stream = io.StringIO()
    console = open_console(stream)
    console.width = width
    print_table(console, names, iter(rows))
    return stream.getvalue().splitlines()


def test_a_table_fits_the_width_and_aligns() -> None:
    rows = ((1, "猫" * 40, 0.5), (22, None, None), (333, "[b]x[/b] :cat:", 128.0))
    lines = table(40, ("id", "name", "rate"), rows)
    assert lines[0].split() == ["id", "name", "rate"]
    assert all(cell_len(line) <= 40 for line in lines)
    assert lines[1].startswith("  1  猫")
    assert "…" in lines[1]
    assert lines[2] == " 22  –                                 –"  # noqa: RUF001
    assert "[b]x[/b] :cat:" in lines[3]


def test_a_table_never_cuts_numbers_and_times() -> None:
    moment = datetime(2024, 5, 1, 10, 20, 30, tzinfo=UTC)
    lines = table(50, ("n", "at", "text"), ((123456789012345678, moment, "x" * 99),))
    assert "123,456,789,012,345,678" in lines[1]
    assert lines[1].endswith("  2024-05-01 10:20")


def test_a_table_is_for_a_person() -> None:
    moment = datetime(2024, 5, 1, 10, 20, 30, tzinfo=UTC)
    names = ("file_id", "unet_lr", "network_alpha", "model_tags", "fetched_at", "gone_at")
    row = (1234567, 0.00010000000000000002, 32.0, ["a", "b"], moment, "2024-05-01 10:20:30.5")
    (_, line) = table(120, names, (row,))
    assert line.replace("a, b", "a,b").replace(" 10:20", "_10:20").split() == [
        *("1234567", "1e-4", "32", "a,b", "2024-05-01_10:20", "2024-05-01_10:20")
    ]


def test_the_columns_that_fit_are_chosen_by_weight_and_keep_their_order() -> None:
    names = ("page_url", "empty", "network_dim", "other", "model_name", "last")
    rows = ((("x" * 90), None, 16, "y" * 9, "z" * 30, "w" * 8),)
    lines = table(50, names, rows)
    assert lines[0].split() == ["network_dim", "other", "model_name"]
    assert all(cell_len(line) <= 50 for line in lines)


def test_columns_that_were_asked_for_are_shown_even_if_they_do_not_fit() -> None:
    stream = io.StringIO()
    console = open_console(stream)
    console.width = 30
    names = tuple(f"column_{at}" for at in range(9))
    assert print_table(console, names, [tuple(range(9))], whole=True) == ()
    assert stream.getvalue().split()[:9] == [*names]


def test_columns_that_do_not_fit_are_named(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    names = tuple(f"column_{at}" for at in range(9))
    told: list[str] = []
    write_rows(names, [tuple(range(9))], Format.TABLE, tell=told.append)
    assert capfd.readouterr().out.split()[:4] == [*names[:4]]
    (text,) = told
    assert text.startswith(
        "5 columns do not fit: column_4, column_5, column_6, column_7 and column_8;"
    )


def test_expanded_is_one_field_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    out = written(capfd, Format.EXPANDED, ("file_id", "x"), ((1, "y" * 300), (2, None)))
    assert out == f"file_id  1\nx        {'y' * 300}\n\nfile_id  2\nx        –\n"  # noqa: RUF001


def test_a_table_of_more_rows_than_are_measured() -> None:
    rows = tuple((number, "x" * (number % 7)) for number in range(3_000))
    lines = table(20, ("n", "t"), rows)
    assert len(lines) == 3_001
    assert lines[-1].split()[0] == "2,999"


@pytest.mark.parametrize(
    ("form", "as_json", "safe_csv", "expected"),
    [
        (None, False, False, Format.TSV),
        (None, True, False, Format.JSON),
        (Format.JSON, True, False, Format.JSON),
        (None, False, True, Format.CSV),
        (Format.TSV, False, True, Format.TSV),
        (Format.TABLE, False, False, Format.TABLE),
    ],
)
def test_the_format_in_a_pipe(
    *,
    form: Format | None,
    as_json: bool,
    safe_csv: bool,
    expected: Format,
) -> None:
    assert chosen(form, json=as_json, safe_csv=safe_csv) is expected


def test_the_format_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert chosen(None, json=False, safe_csv=False) is Format.TABLE


@pytest.mark.parametrize(
    ("form", "as_json", "safe_csv"), [(Format.CSV, True, False), (Format.JSON, False, True)]
)
def test_contradictions_are_usage_errors(
    *,
    form: Format,
    as_json: bool,
    safe_csv: bool,
) -> None:
    with pytest.raises(UsageError, match="--"):
        chosen(form, json=as_json, safe_csv=safe_csv)


@pytest.mark.parametrize("form", list(Format))
def test_a_closed_pipe_ends_quietly(form: Format) -> None:
    program = (
        "import sys, typer\n"
        "from crawler.cli.output.rows import Format, write_rows\n"
        "try:\n"
        f"    write_rows(('n',), ((at,) for at in range(100_000)), Format({form.value!r}))\n"
        "except typer.Exit as end:\n"
        "    sys.exit(end.exit_code)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(timeout=60) == 141
    assert errors == b""


def test_machine_formats_are_utf_8_in_any_locale() -> None:
    program = (
        "from crawler.cli.output.rows import Format, write_rows\n"
        "write_rows(('n',), iter([('\\u732b',)]), Format.JSON)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout.decode()) == [{"n": "猫"}]
