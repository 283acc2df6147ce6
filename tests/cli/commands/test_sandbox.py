"""`lora-crawl sandbox`: its faults by name, and what it prints."""

from dataclasses import fields
from typing import Any

import pytest

from crawler.cli.commands.sandbox import SWITCHES, with_switches
from crawler.errors import UsageError
from crawler.sandbox import Catalogue, Faults, Sandbox
from tests.cli.headers import Run


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Catalogue]:
    """What the command serves; an interrupt ends it at once."""
    seen: list[Catalogue] = []
    begin = Sandbox.__init__

    def note(self: Sandbox, catalogue: Catalogue, **options: Any) -> None:
        seen.append(catalogue)
        begin(self, catalogue, **options)

    def interrupted(_self: Sandbox) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Sandbox, "__init__", note)
    monkeypatch.setattr(Sandbox, "wait", interrupted)
    return seen


@pytest.mark.parametrize(
    ("words", "faults"),
    [
        ((), Faults.mild()),
        (("--faults", "none"), Faults.plain()),
        (("--faults", "full"), Faults.full()),
        (("--faults", "none", "--fault", "busy=0.25", "--fault", "quota=3"), Faults(busy=0.25, quota=3)),
        (("--faults", "none", "--fault", "region-blocked=true"), Faults(region_blocked=True)),
    ],
)  # fmt: skip
def test_it_serves_what_was_asked_for(
    run: Run, served: list[Catalogue], words: tuple[str, ...], faults: Faults
) -> None:
    result = run("sandbox", "--size", "5", "--port", "0", *words)

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("http://127.0.0.1:")
    assert f"try: lora-crawl sync --api-url {result.stdout.strip()} --rate 0" in result.stderr
    assert result.stderr.endswith("0 list calls, 0 counted downloads\n")
    assert [(len(it.models), it.faults) for it in served] == [(5, faults)]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("busi=1", "did you mean busy"),
        ("busy", "needs a value"),
        ("busy=2", "cannot be '2'"),
        ("busy=nan", "cannot be"),
        ("busy=often", "cannot be 'often'"),
        ("busy=none", "cannot be 'none'"),
        ("quota=-1", "cannot be"),
        ("quota=1.5", "cannot be"),
        ("region_blocked=maybe", "cannot be"),
        ("stall_seconds=99999", "cannot be"),
        ("=1", "there is no fault"),
    ],
)
def test_nonsense_is_refused_in_words(setting: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        with_switches(Faults(), [setting])


def test_a_switch_changes_one_fault_of_the_mix() -> None:
    faults = with_switches(Faults.mild(), ["gone=0", "quota=none", "stall-seconds=2.5"])
    assert (faults.gone, faults.quota, faults.stall_seconds) == (0.0, None, 2.5)
    assert faults.mature_only == Faults.mild().mature_only
    assert with_switches(faults, []) == faults


def test_help_names_every_switch(run: Run) -> None:
    assert [field.name for field in fields(Faults)] == list(SWITCHES)
    told = run("sandbox", "--help").output
    assert all(name in told for name in SWITCHES)
