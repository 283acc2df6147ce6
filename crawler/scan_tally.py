"""What a scan has done so far."""

import time
from collections import Counter
from dataclasses import dataclass, field

from crawler.model import LocalResult, Outcome

#: Sentences on files and folders in trouble that are kept to be told; the rest are only counted.
TOLD_SENTENCES = 20

#: Outcomes of a sound file.
SOUND = frozenset({Outcome.DECODED, Outcome.NO_METADATA})


@dataclass(slots=True)
class ScanTally:
    """Counts that grow while a scan runs; one display reads them, the scan adds to them.

    Attributes:
        folders: Folders that were listed.
        found: Safetensors files in them, and files that were named.
        to_read: Of these, new or changed ones; None while folders are still being listed.
        read: Of these, read so far.
        to_hash: Files that may be crawled ones, which only their bytes can tell.
        hashed: Of these, hashed so far.
        outcomes: Files by outcome: those that were left alone, and those that are stored.
        matched: Files that a crawl has met too, by what shows it.
        gone: Known files that have vanished since the last scan.
        unseen: Paths that could not be looked at.
        troubles: These, and files that were read and are not sound.
        sentences: The first of them in words.
        stopping: No new work is begun.
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
    troubles: int = 0
    sentences: list[str] = field(default_factory=list)
    stopping: bool = False
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since the scan began."""
        return time.monotonic() - self.started

    @property
    def left(self) -> int:
        """Files that are still to be read or hashed, as far as they are known."""
        return (self.to_read or 0) - self.read + self.to_hash - self.hashed

    @property
    def unsound(self) -> int:
        """Files that are no sound safetensors files, and paths that could not be looked at."""
        files = sum(count for outcome, count in self.outcomes.items() if outcome not in SOUND)
        return files + self.unseen

    def add_unseen(self, path: str, reason: str) -> None:
        """A path that could not be looked at."""
        self.unseen += 1
        self._tell(f"{path}: {reason}")

    def add_read(self, one: LocalResult) -> None:
        """A file that is stored now."""
        result = one.result
        self.outcomes[result.outcome] += 1
        if result.outcome not in SOUND:
            self._tell(f"{one.file.path}: {result.outcome}: {result.reason}")

    def summary(self) -> dict[str, object]:
        """For `crawls` and for `scan --json`."""
        return {
            "folders_listed": self.folders,
            "files_found": self.found,
            "files_read": self.read,
            "unchanged": self.unchanged,
            "outcomes": {outcome.value: count for outcome, count in sorted(self.outcomes.items())},
            "matched": dict(sorted(self.matched.items())),
            "gone": self.gone,
            "unseen_paths": self.unseen,
            "left": self.left,
            "seconds": round(self.seconds, 3),
        }

    def _tell(self, sentence: str) -> None:
        self.troubles += 1
        if len(self.sentences) < TOLD_SENTENCES:
            self.sentences.append(sentence)
