"""Real metadata, where a copy of it is at hand."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from crawler.decode.recipe import decode
from crawler.model import Decoded, Header, Outcome

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(os.environ.get("LORA_CRAWL_CORPUS") or ROOT.parent / "shared" / "corpus") / "headers"

pytestmark = pytest.mark.skipif(
    not CORPUS.is_dir(), reason="no real headers here; LORA_CRAWL_CORPUS names their folder"
)


def read(name: str) -> Decoded:
    body = json.loads((CORPUS / name).read_text(encoding="utf-8"))
    metadata = body.get("metadata") or body.get("parsed_pairs") or body
    texts = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in metadata.items()
    }
    return decode(Header(length=0, tensors={}, metadata=texts))


def test_a_dataset_config_run() -> None:
    decoded = read("seed_rapunzel.metadata.json")
    recipe = decoded.recipe
    assert decoded.outcome is Outcome.DECODED
    assert decoded.problems == ()
    assert (recipe.network_dim, recipe.network_alpha, recipe.alpha_ratio) == (32, 16.0, 0.5)
    assert (recipe.unet_lr, recipe.text_encoder_lr) == (0.0005, 0.0001)
    assert recipe.optimizer == "AdamW8bit"
    assert (recipe.steps, recipe.batch_size) == (1010, 2)
    assert (recipe.image_count, recipe.num_train_images, recipe.mean_repeats) == (40, 200, 5.0)
    assert (recipe.images_seen, recipe.images_seen_is_lower_bound) == (2020, True)
    assert recipe.resolution == 512.0
    assert recipe.training_seconds is not None
    assert round(recipe.training_seconds, 3) == 656.277
    assert (recipe.noise_offset, recipe.min_snr_gamma) == (None, 5.0)
    assert len(decoded.datasets[0].buckets or ()) == 5
    assert decoded.tags["rapunzel"]["rapunzel 1girl"] == 40


def test_a_run_of_the_sites_own_trainer() -> None:
    decoded = read("civitai_seed_pepper_carrot.metadata.json")
    recipe = decoded.recipe
    assert decoded.problems == ()
    assert (recipe.optimizer, recipe.steps, recipe.image_count) == ("Prodigy", 444, 102)
    assert recipe.optimizer_args is not None
    assert recipe.optimizer_args["betas"] == [0.9, 0.99]
    assert len(decoded.datasets[0].buckets or ()) == 68
    assert len(decoded.tags["img"]) == recipe.tag_count


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "rockerboo_boo.metadata.json",
            {"trainer": "kohya", "network_dim": 4, "original_dim": 128, "batch_size": 1,
             "noise_offset": -0.1, "network_args": None},
        ),
        (
            "bigeye2_resized.metadata.json",
            {"trainer": "merge-tool", "network_dim": 16, "original_dim": 256},
        ),
        ("soraka_classic.metadata.json", {"steps": 690, "images_seen": 1380, "image_count": 46}),
        ("lighthouse_traintrain.metadata.json", {"trainer": None, "network_dim": 16, "steps": None}),
        ("aitoolkit_issue130.metadata.json", {"trainer": None, "base_model_version": "sd_1.5"}),
        (
            "civitai_desc_22500_9.paste.json",
            {"network_algo": "locon", "seed": None, "image_count": 1186, "tag_count": None},
        ),
        (
            "civitai_desc_22591_5.paste.json",
            {"v2": True, "optimizer": "Lion", "images_seen": 107_360, "clip_skip": None},
        ),
        (
            "civitai_desc_5340_3.paste.json",
            {"steps": 1000, "images_seen": 2000, "images_seen_is_lower_bound": False},
        ),
    ],
)  # fmt: skip
def test_columns_of_real_metadata(name: str, expected: dict[str, object]) -> None:
    found = dataclasses.asdict(read(name).recipe)
    assert {column: found[column] for column in expected} == expected


def test_no_real_metadata_has_problems() -> None:
    names = sorted(path.name for path in CORPUS.glob("*.json") if ".hdr" not in path.name)
    dumps = [name for name in names if name.endswith((".metadata.json", ".paste.json"))]
    assert {name: read(name).problems for name in dumps} == dict.fromkeys(dumps, ())
