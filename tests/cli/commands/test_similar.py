"""`lora-crawl similar` as a person runs it, on both databases."""

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crawler.store.schema.tables import loras
from crawler.store.stats.similar import by_settings, likely_base_model
from crawler.store.write.results import store_results
from tests.cli.headers import LANTERN, Run, write_lora
from tests.conftest import Prepared
from tests.factories import (
    METADATA,
    make_file,
    make_header_bytes,
    make_model,
    make_result,
    make_version,
)
from tests.stored import list_models

#: The metadata of all files.
OWN = {**METADATA, "ss_sd_model_name": "quarry.safetensors"}

#: What each model's file has in place of METADATA, by file id.
CHANGES: dict[int, dict[str, str]] = {
    1: {},
    2: {"ss_network_dim": "64", "ss_network_alpha": "32"},
    3: {"ss_optimizer": "lion_pytorch.Lion", "ss_network_dim": "64", "ss_network_alpha": "32"},
    4: {},
    5: {},
    6: {"ss_network_dim": "33"},
}

#: The caption tags of each file.
TAGS = {
    1: {"marble": 9, "white": 9, "1girl": 9},
    2: {"marble": 5},
    3: {"white": 2, "1girl": 4},
    4: {"1girl": 2},
    5: {"marble": 3, "white": 3, "1girl": 3},
    6: {"something else": 4},
}


def _stock(engine: sa.Engine) -> None:
    """Files 1 and 5 are of one model; file 4 has another base model."""
    own = tuple(make_version(number, files=(make_file(number),)) for number in (1, 5))
    models = [make_model(1, versions=own)]
    for number in (2, 3, 4, 6):
        base = "Illustrious" if number == 4 else "Pony"
        version = make_version(number, base_model=base, files=(make_file(number),))
        models.append(make_model(number, versions=(version,)))
    results = [
        make_result(
            number,
            make_header_bytes(
                OWN | changes | {"ss_tag_frequency": json.dumps({"5_marble": TAGS[number]})}
            ),
            version_id=number,
        )
        for number, changes in CHANGES.items()
    ]
    with engine.begin() as connection:
        list_models(connection, *models)
        store_results(connection, results)


@pytest.fixture
def engine(prepared: Prepared) -> sa.Engine:
    return prepared("similar", _stock)


@pytest.fixture
def database(engine: sa.Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def asked(run: Run, *words: str) -> list[dict[str, Any]]:
    told = run("similar", *words, "--json")
    assert told.exit_code == 0, told.output
    found: list[dict[str, Any]] = json.loads(told.stdout)
    return found


def test_settings_are_compared_within_the_base_model(run: Run, database: str) -> None:
    found = asked(run, "1", "--db", database)
    assert [row["file_id"] for row in found] == [6, 2, 3]
    assert found[1]["differs"] == {"network_dim": [32, 64], "alpha_ratio": [0.5, 0.5]} or found[1][
        "differs"
    ] == {"network_dim": [32, 64]}
    assert list(found[2]["differs"])[:2] == ["network_dim", "optimizer"]
    assert found[0]["similarity"] > found[1]["similarity"] > found[2]["similarity"]


def test_the_distance_is_that_of_the_documentation(engine: sa.Engine) -> None:
    """|x - y| / (|x| + |y|), weighted; what only one has counts as 1."""
    own = {"model_id": 99, "network_dim": 96, "optimizer": "Lion", "noise_offset": 0.0}
    only = sa.update(loras).values(
        dict.fromkeys(
            ("alpha_ratio", "images_seen", "lr_scheduler", "effective_unet_lr", "batch_size")
        )
    )
    with engine.begin() as connection:
        connection.execute(
            only.values(
                network_algo=None, optimizer="Lion", image_count=5, resolution=None,
                trains_text_encoder=None, effective_text_encoder_lr=None, sd_model_name=None,
                noise_offset=0.0, min_snr_gamma=None,
            )
        )  # fmt: skip
        found = {
            one.row["file_id"]: one.similarity for one in by_settings(connection, own, "Pony", 9)
        }
        nothing = by_settings(connection, {"model_id": 99}, "Pony", 9)
    # Weights: rank 2, optimizer 2, noise offset 1, number of images 1.
    expected = 1 - (2 * (96 - 64) / (96 + 64) + 1) / 6
    assert found[2] == pytest.approx(expected)
    assert nothing == []


def test_tags_are_compared_over_all_base_models(run: Run, database: str) -> None:
    found = asked(run, "1", "--by", "tags", "--db", database)
    assert [(row["file_id"], row["shared_tags"]) for row in found] == [
        (3, ["white", "1girl"]),
        (2, ["marble"]),
        (4, ["1girl"]),
    ]


def test_a_file_of_ones_own(run: Run, database: str, tmp_path: Path) -> None:
    path = write_lora(tmp_path / "mine.safetensors", {**OWN, "ss_network_dim": "64"})
    told = run("similar", str(path), "--json", "--db", database)
    assert told.exit_code == 0
    assert "compared with Pony" in told.stderr
    assert len(json.loads(told.stdout)) == 4
    other = write_lora(tmp_path / "other.safetensors", LANTERN)
    unknown = run("similar", str(other), "--db", database)
    assert (unknown.exit_code, unknown.stdout) == (2, "")
    assert "its base model is not known" in unknown.stderr
    untagged = write_lora(tmp_path / "untagged.safetensors", {"ss_network_dim": "8"})
    told = run("similar", str(untagged), "--by", "tags", "--db", database)
    assert "has no caption tags" in told.stderr


def test_the_surest_sign_tells_the_base_model(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.update(loras).where(loras.c.file_id == 4).values(sd_model_sha256="ab" * 32)
        )
        row = dict(
            connection.execute(sa.select(loras).where(loras.c.file_id == 2)).mappings().one()
        )
        assert likely_base_model(connection, row) == ("Pony", "sd_model_name")
        surest = row | {"sd_model_sha256": "ab" * 32}
        assert likely_base_model(connection, surest) == ("Illustrious", "sd_model_sha256")
        assert likely_base_model(connection, {}) is None


def test_the_page(run: Run, database: str) -> None:
    page = run("similar", "1", "--format", "table", "--db", database).stdout
    assert page.startswith("Most like ")
    assert "network_dim 64" in page
    tags = run("similar", "1", "--by", "tags", "--format", "table", "--db", database).stdout
    assert "both have white, 1girl" in tags
    assert max(map(len, (page + tags).splitlines())) <= 80


def test_nobody_is_alike(run: Run, database: str) -> None:
    told = run("similar", "4", "--db", database)
    assert told.exit_code == 0
    assert "no other LoRA" in told.stderr


def test_a_tag_of_many_files_is_left_out(
    run: Run, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawler.store.stats.similar.COMMON", 4)
    found = asked(run, "1", "--by", "tags", "--db", database)
    assert {row["file_id"]: row["shared_tags"] for row in found} == {2: ["marble"], 3: ["white"]}
