"""Whether a database has changed since an earlier look at it."""

from threading import Lock

import sqlalchemy as sa

#: Under this name a connection to SQLite keeps its version.
_OPTION = "lora_crawl_version"


class Changes:
    """Tells versions of a database apart. To be closed; any thread may use it."""

    def __init__(self, engine: sa.Engine) -> None:
        self._lock = Lock()
        # SQLite's number is one of a connection: it counts what others have committed.
        self._connection = engine.connect() if engine.dialect.name == "sqlite" else None

    def version(self, connection: sa.Connection) -> str:
        """A text that is another one after each committed change, by any program.

        On SQLite a connection sees one snapshot, so its first version is its only one: ask for it before
        the connection reads anything.

        Args:
            connection: To the database; on PostgreSQL the question is asked there.
        """
        if self._connection is None:
            return str(connection.exec_driver_sql("SELECT pg_current_snapshot()::text").scalar())
        options = connection.get_execution_options()
        if _OPTION not in options:
            options = connection.execution_options(
                **{_OPTION: self._number()}
            ).get_execution_options()
        return str(options[_OPTION])

    def _number(self) -> str:
        assert self._connection is not None  # noqa: S101 - for the type checker
        with self._lock:
            number = self._connection.exec_driver_sql("PRAGMA data_version").scalar()
            self._connection.rollback()
            return str(number)

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
