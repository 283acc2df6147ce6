"""Contradictions between the claims of the metadata and the facts of the tensors.

Neither column changes; a Problem is added. Only certain contradictions count. A rate for a text
encoder without layers is not one, as `--network_train_unet_only` keeps the rate. A rank that
arguments override layer by layer is not one either.
"""

from crawler.decode import clean
from crawler.decode.base_names import UNETS, certain_architecture, have_same_layers
from crawler.decode.problems import CONTRADICTED
from crawler.model import Problem, Recipe, Trainer, Weights

#: Algorithms whose layers all have the requested rank, or that of the convolutions. A LoKr with a
#: large rank has full factors, and other algorithms have no rank.
_RANKED = frozenset({"lora", "locon", "dora", "loha", "tlora"})

#: One algorithm with and without convolutions, which a merge tool or a preset may add or drop.
_PLAIN = frozenset({"lora", "locon"})


def disagreements(recipe: Recipe, weights: Weights) -> tuple[Problem, ...]:
    """One problem for each contradiction, in the order of the columns."""
    return tuple(
        Problem(CONTRADICTED, field, detail)
        for field, detail in (
            ("network_dim", _rank(recipe, weights)),
            ("conv_dim", _convolutions(recipe, weights)),
            ("network_algo", _algorithm(recipe, weights)),
            ("v2", _stable_diffusion_2(recipe, weights)),
            ("base_model_version", _architecture(recipe, weights)),
        )
        if detail
    )


def _rank(recipe: Recipe, weights: Weights) -> str:
    least, most = weights.tensor_rank_min, weights.tensor_rank_max
    if least is None or most is None or recipe.network_dim is None:
        return ""
    if weights.tensor_algo not in _RANKED or _sets_ranks_of_layers(recipe):
        return ""
    asked = (recipe.network_dim, recipe.conv_dim)
    if any(rank is not None and least <= rank <= most for rank in asked):
        return ""
    found = f"rank {least:,}" if least == most else f"ranks {least:,} to {most:,}"
    return f"the metadata says rank {recipe.network_dim:,}, the tensors have {found}"


def _sets_ranks_of_layers(recipe: Recipe) -> bool:
    """Whether arguments set the ranks of layers, or join layers (`split_qkv`), which adds up ranks.

    sd-scripts has `block_dims`, `in_dims`, `img_attn_dim` and others, PEFT has `rank_pattern`.
    """
    names = (recipe.network_args or {}).keys() - {"conv_dim"}
    return _has_preset(recipe) or any(
        name.endswith(("dim", "dims")) or name in {"rank_pattern", "split_qkv"} for name in names
    )


def _convolutions(recipe: Recipe, weights: Weights) -> str:
    if not recipe.conv_dim or recipe.conv_dim < 0 or weights.trains_conv is not False:
        return ""
    may_lack_them = recipe.trainer == Trainer.MERGE_TOOL or _has_preset(recipe)
    if weights.architecture not in UNETS or may_lack_them:
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
    """Whether a LyCORIS preset selected layers, or an algorithm for each of them."""
    args = recipe.network_args or {}
    return any(args.get(name) not in (None, "full") for name in ("preset", "apply_preset"))


def _stable_diffusion_2(recipe: Recipe, weights: Weights) -> str:
    if recipe.v2 is None or weights.architecture not in UNETS:
        return ""
    if recipe.v2 is (weights.architecture == "sd2"):
        return ""
    base = "Stable Diffusion 2" if recipe.v2 else "not Stable Diffusion 2"
    return f"the metadata says {base}, the tensors fit {weights.architecture}"


def _architecture(recipe: Recipe, weights: Weights) -> str:
    claimed, found = recipe.base_model_version, weights.architecture
    if claimed is None or found is None:
        return ""
    meant = certain_architecture(claimed)
    if meant is None or have_same_layers(meant, found):
        return ""
    return f"the metadata says {clean.quote(claimed)}, the tensors fit {found}"
