"""Values of options that pydantic need not convert, and those that it must refuse."""

import pytest

from tests.cli.headers import Run
from tests.cli.test_start import start
from tests.conftest import ON_SQLITE


@ON_SQLITE
@pytest.mark.parametrize(
    ("words", "rows"),
    [
        (["--limit", "2"], 2),
        (["--limit", "0"], 8),
        (["network_dim>=32", "network_dim<=32"], 2),
        (["--limit", "1_0"], 8),
        (["--timeout", "9"], 8),
        (["--timeout", "9.5"], 8),
        (["--timeout", "1e2"], 8),
        (["-vv"], 8),
    ],
)
def test_plain_values_are_converted(run: Run, database: str, words: list[str], rows: int) -> None:
    told = run("query", *words, "--format", "csv", "--db", database)

    assert told.exit_code == 0
    assert len(told.stdout.splitlines()) == rows + 1


@ON_SQLITE
@pytest.mark.parametrize(
    "words",
    [
        ["--limit", "-1"],
        ["--limit", "two"],
        ["--limit", "9" * 5000],
        ["--limit", "٣٤x"],
        ["--format", "html"],
        ["--timeout", "-1"],
    ],
)
def test_other_values_are_refused_by_name(run: Run, database: str, words: list[str]) -> None:
    told = run("query", *words, "--db", database)

    assert told.exit_code == 2
    assert words[0] in told.stderr


def test_a_port_beyond_the_largest_is_refused(run: Run) -> None:
    told = run("sandbox", "--port", "70000")

    assert told.exit_code == 2
    assert "--port" in told.stderr


@ON_SQLITE
def test_plain_values_of_the_environment_need_no_pydantic(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORA_CRAWL_DB", database)
    output, imported = start(
        "query", "-q", "--limit", "3", "network_dim>1", "--sort", "likes", "--timeout", "60"
    )

    assert output
    assert "pydantic" not in imported
