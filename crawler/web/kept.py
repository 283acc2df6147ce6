"""Answers that are kept in memory while the database does not change."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

from crawler.store.connect.database import Connection
from crawler.store.read.changes import Changes
from crawler.web.limits import MAX_KEPT

Value = TypeVar("Value")

#: While a sync writes, an answer that took this many seconds or more is kept for some times as long all the
#: same. Otherwise such answers would be all that the machine does.
_LONG_SECONDS, _TIMES_AS_LONG = 1.0, 20


@dataclass(frozen=True, slots=True)
class _Answer:
    version: str
    value: Any
    made_at: float
    seconds: float

    def holds(self, version: str) -> bool:
        age = time.monotonic() - self.made_at
        is_long = self.seconds >= _LONG_SECONDS
        return version == self.version or (is_long and age < self.seconds * _TIMES_AS_LONG)


class Kept:
    """The answers of one server. Equal questions at the same time are answered once."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._answers: OrderedDict[Hashable, _Answer] = OrderedDict()
        self._asking: dict[Hashable, Lock] = {}
        self._lock = Lock()

    def get(self, connection: Connection, key: Hashable, make: Callable[[], Value]) -> Value:
        """The answer that is kept under a key, or else that of `make`, which is then kept."""
        with self._lock:
            asking = self._asking.setdefault(key, Lock())
        with asking:
            version = self._changes.version(connection)
            found = self._answers.get(key)
            if found is None or not found.holds(version):
                begun = time.monotonic()
                try:
                    value = make()
                except BaseException:
                    self._asking.pop(key, None)
                    raise
                now = time.monotonic()
                found = _Answer(version, value, now, now - begun)
            self._keep(key, found)
        answer: Value = found.value
        return answer

    def version(self, connection: Connection) -> str:
        """That of the database, as in `Changes`."""
        return self._changes.version(connection)

    def _keep(self, key: Hashable, answer: _Answer) -> None:
        with self._lock:
            self._answers[key] = answer
            self._answers.move_to_end(key)
            while len(self._answers) > MAX_KEPT:
                oldest, _ = self._answers.popitem(last=False)
                self._asking.pop(oldest, None)
