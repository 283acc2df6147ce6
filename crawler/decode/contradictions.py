"""Where what the metadata claims and what the tensors say cannot both be true.

Both stay in their columns; a Problem says so. Only what is certain is told. A rate for a text encoder
beside no layer of one is none (`--network_train_unet_only` leaves the rate in), and neither is a
rank that a setting of its own overrides layer by layer.
"""

import re

from crawler.decode import clean
from crawler.decode.problems import CONTRADICTED
from crawler.model import Problem, Recipe, Weights

#: Name of the base, in lower case and without separators -> architecture. Names of sd-scripts,
#: musubi-tuner, ai-toolkit, TrainTrain and of `modelspec.architecture`; what could mean another
#: base as well, such as `flux` or `krea`, is not here.
_BASES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), architecture)
    for pattern, architecture in (
        (r"sdxl.*|stablediffusionxl.*", "sdxl"),
        (r"sdv?1(?:v|\d)?|stablediffusionv1\d?", "sd1"),
        (r"sdv?2(?:v|\d)?|stablediffusionv2(?:\d{3}v?|\d)?", "sd2"),
        (r"sdv?3.*|stablediffusion3.*", "sd3"),
        (r"flux1.*|fluxkontext", "flux1"),
        (r"flux2.*", "flux2"),
        (r"chroma1?(?:hd|base|radiance)?", "chroma"),
        (r"lumina2", "lumina2"),
        (r"hunyuanvideo(?:15)?", "hunyuan-video"),
        (r"qwenimage(?:edit|layered)?(?:plus|\d{4})?", "qwen-image"),
        (r"wan(?:\d\w*)?", "wan"),
        (r"zimage(?:turbo|base|deturbo)?", "z-image"),
        (r"hidreami1\w*", "hidream"),
        (r"anima(?:preview)?\d*", "anima"),
        (r"krea2", "krea2"),
        (r"ideogram4", "ideogram4"),
        (r"kandinsky5\w*", "kandinsky5"),
        (r"ltx(?:v|video)?\d*", "ltx"),
    )
)
_SEPARATORS = re.compile(r"[-_./ ]+")

#: Longest name that is looked up, in characters; the known ones stay below 40.
_MAX_NAME_CHARS = 80

#: Architectures whose LoRAs name their tensors alike: a LoRA for Chroma is read as one for Flux.1, and
#: tools that extract LoRAs write `flux1` for both.
_TWINS = (frozenset({"flux1", "chroma"}),)

#: Architectures with convolutions that a LoRA may train; elsewhere `conv_dim` does nothing.
_UNETS = frozenset({"sd1", "sd2", "sdxl"})

#: Algorithms whose every layer has the rank that was asked for, or that of the convolutions. Factors
#: of a LoKr are whole where the rank is large, those of the rest have no rank.
_RANKED = frozenset({"lora", "locon", "dora", "loha"})

#: Two names of one algorithm, with and without convolutions: a merger or a preset takes them in or
#: leaves them out.
_PLAIN = frozenset({"lora", "locon"})

#: Trainers' name for files whose arguments are made up, not asked for.
_MERGED = "merge-tool"


def disagreements(recipe: Recipe, weights: Weights) -> tuple[Problem, ...]:
    """One problem for each contradiction, in the order of the columns; none where both agree."""
    return tuple(
        Problem(CONTRADICTED, field, detail)
        for field, detail in (
            ("network_dim", _rank(recipe, weights)),
            ("conv_dim", _convolutions(recipe, weights)),
            ("network_algo", _algorithm(recipe, weights)),
            ("v2", _second(recipe, weights)),
            ("base_model_version", _architecture(recipe, weights)),
        )
        if detail
    )


def _rank(recipe: Recipe, weights: Weights) -> str:
    least, most = weights.tensor_rank_min, weights.tensor_rank_max
    if least is None or most is None or recipe.network_dim is None:
        return ""
    if weights.tensor_algo not in _RANKED or _has_ranks_of_its_own(recipe):
        return ""
    asked = (recipe.network_dim, recipe.conv_dim)
    if any(rank is not None and least <= rank <= most for rank in asked):
        return ""
    found = f"rank {least:,}" if least == most else f"ranks {least:,} to {most:,}"
    return f"the metadata says rank {recipe.network_dim:,}, the tensors have {found}"


def _has_ranks_of_its_own(recipe: Recipe) -> bool:
    """Whether arguments set ranks layer by layer, or join layers (`split_qkv`), which adds ranks up.

    sd-scripts has `block_dims`, `in_dims`, `img_attn_dim` and the like, PEFT has `rank_pattern`;
    `conv_dim` alone is a column.
    """
    names = (recipe.network_args or {}).keys() - {"conv_dim"}
    return _has_preset(recipe) or any(
        name.endswith(("dim", "dims")) or name in {"rank_pattern", "split_qkv"} for name in names
    )


def _convolutions(recipe: Recipe, weights: Weights) -> str:
    if not recipe.conv_dim or recipe.conv_dim < 0 or weights.trains_conv is not False:
        return ""
    by_chance = recipe.trainer == _MERGED or _has_preset(recipe)
    if weights.architecture not in _UNETS or by_chance:
        return ""
    return f"the metadata says conv_dim {recipe.conv_dim:,}, no tensor is a convolution"


def _algorithm(recipe: Recipe, weights: Weights) -> str:
    claimed, found = recipe.network_algo, weights.tensor_algo
    if claimed is None or found is None or claimed == found or _has_preset(recipe):
        return ""
    if {claimed, found} <= _PLAIN:
        return ""
    return f"the metadata says {clean.quote(claimed)}, the tensors are {found}"


def _has_preset(recipe: Recipe) -> bool:
    """Whether a preset chose layers, or an algorithm for each: LyCORIS' own or one from a file."""
    args = recipe.network_args or {}
    return any(args.get(name) not in (None, "full") for name in ("preset", "apply_preset"))


def _second(recipe: Recipe, weights: Weights) -> str:
    if recipe.v2 is None or weights.architecture not in _UNETS:
        return ""
    if recipe.v2 is (weights.architecture == "sd2"):
        return ""
    base = "Stable Diffusion 2" if recipe.v2 else "no Stable Diffusion 2"
    return f"the metadata says {base}, the tensors fit {weights.architecture}"


def _architecture(recipe: Recipe, weights: Weights) -> str:
    claimed, found = recipe.base_model_version, weights.architecture
    if claimed is None or found is None:
        return ""
    meant = _meant(claimed)
    if meant is None or meant == found or any({meant, found} <= twins for twins in _TWINS):
        return ""
    return f"the metadata says {clean.quote(claimed)}, the tensors fit {found}"


def _meant(base: str) -> str | None:
    """The architecture that a trainer's name of the base stands for; None when it is not known."""
    if len(base) > _MAX_NAME_CHARS:
        return None
    name = _SEPARATORS.sub("", base.lower())
    return next((found for pattern, found in _BASES if pattern.fullmatch(name)), None)
