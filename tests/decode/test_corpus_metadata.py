"""Real metadata, where a copy of it is at hand."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from crawler.decode.problems import CONTRADICTED
from crawler.decode.recipe import decode
from crawler.model import Decoded, Header, Outcome, Tensor

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
        ("lighthouse_traintrain.metadata.json",
         {"trainer": "traintrain", "network_dim": 16, "steps": None, "optimizer": "AdamW",
          "network_algo": None}),
        (
            "aitoolkit_issue130.metadata.json",
            {"trainer": "ai-toolkit", "trainer_version": "0.1.0", "base_model_version": "sd_1.5",
             "steps": 500, "epoch": 499, "output_name": "my_lora_name"},
        ),
        ("zimage_lokr_fdpo.metadata.json", {"trainer": "ai-toolkit", "steps": 290, "epoch": 0}),
        (
            "civitai_desc_22500_9.paste.json",
            {"network_algo": None, "seed": None, "image_count": 1186, "tag_count": None},
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


def whole(name: str) -> Decoded:
    data = (CORPUS / name).read_bytes()
    entries = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    metadata = entries.pop("__metadata__", None)
    tensors = {
        key: Tensor(entry["dtype"], tuple(entry["shape"]), (0, 0)) for key, entry in entries.items()
    }
    return decode(Header(length=0, tensors=tensors, metadata=metadata))


def test_a_rank_for_each_layer() -> None:
    decoded = whole("cloneofsimo_analog_svd_rank4.hdr")
    recipe = decoded.recipe
    assert decoded.outcome is Outcome.DECODED
    assert decoded.problems == ()
    assert (recipe.trainer, recipe.network_dim, recipe.network_algo) == ("cloneofsimo", 4, "lora")
    assert recipe.network_args is not None
    assert recipe.network_args["text_encoder"] == ["CLIPAttention"]
    assert recipe.other_settings is None
    assert decoded.weights.tensor_rank == 4


def test_real_metadata_contradicts_the_tensors_only_where_it_lies() -> None:
    names = [path.name for path in (*CORPUS.glob("*.hdr"), *CORPUS.glob("l*_l*.safetensors"))]
    found = {
        name: [one.field for one in whole(name).problems if one.code == CONTRADICTED]
        for name in names
    }
    assert {name: fields for name, fields in found.items() if fields} == {
        "leighwoods_lora.safetensors": ["base_model_version"]
    }
    assert len(found) > 8


def test_of_a_trigger_word_no_tags_are_made() -> None:
    decoded = whole("leighwoods_lora.safetensors")
    assert (decoded.recipe.trainer, decoded.recipe.steps) == ("ai-toolkit", 1000)
    assert (dict(decoded.tags), decoded.recipe.tag_count) == ({}, None)
    assert decoded.weights.architecture == "flux1"


def test_a_bare_format_is_no_metadata() -> None:
    names = sorted(path.name for path in CORPUS.glob("diffusers_*[rs]"))
    assert len(names) > 3
    for name in (*names, "peft_sd15_text_encoder_adapter.hdr", "peft_glue_adapter.safetensors"):
        decoded = whole(name)
        assert (decoded.outcome, decoded.recipe.trainer) == (Outcome.NO_METADATA, None)
        assert decoded.recipe.other_settings == {"format": "pt"}


def test_no_real_metadata_has_problems() -> None:
    names = sorted(path.name for path in CORPUS.glob("*.json") if ".hdr" not in path.name)
    dumps = [name for name in names if name.endswith((".metadata.json", ".paste.json"))]
    dumps.remove("zimage_lokr_fdpo.metadata.json")  # cut short by whoever published it
    assert {name: read(name).problems for name in dumps} == dict.fromkeys(dumps, ())
