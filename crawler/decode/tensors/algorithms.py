"""The layers that a file changes: a header's tensors, gathered and measured.

Shapes follow the trainers: a weight is [out, in, kernel…]; `lora_down` is [rank, in, kernel…] and
`lora_up` [out, rank, 1…] (sd-scripts `networks`, PEFT's A and B); LyCORIS' modules as in
`lycoris/modules`. What a shape does not say is None, and no shape whatever raises.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

import msgspec

from crawler.decode.tensors.layer_names import TAILS, Front, fronts_of, locate, split_name
from crawler.model import Form, Tensor, TensorTable

#: What a layer is made of: the role of each tensor, and the key of its form.
Parts = tuple[tuple[str, Hashable], ...]


class Columns(NamedTuple):
    """The tensors of a header without their places; see `TensorTable`."""

    stems: Sequence[str]
    ends: Sequence[str]
    form_of: Sequence[Hashable]
    forms: Mapping[Any, Form]

    @property
    def in_step(self) -> bool:
        """Whether the stems are layers, and their ends tell a different role each."""
        roles = {TAILS.get(end, "") for end in self.ends}
        return "" not in roles and len(roles) == len(self.ends)


def columns_of(tensors: Mapping[str, Tensor]) -> Columns:
    """Any tensors in columns."""
    if isinstance(tensors, TensorTable):
        return Columns(tensors.stems, tensors.ends, tensors.form_of, tensors.forms)
    form_of = [Form(tensor.dtype, tensor.shape) for tensor in tensors.values()]
    return Columns(list(tensors), ("",), form_of, {form: form for form in form_of})


def gather(columns: Columns) -> Mapping[Parts, list[str]]:
    """The layers as the file spells them, by what they are made of.

    A tensor whose name says nothing of its role is in none.
    """
    return _in_step(columns) if columns.in_step else _one_by_one(columns)


def count_forms(
    columns: Columns, gathered: Mapping[Parts, Sequence[str]]
) -> Mapping[Hashable, int]:
    """How many tensors there are of each form; `gathered` is what `gather` makes of the columns."""
    if not columns.in_step:
        return Counter(columns.form_of)
    counts: dict[Hashable, int] = {}
    for parts, layers in gathered.items():
        size = len(layers)
        for _, key in parts:
            counts[key] = counts.get(key, 0) + size
    return counts


def _in_step(columns: Columns) -> dict[Parts, list[str]]:
    """The layers of names that are made of them and of the same ends."""
    step = len(columns.ends)
    found: defaultdict[tuple[Hashable, ...], list[str]] = defaultdict(list)
    keys = zip(*(columns.form_of[place::step] for place in range(step)), strict=True)
    for layer, key in zip(columns.stems, keys, strict=True):
        found[key].append(layer)
    roles = [TAILS[end] for end in columns.ends]
    return {tuple(zip(roles, key, strict=True)): layers for key, layers in found.items()}


def _one_by_one(columns: Columns) -> dict[Parts, list[str]]:
    """The same for any names in any order."""
    names = [stem + end for stem in columns.stems for end in columns.ends]
    gathered: dict[str, dict[str, Hashable]] = {}
    for name, form in zip(names, columns.form_of, strict=True):
        # In most files the first dot of a name ends the layer.
        cut = name.find(".")
        role = TAILS.get(name[cut:])
        if role is None:
            layer, role = split_name(name)
            if not role:
                continue
        else:
            layer = name[:cut]
        roles = gathered.get(layer)
        if roles is None:
            gathered[layer] = {role: form}
        else:
            roles[role] = form
    found: dict[Parts, list[str]] = {}
    for layer, roles in gathered.items():
        found.setdefault(tuple(roles.items()), []).append(layer)
    return found


Shape = tuple[int, ...]
Roles = Mapping[str, Shape]

#: Algorithm, rank, inputs and outputs of a layer.
Measures = tuple[str | None, int | None, int | None, int | None]

#: Ends of the 3x3 convolutions of a UNet, in the spelling of diffusers and of the original code.
#: LyCORIS flattens kernels into the width of a matrix, so that the shape alone does not tell.
_CONV_ENDS: Final = (
    "_conv",
    "_conv1",
    "_conv2",
    "conv_in",
    "conv_out",
    "_in_layers_2",
    "_out_layers_3",
    "_op",
)
_CONV_STARTS: Final = (
    "down_blocks_",
    "mid_block_",
    "up_blocks_",
    "conv_",
    "input_blocks_",
    "middle_block_",
    "output_blocks_",
)

#: The last characters of such ends, as names spell them: five, and three for the shortest.
_CONV_SIGNS: Final = frozenset(
    end.replace("_", mark)[-5:] for end in _CONV_ENDS for mark in "_." if end != "_op"
)
_OP_SIGNS: Final = frozenset({"_op", ".op"})

#: Dimensions of a matrix, and of the blocks of OFT and BOFT.
_MATRIX: Final = 2
_OFT: Final = 3
_BOFT: Final = 4

#: Roles of an ordinary model's tensors; a layer that has no other is no adapter's.
_ORDINARY: Final = frozenset({"weight", "bias"})

#: Roles whose further dimensions are no kernel.
_NO_KERNEL: Final = frozenset({"oft_blocks", "dora", "rescale"})


class Layers(msgspec.Struct, frozen=True, gc=False):
    """Modules of a model that the file changes by tensors of the same shapes.

    Attributes:
        algo: `lora loha lokr oft boft ia3 glora full`, None when no weights say.
        rank: None where the algorithm has none (full matrices) and for zero.
        in_width: Inputs of each module, None when the tensors do not say.
        out_width: Outputs of each module, None when the tensors do not say.
        conv: Whether one of them is a convolution with a kernel larger than 1, by shape or by path.
        dora: Whether a magnitude is trained beside the direction.
        count: How many modules they are.
        paths: Where those of the denoiser are in it, underscored, without wrappers, each with a line
            break behind it; empty when a name cannot be a path.
        unet: Whether they are known to be a UNet's, all of them.
        encoders: The paths of the others by the number of their text encoder, 0 when unnumbered.
    """

    algo: str | None
    rank: int | None
    in_width: int | None
    out_width: int | None
    conv: bool
    dora: bool
    count: int
    paths: str
    unet: bool
    encoders: Mapping[int, str]


def layers_of(
    gathered: Mapping[Parts, Sequence[str]], forms: Mapping[Hashable, Form]
) -> tuple[Layers, ...]:
    """Every layer that a tensor names as an adapter does, those of the same shapes together.

    Args:
        gathered: The layers by what they are made of.
        forms: By the keys that `gathered` has.
    """
    adapters = [
        ({role: forms[key].shape for role, key in parts}, names)
        for parts, names in gathered.items()
        if not _ORDINARY.issuperset([role for role, _ in parts])
    ]
    fronts = fronts_of(chain.from_iterable(names for _, names in adapters))
    return tuple(_layers(roles, names, fronts) for roles, names in adapters)


def _layers(roles: Roles, names: Sequence[str], fronts: Sequence[Front]) -> Layers:
    algo, rank, in_width, out_width = _measures(roles)
    paths, encoders, unet = locate(names, fronts)
    return Layers(
        algo,
        rank if rank is not None and rank > 0 else None,
        in_width,
        out_width,
        _has_kernel(roles) or (not _is_plain(roles) and _has_convolution(names, paths)),
        "dora" in roles,
        len(names),
        paths,
        unet,
        encoders,
    )


def _measures(roles: Roles) -> Measures:
    """What the shapes of a layer's tensors say."""
    if "down" in roles:
        down = roles["down"]
        return "lora", _side(down, 0), _side(down, 1), _side(roles.get("up"), 0)
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
        # [width, rank] in one release of LyCORIS, [rank, width] in another: the rank is smaller.
        first, second = roles["a1"][:_MATRIX], roles["b1"][:_MATRIX]
        return (
            "glora",
            min(first, default=None),
            max(first, default=None),
            max(second, default=None),
        )
    return _without_matrices(roles)


