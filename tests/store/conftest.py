"""A small database for the tests that read."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from crawler.store.write.crawls import begin_crawl
from tests.conftest import Prepared
from tests.factories import (
    NOW,
    make_file,
    make_model,
    make_version,
)
from tests.stored import list_models

SHA = "ABCD" + "0" * 59


def _fill(engine: sa.Engine) -> None:
    year = timedelta(days=365)
    with engine.begin() as connection:
        begin_crawl(connection, origin="http://127.0.0.1:9000", walk="w", now=NOW)
        list_models(
            connection,
            make_model(
                10,
                versions=(
                    make_version(100, published_at=NOW - year, files=(make_file(1),)),
                    make_version(
                        101,
                        published_at=NOW,
                        files=(
                            make_file(2, is_primary=False),
                            make_file(3, sha256=f"{SHA}1", autov2="ABCD000000", autov3="FEDCBA"),
                        ),
                    ),
                    make_version(102, published_at=None, files=(make_file(4),)),
                ),
            ),
            make_model(
                20,
                versions=(
                    make_version(
                        200, published_at=NOW - year, files=(make_file(5, sha256=f"{SHA}2"),)
                    ),
                    make_version(201, published_at=NOW, files=(make_file(6, is_primary=False),)),
                ),
            ),
            make_model(
                30,
                versions=(
                    make_version(
                        300,
                        files=(make_file(8, is_primary=False), make_file(7, is_primary=False)),
                    ),
                ),
            ),
            make_model(-1, versions=(make_version(-2, files=(make_file(-5),)),)),
        )


@pytest.fixture
def shelf(prepared: Prepared) -> sa.Engine:
    """Four models in one crawl.

    10 has the versions 100 (older), 101 and 102 (unpublished); the newest version of 20 has no
    primary file; 30 has none at all; -1 lies on this machine.
    """
    return prepared("shelf", _fill)
