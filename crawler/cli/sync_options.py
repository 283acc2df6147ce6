"""One call of `sync`: what it was asked for, and how it ended."""

from dataclasses import dataclass

from crawler.cli.output.console import Voice
from crawler.errors import StoppedError
from crawler.sync.plan import Plan
from crawler.sync.progress import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One call of `sync`.

    Attributes:
        where: The database.
        api_url: None means a sandbox, started for this run.
        rate: Requests a second to the API, 0 = no limit.
        max_header: Longest header that is fetched, in bytes.
    """

    plan: Plan
    where: str
    api_url: str | None
    key: str | None
    rate: float
    storage_hosts: tuple[str, ...]
    max_header: int
    as_json: bool
    voice: Voice


@dataclass(frozen=True, slots=True)
class Finished:
    """How a crawl ended.

    Attributes:
        trouble: Why it stopped early, None when it did not.
        interrupted: By Ctrl-C or a termination signal.
    """

    tally: Tally
    trouble: StoppedError | None
    interrupted: bool
