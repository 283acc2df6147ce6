"""The progress of a sync, a scan or a redecode.

Each work adds to its tally while it runs. The display reads the tally, the closing summary prints it.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from crawler.model import Fetched, Outcome, Result
from crawler.model.outcome import READ
from crawler.store.write.catalogue import Stored
from crawler.store.write.removed_models import Marked

#: Sentences about troubles that are kept and printed. Further troubles are only counted.
KEPT_SENTENCES = 20

#: Said of what a list lost, but is not marked as gone.
NOT_CREDIBLE = (
    "That is too many to be credible, so none was marked as gone. Check the site, then run"
    " sync --refresh."
)


@dataclass(slots=True)
class Tally:
    """The part that all three kinds of work share.

    Attributes:
        troubles: Things that could not be read and were skipped.
        sentences: The first of the troubles in words, KEPT_SENTENCES at most.
        stopping: The user asked to stop; no new work begins.
        started: When the work began, on the monotonic clock.
    """

    troubles: int = 0
    sentences: list[str] = field(default_factory=list)
    stopping: bool = False
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds since the work began."""
        return time.monotonic() - self.started

    def add_troubles(self, sentences: Iterable[str]) -> None:
        """Count troubles, and keep the first sentences."""
        for sentence in sentences:
            self.troubles += 1
            if len(self.sentences) < KEPT_SENTENCES:
                self.sentences.append(sentence)


@dataclass(slots=True)
class SyncTally(Tally):
    """A sync. Its troubles are list items without a usable id, and ids that the site does not have.

    Attributes:
        limit: How many models this run is to list; None for all.
        models: Distinct models listed in this run, known before or not.
        replaced: Known files that the site now lists with other bytes.
        reopened: Known files that were not read, and are pending again in another version.
        gone_models: Models marked as no longer listed.
        doubted_files: Files that are no longer listed, but too many to be credible.
        same_content: Files whose header was copied from another file with the same bytes.
        list_calls: Requests to the list.
        outcomes: Files that ended in this run, by outcome.
        pending: Files of this walk still to read; exact when the run is over.
        listing: The list is still being read.
        counted_downloads: Downloads that the site counted.
        bytes_read: From storage hosts.
        notices: Other sentences for the user.
        enqueued: Files that were put on the queue of a fleet; None without one.
        is_worker: It lists nothing, and `pending` is what it could not end.
        waiting: What a worker waits for, in words; empty while it works.
        tell: Called with each file that ends in this run.
    """

    limit: int | None = None
    models: int = 0
    new_files: int = 0
    replaced: int = 0
    reopened: int = 0
    gone_models: int = 0
    gone_versions: int = 0
    gone_files: int = 0
    doubted_files: int = 0
    same_content: int = 0
    list_calls: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    pending: int = 0
    listing: bool = True
    counted_downloads: int = 0
    storage_requests: int = 0
    bytes_read: int = 0
    notices: list[str] = field(default_factory=list)
    enqueued: int | None = None
    is_worker: bool = False
    waiting: str = ""
    tell: Callable[[Result], None] | None = None

    @property
    def files(self) -> int:
        """Files that ended in this run."""
        return self.outcomes.total()

    @property
    def headers(self) -> int:
        """Sound headers read in this run."""
        return sum(self.outcomes[outcome] for outcome in READ)

    def add_cost(self, fetched: Fetched) -> None:
        """Add what fetching a file cost, successful or not."""
        self.counted_downloads += fetched.counted_downloads
        self.storage_requests += fetched.storage_requests
        self.bytes_read += fetched.bytes_read

    def add_results(self, results: Iterable[Result], settled: Iterable[Outcome]) -> None:
        """Add files that are stored now, and files whose failure has become final.

        A file that is still pending is not counted.
        """
        stored = [result for result in results if not result.provisional]
        if self.tell is not None:
            for result in stored:
                self.tell(result)
        ended = Counter(result.outcome for result in stored)
        ended.update(settled)
        del ended[Outcome.PENDING]
        self.outcomes += ended
        self.same_content += sum(result.attempts == 0 for result in stored)
        self.pending = max(self.pending - ended.total(), 0)

    def add_listed(self, stored: Stored) -> None:
        """Add the files of a page: new ones by their first outcome, and those pending again."""
        new = stored.new
        self.new_files += new.total()
        self.replaced += stored.replaced
        self.reopened += stored.reopened
        self.pending += new[Outcome.PENDING] + stored.replaced + stored.reopened
        self.outcomes += new - Counter({Outcome.PENDING: new[Outcome.PENDING]})
        self.gone_files += stored.dropped
        self.doubted_files += stored.doubted

    def add_gone(self, marked: Marked) -> None:
        """Add what a complete pass did not list again."""
        missing = marked.missing
        if marked.believed:
            self.gone_models += missing.models
            self.gone_versions += missing.versions
            self.gone_files += missing.files
            return
        self.notices.append(
            f"{missing.models} known models, {missing.versions} versions and {missing.files} files are"
            f" no longer listed. {NOT_CREDIBLE}"
        )

    def summary(self) -> dict[str, object]:
        """The counts by name, for `crawls.summary` and `sync --json`."""
        return {
            "models_listed": self.models,
            "new_files": self.new_files,
            "replaced_files": self.replaced,
            "reopened_files": self.reopened,
            "gone_models": self.gone_models,
            "gone_versions": self.gone_versions,
            "gone_files": self.gone_files,
            "list_calls": self.list_calls,
            "files_ended": self.files,
            "headers_read": self.headers,
            "outcomes": _by_name(self.outcomes),
            "pending": self.pending,
            **({} if self.enqueued is None else {"enqueued": self.enqueued}),
            "same_content": self.same_content,
            "counted_downloads": self.counted_downloads,
            "storage_requests": self.storage_requests,
            "bytes_read": self.bytes_read,
            "unreadable_items": self.troubles,
            "notices": list(self.notices),
            "seconds": round(self.seconds, 3),
        }


