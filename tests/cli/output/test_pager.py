"""Answers that are longer than the terminal."""

import sys
from shlex import quote

import pytest
import typer

from crawler.cli.output.console import answers

#: A pager that says how much it was given.
COUNTING = "import os, sys; print(len(sys.stdin.readlines()), os.environ['LESS'])"


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of ten lines whose pager is COUNTING."""
    monkeypatch.setenv("LINES", "10")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("LESS", raising=False)
    monkeypatch.setenv("PAGER", f"{quote(sys.executable)} -c {quote(COUNTING)}")


def printed(
    monkeypatch: pytest.MonkeyPatch, lines: int, *, machine: bool = False, pager: bool = True
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with answers(machine=machine, pager=pager) as stream:
        for number in range(lines):
            stream.write(f"{number}\n")


def test_a_long_answer_goes_through_the_pager(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed(monkeypatch, 40)
    assert capfd.readouterr().out == "40 FRSX\n"


def test_a_short_answer_is_printed(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed(monkeypatch, 9)
    assert len(capfd.readouterr().out.splitlines()) == 9


@pytest.mark.parametrize(
    ("name", "value"),
    [("PAGER", "cat"), ("PAGER", ""), ("PAGER", "no-such-pager"), ("TERM", "dumb")],
)
def test_without_a_pager(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    printed(monkeypatch, 40)
    assert len(capfd.readouterr().out.splitlines()) == 40


def test_programs_and_no_pager_get_no_pager(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed(monkeypatch, 40, pager=False)
    printed(monkeypatch, 40, machine=True)
    assert len(capfd.readouterr().out.splitlines()) == 80


def test_closing_the_pager_early_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", f"{quote(sys.executable)} -c pass")
    with pytest.raises(typer.Exit) as ended:
        printed(monkeypatch, 200_000)
    assert ended.value.exit_code == 0
