"""Where layers are in their models: `naming` says which layers there are, this what their names mean.

One layer is spelled in many ways (`lora_unet_down_blocks_0_proj_in`, `unet.down_blocks.0.proj_in`);
all of them come out as the same underscored path, `down_blocks_0_proj_in`. Layers of one file begin
alike, so their names are taken together where that comes to the same.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

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


#: Longest layer name that is looked at, in characters. Real ones stay under 150; what is longer is
#: no layer of a known model, and rewriting a megabyte would be wasted.
MAX_LAYER_NAME: Final = 512

#: How many prefixes one name may carry. Converters stack two or three (`base_model.model.unet.`).
_MAX_PREFIXES: Final = 4

#: How the layers of a UNet begin: diffusers' names, those of the original code, cloneofsimo's count.
UNET_STARTS: Final = (
    "down_blocks_",
    "mid_block_",
    "up_blocks_",
    "input_blocks_",
    "middle_block_",
    "output_blocks_",
    "unet:",
)

#: Text encoders by how their layers begin -> their number, 0 where only one is spoken of.
_ENCODERS: Final = {
    "lora_te_": 0,
    **{f"lora_te{number}_": number for number in (1, 2, 3, 4)},
    "lora_prior_te_": 0,
    "text_encoder.": 0,
    "text_encoder:": 0,
    **{f"text_encoder_{number}.": number for number in (1, 2, 3, 4)},
    "text_encoders.": 0,
    "text_model.": 0,
    "clip_l.": 1,
    "clip_g.": 2,
    "t5xxl.": 3,
    "cond_stage_model.": 0,
    "conditioner.embedders.": 0,
}

#: Wrappers around the whole model, cut off for the denoiser and for the text encoders.
_DOTTED_PREFIXES: Final = (
    "base_model.model.",
    "model.diffusion_model.",
    "diffusion_model.",
    "transformer.",
    "unet.",
)
_UNDERSCORED_PREFIXES: Final = (
    "lora_unet_",
    "lora_prior_unet_",
    "lora_transformer_",
    "lycoris_",
    "unet_",
)


def _any_of(starts: Iterable[str]) -> str:
    return "|".join(map(re.escape, starts))


#: All that stands in front of a path: wrappers, and then a text encoder or further wrappers, which
#: may be written with dots.
_FRONT: Final = re.compile(
    f"(?:{_any_of(_DOTTED_PREFIXES)}){{0,{_MAX_PREFIXES}}}+"
    f"(?:({_any_of(_ENCODERS)})"
    f"|(?:{_any_of(_UNDERSCORED_PREFIXES).replace('_', '[._]')}){{0,{_MAX_PREFIXES}}}+[._]*+)"
)

#: What a front can go on with, or how that begins.
_FURTHER: Final = tuple(
    {
        *_DOTTED_PREFIXES,
        *_ENCODERS,
        *(re.split("[._]", start)[0] + mark for start in _UNDERSCORED_PREFIXES for mark in "._"),
        *"._",
    }
)

#: How the layers of a UNet begin as names spell them.
_UNET_SPELLINGS: Final = (
    *UNET_STARTS,
    *(f"{start[:-1]}." for start in UNET_STARTS if start.endswith("_")),
)

#: Different fronts up to which names are taken together; files have one for each model.
_MAX_FRONTS: Final = 8

#: Behind every other character.
_LAST: Final = "\U0010ffff"


class Front(NamedTuple):
    """What stands in front of the paths of some layers.

    Attributes:
        head: All of it.
        encoder: The number of their text encoder, 0 when unnumbered, None for the denoiser.
        kept: What of the head is a part of the path, underscored.
        unet: Whether every path behind it is known to be one of UNET_STARTS.
        last: The last name that has it, in order.
    """

    head: str
    encoder: int | None
    kept: str
    unet: bool = False
    last: str = ""


_NO_FRONT: Final = Front("", None, "")


class Located(NamedTuple):
    """Paths of layers inside their models, underscored, each with a line break behind it.

    A path is empty when the name cannot be one: it is too long or has line breaks.

    Attributes:
        denoiser: Those of the UNet or transformer.
        encoders: Those of text encoders, by the number of the encoder.
        unet: Whether those of the denoiser are known to be a UNet's, all of them.
    """

    denoiser: str
    encoders: Mapping[int, str]
    unet: bool


def fronts_of(layers: Iterable[str]) -> tuple[Front, ...]:
    """The few fronts that all these layers have: each begins with one head and ends its front there.

    In order, names of one head are neighbours, and so are those that would go on with a further
    prefix: looking up every prefix finds them without a look at every name.

    Returns:
        Empty when there is no such order, or when a name cannot be a path.
    """
    ordered = sorted(layers)
    if max(map(len, ordered), default=0) > MAX_LAYER_NAME or "\n" in "".join(ordered):
        return ()
    fronts: list[Front] = []
    at = 0
    while at < len(ordered):
        front = _front(ordered[at])
        behind = bisect_left(ordered, front.head + _LAST, at)
        if behind == at or len(fronts) == _MAX_FRONTS:
            return ()
        unet = front.encoder is None and _is_unet(front.head, ordered, at, behind)
        if not unet and _goes_on(front, ordered, at, behind):
            return ()
        fronts.append(Front(*front[:3], unet, ordered[behind - 1]))
        at = behind
    return tuple(fronts)


def locate(layers: Sequence[str], fronts: Sequence[Front] = ()) -> Located:
    """Where layers are in their models.

    Args:
        layers: As the file spells them.
        fronts: What `fronts_of` says of these and others; without it, each is looked at by itself.
    """
    denoiser, unet = "", True
    encoders: dict[int, str] = {}
    for front, text in _by_front(layers, fronts):
        paths = text.replace("\n" + front.head, "\n" + front.kept)[1:] + "\n"
        if "." in paths:
            paths = paths.replace(".", "_")
        if front.encoder is None:
            denoiser += paths
            unet = unet and front.unet
        else:
            encoders[front.encoder] = encoders.get(front.encoder, "") + paths
    return Located(denoiser, encoders, unet)


def _by_front(layers: Sequence[str], fronts: Sequence[Front]) -> Iterator[tuple[Front, str]]:
    """The layers of every front, each with a line break before it."""
    if fronts and layers:
        if len(fronts) == 1:
            yield fronts[0], "\n" + "\n".join(layers)
        else:
            yield from _between(sorted(layers), fronts)
        return
    parts: dict[Front, list[str]] = {}
    for layer in layers:
        if len(layer) > MAX_LAYER_NAME or "\n" in layer:
            parts.setdefault(_NO_FRONT, []).append("")
        else:
            parts.setdefault(_front(layer), []).append(layer)
    for front, some in parts.items():
        yield front, "\n" + "\n".join(some)


def _between(ordered: Sequence[str], fronts: Sequence[Front]) -> Iterator[tuple[Front, str]]:
    """The same for names in order, by nothing but the bounds of each front."""
    at = 0
    for front in fronts:
        if ordered[-1] <= front.last:
            yield front, "\n" + "\n".join(ordered[at:])
            return
        behind = bisect_right(ordered, front.last, at)
        if behind > at:
            yield front, "\n" + "\n".join(ordered[at:behind])
            at = behind


def _front(layer: str) -> Front:
    """What stands in front of the path of one layer."""
    found = _FRONT.match(layer)
    head, encoder = (found[0], found[1]) if found else ("", None)
    if encoder is None:
        return Front(head, None, "")
    # The only one of them that is a part of the path.
    return Front(head, _ENCODERS[encoder], "text_model_" if encoder == "text_model." else "")


def _is_unet(head: str, ordered: Sequence[str], at: int, behind: int) -> bool:
    """Whether all names that begin with a head go on as those of a UNet do."""
    while at < behind:
        begins = next((s for s in _UNET_SPELLINGS if ordered[at].startswith(s, len(head))), None)
        further = at if begins is None else bisect_left(ordered, head + begins + _LAST, at, behind)
        if further == at:
            return False
        at = further
    return True


def _goes_on(front: Front, ordered: Sequence[str], at: int, behind: int) -> bool:
    """Whether, of names in order that begin with a head, one has more in front of its path."""
    if front.encoder is not None:
        return False  # which is the end of every front
    first, last = ordered[at], ordered[behind - 1]
    for more in _FURTHER:
        further = front.head + more
        if first.startswith(further):
            return True
        if first < further <= last and ordered[
            bisect_left(ordered, further, at, behind)
        ].startswith(further):
            return True
    return False
