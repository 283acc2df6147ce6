"""Print outcomes: the number of files with each, and what to do about them."""

from collections.abc import Iterator, Mapping

from crawler.answers.text import number, share
from crawler.model import Outcome
from crawler.model.outcome import READ

_RETRY = "retry with lora-crawl sync --retry-failed"

#: What to do about each outcome of a file that was not read.
REMEDIES: Mapping[str, str] = {
    Outcome.PENDING: "read by the next lora-crawl sync",
    Outcome.NOT_SAFETENSORS: "only safetensors files can be read",
    Outcome.BAD_HEADER: "no program can load this file",
    Outcome.LOGIN_REQUIRED: "run lora-crawl login, then sync again",
    Outcome.EARLY_ACCESS: "read when early access ends",
    Outcome.DOWNLOADS_DISABLED: _RETRY,
    Outcome.FORBIDDEN: _RETRY,
    Outcome.NOT_FOUND: _RETRY,
    Outcome.ARCHIVED: _RETRY,
    Outcome.FAILED: _RETRY,
}

#: The same for the catalogue of `sync --sandbox`, which takes no API key.
SANDBOX_REMEDIES: Mapping[str, str] = {
    **{
        outcome: said.replace("lora-crawl sync", "lora-crawl sync --sandbox")
        for outcome, said in REMEDIES.items()
    },
    Outcome.LOGIN_REQUIRED: "a real file like this needs an API key",
}

#: The same where a fleet reads the pending files.
FLEET_REMEDIES: Mapping[str, str] = {**REMEDIES, Outcome.PENDING: "read by lora-crawl worker"}


def in_order(outcomes: Mapping[Outcome, int]) -> list[tuple[Outcome, int]]:
    """The counts of files that were read first, then the largest first."""
    return sorted(outcomes.items(), key=lambda pair: (pair[0] not in READ, -pair[1]))


def outcome_lines(
    outcomes: Mapping[Outcome, int], remarks: Mapping[str, str]
) -> Iterator[tuple[Outcome, str]]:
    """A line for each outcome: its name, count, share of all files, and remark if any."""
    total = sum(outcomes.values())
    width = max((len(number(files)) for files in outcomes.values()), default=0)
    for outcome, files in in_order(outcomes):
        name = spoken(outcome)
        line = f"  {name:18} {number(files):>{width}}  {share(files / total):>4}"
        yield outcome, f"{line}  {remarks.get(outcome, '')}".rstrip()


def spoken(outcome: Outcome) -> str:
    """`login required`."""
    return outcome.value.replace("_", " ")
