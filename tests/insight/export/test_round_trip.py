"""Recipes parsed back and compared, key by key, with the metadata they were made of."""

import ast
import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import UsageError
from crawler.insight.export.draft import PLACEHOLDER, Kind, config_text, dataset_text, report_text
from crawler.insight.export.recipe import export
from tests.insight.export import sd_scripts
from tests.insight.files import FOLDERS, LANTERN, Made, decoded_of, made_of

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = sorted((ROOT / "tests" / "decode" / "golden").glob("*/*.json"))
CORPUS = Path(os.environ.get("LORA_CRAWL_CORPUS") or ROOT.parent / "shared" / "corpus") / "headers"

#: What would end a line or steer a terminal.
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f]")

#: Keys of sd-scripts that say what happened, or what the options above them already say; all others
#: must come back from a recipe.
TOLD_OTHERWISE = frozenset(
    """
    ss_session_id ss_training_started_at ss_training_finished_at ss_sd_scripts_commit_hash ss_steps
    ss_epoch ss_num_epochs ss_num_batches_per_epoch ss_num_train_images ss_num_reg_images
    ss_num_validation_images ss_total_batch_size ss_base_model_version ss_sd_model_hash
    ss_new_sd_model_hash ss_vae_hash ss_new_vae_hash ss_tag_frequency ss_bucket_info ss_dataset_dirs
    ss_reg_dataset_dirs ss_datasets ss_sd_model_name ss_vae_name
    """.split()  # noqa: SIM905 -- forty quoted words would hide the list
)

#: Options that are called otherwise than the key they come from.
RENAMED = {
    "ss_debiased_estimation": "debiased_estimation_loss",
    "ss_batch_size_per_device": "batch_size",
}

#: What sd-scripts does without the option, which is then not written.
DEFAULTS: dict[str, object] = {"ss_max_token_length": 75, "ss_output_name": "last"}


def metadata_of(name: str) -> dict[str, str]:
    body = json.loads((CORPUS / name).read_text(encoding="utf-8"))
    found = body.get("metadata") or body.get("parsed_pairs") or body
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in found.items()}


def literal(raw: str) -> Any:
    """What a value was before `str()` made text of it."""
    try:
        value = json.loads(raw)
    except ValueError:
        try:
            value = ast.literal_eval(raw)
        except (ValueError, SyntaxError):
            value = raw
    return list(value) if isinstance(value, tuple) else value


def written_back(made: Made, key: str) -> Any:
    """What the recipe says of a key: in config.toml, in the first dataset or its first subset."""
    option = RENAMED.get(key, key.removeprefix("ss_"))
    for table in (made.config, made.datasets[0], made.datasets[0]["subsets"][0]):
        if option in table:
            return table[option]
    if key == "ss_optimizer":
        return made.config.get("optimizer_type")
    return None


def compare(metadata: Mapping[str, str]) -> Made:
    """Fails where the recipe says anything else than the metadata."""
    made = made_of(decoded_of(metadata))
    for key, raw in metadata.items():
        if not key.startswith("ss_") or key in TOLD_OTHERWISE or raw in ("None", "[]", "null", ""):
            continue
        said, back = literal(raw), written_back(made, key)
        if key == "ss_network_args":
            pairs = {name: value for name, value in said.items() if name != "dropout"}
            back = dict(pair.split("=", 1) for pair in back or ())
            assert back == {name: str(value) for name, value in pairs.items()}
        elif key == "ss_optimizer":
            path, _, inner = raw.partition("(")
            assert path.endswith(str(back).removesuffix("ation")), key
            arguments = [pair.split("=") for pair in made.config.get("optimizer_args", ())]
            # As sd-scripts reads it, and as it then writes it into the metadata.
            rebuilt = ",".join(f"{name}={ast.literal_eval(value)}" for name, value in arguments)
            assert rebuilt == inner.removesuffix(")")
        elif key == "ss_training_comment" and back != raw:
            assert raw.endswith(str(back)), key
        elif back is None:
            assert said in (DEFAULTS.get(key), False) or made.notes(Kind.CONFLICT), key
        else:
            assert said in (back, [back]), key
    compare_folders(metadata, made)
    return made


def compare_folders(metadata: Mapping[str, str], made: Made) -> None:
    """The same for datasets and folders: nothing lost, nothing doubled."""
    if "ss_datasets" in metadata:
        for told, back in zip(literal(metadata["ss_datasets"]), made.datasets, strict=True):
            assert back["batch_size"] == told["batch_size_per_device"]
            assert back["resolution"] == told["resolution"]
            for name in ("enable_bucket", "min_bucket_reso", "max_bucket_reso"):
                assert back.get(name) == told.get(name), name
            for subset, written in zip(told["subsets"], back["subsets"], strict=True):
                known = {**subset, "caption_extension": ".txt"}
                for name, value in written.items():
                    if name in known and name not in {"image_dir", "metadata_file"}:
                        assert value == known[name], name
                named = subset.get("metadata_file") or subset["image_dir"]
                path = written.get("metadata_file") or written["image_dir"]
                assert path == f"{PLACEHOLDER}/{named}"
                assert written.get("is_reg", False) is bool(subset.get("is_reg"))
    else:
        folders: list[tuple[str, int, bool]] = []
        for key, is_reg in (("ss_dataset_dirs", False), ("ss_reg_dataset_dirs", True)):
            for name, told in (literal(metadata.get(key, "{}")) or {}).items():
                folders.append((f"{PLACEHOLDER}/{name}", told["n_repeats"], is_reg))
        subsets = made.datasets[0]["subsets"]
        found = [
            (
                one.get("metadata_file") or one["image_dir"],
                one["num_repeats"],
                one.get("is_reg", False),
            )
            for one in subsets
        ]
        assert found == folders or not folders