@dataclass(slots=True)
class ScanTally(Tally):
    """A scan of local files. Its troubles are paths it could not open, and files that are not sound.

    Attributes:
        folders: Folders listed.
        found: Safetensors files in them, and files named by the user.
        to_read: Of these, new or changed files; None while folders are still being listed.
        read: Of these, read so far.
        to_hash: Files that only their SHA-256 can match to a crawled file.
        hashed: Of these, hashed so far.
        outcomes: Unchanged and stored files, by outcome.
        matched: Files that match a crawled file, by the kind of proof.
        gone: Known files that no longer exist.
        unseen: Paths that could not be opened.
    """

    folders: int = 0
    found: int = 0
    to_read: int | None = None
    read: int = 0
    unchanged: int = 0
    to_hash: int = 0
    hashed: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    matched: Counter[str] = field(default_factory=Counter)
    gone: int = 0
    unseen: int = 0

    @property
    def left(self) -> int:
        """Known files still to be read or hashed."""
        return (self.to_read or 0) - self.read + self.to_hash - self.hashed

    @property
    def unsound(self) -> int:
        """Files that are not sound safetensors files, and paths that could not be opened."""
        files = sum(count for outcome, count in self.outcomes.items() if outcome not in READ)
        return files + self.unseen

    def summary(self) -> dict[str, object]:
        """The counts by name, for `crawls.summary` and `scan --json`."""
        return {
            "folders_listed": self.folders,
            "files_found": self.found,
            "files_read": self.read,
            "unchanged": self.unchanged,
            "outcomes": _by_name(self.outcomes),
            "matched": dict(sorted(self.matched.items())),
            "gone": self.gone,
            "unseen_paths": self.unseen,
            "left": self.left,
            "seconds": round(self.seconds, 3),
        }


@dataclass(slots=True)
class RedecodeTally(Tally):
    """A redecode. Its troubles are damaged headers.

    Attributes:
        total: Headers to decode in this run.
        done: Of these, decoded and stored.
        changed: Files whose outcome changed, by old and new outcome.
    """

    total: int = 0
    done: int = 0
    changed: Counter[tuple[Outcome, Outcome]] = field(default_factory=Counter)

    @property
    def left(self) -> int:
        """Headers still to be decoded, without the damaged ones."""
        return self.total - self.done - self.troubles

    def summary(self) -> dict[str, object]:
        """The counts by name, for `redecode --json`."""
        return {
            "headers": self.total,
            "decoded_again": self.done,
            "changed": [
                {"from": old.value, "to": new.value, "files": files}
                for (old, new), files in sorted(self.changed.items())
            ],
            "damaged": self.troubles,
            "left": self.left,
            "seconds": round(self.seconds, 3),
        }


def _by_name(outcomes: Counter[Outcome]) -> dict[str, int]:
    return {outcome.value: count for outcome, count in sorted(outcomes.items())}


@dataclass(slots=True)
class ImportTally(Tally):
    """An import. Its troubles are rows that were left out.

    Attributes:
        total: Rows of the source; 0 while unknown.
        done: Of these, read.
        new: Rows that were not there before, by table.
        changed: Rows that the source saw later, by table.
        to_read: Files whose header is to be taken over.
        outcomes: Of these, those that were stored, by outcome.
    """

    total: int = 0
    done: int = 0
    new: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    to_read: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)

    @property
    def headers(self) -> int:
        """Headers that were taken over."""
        return self.outcomes.total()

    def summary(self) -> dict[str, object]:
        """The counts by name, for `crawls.summary` and `import --json`."""
        return {
            "new": dict(self.new),
            "changed": dict(self.changed),
            "headers_imported": self.headers,
            "outcomes": _by_name(self.outcomes),
            "left_out": self.troubles,
            "seconds": round(self.seconds, 3),
        }
