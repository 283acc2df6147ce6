"""The process that runs one statement for `sqlite_process`. It imports only the standard library.

It reads the statement from stdin and writes frames to stdout: the names of the columns, each row, and
at the end None. In place of any of these may come SQLite's name for an error, with the message.
"""

import marshal
import os
import sqlite3
import sys
import threading

from crawler.store.connect.sqlite_files import open_to_read

#: Longest text or blob, in bytes. Stored headers are compressed, and the longest have some megabytes.
MAX_VALUE_BYTES = 64 * 1024 * 1024

#: Memory that SQLite may use, in bytes.
MAX_HEAP_BYTES = 512 * 1024 * 1024

#: What a read-only connection could still do: reach other files, change its own settings.
_DENIED = frozenset(
    {
        sqlite3.SQLITE_ATTACH,
        sqlite3.SQLITE_DETACH,
        sqlite3.SQLITE_PRAGMA,
        sqlite3.SQLITE_SAVEPOINT,
        sqlite3.SQLITE_TRANSACTION,
    }
)

#: Pragmas that only show the schema.
_SHOWING = frozenset(
    {
        *("compile_options", "foreign_key_list", "function_list", "index_info", "index_list"),
        *("index_xinfo", "table_info", "table_list", "table_xinfo"),
    }
)


def main() -> None:
    """Run the statement that stdin names."""
    path, statement, timeout = marshal.load(sys.stdin.buffer)  # noqa: S302 - from our own process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        connection = open_to_read(path, timeout=timeout)
        connection.execute(f"PRAGMA hard_heap_limit = {MAX_HEAP_BYTES}")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
        # Stored text may be invalid UTF-8.
        connection.text_factory = lambda data: data.decode(errors="replace")
        connection.set_authorizer(_authorize)
        cursor = connection.execute(statement)
        _send(tuple(column[0] for column in cursor.description or ()))
        for row in cursor:
            _send(row)
        _send(None)
    except sqlite3.Error as error:
        _send([getattr(error, "sqlite_errorname", "") or "SQLITE_ERROR", str(error)])
    except MemoryError:
        _send(["SQLITE_TOOBIG", "the statement needs too much memory"])
    sys.stdout.buffer.flush()


def _authorize(action: int, first: str | None, *_: str | None) -> int:
    denied = action in _DENIED and not (action == sqlite3.SQLITE_PRAGMA and first in _SHOWING)
    return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK


def _send(value: tuple[object, ...] | list[str] | None) -> None:
    frame = marshal.dumps(value)  # type: ignore[arg-type]  # the values of SQLite
    sys.stdout.buffer.write(len(frame).to_bytes(4, "little"))
    sys.stdout.buffer.write(frame)


def _end_with_parent() -> None:
    # If the other process is killed, stdin ends, even in the middle of a long operation.
    sys.stdin.buffer.read()
    os._exit(1)
