"""LoRAs that tell much, some of it hostile."""

import json

import sqlalchemy as sa

from crawler.store.stats.field_stats import refresh_statistics
from crawler.store.write.results import store_results
from tests.factories import (
    METADATA,
    NOW,
    make_file,
    make_header_bytes,
    make_model,
    make_result,
    make_version,
)
from tests.stored import store_models
from tests.web.rows import HOSTILE

LONG = "x" * 1_000_000

#: Metadata in which every text is hostile.
WILD = {
    **METADATA,
    "ss_output_name": HOSTILE,
    "ss_sd_model_name": f"</textarea>{HOSTILE}",
    "ss_optimizer": "javascript:alert(1)",
    "ss_training_comment": LONG,
    "ss_something_new": "<b>new</b>",
    "ss_dataset_dirs": json.dumps({f"5_{HOSTILE}": {"n_repeats": 5, "img_count": 40}}),
    "ss_tag_frequency": json.dumps({f"5_{HOSTILE}": {HOSTILE: 40, "1girl": 3}}),
}


def fill(engine: sa.Engine) -> None:
    """A model with two versions and three files, six others, and one that was not read."""
    store_models(
        engine,
        make_model(
            1,
            name=HOSTILE,
            creator=HOSTILE,
            tags=(HOSTILE,),
            versions=(
                make_version(1, name="v1", published_at=NOW.replace(year=2024)),
                make_version(
                    2, name=HOSTILE, files=(make_file(2), make_file(20, is_primary=False))
                ),
            ),
        ),
        *(make_model(number) for number in range(3, 9)),
        make_model(9, creator="nobody"),
    )
    headers = dict.fromkeys((1, *range(3, 9)), METADATA)
    headers |= {2: WILD | {"ss_network_dim": "64"}, 20: {"format": "pt"}}
    with engine.begin() as connection:
        store_results(
            connection,
            [
                make_result(
                    number, make_header_bytes(metadata), version_id=2 if number == 20 else number
                )
                for number, metadata in headers.items()
            ],
        )
        refresh_statistics(connection, NOW)
