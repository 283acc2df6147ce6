"""Run a statement on a SQLite database in a process of its own, which can be ended at any time.

SQLite looks at a time limit or an interrupt only between two operations, and one operation, such as
`instr` of two long blobs, can take minutes.
"""

import contextlib
import marshal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import crawler
from crawler.errors import StoppedError
from crawler.store.connect.db_errors import too_late
from crawler.store.connect.engines import BUSY_TIMEOUT

#: Seconds between two looks at the time.
_LOOK_SECONDS = 0.05

_CHILD = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from crawler.store.read.sqlite_child import main; main()"
)


@contextlib.contextmanager
def rows_in_time(
    path: str, statement: str, *, timeout: float
) -> Iterator[tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]]:
    """The names of the columns, and the rows as the driver returns them, while the block lasts.

    The time in which the caller works on the rows does not count.

    Args:
        path: The database file.
        statement: One SQL statement; it cannot write.
        timeout: Seconds; 0 means no limit.

    Raises:
        UsageError: The time is up.
        StoppedError: The process ended by itself.
        sqlite3.Error: The same error as in this process, with its `sqlite_errorname`.
    """
    package = Path(crawler.__file__).parent.parent
    with subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-I", "-S", "-c", _CHILD, str(package)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C reaches this process alone, which decides
    ) as process:
        watch = _Watch(process, timeout)
        try:
            assert process.stdin is not None  # noqa: S101 - for the type checker
            assert process.stdout is not None  # noqa: S101 - the same
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(marshal.dumps((path, statement, BUSY_TIMEOUT)))
                process.stdin.flush()
            frames = _frames(process.stdout, watch)
            yield next(frames), frames
        finally:
            watch.ended.set()
            process.kill()


class _Watch:
    """Kills a process once it was waited for long enough."""

    def __init__(self, process: "subprocess.Popen[bytes]", timeout: float) -> None:
        self.timeout = timeout
        self.is_late = False
        self.ended = threading.Event()
        self._process = process
        self._waited = 0.0
        self._since: float | None = None
        if timeout:
            threading.Thread(target=self._run, daemon=True).start()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time of the block."""
        self._since = since = time.monotonic()
        try:
            yield
        finally:
            self._since = None
            self._waited += time.monotonic() - since

    def _run(self) -> None:
        while not self.ended.wait(_LOOK_SECONDS):
            since = self._since
            if since is not None and self._waited + time.monotonic() - since > self.timeout:
                self.is_late = True
                self._process.kill()
                return


def _frames(stream: IO[bytes], watch: _Watch) -> Iterator[tuple[Any, ...]]:
    while True:
        with watch.waiting():
            length = int.from_bytes(stream.read(4), "little")
            frame = stream.read(length)
        if watch.is_late:
            raise too_late(watch.timeout)
        if not length or len(frame) < length:
            raise StoppedError("the process that ran the statement was killed; run it again")
        match marshal.loads(frame):  # noqa: S302 - from our own process
            case None:
                return
            case [str(name), str(message)] as failed if isinstance(failed, list):
                error = sqlite3.OperationalError(message)
                error.sqlite_errorname = name
                raise error
            case row:
                yield row
