"""How many rows match, and their facets, soon enough for a page."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from threading import Event, Lock, Thread

from crawler.answers.asked import without_copies
from crawler.errors import LoraCrawlError, SlowError
from crawler.query.tree import And, Node
from crawler.store.connect.database import Connection, Engine
from crawler.store.connect.db_errors import translated
from crawler.store.read.limited import end_statement, in_time
from crawler.store.stats.cube import Cube, can_count
from crawler.store.stats.facets import Counted, counted, total
from crawler.web.kept import Kept
from crawler.web.limits import COUNT_SECONDS

#: Values of a facet that are counted.
MOST = 8

#: From so many rows on they are counted in memory: fewer are counted by the database in 0.1 s.
_MANY = 20_000

#: While a sync writes, rows in memory are used for so many times the seconds that reading them takes.
_TIMES_AS_LONG = 20

#: Seconds that reading rows into memory may take: enough for many millions.
_READ_SECONDS = 300.0

#: Seconds in which all reading ends when the server stops, and between two looks at it.
_END_SECONDS, _TICK_SECONDS = 2.0, 0.02


@dataclass(frozen=True, slots=True)
class _Held:
    """Rows in memory."""

    cube: Cube
    version: str
    made_at: float
    seconds: float


class Counting:
    """Counts the rows of one database. Rows of a large one are read into memory, beside the answers."""

    def __init__(self, engine: Engine, kept: Kept) -> None:
        self._engine = engine
        self._kept = kept
        self._lock = Lock()
        self._held: dict[str, _Held] = {}
        self._reading: dict[str, Event] = {}
        self._busy: set[Connection] = set()
        self._threads: list[Thread] = []

    def counted(
        self, connection: Connection, tree: Node | None, among: Node | None
    ) -> Counted | None:
        """The rows for which both are true, with their facets; None if it takes too long.

        Args:
            connection: To read from.
            tree: The condition of a person.
            among: A condition that is the same for many questions.
        """
        both = [one for one in (tree, among) if one is not None]
        asked = And(tuple(both)) if len(both) > 1 else next(iter(both), None)

        def count_rows() -> Counted:
            with in_time(connection, COUNT_SECONDS):
                return counted(connection, asked, most=MOST)

        try:
            if can_count(tree) and self._is_large(connection):
                held = self._rows(connection, among)
                if held is not None:
                    key = (held.made_at, repr(tree))
                    make = partial(held.cube.counted, tree, most=MOST)
                    return self._kept.get(connection, key, make)
            return self._kept.get(connection, repr(asked), count_rows)
        except SlowError:
            return None

    def begin(self) -> None:
        """Read the rows of a large database, so that the first page need not wait for it."""

        def read() -> None:
            with contextlib.suppress(LoraCrawlError), self._connected() as connection:
                if self._is_large(connection):
                    self._rows(connection, without_copies(connection, None, copies=False)[0])

        self._start(read)

    def close(self) -> None:
        """End what is being read. A thread that outlives the interpreter in a driver would crash it."""
        until = time.monotonic() + _END_SECONDS
        while any(thread.is_alive() for thread in self._threads) and time.monotonic() < until:
            for connection in tuple(self._busy):
                with contextlib.suppress(Exception):  # it may just have ended
                    end_statement(connection)
            time.sleep(_TICK_SECONDS)  # there may be further statements

    def _start(self, work: Callable[[], None]) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Connection]:
        with translated(), self._engine.connect() as connection:
            self._busy.add(connection)
            try:
                yield connection
            finally:
                self._busy.discard(connection)

    def _is_large(self, connection: Connection) -> bool:
        return self._kept.get(connection, "rows", lambda: total(connection, None)) >= _MANY

    def _rows(self, connection: Connection, among: Node | None) -> _Held | None:
        """The rows in memory. Old ones are read anew meanwhile; the first ones are waited for."""
        key = repr(among)
        version = self._kept.version(connection)
        with self._lock:
            held = self._held.get(key)
            if held is not None and held.version == version:
                return held
            is_due = held is None or (
                time.monotonic() - held.made_at > held.seconds * _TIMES_AS_LONG
            )
            if is_due and key not in self._reading:
                self._reading[key] = Event()
                self._start(partial(self._read, key, among))
            reading = self._reading.get(key)
        if held is not None:
            return held
        if reading is not None and not reading.wait(COUNT_SECONDS):
            raise SlowError("the rows are being read")
        return self._held.get(key)

    def _read(self, key: str, among: Node | None) -> None:
        try:
            with contextlib.suppress(LoraCrawlError), self._connected() as connection:
                version = self._kept.version(connection)
                begun = time.monotonic()
                with in_time(connection, _READ_SECONDS):
                    cube = Cube(connection, among)
                now = time.monotonic()
                self._held[key] = _Held(cube, version, now, now - begun)
        finally:
            self._reading.pop(key).set()
