"""Made-up files, and the recipes made of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crawler.decode.recipe import decode
from crawler.insight.export.draft import Export, Kind, config_text, dataset_text
from crawler.insight.export.recipe import export
from crawler.model import Decoded, Header, Tensor
from tests.insight.export import sd_scripts

#: A run with a dataset config; everything in it is made up.
LANTERN: Mapping[str, Any] = {
    "ss_sd_scripts_commit_hash": "0123456789abcdef0123456789abcdef01234567",
    "ss_sd_model_name": "harbour.safetensors",
    "ss_v2": "False",
    "ss_base_model_version": "sd_v1",
    "ss_output_name": "lantern",
    "ss_network_module": "networks.lora",
    "ss_network_dim": "16",
    "ss_network_alpha": "8.0",
    "ss_learning_rate": "0.0001",
    "ss_unet_lr": "0.0003",
    "ss_text_encoder_lr": "5e-05",
    "ss_optimizer": "bitsandbytes.optim.adamw.AdamW8bit(weight_decay=0.1,betas=(0.9, 0.99))",
    "ss_lr_scheduler": "cosine",
    "ss_lr_warmup_steps": "60",
    "ss_max_train_steps": "600",
    "ss_num_epochs": "10",
    "ss_seed": "1234567",
    "ss_mixed_precision": "bf16",
    "ss_datasets": [
        {
            "is_dreambooth": True,
            "batch_size_per_device": 2,
            "resolution": [512, 768],
            "enable_bucket": True,
            "min_bucket_reso": 256,
            "max_bucket_reso": 1024,
            "bucket_info": {"buckets": {"0": {"resolution": [512, 768], "count": 120}}},
            "subsets": [
                {
                    "img_count": 20,
                    "num_repeats": 6,
                    "shuffle_caption": True,
                    "keep_tokens": 1,
                    "keep_tokens_separator": [None],
                    "image_dir": "night",
                    "class_tokens": "lantern",
                    "is_reg": False,
                }
            ],
        }
    ],
}

#: The same of plain folders.
FOLDERS: Mapping[str, Any] = {
    **{key: value for key, value in LANTERN.items() if key != "ss_datasets"},
    "ss_batch_size_per_device": "4",
    "ss_total_batch_size": "4",
    "ss_gradient_accumulation_steps": "1",
    "ss_resolution": "(512, 768)",
    "ss_enable_bucket": "False",
    "ss_keep_tokens": "2",
    "ss_flip_aug": "True",
    "ss_dataset_dirs": {"6_lantern night": {"n_repeats": 6, "img_count": 20}},
    "ss_reg_dataset_dirs": {"1_lamp": {"n_repeats": 1, "img_count": 200}},
}


@dataclass(frozen=True, slots=True)
class Made:
    """A recipe, read back by the strict reader."""

    recipe: Export
    config: Mapping[str, Any]
    datasets: list[dict[str, Any]]

    def notes(self, kind: Kind) -> dict[str, str]:
        """Subject -> text."""
        return {
            note.subject: "; ".join(filter(None, (note.text, note.otherwise)))
            for note in self.recipe.notes
            if note.kind is kind
        }


def decoded_of(
    metadata: Mapping[str, Any], tensors: Mapping[str, tuple[int, ...]] | None = None
) -> Decoded:
    """A header; what is no text in the metadata is written as JSON."""
    texts = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in metadata.items()
    }
    return decode(
        Header(
            length=0,
            tensors={name: Tensor("F16", shape, (0, 0)) for name, shape in (tensors or {}).items()},
            metadata=texts,
        )
    )


def made_of(decoded: Decoded) -> Made:
    """Its recipe; fails unless sd-scripts would take every line of it."""
    recipe = export(decoded)
    return Made(
        recipe=recipe,
        config=sd_scripts.read_config(config_text(recipe, "a file"), recipe.script),
        datasets=sd_scripts.read_datasets(dataset_text(recipe)),
    )


def recipe_of(
    metadata: Mapping[str, Any],
    tensors: Mapping[str, tuple[int, ...]] | None = None,
    /,
    **changes: object,
) -> Made:
    """The recipe of a header; `changes` are keys without `ss_`, None takes one away."""
    changed = {f"ss_{name}": value for name, value in changes.items()}
    kept = {key: value for key, value in {**metadata, **changed}.items() if value is not None}
    return made_of(decoded_of(kept, tensors))
