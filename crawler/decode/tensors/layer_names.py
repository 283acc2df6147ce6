"""Split tensor names into prefix, path of the layer in the model, and role of the tensor.

    lora_unet_down_blocks_0_proj_in.lora_down.weight
    ^ prefix  ^ path                ^ role

Trainers spell one layer in many ways: `lora_unet_down_blocks_0_proj_in`,
`unet.down_blocks.0.proj_in`, `base_model.model.unet.down_blocks.0.proj_in`. `split_name` cuts the
role off. `locate` cuts the prefix off, separates the denoiser (the UNet or transformer) from the
text encoders, and brings the rest into one normal form, so that all spellings give the same path:
underscores for dots, none doubled or at an end, and no names of wrappers.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

#: Longest layer name that is located, in characters. Real ones stay under 150.
MAX_LAYER_NAME: Final = 512

#: Names whose parts are kept in mind: files of one base model have the same ones.
NAMES_KEPT: Final = 32_768

#: The last component of a name, without `.weight` and PEFT's adapter name -> the role of the tensor.
_ROLES: Final = {
    **dict.fromkeys(("lora_down", "lora_A", "lora_embedding_A"), "down"),
    **dict.fromkeys(("lora_up", "lora_B", "lora_embedding_B"), "up"),
    "lora_mid": "mid",
    **dict.fromkeys(("dora_scale", "lora_magnitude_vector", "magnitude"), "dora"),
    **dict.fromkeys(("oft_blocks", "oft_diag"), "oft_blocks"),
    **dict.fromkeys(("oft_R", "oft_r"), "oft_r"),
    "boft_R": "boft_r",
    **{
        part: part
        for part in (
            *("alpha", "rescale", "on_input", "ia3_l"),
            *("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2"),
            *("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_t1"),
            *("lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"),
            *("a1", "a2", "b1", "b2", "bm"),
            *("q_layer", "p_layer", "lambda_layer"),
            *("diff", "diff_b", "w_norm", "b_norm"),
        )
    },
}

#: diffusers wrote the role behind a dot, until it used PEFT: `to_k_lora.down`,
#: `q_proj.lora_linear_layer.up`. It is then returned with this prefix.
BEFORE_PEFT: Final = "old_"
_DOTTED_ROLES: Final = frozenset({"down", "up", "mid"})

#: Last components that are the role themselves: `down` and `up` of Stability's ControlLoRA.
_BARE: Final = frozenset({"down", "up", "bias"})

#: Comes before such a role and is not part of the layer.
_DOTTED_MARKS: Final = (".lora", "_lora", ".lora_linear_layer")

#: PEFT writes the name of the adapter behind the role; a second wrapper writes one more.
_NAMED: Final = re.compile(
    r"(.*)\.(lora_A|lora_B|lora_magnitude_vector)(?:\.[^.]{1,64}){1,2}", re.DOTALL
)

#: Hand-written converters leave the role behind an underscore.
_GLUED_ROLES: Final = {"_lora_down": "down", "_lora_up": "up"}

#: sd-scripts' OFT of a layer that joins several: `oft_blocks.0`, `oft_blocks.1` ….
_PARTS: Final = re.compile(r"(.*)\.(oft_blocks)\.(\d)", re.DOTALL)

#: Roles of an ordinary model's tensors. A layer with no other role belongs to no adapter.
ORDINARY: Final = frozenset({"weight", "bias"})


def split_name(name: str) -> tuple[str, str]:
    """The layer of a tensor, as the file spells it, and the tensor's role in the layer.

    The role is one of ORDINARY for the tensors of an ordinary model, and empty for an unknown name.
    """
    return _split_short(name) if len(name) <= MAX_LAYER_NAME else _split(name)


@lru_cache(NAMES_KEPT)
def _split_short(name: str) -> tuple[str, str]:
    return _split(name)


def _split(name: str) -> tuple[str, str]:
    layer, _, tail = name.rpartition(".")
    role = _ROLES.get(tail)
    if role is not None:
        return layer, role
    if tail in ("weight", "default"):
        return _split_weight(layer)
    if ":" in tail:
        layer, _, tail = name.rpartition(":")
        return (layer, tail) if tail in _DOTTED_ROLES else (name, "")
    if parts := _PARTS.fullmatch(name):
        return parts[1], f"{parts[2]}_{parts[3]}"
    return (layer, tail) if tail in _BARE else (name, "")


def _split_weight(whole: str) -> tuple[str, str]:
    """As `split_name`, for a name without its `.weight`."""
    layer, _, tail = whole.rpartition(".")
    if tail == "default":  # PEFT's name of the adapter
        layer, _, tail = layer.rpartition(".")
    role = _ROLES.get(tail)
    if role is not None:
        return layer, role
    if tail in _DOTTED_ROLES:
        return _cut_mark(layer, tail) or (whole, "weight")
    for glued, glued_role in _GLUED_ROLES.items():
        if tail.endswith(glued):
            return whole.removesuffix(glued), glued_role
    if named := _NAMED.fullmatch(whole):
        return named[1], _ROLES[named[2]]
    return whole, "weight"


def _cut_mark(layer: str, role: str) -> tuple[str, str] | None:
    """`to_k_lora` is layer `to_k`. Without `lora`, a `down` is part of the layer's own name: None."""
    for mark in _DOTTED_MARKS:
        if layer.endswith(mark):
            return layer.removesuffix(mark), BEFORE_PEFT + role
    return (layer, BEFORE_PEFT + role) if "lora" in layer.rpartition(".")[2] else None


