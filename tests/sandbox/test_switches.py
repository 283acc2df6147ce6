"""Faults by name: on the command line, and in its help."""

from dataclasses import fields
from typing import Any

import pytest
from typer.testing import CliRunner

import crawler.sandbox
from crawler.cli.app import app
from crawler.cli.commands.sandbox import SWITCHES
from crawler.errors import UsageError
from crawler.sandbox import Catalogue, Faults
from crawler.sandbox.switches import switched


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the command would have served: it returns at once."""
    seen: list[Any] = []
    real = crawler.sandbox.serve_forever

    def serve(stock: Any, announce: Any, **options: Any) -> Any:
        seen.append((stock, options))
        monkeypatch.setattr(crawler.sandbox.Sandbox, "wait", lambda _: None)
        return real(stock, announce, **options)

    monkeypatch.setattr(crawler.sandbox, "serve_forever", serve)
    return seen


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["sandbox", "--size", "5", "--port", "0", *words])


@pytest.mark.parametrize(
    ("words", "faults"),
    [
        ((), Faults.mild()),
        (("--faults", "none"), Faults.plain()),
        (("--faults", "full"), Faults.full()),
        (("--faults", "none", "--fault", "busy=0.25", "--fault", "quota=3"), Faults(busy=0.25, quota=3)),
        (("--faults", "none", "--fault", "agent-rules=true"), Faults(agent_rules=True)),
    ],
)  # fmt: skip
def test_the_command_serves_what_was_asked_for(
    served: list[Any], words: tuple[str, ...], faults: Faults
) -> None:
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("http://127.0.0.1:")
    (stock, _options) = served[0]
    assert isinstance(stock, Catalogue)
    assert (len(stock), stock.faults) == (5, faults)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("busi=1", "did you mean busy"),
        ("busy", "needs a value"),
        ("busy=2", "cannot be '2'"),
        ("busy=-0.1", "cannot be"),
        ("busy=nan", "cannot be"),
        ("busy=often", "cannot be 'often'"),
        ("busy=none", "cannot be 'none'"),
        ("quota=-1", "cannot be"),
        ("quota=1.5", "cannot be"),
        ("agent_rules=maybe", "cannot be"),
        ("stall_seconds=99999", "cannot be"),
        ("=1", "there is no fault"),
    ],
)
def test_nonsense_is_refused_in_words(setting: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        switched(Faults(), [setting])


def test_a_mix_is_what_stands_where_nothing_is_said() -> None:
    faults = switched(Faults.mild(), ["gone=0", "quota=none", "stall-seconds=2.5"])
    assert faults.gone == 0.0
    assert faults.quota is None
    assert faults.stall_seconds == 2.5
    assert faults.mature_only == Faults.mild().mature_only
    assert switched(faults, []) == faults


def test_help_names_every_switch() -> None:
    assert [field.name for field in fields(Faults)] == list(SWITCHES)
    told = CliRunner().invoke(app, ["sandbox", "--help"]).output
    assert all(name in told for name in SWITCHES)
