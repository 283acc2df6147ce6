"""The database under what commands and pages show of rows."""

import pytest


@pytest.fixture(params=("sqlite", pytest.param("postgresql", marks=pytest.mark.slow)))
def backend(request: pytest.FixtureRequest) -> str:
    """In place of the usual `backend`: for tests of faces whose statements have tests of their own.

    Those of tests/store run on both databases. tests/cli/test_roles.py runs each command that reads, and
    each page, on PostgreSQL.
    """
    return str(request.param)
