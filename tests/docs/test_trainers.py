"""docs/trainers.md lists every trainer that a file can have, and the keys that fill no column."""

import json
import re
from pathlib import Path

import pytest

from crawler.decode.recipe import decode
from crawler.model import Trainer
from tests.decode.test_golden import GOLDEN, PAIRS, header_of

PAGE = (Path(__file__).parents[2] / "docs" / "trainers.md").read_text(encoding="utf-8")
KEPT = PAGE[PAGE.index("\n## Keys that fill no column") :]

#: Metadata that identifies a trainer and leaves room for any other key.
SIGNS = {
    "any": {"ss_sd_scripts_commit_hash": "ab" * 20},
    "kohya": {"ss_sd_scripts_commit_hash": "ab" * 20},
    "musubi-tuner": {"ss_num_train_items": "4"},
    "ai-toolkit": {"software": '{"name": "ai-toolkit"}'},
    "onetrainer": {"ot_revision": "ab" * 20},
    "simpletuner": {"modelspec.implementation": "diffusers", "global_step": "4"},
    "traintrain": {"ss_network_module": "network.lora"},
    "cloneofsimo": {"unet:0:rank": "4"},
}

#: A pair whose values are damaged keeps them as text, and that of a merge those of another file.
TRAINED = [name for name in PAIRS if "damaged" not in name and not name.startswith("merge-tool")]


#: Keys that are kept on a condition, which the page names.
CONDITIONAL = {
    *("modelspec.architecture", "modelspec.implementation_version"),  # a key of the trainer's own
    *("ot_config", "ot_revision"),
    *("ss_network_dim", "ss_network_alpha"),  # `Dynamic` after a resize
    "ss_num_train_images_per_concept",  # of a fork
}


def listed() -> dict[str, set[str]]:
    """The keys of each row, without those that are kept on a condition."""
    rows = re.findall(r"^\| `?([\w-]+)`? \| ([^|;]+)", KEPT, flags=re.MULTILINE)
    return {
        trainer: set(re.findall(r"(?:\A|, )`([^`]+)`(?=,|\s*\Z)", keys))
        for trainer, keys in rows
        if trainer not in {"trainer", "---"}
    }


def test_every_trainer_is_documented() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \|", PAGE.removesuffix(KEPT), flags=re.MULTILINE)
    expected = [trainer for trainer in Trainer if trainer != Trainer.DIFFUSION_PIPE]

    assert sorted(rows) == sorted(expected)


@pytest.mark.parametrize("trainer", SIGNS)
def test_a_key_that_fills_no_column_is_kept(trainer: str) -> None:
    for key in listed()[trainer] - SIGNS[trainer].keys():
        recipe = decode(header_of({"metadata": {**SIGNS[trainer], key: "1"}})).recipe
        assert recipe.trainer == (Trainer.KOHYA if trainer == "any" else trainer)
        assert (recipe.other_settings or {})[key] == "1", key


def test_every_key_that_trainers_write_fills_a_column_or_is_listed() -> None:
    keys = listed()
    assert keys.keys() == SIGNS.keys()
    for name in TRAINED:
        pair = json.loads((GOLDEN / name).read_text(encoding="utf-8"))
        recipe = decode(header_of(pair)).recipe
        trainer = recipe.trainer
        if trainer is None or trainer in {Trainer.CLONEOFSIMO, Trainer.MERGE_TOOL}:
            continue
        known = keys["any"] | keys.get(trainer, set())
        left = (recipe.other_settings or {}).keys() - known
        left = {key for key in left if key.startswith(("ss_", "modelspec.", "ot_"))}
        assert left <= CONDITIONAL, name
