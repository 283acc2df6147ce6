"""Small safetensors files for tests, with metadata of a made-up run."""

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

#: The fixture `run`: words in, what came of them out.
Run = Callable[..., Result]

#: A run that was written down in full; everything in it is made up.
LANTERN = {
    "ss_network_module": "networks.lora",
    "ss_network_dim": "16",
    "ss_network_alpha": "8.0",
    "ss_unet_lr": "0.0003",
    "ss_text_encoder_lr": "5e-05",
    "ss_learning_rate": "0.0003",
    "ss_optimizer": "bitsandbytes.optim.adamw.AdamW8bit(weight_decay=0.1)",
    "ss_lr_scheduler": "cosine",
    "ss_steps": "600",
    "ss_max_train_steps": "600",
    "ss_epoch": "10",
    "ss_num_epochs": "10",
    "ss_batch_size_per_device": "2",
    "ss_total_batch_size": "2",
    "ss_gradient_accumulation_steps": "1",
    "ss_num_train_images": "120",
    "ss_num_reg_images": "0",
    "ss_num_batches_per_epoch": "60",
    "ss_resolution": "(512, 768)",
    "ss_training_started_at": "1700000000.0",
    "ss_training_finished_at": "1700000900.5",
    "ss_sd_scripts_commit_hash": "0123456789abcdef0123456789abcdef01234567",
    "ss_sd_model_name": "harbour.safetensors",
    "ss_noise_offset": "a lot",
    "ss_seed": "1234567",
    "ss_dataset_dirs": json.dumps({"6_lantern": {"n_repeats": 6, "img_count": 20}}),
    "ss_tag_frequency": json.dumps({"6_lantern": {"lantern": 20, "night": 11, "\u202edark": 1}}),
    "ss_bucket_info": json.dumps(
        {
            "buckets": {
                "0": {"resolution": [512, 768], "count": 90},
                "1": {"resolution": [768, 512], "count": 30},
            }
        }
    ),
    "made_up_key": "a \x1b[31mred\x1b[0m value\nin two lines",
}

#: Rank 8 for cross-attention of Stable Diffusion 1: the metadata above says 16.
_TENSORS = {
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": [
        8,
        768,
    ],
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_up.weight": [320, 8],
}


def header_bytes(metadata: dict[str, str] | None) -> tuple[bytes, int]:
    """The bytes up to the end of the header, and the length of the weights behind them."""
    header: dict[str, object] = {} if metadata is None else {"__metadata__": metadata}
    end = 0
    for name, shape in _TENSORS.items():
        begin, end = end, end + 2 * shape[0] * shape[1]
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text, end


def write_lora(path: Path, metadata: dict[str, str] | None) -> Path:
    """A whole file, its weights all zero."""
    head, body = header_bytes(metadata)
    path.write_bytes(head + bytes(body))
    return path
