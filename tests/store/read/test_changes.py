"""Versions of a database."""

import sqlalchemy as sa

from crawler.store.connect.database import open_for_reading
from crawler.store.read.changes import Changes
from crawler.store.schema.tables import loras
from tests.web.rows import loras as store_rows


def test_a_version_ends_with_a_commit_of_another_program(engine: sa.Engine) -> None:
    reader = open_for_reading(engine.url)
    changes = Changes(reader)
    with reader.connect() as connection:
        first = changes.version(connection)
        assert changes.version(connection) == first
    with engine.begin() as connection:
        store_rows(connection)
    with reader.connect() as connection:
        second = changes.version(connection)
        assert second not in {first, ""}
        assert changes.version(connection) == second
    with engine.begin() as connection:
        connection.execute(loras.update().values(likes=1))
    with reader.connect() as connection:
        assert changes.version(connection) not in {first, second}
    changes.close()
    reader.dispose()
