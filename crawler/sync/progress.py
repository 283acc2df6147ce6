"""What a crawl has done so far."""

import time
from collections import Counter
from dataclasses import dataclass, field

from crawler.model import Fetched, Outcome, Result
from crawler.model.outcome import READ

#: Sentences about unreadable items that are kept to be told; the rest are only counted.
TOLD_SENTENCES = 20


@dataclass(slots=True)
class Tally:
    """Counts that grow while a crawl runs; one display reads them, the stages add to them.

    Attributes:
        models: Distinct models listed in this run, known before or not.
        limit: How many models this run is to list, None for all.
        replaced: Known files that the site lists with other bytes.
        gone: Models that the site does not have any more.
        same_content: Files whose header was taken from another one with the same bytes.
        outcomes: Files that ended in this run, by outcome.
        pending: Files of this walk that are still to be read; exact when the crawl is over.
        counted_downloads: Downloads that the site counted.
        bytes_read: From storage hosts.
        unreadable: Items of lists that had no usable id, or ids the site does not have.
        sentences: The first of them in words.
        notices: What else a person should know, in sentences.
        stopping: No new work is begun.
    """

    limit: int | None = None
    models: int = 0
    new_files: int = 0
    replaced: int = 0
    gone: int = 0
    same_content: int = 0
    list_calls: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    pending: int = 0
    listing: bool = True
    counted_downloads: int = 0
    storage_requests: int = 0
    bytes_read: int = 0
    unreadable: int = 0
    sentences: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    stopping: bool = False
    started: float = field(default_factory=time.monotonic)

    @property
    def files(self) -> int:
        """Files that ended in this run."""
        return self.outcomes.total()

    @property
    def headers(self) -> int:
        """Sound headers that were read."""
        return sum(self.outcomes[outcome] for outcome in READ)

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
        self.counted_downloads += fetched.counted_downloads
        self.storage_requests += fetched.storage_requests
        self.bytes_read += fetched.bytes_read

    def add_results(self, results: list[Result]) -> None:
        """Files that are stored now; one that was put off has not ended."""
        ended = [result for result in results if result.outcome is not Outcome.PENDING]
        self.outcomes.update(result.outcome for result in ended)
        self.same_content += sum(result.attempts == 0 for result in ended)
        self.pending = max(self.pending - len(ended), 0)

    def add_listed(self, new: Counter[Outcome], replaced: int) -> None:
        """Files that a page brought: new ones by the outcome that they begin with, and others."""
        self.new_files += new.total()
        self.replaced += replaced
        self.pending += new[Outcome.PENDING] + replaced
        self.outcomes += new - Counter({Outcome.PENDING: new[Outcome.PENDING]})

    def add_gone(self, models: int, *, believed: bool) -> None:
        """Models that the site does not have any more, and whether that was stored."""
        if believed:
            self.gone += models
            return
        self.notices.append(
            f"{models} known models were not listed any more, too many to be true: none was marked"
            " as gone. Look at the site, then run sync --refresh."
        )

    def summary(self) -> dict[str, object]:
        """For `crawls` and for `sync --json`."""
        return {
            "models_listed": self.models,
            "new_files": self.new_files,
            "replaced_files": self.replaced,
            "gone_models": self.gone,
            "list_calls": self.list_calls,
            "files_ended": self.files,
            "headers_read": self.headers,
            "outcomes": {outcome.value: count for outcome, count in sorted(self.outcomes.items())},
            "pending": self.pending,
            "same_content": self.same_content,
            "counted_downloads": self.counted_downloads,
            "storage_requests": self.storage_requests,
            "bytes_read": self.bytes_read,
            "unreadable_items": self.unreadable,
            "notices": list(self.notices),
            "seconds": round(self.seconds, 3),
        }
