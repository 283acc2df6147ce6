"""The tensor part of a safetensors header, for each way of writing a low-rank change."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from math import prod
from zlib import crc32

from crawler.sandbox.layers import Base, Layer, layers

_ELEMENT_BYTES = {"F16": 2, "BF16": 2, "F32": 4}
_LOKR_FACTOR = 8  # into which LoKr splits every layer; it divides all widths that occur
_BALLAST_ROWS = 1024
_DYNAMIC_DIVISORS = (1, 2, 4, 8)  # a dynamic resize leaves every layer its own rank


class Algo(StrEnum):
    """How a network writes its change, in the words of `network_algo`."""

    LORA = "lora"
    LOCON = "locon"
    DORA = "dora"
    LOHA = "loha"
    LOKR = "lokr"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What decides a file's list of tensors.

    Attributes:
        dim: Rank of linear layers.
        conv_dim: Rank of convolutions; None when they are not trained.
        dynamic: Whether the rank differs from layer to layer, up to `dim`.
        ballast_bytes: Size of one more tensor that nobody needs; 0 for none.
    """

    base: Base
    algo: Algo
    dim: int
    conv_dim: int | None
    text_encoder: bool
    dtype: str
    dynamic: bool = False
    ballast_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Measure:
    """How much room a list of tensors takes, in the header and behind it."""

    entries_bytes: int
    body_bytes: int


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The tensor part of a header.

    Attributes:
        entries: `"name":{...},"name":{...}`, without a brace around it.
        body_bytes: How many bytes of weights the entries speak of, without holes.
    """

    entries: str
    tensor_count: int
    body_bytes: int

    @property
    def measure(self) -> Measure:
        """Its lengths alone."""
        return Measure(len(self.entries), self.body_bytes)


def skeleton(network: Network) -> Skeleton:
    """The tensors of a network by name, their bytes in the same order, as the library saves them."""
    element = _ELEMENT_BYTES[network.dtype]
    shapes = dict(
        tensor
        for layer in layers(
            network.base,
            text_encoder=network.text_encoder,
            convolutions=network.conv_dim is not None,
        )
        for tensor in _tensors(layer, network)
    )
    if network.ballast_bytes:
        shapes["unused.weight"] = (_BALLAST_ROWS, network.ballast_bytes // element // _BALLAST_ROWS)
    spelled = {
        shape: (
            f'":{{"dtype":"{network.dtype}","shape":[{_list(shape)}],"data_offsets":[',
            prod(shape),
        )
        for shape in set(shapes.values())
    }
    entries, offset = [], 0
    for name in sorted(shapes):
        text, elements = spelled[shapes[name]]  # few shapes, thousands of tensors
        end = offset + elements * element
        entries.append(f'"{name}{text}{offset},{end}]}}')
        offset = end
    return Skeleton(",".join(entries), len(entries), offset)


def _list(shape: tuple[int, ...]) -> str:
    return ",".join(map(str, shape))


def _rank(layer: Layer, network: Network) -> int:
    rank = network.dim
    if layer.kernel > 1 and network.conv_dim is not None:
        rank = network.conv_dim
    if network.dynamic:
        divisors = _DYNAMIC_DIVISORS
        rank = max(1, rank // divisors[crc32(layer.name.encode()) % len(divisors)])
    return rank


def _tensors(layer: Layer, network: Network) -> Iterator[tuple[str, tuple[int, ...]]]:
    rank = _rank(layer, network)
    name, fan_in, fan_out = layer.name, layer.fan_in, layer.fan_out
    area = max(1, layer.kernel) ** 2
    yield f"{name}.alpha", ()
    if network.algo is Algo.LOHA:
        for half in ("hada_w1", "hada_w2"):
            yield f"{name}.{half}_a", (fan_out, rank)
            yield f"{name}.{half}_b", (rank, fan_in * area)
    elif network.algo is Algo.LOKR:
        yield f"{name}.lokr_w1", (_LOKR_FACTOR, _LOKR_FACTOR)
        yield f"{name}.lokr_w2_a", (fan_out // _LOKR_FACTOR, rank)
        yield f"{name}.lokr_w2_b", (rank, fan_in // _LOKR_FACTOR * area)
    else:
        window = (layer.kernel, layer.kernel) if layer.kernel else ()
        point = (1, 1) if layer.kernel else ()
        yield f"{name}.lora_down.weight", (rank, fan_in, *window)
        yield f"{name}.lora_up.weight", (fan_out, rank, *point)
        if network.algo is Algo.DORA:
            yield f"{name}.dora_scale", (1, fan_in, *point)
