"""Headers that people reported to trainers, loaders and viewers, with made-up names and values.

One row for each kind. The comment in front of it names the thread, or the project whose source
writes such a header.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

import pytest

from crawler.decode.recipe import decode
from crawler.decode.verdict import verdict_of
from crawler.model import Header, Outcome, Tensor

Shapes = dict[str, tuple[int, ...]]

#: Name of a layer -> outputs and inputs.
Layers = Mapping[str, tuple[int, int]]

FLUX: Layers = {
    **{
        f"double_blocks.{block}.{side}_{layer}": shape
        for block in range(19)
        for side in ("img", "txt")
        for layer, shape in {"attn.qkv": (9216, 3072), "mlp.0": (12288, 3072)}.items()
    },
    **{f"single_blocks.{block}.linear2": (3072, 15360) for block in range(38)},
}
FLUX_OF_DIFFUSERS: Layers = {
    **{
        f"transformer_blocks.{block}.{layer}": (outputs, 3072)
        for block in range(19)
        for layer, outputs in {"attn.to_q": 3072, "ff.net.0.proj": 12288}.items()
    },
    **{
        f"single_transformer_blocks.{block}.{layer}": (outputs, 3072)
        for block in range(38)
        for layer, outputs in {"attn.to_q": 3072, "proj_mlp": 12288}.items()
    },
}
WAN: Layers = {f"blocks.{block}.self_attn.q": (5120, 5120) for block in range(40)}
SDXL: Layers = {
    f"down_blocks.2.attentions.1.transformer_blocks.{block}.{attention}.to_{side}": (1280, inputs)
    for block in range(10)
    for attention, inputs in {"attn1": 1280, "attn2": 2048}.items()
    for side in "kv"
}
KREA2: Layers = {
    f"transformer_blocks.{block}.attn.{side}": (outputs, 6144)
    for block in range(28)
    for side, outputs in {"to_q": 6144, "to_k": 1536, "to_v": 1536, "to_gate": 6144}.items()
}
CLIPS: Layers = {
    f"text_encoder{number}.text_model.encoder.layers.{block}.self_attn.q_proj": (width, width)
    for number, depth, width in (("", 12, 768), ("_2", 32, 1280))
    for block in range(depth)
}
QWEN3: Layers = {f"layers.{block}.self_attn.q_proj": (2048, 1024) for block in range(28)}
ANIMA: Layers = {f"blocks.{block}.self_attn.q_proj": (2048, 2048) for block in range(28)}

KOHYA = {
    "ss_sd_scripts_commit_hash": "0123456789abcdef0123456789abcdef01234567",
    "ss_network_module": "networks.lora",
    "ss_network_dim": "8",
    "ss_network_alpha": "4.0",
    "ss_num_train_images": "200",
    "ss_steps": "1000",
}


def lora(
    layers: Layers,
    prefix: str = "",
    *,
    down: str = "lora_down.weight",
    up: str = "lora_up.weight",
    rank: int = 8,
) -> Shapes:
    """The two matrices of each layer; a prefix that ends in an underscore underscores the name."""
    found: Shapes = {}
    for path, (outputs, inputs) in layers.items():
        layer = prefix + (path.replace(".", "_") if prefix.endswith("_") else path)
        found |= {f"{layer}.{down}": (rank, inputs), f"{layer}.{up}": (outputs, rank)}
    return found


def xlabs(single: str) -> Shapes:
    """As x-flux names the layers of its attention processors."""
    processors: Layers = {
        **{
            f"double_blocks.{block}.processor.{layer}_lora{side}": (outputs, 3072)
            for block in range(19)
            for layer, outputs in {"qkv": 9216, "proj": 3072}.items()
            for side in (1, 2)
        },
        **{
            f"single_blocks.{block}.processor.{layer}_lora": shape
            for block in range(38)
            for layer, shape in {"qkv": (9216, 3072), "proj": (3072, 15360)}.items()
        },
    }
    return lora(processors, down=f"{single}down.weight", up=f"{single}up.weight")


def nunchaku() -> Shapes:
    """Both matrices are transposed to [width, rank]."""
    return {
        f"transformer_blocks.{block}.qkv_proj.{role}": (width, 80)
        for block in range(19)
        for role, width in {"lora_down": 3072, "lora_up": 9216}.items()
    }


def control_lora() -> Shapes:
    """Stability's ControlLoRA: matrices without `lora` in their names, and a mark of size 0."""
    layers = {
        f"input_blocks.7.1.transformer_blocks.{n}.attn2.to_k": (1280, 2048) for n in range(10)
    }
    return {
        **lora(layers, down="down", up="up", rank=128),
        "input_hint_block.0.weight": (16, 3, 3, 3),
        "lora_controlnet": (0,),
    }


