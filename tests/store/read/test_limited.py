"""Statements that take too long are ended, and the connection stays of use."""

import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from crawler.errors import SlowError
from crawler.store.connect.database import open_for_reading
from crawler.store.read.limited import in_time

_NUMBERS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {})"
    " SELECT count(*) FROM n"
)


@pytest.fixture
def reader(engine: sa.Engine) -> Iterator[sa.Engine]:
    opened = open_for_reading(engine.url)
    yield opened
    opened.dispose()


def test_a_long_statement_is_ended(reader: sa.Engine) -> None:
    with reader.connect() as connection:
        begun = time.monotonic()
        with pytest.raises(SlowError, match=r"no answer within 0\.1 s"), in_time(connection, 0.1):
            connection.exec_driver_sql(_NUMBERS.format(10**12))
        assert time.monotonic() - begun < 10
        assert connection.exec_driver_sql(_NUMBERS.format(10)).scalar_one() == 10


def test_rows_that_the_driver_reads_are_ended_too(reader: sa.Engine) -> None:
    with reader.connect() as connection:
        cursor = connection.connection.cursor()
        with pytest.raises(SlowError), in_time(connection, 0.1):
            cursor.execute(_NUMBERS.format(10**12)).fetchmany(10)
        assert connection.exec_driver_sql(_NUMBERS.format(10)).scalar_one() == 10


def test_other_errors_pass_through(reader: sa.Engine) -> None:
    with (
        reader.connect() as connection,
        pytest.raises(sa.exc.DBAPIError),
        in_time(connection, 60),
    ):
        connection.exec_driver_sql("SELECT nothing FROM loras")


def test_a_short_one_inside_a_long_one_leaves_its_limit(reader: sa.Engine) -> None:
    with reader.connect() as connection, in_time(connection, 60):
        with pytest.raises(SlowError), in_time(connection, 0.1):
            connection.exec_driver_sql(_NUMBERS.format(10**12))
        with in_time(connection, 0.1):
            assert connection.exec_driver_sql(_NUMBERS.format(10)).scalar_one() == 10
        if connection.dialect.name == "postgresql":
            assert connection.exec_driver_sql("SHOW statement_timeout").scalar_one() == "1min"
