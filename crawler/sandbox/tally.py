"""What the sandbox saw, counted."""

import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """A picture of the counts at one moment.

    Attributes:
        api_requests: All requests to the API host.
        lists: Pages of the list among them.
        models: Single models and versions among them.
        resolutions: Requests for a file among them, granted or not.
        counted: By file id: how often a link was handed out, which the real site counts as a download.
        storage_requests: Requests to the storage host.
        bytes_sent: Body bytes that the storage host sent; what a client left unread counts as far as
            it was on its way, up to about a MiB.
        most_sent: The most of them in one reply.
        key_leaks: Requests to the storage host with an `Authorization` header or the API key in the URL.
        most_in_a_second: The most API requests that any span of one second saw.
        injected: By the name of a switch: how often it spoiled, or bent, an answer. Refusals and
            strange bodies count each time they are handed out, `unlisted` each model that a page
            lost.
    """

    api_requests: int
    lists: int
    models: int
    resolutions: int
    counted: Mapping[int, int]
    storage_requests: int
    bytes_sent: int
    most_sent: int
    key_leaks: int
    most_in_a_second: int
    injected: Mapping[str, int]

    @property
    def downloads(self) -> int:
        """Counted downloads of all files."""
        return sum(self.counted.values())


class Tally:
    """Counts while the server runs; read from other threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[str] = Counter()
        self._files: Counter[int] = Counter()
        self._injected: Counter[str] = Counter()
        self._last_second: deque[float] = deque()
        self._most_in_a_second = 0
        self._most_sent = 0

    def count(self, what: str, number: int = 1) -> None:
        """Add to one of the plain numbers of Counters."""
        with self._lock:
            self._counts[what] += number

    def inject(self, fault: str, number: int = 1) -> None:
        """A fault, by the name of its switch, showed in an answer."""
        if number:
            with self._lock:
                self._injected[fault] += number

    def api_request(self) -> None:
        """A request to the API host came in."""
        now = time.monotonic()
        with self._lock:
            self._counts["api_requests"] += 1
            self._last_second.append(now)
            while self._last_second[0] <= now - 1:
                self._last_second.popleft()
            self._most_in_a_second = max(self._most_in_a_second, len(self._last_second))

    def sent(self, number: int, altogether: int) -> None:
        """More body bytes went to a client; so many of this reply so far."""
        with self._lock:
            self._counts["bytes_sent"] += number
            self._most_sent = max(self._most_sent, altogether)

    def download(self, file_id: int) -> None:
        """A link was handed out."""
        with self._lock:
            self._files[file_id] += 1
            self._counts["downloads"] += 1

    @property
    def downloads(self) -> int:
        """How many links were handed out."""
        return self._counts["downloads"]

    @property
    def lists(self) -> int:
        """How many pages of the list were asked for."""
        return self._counts["lists"]

    def injected(self, fault: str) -> int:
        """How often a fault showed."""
        return self._injected[fault]

    def counters(self) -> Counters:
        """The counts as they are now."""
        with self._lock:
            counts = self._counts
            return Counters(
                api_requests=counts["api_requests"],
                lists=counts["lists"],
                models=counts["models"],
                resolutions=counts["resolutions"],
                counted=dict(self._files),
                storage_requests=counts["storage_requests"],
                bytes_sent=counts["bytes_sent"],
                most_sent=self._most_sent,
                key_leaks=counts["key_leaks"],
                most_in_a_second=self._most_in_a_second,
                injected=dict(self._injected),
            )