def scaled() -> Shapes:
    """Matrices of 8 bits with their scales."""
    scales: Shapes = {f"{name[:-7]}.scale_weight": () for name in lora(FLUX)}
    return {**lora(FLUX), **scales, "scaled_fp8": (2,)}


class Reported(NamedTuple):
    """A header, and the columns that it must give."""

    tensors: Shapes
    metadata: Mapping[str, str] | None
    columns: Mapping[str, object]


def told(architecture: str | None, rank: int | None = 8, **columns: object) -> dict[str, object]:
    """The columns of a plain LoRA of the denoiser, changed by `columns`."""
    return {
        "architecture": architecture,
        "tensor_rank": rank,
        "tensor_algo": "lora",
        "trains_text_encoder": False,
        "trains_conv": False,
        **columns,
    }


DATASETS = [
    {"num_train_images": 40, "subsets": [{"img_count": 40, "num_repeats": 1, "image_dir": "kelp"}]},
    {"num_train_images": 0, "bucket_info": {"buckets": {}, "mean_img_ar_error": math.nan}},
]

REPORTED: Mapping[str, Reported] = {
    # XLabs-AI/x-flux#41, huggingface/diffusers#9914, PR#9915, invoke-ai/InvokeAI PR#8686
    "names of x-flux": Reported(xlabs(""), None, told("flux1")),
    "names of x-flux, converted": Reported(xlabs("lora_"), None, told("flux1")),
    # invoke-ai/InvokeAI PR#9252, modelscope/DiffSynth-Studio#886
    "an adapter with a name": Reported(
        lora(FLUX, down="lora_A.kelp.weight", up="lora_B.kelp.weight"), None, told("flux1")
    ),
    "an adapter with two names": Reported(
        lora(FLUX, down="lora_A.kelp_0.default.weight", up="lora_B.kelp_0.default.weight"),
        None,
        told("flux1"),
    ),
    # nunchux-ai/nunchaku#84
    "transposed matrices": Reported(nunchaku(), None, told(None, 80)),
    # kohya-ss/sd-scripts PR#2175
    "a ControlLoRA": Reported(control_lora(), None, told("sdxl", 128)),
    # Comfy-Org/comfy-kitchen#2
    "8 bits with scales": Reported(scaled(), None, told("flux1")),
    # kijai/ComfyUI-WanVideoWrapper#869
    "half of the dots underscored": Reported(
        lora({f"lora_unet_blocks_{n}.self_attn.q": (5120, 5120) for n in range(40)}),
        None,
        told("wan"),
    ),
    # kijai/ComfyUI-WanVideoWrapper (LoRAs of Wan Fun)
    "two underscores": Reported(lora(WAN, "lora_unet__"), None, told("wan")),
    # kijai/ComfyUI-WanVideoWrapper (LoRAs of UniAnimate)
    "the pipeline as a prefix": Reported(
        lora(WAN, "pipe.dit.", down="lora_A.default.weight", up="lora_B.default.weight"),
        None,
        told("wan"),
    ),
    # Comfy-Org/ComfyUI#8922
    "changes of a modulation and a patch embedding": Reported(
        {
            **lora(WAN, "diffusion_model."),
            "diffusion_model.blocks.0.diff_m": (1, 6, 5120),
            "diffusion_model.patch_embedding.diff": (5120, 16, 1, 2, 2),
        },
        None,
        told("wan"),
    ),
    # Comfy-Org/ComfyUI#4347
    "an underscore at the end": Reported(
        lora({f"{path}.": shape for path, shape in FLUX_OF_DIFFUSERS.items()}, "lora_unet_"),
        None,
        told("flux1"),
    ),
    # kijai/ComfyUI-KJNodes#146
    "an input that also reads a control image": Reported(
        lora({**FLUX, "img_in": (3072, 128)}, down="lora_A.weight", up="lora_B.weight"),
        None,
        told("flux1"),
    ),
    # leejet/stable-diffusion.cpp#213
    "the text encoders alone": Reported(
        lora(CLIPS, down="lora_linear_layer.down.weight", up="lora_linear_layer.up.weight"),
        None,
        told("sdxl", trains_text_encoder=True),
    ),
    # Nerogar/OneTrainer (its format of names with dots)
    "T5 alone": Reported(
        lora({f"t5.encoder.block.{n}.layer.0.SelfAttention.q": (4096, 4096) for n in range(24)}),
        None,
        told(None, trains_text_encoder=True),
    ),
    # openvinotoolkit/openvino.genai PR#2023
    "two prefixes": Reported(lora(SDXL, "lora_unet.unet."), None, told("sdxl")),
    # invoke-ai/InvokeAI#9515, mflux-community/mflux PR#462
    "magnitudes of Krea 2": Reported(
        {
            **lora(KREA2, down="lora_A.weight", up="lora_B.weight"),
            **{f"{path}.magnitude": (outputs,) for path, (outputs, _) in KREA2.items()},
        },
        None,
        told("krea2", tensor_algo="dora"),
    ),
    # Comfy-Org/ComfyUI PR#13847, invoke-ai/InvokeAI#9264
    "Anima with its text encoder": Reported(
        {
            **lora(ANIMA, "lora_unet_"),
            **lora(QWEN3, "lora_te_"),
            "text_encoders.qwen3_06b.transformer.model.layers.0.self_attn.q_norm.diff": (128,),
        },
        None,
        told("anima", trains_text_encoder=True),
    ),
    # Comfy-Org/ComfyUI#2831, huggingface/diffusers#7283
    "Stable Cascade": Reported(
        lora(
            {f"down_blocks.0.{n}.attention.to_q": (2048, 2048) for n in (2, 5)}, "lora_prior_unet_"
        )
        | lora({"text_model.encoder.layers.0.mlp.fc1": (5120, 1280)}, "lora_prior_te_"),
        None,
        told(None, trains_text_encoder=True),
    ),
    # kohya-ss/sd-webui-additional-networks#188
    "a whole model": Reported(
        {"model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3)},
        None,
        told(None, None, tensor_algo=None, trains_text_encoder=None, trains_conv=None),
    ),
    # LoRAMancer, fizgig, SuperMerger for Anima, extraction for musubi-tuner
    **{
        f"extracted: {key}": Reported(
            lora(SDXL, "lora_unet_"),
            {
                "ss_network_module": module,
                "ss_network_dim": "8",
                "ss_network_alpha": "8",
                key: value,
            },
            {"trainer": "merge-tool", "network_dim": 8, "network_alpha": 8.0},
        )
        for module, key, value in (
            ("networks.lora", "loramancer_extracted", "true"),
            ("networks.lora", "fizgig_extraction", "checkpoint_diff_svd"),
            ("fizgig.networks.lora_klein", "ss_extraction_blocks", "single_1,single_2"),
            ("networks.lora", "ss_supermerger_anima_lora", "1"),
            ("networks.lora_krea2", "ss_extracted_from", "kelp.safetensors"),
            ("diffusers", "ss_merged_loras", '["kelp", "reef"]'),
        )
    },
    # Scripts that merge files of MiniMax H3
    "merged, with the first file's metadata": Reported(
        lora(SDXL, "lora_unet_"),
        {**KOHYA, "ss_merged_from": "kelp.safetensors,reef.safetensors", "ss_merge_rank": "8"},
        {"trainer": "merge-tool"},
    ),
    "merged from nothing": Reported(
        lora(SDXL, "lora_unet_"),
        {**KOHYA, "ss_merged_from": "None", "ss_merge_rank": ""},
        {"trainer": "kohya", "steps": 1000},
    ),
    # Comfy-Org/ComfyUI PR#15830
    "PEFT's settings as flat keys": Reported(
        lora(FLUX, "transformer."),
        {"format": "pt", "transformer.r": "8", "transformer.lora_alpha": "32"},
        {"outcome": Outcome.DECODED, "network_dim": 8, "network_alpha": 32.0},
    ),
    # Adapters of SDXL, ACE-Step and MiniMax H3 in one trainer; DreamBooth scripts on top of PEFT
    "rank, alpha and step as flat keys": Reported(
        lora(SDXL, "lora_unet_"),
        {"lora_rank": "8", "lora_alpha": "4.0", "step": "1500", "epoch": "3", "model_type": "sdxl"},
        {
            "outcome": Outcome.DECODED,
            "network_dim": 8,
            "network_alpha": 4.0,
            "steps": 1500,
            "epoch": 3,
        },
    ),
    # Geekatplay LoRA Maker
    "the rank among the keys of modelspec": Reported(
        lora(SDXL, "lora_unet_"),
        {"modelspec.rank": "8", "modelspec.alpha": "4", "ss_steps": "900", "ss_optimizer": "Lion"},
        {"network_dim": 8, "network_alpha": 4.0, "steps": 900, "optimizer": "Lion"},
    ),
    # Lulynx
    "the step of a native trainer": Reported(
        lora(SDXL, "lora_unet_"),
        {"ss_network_dim": "8", "ss_network_alpha": "4", "ss_training_step": "800"},
        {"trainer": None, "network_dim": 8, "steps": 800},
    ),
    # ypuddin
    "arguments of the optimizer as JSON": Reported(
        lora(SDXL, "lora_unet_"),
        {"ss_optimizer": 'AdamW({"weight_decay": 0.01, "betas": [0.9, 0.99]})'},
        {"optimizer": "AdamW", "optimizer_args": {"weight_decay": 0.01, "betas": [0.9, 0.99]}},
    ),
    # A trainer that writes the arguments as on a command line
    "arguments of the network as text": Reported(
        lora(SDXL, "lora_unet_"),
        {**KOHYA, "ss_network_args": "conv_dim=4 conv_alpha=2"},
        {"conv_dim": 4, "conv_alpha": 2.0, "network_args": {"conv_dim": "4", "conv_alpha": "2"}},
    ),
    # wochenlong/lora-scripts-next#8
    "arguments of the network without values": Reported(
        lora(SDXL, "lora_unet_"),
        {**KOHYA, "ss_network_args": '{"conv_dim": "undefined", "dropout": null}'},
        {"conv_dim": None, "problems": []},
    ),
    # fizgig, for MiniMax H3
    "the number of epochs": Reported(
        lora(SDXL, "lora_unet_"),
        {"ss_steps": "900", "ss_epochs": "12", "ss_gradient_checkpointing": "1"},
        {"num_epochs": 12, "steps": 900, "gradient_checkpointing": True},
    ),
    # zixaphir/Stable-Diffusion-Webui-Civitai-Helper#103
    "tags as one text": Reported(
        lora(SDXL, "lora_unet_"),
        {**KOHYA, "ss_tag_frequency": '"kelp, reef"'},
        {"steps": 1000, "tags": {}, "problems": ["wrong_shape"]},
    ),
    # A slider trainer on top of musubi-tuner
    "a slider of musubi-tuner": Reported(
        lora({f"layers.{n}.attention.to_q": (3840, 3840) for n in range(30)}, "lora_unet_"),
        {
            "ss_network_module": "networks.lora_zimage",
            "ss_base_model_version": "z_image",
            "ss_learning_rate": "0.0001",
            "ss_steps": "500",
        },
        told("z-image", trainer="musubi-tuner", steps=500, effective_text_encoder_lr=None),
    ),
    # rockerBOO/lora-inspector-rs#10
    "NaN in a dataset for validation": Reported(
        lora(SDXL, "lora_unet_"),
        {**KOHYA, "ss_datasets": json.dumps(DATASETS), "ss_num_train_images": "40"},
        {"image_count": 40, "mean_repeats": 1.0, "problems": ["not_finite"]},
    ),
    # lllyasviel/stable-diffusion-webui-forge#788
    "half of an emoji in a tag": Reported(
        lora(SDXL, "lora_unet_"),
        {**KOHYA, "ss_tag_frequency": '{"10_kelp": {"kelp \\ud83c": 3, "reef": 2}}'},
        {"tag_count": 2, "tags": {"10_kelp": {"kelp \ufffd": 3, "reef": 2}}, "problems": []},
    ),
    # Metadata editors that blank what tells of the data
    "blanked by an editor": Reported(
        lora(SDXL, "lora_unet_"),
        {**KOHYA, "ss_datasets": "", "ss_tag_frequency": "", "ss_dataset_info": ""},
        {"trainer": "kohya", "steps": 1000, "tag_count": None, "problems": []},
    ),
    # NVIDIA/Stable-Diffusion-WebUI-TensorRT#6
    "no base model": Reported(
        lora(SDXL, "lora_unet_"),
        {**KOHYA, "ss_sd_model_name": "None", "ss_new_sd_model_hash": "None"},
        {"trainer": "kohya", "sd_model_name": None, "sd_model_sha256": None, "problems": []},
    ),
    # foundation-model-stack/fastsafetensors PR#89
    "empty metadata": Reported(
        lora(SDXL, "lora_unet_"), {}, told("sdxl", outcome=Outcome.NO_METADATA, problems=[])
    ),
}


@pytest.mark.parametrize("kind", REPORTED)
def test_a_reported_header_gives_its_columns(kind: str) -> None:
    tensors, metadata, expected = REPORTED[kind]
    listed = {name: Tensor("F16", shape, (0, 0)) for name, shape in tensors.items()}
    decoded = decode(Header(2, listed, metadata))
    found: dict[str, Any] = {
        **asdict(decoded.recipe),
        **asdict(decoded.weights),
        "outcome": decoded.outcome,
        "tags": decoded.tags,
        "problems": [problem.code for problem in decoded.problems],
    }
    assert {column: found[column] for column in expected} == expected


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        # safetensors/safetensors#601
        ('{"__metadata__":{"kelp":"reef"},}', Outcome.BAD_HEADER),
        ('{"__metadata__":{"kelp":"reef"}}', Outcome.NO_METADATA),
        # safetensors/safetensors#278
        ('{"__metadata__":{"kelp":0}}', Outcome.BAD_HEADER),
        # AUTOMATIC1111/stable-diffusion-webui-tensorrt#85
        ("{'__metadata__':{'kelp':'reef'}}", Outcome.BAD_HEADER),
    ],
)
def test_a_reported_text_is_judged_as_the_library_does(text: str, outcome: Outcome) -> None:
    header = len(text).to_bytes(8, "little") + text.encode()
    assert verdict_of(header, len(header)).outcome is outcome
