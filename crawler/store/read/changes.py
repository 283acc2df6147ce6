"""Whether a database has changed since an earlier look at it."""

from threading import Lock

import sqlalchemy as sa


class Changes:
    """Tells versions of a database apart. To be closed; any thread may use it."""

    def __init__(self, engine: sa.Engine) -> None:
        self._lock = Lock()
        # SQLite's number is one of a connection: it counts what others have committed.
        self._connection = engine.connect() if engine.dialect.name == "sqlite" else None

    def version(self, connection: sa.Connection) -> str:
        """A text that is another one after each committed change, by any program.

        Args:
            connection: To the database; on PostgreSQL the question is asked there.
        """
        if self._connection is None:
            return str(connection.exec_driver_sql("SELECT pg_current_snapshot()::text").scalar())
        with self._lock:
            number = self._connection.exec_driver_sql("PRAGMA data_version").scalar()
            self._connection.rollback()
            return str(number)

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