@pytest.mark.parametrize("metadata", [LANTERN, FOLDERS], ids=["dataset_config", "folders"])
def test_a_run_comes_back_key_by_key(metadata: Mapping[str, Any]) -> None:
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    made = compare(texts)
    assert made.notes(Kind.CONFLICT) == {}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_recipe_of_every_trainer_is_one_that_sd_scripts_takes(path: Path) -> None:
    decoded = decoded_of(json.loads(path.read_text(encoding="utf-8"))["metadata"])
    recipe = decoded.recipe
    rates = {recipe.learning_rate, recipe.unet_lr, recipe.text_encoder_lr} - {None}
    if recipe.network_module is None and not rates:
        with pytest.raises(UsageError, match="neither a network module nor a learning rate"):
            export(decoded)
    else:
        made = made_of(decoded)
        assert made.config["output_name"] == (recipe.output_name or "last")
        assert report_text(made.recipe.notes).startswith("not recoverable\n")


@pytest.mark.parametrize(
    "name",
    ["dataset_config_run", "flux_v010", "lycoris_lokr", "prodigy", "adafactor_relative_step",
     "several_datasets", "text_encoder_rates_sdxl"],
)  # fmt: skip
def test_made_up_runs_come_back_key_by_key(name: str) -> None:
    pair = json.loads((ROOT / f"tests/decode/golden/kohya/{name}.json").read_text("utf-8"))
    metadata = {k: v if isinstance(v, str) else json.dumps(v) for k, v in pair["metadata"].items()}
    if name == "adafactor_relative_step":
        metadata["ss_lr_scheduler"], rate = metadata["ss_lr_scheduler"].split(":")
        made = made_of(decoded_of(pair["metadata"]))
        assert made.config["learning_rate"] == float(rate)
        assert made.config["lr_scheduler"] == "adafactor"
    else:
        compare(metadata)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no real headers here; see LORA_CRAWL_CORPUS")
@pytest.mark.parametrize(
    ("name", "script", "side"),
    [("seed_rapunzel", "train_network.py", 512),
     ("civitai_seed_pepper_carrot", "sdxl_train_network.py", 1024)],
)  # fmt: skip
def test_real_runs_come_back_key_by_key(name: str, script: str, side: int) -> None:
    made = compare(metadata_of(f"{name}.metadata.json"))
    assert made.recipe.script == script
    assert made.datasets[0]["resolution"] == [side, side]
    assert made.notes(Kind.CONFLICT) == {}
    missing = made.notes(Kind.MISSING)
    assert {
        "pretrained_model_name_or_path",
        "images",
        "devices",
        "save_precision",
    } <= missing.keys()
    assert {"caption_extension", "bucket_reso_steps"} <= made.notes(Kind.ASSUMED).keys()


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no real headers here; see LORA_CRAWL_CORPUS")
def test_every_real_header_makes_a_sound_recipe_or_none() -> None:
    made = 0
    for path in sorted(CORPUS.glob("*.json")):
        if path.name.endswith((".metadata.json", ".paste.json")):
            decoded = decoded_of(metadata_of(path.name))
            try:
                made_of(decoded)
            except UsageError:
                assert decoded.recipe.network_module is None
            else:
                made += 1
    assert made >= 8


KEYS = sorted(
    {*LANTERN, *FOLDERS}
    | {f"ss_{name}" for name in ("clip_skip", "max_token_length", "network_args", "loss_type",
       "huber_scale", "timestep_sampling", "guidance_scale", "model_prediction_type", "sigmoid_scale",
       "full_fp16", "caption_dropout_rate", "face_crop_aug_range", "validation_split",
       "resize_interpolation", "caption_dropout_every_n_epochs", "training_comment", "vae_name")}
    | {f"modelspec.{name}" for name in ("architecture", "timestep_range", "encoder_layer", "title",
       "prediction_type", "tags")}
)  # fmt: skip
VALUES = st.one_of(
    st.text(max_size=30),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(
        ["None", "True", "False", "", "Dynamic", "sdxl_base_v1-0", "flux1", "wan", "[]", "{}",
         "a=b", "1,2", "(1.5, 2.5)", "0,1000", "torch.optim.sgd.SGD(nesterov=True)", "\x7f\x00\n#\"'",
         '{"a": {"n_repeats": 1, "img_count": 2}, "b.json": {}}', '{"dropout": "0.1", "k=": "v"}',
         '[{"resolution": [1, 2], "subsets": [{"keep_tokens": "x", "metadata_file": "m.json"}]}]',
         '[{"subsets": [{"image_dir": "\\u0085\\u202e", "is_reg": true}, {"caption_prefix": 3}]}]']
    ),
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(KEYS), VALUES))
def test_whatever_a_key_holds_the_recipe_is_sound(changes: dict[str, str]) -> None:
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in LANTERN.items()}
    decoded = decoded_of({**texts, **changes})
    try:
        recipe = export(decoded)
    except UsageError:
        return
    config, datasets = config_text(recipe, "a\nfile\x7f"), dataset_text(recipe)
    sd_scripts.read_config(config, recipe.script)
    sd_scripts.read_datasets(datasets)
    assert tomllib.loads(f"{config}\n{datasets}").keys() > {"datasets"}
    assert not CONTROLS.search(report_text(recipe.notes))
