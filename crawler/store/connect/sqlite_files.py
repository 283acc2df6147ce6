"""SQLite files opened to read. Only the standard library is imported, so a helper process starts fast."""

# No pathlib, typing or urllib: their imports would be half of the start of a helper process.
# ruff: noqa: PTH100, PTH110, PTH113, PTH202
import os
import sqlite3

#: SQLite's errors for a database in WAL mode in a folder that cannot be written.
_NO_WAL = ("SQLITE_READONLY", "SQLITE_CANTOPEN")


def open_to_read(path: str, *, timeout: float) -> sqlite3.Connection:
    """A connection that only reads, and waits `timeout` seconds for other programs.

    A database in WAL mode needs a shared-memory file beside it. Where that cannot be created, as on
    read-only media, nothing else can write either, and the database is opened as immutable. What a
    killed writer left in a journal is undone first, as SQLite does.
    """
    try:
        return _connect(path, "mode=ro", timeout)
    except sqlite3.OperationalError as error:
        if not error.sqlite_errorname.startswith(_NO_WAL) or not os.path.isfile(path):
            raise
        wal = f"{path}-wal"
        if os.path.exists(wal) and os.path.getsize(wal):
            raise  # the last transactions are in the WAL file and would be missed
        journal = f"{path}-journal"
        if os.path.exists(journal) and os.path.getsize(journal):
            return _connect(path, "mode=rw", timeout)
        return _connect(path, "mode=ro&immutable=1", timeout)


def _connect(path: str, options: str, timeout: float) -> sqlite3.Connection:
    name = os.path.abspath(path).replace(os.sep, "/")
    for special in "%?#":
        name = name.replace(special, f"%{ord(special):02X}")
    connection = sqlite3.connect(
        f"file:///{name.removeprefix('/')}?{options}",
        uri=True,
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection
