"""What a crawl has done so far."""

import time
from collections import Counter
from dataclasses import dataclass, field

from crawler.model import Fetched, Outcome, Result

#: Sentences about unreadable items that are kept to be told; the rest are only counted.
TOLD_SENTENCES = 20


@dataclass(slots=True)
class Tally:
    """Counts that grow while a crawl runs; one display reads them, the stages add to them.

    Attributes:
        models: Distinct models listed in this run, known before or not.
        limit: How many models this run is to list, None for all.
        outcomes: Files that ended in this run, by outcome.
        pending: Files of this walk that are still to be read; exact when the crawl is over.
        counted: Downloads that the site counted.
        bytes_read: From storage hosts.
        unreadable: Items of lists that had no usable id, or ids the site does not have.
        sentences: The first of them in words.
        stopping: No new work is begun.
    """

    limit: int | None = None
    models: int = 0
    new_files: int = 0
    list_calls: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    pending: int = 0
    listing: bool = True
    counted: int = 0
    storage_requests: int = 0
    bytes_read: int = 0
    unreadable: int = 0
    sentences: list[str] = field(default_factory=list)
    stopping: bool = False
    started: float = field(default_factory=time.monotonic)

    @property
    def files(self) -> int:
        """Files that ended in this run."""
        return self.outcomes.total()

    @property
    def headers(self) -> int:
        """Sound headers that were read."""
        return self.outcomes[Outcome.DECODED] + self.outcomes[Outcome.NO_METADATA]

    @property
    def seconds(self) -> float:
        """Since the crawl began."""
        return time.monotonic() - self.started

    def add_unreadable(self, sentences: tuple[str, ...]) -> None:
        """Count them, and keep the first few to be told."""
        self.unreadable += len(sentences)
        self.sentences += sentences[: TOLD_SENTENCES - len(self.sentences)]

    def add_cost(self, fetched: Fetched) -> None:
        """What fetching a file cost, whether or not anything came of it."""
        self.counted += fetched.counted
        self.storage_requests += fetched.storage_requests
        self.bytes_read += fetched.bytes_read

    def add_results(self, results: list[Result]) -> None:
        """Files that are stored now."""
        self.outcomes.update(result.outcome for result in results)
        self.pending = max(self.pending - len(results), 0)

    def add_new(self, files: Counter[Outcome]) -> None:
        """Files that were listed for the first time, by the outcome that they begin with."""
        self.new_files += files.total()
        self.pending += files[Outcome.PENDING]
        self.outcomes += files - Counter({Outcome.PENDING: files[Outcome.PENDING]})

    def summary(self) -> dict[str, object]:
        """For `crawls` and for `sync --json`."""
        return {
            "models_listed": self.models,
            "new_files": self.new_files,
            "list_calls": self.list_calls,
            "files_ended": self.files,
            "headers_read": self.headers,
            "outcomes": {outcome.value: count for outcome, count in sorted(self.outcomes.items())},
            "pending": self.pending,
            "counted_downloads": self.counted,
            "storage_requests": self.storage_requests,
            "bytes_read": self.bytes_read,
            "unreadable_items": self.unreadable,
            "seconds": round(self.seconds, 3),
        }