#: Most prefixes of one name. Converters stack two or three (`base_model.model.unet.`).
_MAX_PREFIXES: Final = 4

#: Beginnings of text encoder layers -> the number of the encoder, 0 when it is unnumbered.
_ENCODERS: Final = {
    "lora_te_": 0,
    **{f"lora_te{number}_": number for number in (1, 2, 3, 4)},
    "lora_prior_te_": 0,
    "text_encoder.": 0,
    "text_encoder:": 0,
    **{f"text_encoder_{number}.": number for number in (1, 2, 3, 4)},
    "text_model.": 0,
    **dict.fromkeys(("clip_l.", "lora_clip_l_", "text_encoders.clip_l."), 1),
    **dict.fromkeys(("clip_g.", "lora_clip_g_", "text_encoders.clip_g."), 2),
    **dict.fromkeys(("t5.", "t5xxl."), 3),
    "llama.": 4,
    "text_encoders.": 0,
    "cond_stage_model.": 0,
    "conditioner.embedders.": 0,
}

#: Text encoders by their own names, with their sizes (`qwen3_4b.`), or behind `lora_`.
_OWN_NAMES: Final = "byt5|clip|gemma|jina|llama|llm|mistral|mt5|qwen|t5|umt5"
_OWN_NAME: Final = rf"(?:{_OWN_NAMES})\w{{0,24}}+\.|lora_(?:{_OWN_NAMES})[0-9a-z]{{0,24}}+[._-]"

#: Prefixes of any layer of the whole model.
_DOTTED_PREFIXES: Final = (
    *("base_model.model.", "model.diffusion_model.", "diffusion_model.", "module.", "net."),
    *("transformer.", "transformer_2.", "conditional_transformer.", "transformer_ref.", "unet."),
    *("pipe.", "dit.", "dit2."),
)

#: Prefixes of layers of the denoiser, which may also be written with dots.
_UNDERSCORED_PREFIXES: Final = (
    *("lora_unet_", "lora_prior_unet_", "lora_transformer_", "lora_dit_"),
    *("lycoris_", "oft_unet_", "unet_"),
)


def _any_of(starts: Iterable[str]) -> str:
    return "|".join(map(re.escape, starts))


_PREFIX: Final = re.compile(
    f"(?:{_any_of(_DOTTED_PREFIXES)}){{0,{_MAX_PREFIXES}}}+"
    f"(?:({_any_of(_ENCODERS)}|{_OWN_NAME})"
    f"|(?:{_any_of(_UNDERSCORED_PREFIXES).replace('_', '[._]')}){{0,{_MAX_PREFIXES}}}+[._]*+)"
)

#: Beginnings of the paths of a UNet: diffusers' names, the original code's, cloneofsimo's count.
UNET_STARTS: Final = (
    *("down_blocks_", "mid_block_", "up_blocks_"),
    *("input_blocks_", "middle_block_", "output_blocks_", "unet:"),
)

#: What torch.compile puts in front of the names of a module, at any depth.
_COMPILED: Final = "_orig_mod"

_DOUBLED: Final = re.compile(r"([._])[._]+")


class Place(NamedTuple):
    """Where a layer is.

    Attributes:
        encoder: The number of its text encoder, 0 when unnumbered; None for the denoiser.
        path: Its path in that model, in normal form; empty when the name is too long.
    """

    encoder: int | None
    path: str


def locate(layer: str) -> Place:
    """The place of a layer, from its name as the file spells it."""
    return _locate_short(layer) if len(layer) <= MAX_LAYER_NAME else Place(None, "")


@lru_cache(NAMES_KEPT)
def _locate_short(layer: str) -> Place:
    if _COMPILED in layer:
        layer = _DOUBLED.sub(r"\1", layer.replace(_COMPILED, "")).lstrip("._")
    found = _PREFIX.match(layer)
    if found is None:  # never: every part of the pattern may be empty
        return Place(None, _normal(layer))
    path = _normal(layer[found.end() :])
    if found[1] is None:
        return Place(None, path)
    path = path.removeprefix("transformer_")
    # `text_model.` is the one beginning that is part of the path as well.
    if found[1] == "text_model.":
        path = f"text_model_{path}".rstrip("_")
    return Place(_ENCODERS.get(found[1], 0), path)


def _normal(path: str) -> str:
    """One form of a path for all spellings.

    diffusers wrote the projections of attention behind `processor`, and the output as `to_out`; later
    the output is the first of two modules, `to_out.0`. Conversions of x-flux keep its mark `_lora`.
    """
    path = path.replace(".", "_").replace("_processor_", "_")
    if "__" in path:
        path = _DOUBLED.sub(r"\1", path)
    path = path.strip("_").removesuffix("_lora")
    return path[:-2] if path.endswith("to_out_0") else path
