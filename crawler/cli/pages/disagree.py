"""Where what the metadata claims and what the tensors say cannot both be true."""

from collections.abc import Mapping
from typing import Any

from crawler.cli.words import number

#: What a trainer's name of the base begins with -> the architecture it names. Longer beginnings
#: stand before shorter ones that they contain. Names of sd-scripts, musubi-tuner and ai-toolkit.
_ARCHITECTURES = (
    ("sdxl", "sdxl"),
    ("sd_v1", "sd1"),
    ("sd_1", "sd1"),
    ("sd_v2", "sd2"),
    ("sd_2", "sd2"),
    ("sd3", "sd3"),
    ("sd_3", "sd3"),
    ("flux_2", "flux2"),
    ("flux2", "flux2"),
    ("flux1", "flux1"),
    ("flux.1", "flux1"),
    ("flux_kontext", "flux1"),
    ("chroma", "chroma"),
    ("lumina2", "lumina2"),
    ("hunyuan_video", "hunyuan-video"),
    ("qwen_image", "qwen-image"),
    ("wan", "wan"),
    ("z_image", "z-image"),
    ("zimage", "z-image"),
    ("hidream", "hidream"),
    ("anima", "anima"),
    ("krea2", "krea2"),
    ("ideogram4", "ideogram4"),
    ("kandinsky5", "kandinsky5"),
    ("ltx", "ltx"),
)

#: Architectures whose LoRAs name their tensors alike, so that neither disproves the other.
_TWINS = ({"flux1", "chroma"}, {"z-image", "lumina2"})


def disagreements(row: Mapping[str, Any]) -> list[str]:
    """One sentence for each contradiction; what only may be one is left out.

    Args:
        row: Columns of `loras` by name.
    """
    told = (_rank(row), _architecture(row), _convolutions(row))
    return [text for text in told if text]


def _rank(row: Mapping[str, Any]) -> str:
    claimed, least, most = (
        row.get(name) for name in ("network_dim", "tensor_rank_min", "tensor_rank_max")
    )
    if claimed is None or least is None or most is None or least <= claimed <= most:
        return ""
    if row.get("tensor_algo") not in {"lora", "locon", "dora"}:
        return ""  # Factors of other algorithms are not as wide as the rank that was asked for.
    found = number(least) if least == most else f"{number(least)} to {number(most)}"
    return f"the metadata says rank {number(claimed)}, the tensors have {found}"


def _architecture(row: Mapping[str, Any]) -> str:
    claimed, found = row.get("base_model_version"), row.get("architecture")
    if not claimed or not found:
        return ""
    meant = next((name for begin, name in _ARCHITECTURES if claimed.startswith(begin)), None)
    if meant is None or meant == found or any({meant, found} <= twins for twins in _TWINS):
        return ""
    return f"the metadata says it was trained on {claimed}, the tensors fit {found}"


def _convolutions(row: Mapping[str, Any]) -> str:
    if row.get("conv_dim") and row.get("trains_conv") is False:
        return f"the metadata says conv_dim {number(row['conv_dim'])}, no tensor is a convolution"
    return ""
