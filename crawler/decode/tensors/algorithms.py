"""The layers that a file changes, with their algorithm, rank and widths.

    tensors --gather--> layers by their tensors' roles and forms --layers_of--> Layers

Most layers of a file are alike: their tensors have the same roles and shapes. They are gathered into
one `Layers`, so that each distinct set of shapes is measured once.

Shapes follow the trainers. A weight is [out, in, kernel…]; `lora_down` is [rank, in, kernel…] and
`lora_up` [out, rank, 1…] (sd-scripts `networks`, PEFT's A and B); LyCORIS' modules are as in
`lycoris/modules`. A fact that the shapes do not show is None. No shape raises.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from crawler.decode.tensors.layer_names import (
    BEFORE_PEFT,
    ORDINARY,
    UNET_STARTS,
    locate,
    split_name,
)
from crawler.model import Tensor

Shape = tuple[int, ...]

#: The tensors of a layer: the role and the shape of each.
Parts = tuple[tuple[str, Shape], ...]

Roles = Mapping[str, Shape]

#: Algorithm, rank, inputs and outputs of a layer.
Measures = tuple[str | None, int | None, int | None, int | None]

#: Ends and beginnings of the paths of a UNet's 3x3 convolutions, as diffusers and the original code
#: name them. LyCORIS flattens kernels into the width of a matrix, so the shape alone is not enough.
_CONV_ENDS: Final = (
    *("_conv", "_conv1", "_conv2", "conv_in", "conv_out"),
    *("_in_layers_2", "_out_layers_3", "_op"),
)
_CONV_STARTS: Final = (*UNET_STARTS, "conv_")

#: The prefix of sd-scripts' OFT, whose rank is the number of blocks. LyCORIS', its rank is their size.
_RANK_IS_COUNT: Final = "oft_"

#: Dimensions of a matrix, and of the blocks of OFT and BOFT.
_MATRIX: Final = 2
_OFT: Final = 3
_BOFT: Final = 4

#: Roles whose further dimensions are not a kernel.
_NO_KERNEL: Final = ("oft_", "boft_", "dora", "rescale")


class Layers(msgspec.Struct, frozen=True, gc=False):
    """Layers of a model that the file changes by tensors of the same shapes.

    Attributes:
        algo: `lora loha lokr oft boft ia3 glora full tlora`, None when no tensor shows it.
        rank: None for zero, and where the algorithm has no rank (full matrices).
        in_width: Inputs of each layer, None when the tensors do not show them.
        out_width: Outputs of each layer, None when the tensors do not show them.
        conv: Whether one of them is a convolution of 3x3 or larger, by shape or by path.
        dora: Whether a magnitude is trained beside the direction.
        before_peft: Whether the names are those that diffusers gave layers until it used PEFT.
        count: The number of layers.
        paths: The paths of those in the denoiser.
        encoders: The paths of the others, by the number of their text encoder.
    """

    algo: str | None
    rank: int | None
    in_width: int | None
    out_width: int | None
    conv: bool
    dora: bool
    before_peft: bool
    count: int
    paths: tuple[str, ...]
    encoders: Mapping[int, tuple[str, ...]]


def layers_of(tensors: Mapping[str, Tensor]) -> tuple[Layers, ...]:
    """Every layer with an adapter; layers of the same shapes are grouped."""
    return tuple(
        _layers(dict(parts), names)
        for parts, names in gather(tensors).items()
        if not ORDINARY.issuperset([role for role, _ in parts])
    )


def gather(tensors: Mapping[str, Tensor]) -> Mapping[Parts, list[str]]:
    """Layer names as in the file, by the roles and shapes of their tensors; unknown roles left out."""
    layers: defaultdict[str, list[tuple[str, Shape]]] = defaultdict(list)
    for (layer, role), tensor in zip(map(split_name, tensors), tensors.values(), strict=True):
        if role:
            layers[layer].append((role, tensor.shape))
    found: defaultdict[Parts, list[str]] = defaultdict(list)
    for layer, parts in layers.items():
        found[tuple(parts)].append(layer)
    return found


def _layers(named: Roles, names: Sequence[str]) -> Layers:
    roles = {role.removeprefix(BEFORE_PEFT): shape for role, shape in named.items()}
    algo, rank, in_width, out_width = _measures(roles, names[0])
    places: defaultdict[int | None, list[str]] = defaultdict(list)
    for encoder, path in map(locate, names):
        places[encoder].append(path)
    paths = tuple(places.pop(None, ()))
    # The LoRA of a convolution has the kernel in its shape; LyCORIS' other algorithms flatten it.
    may_hide_kernel = len(roles.get("down", ())) != _MATRIX
    return Layers(
        algo=algo,
        rank=rank if rank is not None and rank > 0 else None,
        in_width=in_width,
        out_width=out_width,
        conv=_has_kernel(roles) or (may_hide_kernel and any(map(_is_convolution, paths))),
        dora="dora" in roles,
        before_peft=any(role.startswith(BEFORE_PEFT) for role in named),
        count=len(names),
        paths=paths,
        encoders={number: tuple(found) for number, found in places.items() if number is not None},
    )


def _measures(roles: Roles, name: str) -> Measures:
    """Algorithm, rank and widths by the shapes of a layer's tensors, and the name of one such layer."""
    for algo, reads, writes in (("lora", "down", "up"), ("tlora", "q_layer", "p_layer")):
        if reads in roles:
            down, up = roles[reads], roles.get(writes)
            # Nunchaku stores both matrices as [width, rank].
            turned = len(down) == _MATRIX and up is not None and down[0] != _side(up, 1) == down[1]
            rank, in_width = reversed(down) if turned else (_side(down, 0), _side(down, 1))
            return algo, rank, in_width, _side(up, 0)
    if "lokr_w1" in roles or "lokr_w1_a" in roles:
        return _kronecker(roles)
    if "hada_w1_b" in roles:
        first, second = roles.get("hada_w1_a"), roles["hada_w1_b"]
        # With a Tucker core both factors are [rank, width].
        outputs = _side(first, 1 if "hada_t1" in roles else 0)
        return "loha", _side(second, 0), _side(second, 1), outputs
    if "diff" in roles:
        return "full", None, _side(roles["diff"], 1), _side(roles["diff"], 0)
    if "a1" in roles and "b1" in roles:
        # One release of LyCORIS writes [width, rank], another [rank, width]; the rank is smaller.
        first, second = roles["a1"][:_MATRIX], roles["b1"][:_MATRIX]
        rank = min(first, default=None)
        return "glora", rank, max(first, default=None), max(second, default=None)
    return _without_matrices(roles, name)


