"""Made-up nouns, valid by default: a test names only what it is about."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from crawler.decode.verdict import verdict_of
from crawler.model import File, Model, Outcome, Result, Target, Version

#: A moment, when it does not matter which.
NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)

#: What sd-scripts writes at the least, with a little of everything that has a table of its own.
METADATA: Mapping[str, str] = {
    "ss_sd_scripts_commit_hash": "0123456789abcdef0123456789abcdef01234567",
    "ss_network_module": "networks.lora",
    "ss_network_dim": "32",
    "ss_network_alpha": "16.0",
    "ss_learning_rate": "0.0001",
    "ss_optimizer": "bitsandbytes.optim.adamw.AdamW8bit",
    "ss_steps": "1200",
    "ss_total_batch_size": "2",
    "ss_batch_size_per_device": "2",
    "ss_num_train_images": "200",
    "ss_resolution": "(512, 512)",
    "ss_training_started_at": "1700000000.0",
    "ss_training_finished_at": "1700003600.5",
    "ss_dataset_dirs": json.dumps({"5_marble": {"n_repeats": 5, "img_count": 40}}),
    "ss_tag_frequency": json.dumps({"5_marble": {"1girl": 40, "空": 3, "a 'quoted' tag": 1}}),
}


def make_file(file_id: int = 1, **changes: Any) -> File:
    """A primary safetensors file."""
    given: dict[str, Any] = {
        "name": f"marble_{file_id}.safetensors",
        "type": "Model",
        "format": "SafeTensor",
        "size_bytes": 151_000_000,
        "sha256": f"{file_id:064X}",
        "autov2": f"{file_id:064X}"[:10],
        "autov3": f"{file_id:012X}",
        "is_primary": True,
    }
    return File(file_id=file_id, **given | changes)


def make_version(version_id: int = 1, **changes: Any) -> Version:
    """A published version with one file, whose id is that of the version."""
    given: dict[str, Any] = {
        "name": "v1",
        "base_model": "Pony",
        "published_at": datetime(2025, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
        "trained_words": ("marble", "polished marble"),
        "nsfw_level": 1,
        "downloads": 40,
        "likes": 4,
        "files": (make_file(version_id),),
        "body": {"id": version_id, "description": "<p>Steine</p>"},
    }
    return Version(version_id=version_id, **given | changes)


def make_model(model_id: int = 1, **changes: Any) -> Model:
    """A model with one version and one file, whose ids are its own."""
    given: dict[str, Any] = {
        "name": "Marble",
        "type": "LORA",
        "creator": "stonecutter",
        "tags": ("style", "stone"),
        "nsfw": False,
        "nsfw_level": 1,
        "downloads": 100,
        "likes": 10,
        "versions": (make_version(model_id),),
        "body": {"id": model_id, "name": "Marble"},
    }
    return Model(model_id=model_id, **given | changes)


#: Bytes of the tensors that `make_header_bytes` has by default.
TENSOR_BYTES = 2 * (32 * 320 + 320 * 32 + 1)


def make_header_bytes(
    metadata: Mapping[str, str] | None = METADATA,
    tensors: Mapping[str, tuple[str, tuple[int, ...]]] | None = None,
) -> bytes:
    """The first bytes of a sound file: the length of the header, and the header.

    Args:
        metadata: None leaves `__metadata__` out.
        tensors: Name -> dtype (`F16` or `F32`) and shape; by default one LoRA pair of rank 32.
    """
    if tensors is None:
        layer = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
        tensors = {
            f"{layer}.lora_down.weight": ("F16", (32, 320)),
            f"{layer}.lora_up.weight": ("F16", (320, 32)),
            f"{layer}.alpha": ("F16", ()),
        }
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": dict(metadata)}
    offset = 0
    for name, (dtype, shape) in tensors.items():
        end = offset + {"F16": 2, "F32": 4}[dtype]
        for side in shape:
            end = offset + (end - offset) * side
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": (offset, end)}
        offset = end
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text


def make_target(file_id: int = 1, **changes: Any) -> Target:
    """The file of `make_model(file_id)`."""
    given: dict[str, Any] = {
        "version_id": file_id,
        "file_name": f"marble_{file_id}.safetensors",
        "base_model": "Pony",
        "size_bytes": 151_000_000,
    }
    return Target(file_id=file_id, **given | changes)


def make_result(
    file_id: int = 1, header: bytes | None = None, *, version_id: int | None = None, **changes: Any
) -> Result:
    """How the file of `make_model(file_id)` ended.

    Args:
        file_id: Of a file that is stored.
        header: Its first bytes, judged as a crawl does; by default those of `make_header_bytes`.
        version_id: Its version; None for that of `make_model(file_id)`.
        changes: Attributes of the result; a refusal is `header=b"", outcome=…`.
    """
    prefix = make_header_bytes() if header is None else header
    target = make_target(file_id, version_id=file_id if version_id is None else version_id)
    given: dict[str, Any] = {"target": target, "fetched_at": NOW, "header": prefix}
    if prefix:
        verdict = verdict_of(prefix, None)
        given |= {
            "outcome": verdict.outcome,
            "reason": verdict.reason,
            "decoded": verdict.decoded,
            "tensor_list": verdict.decoded and verdict.decoded.header.tensor_list,
        }
    else:
        given |= {"outcome": Outcome.FAILED, "reason": "the server did not answer"}
    return Result(**given | changes)
