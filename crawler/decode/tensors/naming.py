"""Tensor names taken apart: which layer of which model a tensor changes, and which part it plays.

Trainers spell one layer in many ways: sd-scripts and LyCORIS write underscores
(`lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight`), diffusers and PEFT write dots
(`unet.down_blocks.0.attentions.0.proj_in.lora_A.weight`), older diffusers hide the layer in a
processor (`….attn1.processor.to_q_lora.down.weight`), cloneofsimo/lora counts
(`unet:0:down`). Where in its model a layer is, `places` says.

Every step here looks at a name once, from its end or its beginning, so the time is linear in its
length whatever it holds.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

#: The last component of a name, `.weight` and PEFT's adapter name set aside -> the part it plays.
_ROLES: Final = {
    "lora_down": "down",
    "lora_A": "down",
    "lora_embedding_A": "down",
    "lora_up": "up",
    "lora_B": "up",
    "lora_embedding_B": "up",
    "lora_mid": "mid",
    "alpha": "alpha",
    "dora_scale": "dora",
    "lora_magnitude_vector": "dora",
    "magnitude": "dora",
    "hada_w1_a": "hada_w1_a",
    "hada_w1_b": "hada_w1_b",
    "hada_w2_a": "hada_w2_a",
    "hada_w2_b": "hada_w2_b",
    "hada_t1": "hada_t1",
    "hada_t2": "hada_t2",
    "lokr_w1": "lokr_w1",
    "lokr_w1_a": "lokr_w1_a",
    "lokr_w1_b": "lokr_w1_b",
    "lokr_w2": "lokr_w2",
    "lokr_w2_a": "lokr_w2_a",
    "lokr_w2_b": "lokr_w2_b",
    "lokr_t1": "lokr_t1",
    "lokr_t2": "lokr_t2",
    "oft_blocks": "oft_blocks",
    "oft_diag": "oft_blocks",
    "oft_R": "oft_r",
    "oft_r": "oft_r",
    "boft_R": "boft_r",
    "rescale": "rescale",
    "on_input": "on_input",
    "ia3_l": "ia3_l",
    "a1": "a1",
    "a2": "a2",
    "b1": "b1",
    "b2": "b2",
    "bm": "bm",
    "diff": "diff",
    "diff_b": "diff_b",
    "w_norm": "w_norm",
    "b_norm": "b_norm",
}

#: diffusers splits the role off with a dot: `to_k_lora.down`, `q_proj.lora_linear_layer.up`.
_DOTTED_ROLES: Final = frozenset({"down", "up", "mid"})

#: What is left in front of such a role, cut off to reach the layer.
_DOTTED_MARKS: Final = (".lora", "_lora", ".lora_linear_layer")

#: Roles glued to the layer by an underscore, as hand-written converters leave them.
_GLUED_ROLES: Final = {"_lora_down": "down", "_lora_up": "up"}

#: Ends of names that tell the role whatever stands in front, and make the rest the layer.
TAILS: Final[Mapping[str, str]] = MappingProxyType(
    {
        f".{part}{end}": role
        for part, role in _ROLES.items()
        for end in ("", ".weight", ".default", ".default.weight")
    }
    | {f"{mark}.{role}.weight": role for mark in _DOTTED_MARKS for role in _DOTTED_ROLES}
    | {f"{glued}.weight": role for glued, role in _GLUED_ROLES.items()}
    | {f":{role}": role for role in _DOTTED_ROLES}
)


def split_name(name: str) -> tuple[str, str]:  # noqa: PLR0911 - one for each spelling
    """A tensor's layer, as it is spelled in the file, and the role the tensor has in it.

    The role is `weight` or `bias` for tensors of an ordinary model, which are no adapter's, and
    empty for a name that says nothing.
    """
    layer, _, tail = name.rpartition(".")
    role = _ROLES.get(tail)
    if role is not None:
        return layer, role
    if tail in ("weight", "default"):
        whole = layer
        layer, _, tail = layer.rpartition(".")
        if tail == "default":  # PEFT's name of the adapter, where it was not taken out
            layer, _, tail = layer.rpartition(".")
        role = _ROLES.get(tail)
        if role is not None:
            return layer, role
        if tail in _DOTTED_ROLES:
            return _cut_mark(layer, tail) or (whole, "weight")
        for glued, glued_role in _GLUED_ROLES.items():
            if tail.endswith(glued):
                return whole.removesuffix(glued), glued_role
        return whole, "weight"
    if ":" in tail:
        layer, _, tail = name.rpartition(":")
        return (layer, tail) if tail in _DOTTED_ROLES else (name, "")
    return (layer, "bias") if tail == "bias" else (name, "")


def _cut_mark(layer: str, role: str) -> tuple[str, str] | None:
    """`to_k_lora` is layer `to_k`; a `down` behind anything without `lora` is a layer's own name."""
    for mark in _DOTTED_MARKS:
        if layer.endswith(mark):
            return layer.removesuffix(mark), role
    return (layer, role) if "lora" in layer.rpartition(".")[2] else None
