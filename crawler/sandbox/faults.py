"""Deliberate faults: the switches, which requests they affect, and the counters of a sandbox."""

from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random
from typing import Annotated, Self

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=3600)]  # a stall of an hour is long enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often each fault occurs, from 0 (never, the default) to 1 (always).

    The switches up to `giant_body` describe the catalogue and are the same at every try. The others
    affect single requests.
    """

    mature_only: Share = 0.0  # models that the ordinary maturity pass hides
    minor: Share = 0.0  # models that only the ordinary maturity pass shows
    unlisted: Share = 0.0  # models that a page lacks after it was cut: short pages
    unlisted_run: Count = 0  # this many unlisted models in a row after the tied ones: empty pages
    tied_run: Count = 1  # this many of the oldest models share one time
    odd_name: Share = 0.0  # versions whose file names have non-ASCII text, quotes, percent signs
    training_data: Share = 0.0  # versions with a zip of training data beside the weights
    pickle: Share = 0.0  # versions with a `.pt` file in place of a `.safetensors` file
    login_required: Share = 0.0  # versions that need an API key
    early_access: Share = 0.0  # versions that must be bought until a date
    downloads_disabled: Share = 0.0  # versions that can only be used on the site
    forbidden: Share = 0.0  # versions refused even with an API key; without one they ask for it
    gone: Share = 0.0  # versions whose files are listed and not found
    archived: Share = 0.0  # versions that are listed and archived
    no_metadata: Share = 0.0  # files whose header contains no training metadata
    other_format: Share = 0.0  # `.safetensors` files that are a web page, a zip, a Git LFS pointer
    bad_header: Share = 0.0  # files whose header the safetensors library refuses
    huge_header: Share = 0.0  # files with a sound header of 40 MiB
    giant_body: Share = 0.0  # files with an ordinary header and 24 GiB of weights
    busy: Share = 0.0  # API requests that answer 503 with `Retry-After`
    server_error: Share = 0.0  # API requests that answer 500, 502 or 504
    html_reply: Share = 0.0  # API requests that answer 200 with a web page
    edge_block: Share = 0.0  # API requests that a firewall answers with 403
    lost_file: Share = 0.0  # download requests that answer 404 although the file is there
    whole_file: Share = 0.0  # storage requests with a Range that get 200 and the whole file
    cut_body: Share = 0.0  # storage replies that end in the middle
    stall: Share = 0.0  # storage replies that pause in the middle, then end
    stall_seconds: Seconds = 30.0  # length of that pause
    storage_busy: Share = 0.0  # storage requests that answer 503
    storage_forbidden: Share = 0.0  # storage requests that answer 403 although the link is good
    expired_link: Share = 0.0  # storage requests that call the link too old
    most_strikes: Count | None = None  # most failures of one list URL or file; None for no limit
    quota: Count | None = (
        None  # counted downloads after which all others get 429; None for no limit
    )
    region_blocked: bool = False  # whether every API request answers 451

    @classmethod
    def plain(cls) -> Self:
        """Every model is in both maturity passes, every file is decoded, the network is sound."""
        return cls()

    @classmethod
    def mild(cls) -> Self:
        """About what the real catalogue has, on a sound network."""
        return cls(
            mature_only=0.3, minor=0.02, unlisted=0.01, odd_name=0.005,
            training_data=0.02, pickle=0.01, login_required=0.02, early_access=0.005,
            downloads_disabled=0.01, forbidden=0.001, gone=0.003, archived=0.002, no_metadata=0.08,
            other_format=0.003, bad_header=0.002,
        )  # fmt: skip

    @classmethod
    def full(cls) -> Self:
        """Everything that a crawl must survive, except what ends a run: `quota`, `region_blocked`.

        One list URL or one file fails at most twice, so a third try succeeds. More models share one
        time than a page of the list holds.
        """
        return replace(
            cls.mild(),
            unlisted=0.03, unlisted_run=250, tied_run=130, odd_name=0.03,
            early_access=0.02, forbidden=0.01, gone=0.02, archived=0.01, other_format=0.03,
            bad_header=0.02, huge_header=0.002, giant_body=0.01, busy=0.02, server_error=0.03,
            html_reply=0.001, edge_block=0.0005, lost_file=0.02, whole_file=0.05, cut_body=0.02,
            stall=0.005, stall_seconds=0.2, storage_busy=0.01, storage_forbidden=0.01,
            expired_link=0.01, most_strikes=2,
        )  # fmt: skip


@dataclass(slots=True)
class Counters:
    """Counts of the requests to a sandbox. Only its own thread writes; others read a `copy`."""

    api_requests: int = 0  # to the API host
    lists: int = 0  # pages of the list among them
    resolutions: int = 0  # requests for a file among them, granted or refused
    counted: Counter[int] = field(default_factory=Counter)  # links handed out, by file id
    storage_requests: int = 0  # to the storage host
    bytes_sent: int = 0  # by the storage host; up to a MiB of them may be unread
    most_sent: int = 0  # in one reply
    key_leaks: int = 0  # storage requests with an `Authorization` header or the API key
    injected: Counter[str] = field(default_factory=Counter)  # answers that each fault changed

    @property
    def downloads(self) -> int:
        """Counted downloads of all files."""
        return self.counted.total()

    def copy(self) -> "Counters":
        """The counts as they are now."""
        return replace(self, counted=self.counted.copy(), injected=self.injected.copy())


class FaultSchedule:
    """Which requests a fault affects: a function of the seed, the subject and the number of tries.

    The same requests get the same faults, in any order. A subject is what a request asks for: a file by
    its id, or any other URL.
    """

    def __init__(self, seed: int, faults: Faults, injected: Counter[str]) -> None:
        self.faults = faults
        self._seed = seed
        self._injected = injected
        self._tries: Counter[tuple[str, str]] = Counter()
        self._failures: Counter[str] = Counter()
        self._renewed: set[str] = set()

    def happens(self, fault: str, subject: str) -> bool:
        """Whether the fault affects this request."""
        share: float = getattr(self.faults, fault)
        if not share:
            return False
        self._tries[fault, subject] += 1
        place = f"{self._seed}/{fault}/{subject}/{self._tries[fault, subject]}"
        struck = Random(place).random() < share  # noqa: S311
        if struck:
            self._injected[fault] += 1
        return struck

    def fails(self, fault: str, subject: str) -> bool:
        """As `happens`, for a failure that a retry can solve: at most `most_strikes` of them."""
        most = self.faults.most_strikes
        struck = (most is None or self._failures[subject] < most) and self.happens(fault, subject)
        self._failures[subject] += struck
        return struck

    def spoils_link(self, fault: str, subject: str) -> bool:
        """As `fails`, for a failure that only a new link solves: once for each subject."""
        struck = subject not in self._renewed and self.fails(fault, subject)
        if struck:
            self._renewed.add(subject)
        return struck

    def refused(self, fault: str, subject: str) -> None:
        """Record a final refusal: with `most_strikes` the subject never fails in another way.

        Otherwise a client that retries after a 404 could end with another failure.
        """
        self._injected[fault] += 1
        self._failures[subject] += self.faults.most_strikes or 0