def _without_matrices(roles: Roles) -> Measures:
    """The same for algorithms that hold no low-rank matrices, and for halves of layers."""
    if "oft_blocks" in roles:
        return _orthogonal(roles["oft_blocks"])
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
    # With a Tucker core both halves of w2 are [rank, width].
    tucker = whole2 is None and "lokr_t2" in roles
    rank = _side(get("lokr_w2_b") or get("lokr_w1_b"), 0)
    outputs = _product(_side(left1, 0), _side(left2, 1 if tucker else 0))
    return "lokr", rank, _product(_side(right1, 1), _side(right2, 1)), outputs


def _orthogonal(blocks: Shape) -> Measures:
    """OFT [blocks, size, size] and BOFT [butterflies, blocks, size, size]; the rank is blocks."""
    if len(blocks) not in (_OFT, _BOFT):
        return "oft", _side(blocks, 0), None, None
    count, size = blocks[-3], blocks[-1]
    return "oft" if len(blocks) == _OFT else "boft", count, None, count * size


def _is_plain(roles: Roles) -> bool:
    """Whether the shape tells that a layer is no convolution.

    A LoRA of one has the kernel in its shape; only LyCORIS' other algorithms flatten kernels.
    """
    return len(roles.get("down", ())) == _MATRIX


def _has_convolution(names: Iterable[str], paths: str) -> bool:
    """Whether any path is that of a convolution in a UNet; the paths of the names are in `paths`."""
    if not paths:
        return False
    # Few different ones, where names are many.
    last = {name[-5:] for name in names}
    if _CONV_SIGNS.isdisjoint(last) and _OP_SIGNS.isdisjoint({end[-3:] for end in last}):
        return False
    return any(
        path.endswith(_CONV_ENDS) and path.startswith(_CONV_STARTS) for path in paths.split("\n")
    )


def _has_kernel(roles: Roles) -> bool:
    """Whether any weight is a convolution's with a kernel larger than 1."""
    for role, shape in roles.items():
        if len(shape) > _MATRIX and role not in _NO_KERNEL and max(shape[_MATRIX:]) > 1:
            return True
    return False


def _side(shape: Shape | None, number: int) -> int | None:
    return shape[number] if shape is not None and len(shape) > number else None


def _product(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one * other