def _without_matrices(roles: Roles, name: str) -> Measures:
    """As `_measures`, for algorithms without low-rank matrices and for incomplete layers."""
    if blocks := [shape for role, shape in roles.items() if role.startswith("oft_blocks")]:
        return _orthogonal(blocks, rank_is_count=name.startswith(_RANK_IS_COUNT))
    if "oft_r" in roles:
        return "oft", _side(roles["oft_r"], 0), None, None
    if "boft_r" in roles:
        return "boft", _side(roles["boft_r"], 1), None, None
    if "ia3_l" in roles or "on_input" in roles:
        return "ia3", None, None, None
    if "up" in roles or "mid" in roles:
        return "lora", None, None, _side(roles.get("up"), 0)
    only_bias_or_norm = "diff_b" in roles or "w_norm" in roles or "b_norm" in roles
    return "full" if only_bias_or_norm else None, None, None, None


def _kronecker(roles: Roles) -> Measures:
    """LoKr: the layer is the Kronecker product of w1 and w2, each whole or split in two factors."""
    get = roles.get
    whole1, whole2 = get("lokr_w1"), get("lokr_w2")
    left1, right1 = whole1 or get("lokr_w1_a"), whole1 or get("lokr_w1_b")
    left2, right2 = whole2 or get("lokr_w2_a"), whole2 or get("lokr_w2_b")
    # With a Tucker core both factors of w2 are [rank, width].
    tucker = whole2 is None and "lokr_t2" in roles
    rank = _side(get("lokr_w2_b") or get("lokr_w1_b"), 0)
    outputs = _product(_side(left1, 0), _side(left2, 1 if tucker else 0))
    return "lokr", rank, _product(_side(right1, 1), _side(right2, 1)), outputs


def _orthogonal(parts: Sequence[Shape], *, rank_is_count: bool) -> Measures:
    """OFT [blocks, size, size] and BOFT [butterflies, blocks, size, size].

    A layer that joins several has one tensor for each part, and the outputs of all.
    """
    blocks = parts[0]
    if any(len(part) not in (_OFT, _BOFT) for part in parts):
        return "oft", _side(blocks, 0), None, None
    rank = blocks[-3] if rank_is_count else blocks[-1]
    outputs = sum(part[-3] * part[-1] for part in parts)
    return "oft" if len(blocks) == _OFT else "boft", rank, None, outputs


def _is_convolution(path: str) -> bool:
    return path.endswith(_CONV_ENDS) and path.startswith(_CONV_STARTS)


def _has_kernel(roles: Roles) -> bool:
    """Whether any weight is that of a convolution of 3x3 or larger.

    The kernel of a patch embedding has even sides: it is as large as the patch.
    """
    return any(
        len(shape) > _MATRIX
        and not role.startswith(_NO_KERNEL)
        and any(side > 1 and side % 2 for side in shape[_MATRIX:])
        for role, shape in roles.items()
    )


def _side(shape: Shape | None, number: int) -> int | None:
    return shape[number] if shape is not None and len(shape) > number else None


def _product(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one * other
