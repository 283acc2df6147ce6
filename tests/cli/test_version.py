"""`lora-crawl --version`."""

from tests.cli.headers import Run


def test_the_version_is_one_line(run: Run) -> None:
    told = run("--version")

    assert told.exit_code == 0
    assert told.stdout.startswith("lora-crawl")
    assert told.stdout.count("\n") == 1
