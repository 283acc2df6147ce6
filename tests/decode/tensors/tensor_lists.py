"""Tensor lists as trainers write them: the modules of a model, an algorithm and a spelling."""

from collections.abc import Callable, Iterable, Mapping
from math import prod

from crawler.decode.tensors.facts import list_facts
from crawler.model import Header, Tensor
from tests.decode.tensors.base_models import Module

Shapes = dict[str, tuple[int, ...]]


Algorithm = Callable[[Module, int], Shapes]


def _kernel(module: Module) -> tuple[int, ...]:
    return (module.kernel, module.kernel) if module.kernel > 1 else ()


def _ones(module: Module) -> tuple[int, ...]:
    return (1, 1) if module.kernel > 1 else ()


def _half(width: int) -> tuple[int, int]:
    """A factor pair for Kronecker products."""
    return (2, width // 2) if width % 2 == 0 else (1, width)


def lora(module: Module, rank: int) -> Shapes:
    return {
        ".lora_down.weight": (rank, module.inputs, *_kernel(module)),
        ".lora_up.weight": (module.outputs, rank, *_ones(module)),
        ".alpha": (),
    }


def tucker(module: Module, rank: int) -> Shapes:
    if module.kernel == 1:
        return lora(module, rank)
    return {
        ".lora_down.weight": (rank, module.inputs, 1, 1),
        ".lora_mid.weight": (rank, rank, *_kernel(module)),
        ".lora_up.weight": (module.outputs, rank, 1, 1),
        ".alpha": (),
    }


def dora(module: Module, rank: int) -> Shapes:
    return {**lora(module, rank), ".dora_scale": (1, module.inputs, *_ones(module))}


def peft(module: Module, rank: int) -> Shapes:
    return {
        ".lora_A.weight": (rank, module.inputs, *_kernel(module)),
        ".lora_B.weight": (module.outputs, rank, *_ones(module)),
    }


def peft_named(module: Module, rank: int) -> Shapes:
    """With PEFT's name of the adapter left in."""
    return {
        ".lora_A.default.weight": (rank, module.inputs),
        ".lora_B.default.weight": (module.outputs, rank),
    }


def dotted(module: Module, rank: int) -> Shapes:
    """As diffusers wrote it between processors and PEFT."""
    return {".lora.down.weight": (rank, module.inputs), ".lora.up.weight": (module.outputs, rank)}


def loha(module: Module, rank: int) -> Shapes:
    inputs = module.inputs * module.kernel**2
    return {
        ".hada_w1_a": (module.outputs, rank),
        ".hada_w1_b": (rank, inputs),
        ".hada_w2_a": (module.outputs, rank),
        ".hada_w2_b": (rank, inputs),
        ".alpha": (),
    }


def lokr(module: Module, rank: int) -> Shapes:
    (out1, out2), (in1, in2) = _half(module.outputs), _half(module.inputs)
    return {
        ".lokr_w1": (out1, in1),
        ".lokr_w2_a": (out2, rank),
        ".lokr_w2_b": (rank, in2 * module.kernel**2),
        ".alpha": (),
    }


def lokr_full(module: Module, rank: int) -> Shapes:
    del rank  # a full matrix has none
    (out1, out2), (in1, in2) = _half(module.outputs), _half(module.inputs)
    return {".lokr_w1": (out1, in1), ".lokr_w2": (out2, in2, *_kernel(module)), ".alpha": ()}


def tlora(module: Module, rank: int) -> Shapes:
    return {
        ".q_layer.weight": (rank, module.inputs),
        ".p_layer.weight": (module.outputs, rank),
        ".lambda_layer": (1, rank),
        ".alpha": (),
    }


def oft(module: Module, rank: int) -> Shapes:
    size = module.outputs // rank
    return {".oft_blocks": (rank, size, size), ".alpha": ()}


def boft(module: Module, rank: int) -> Shapes:
    size = module.outputs // rank
    return {".oft_blocks": (3, rank, size, size), ".rescale": (module.outputs, 1), ".alpha": ()}


def ia3(module: Module, rank: int) -> Shapes:
    del rank  # one factor for each output
    return {".weight": (module.outputs,), ".on_input": ()}


def glora(module: Module, rank: int) -> Shapes:
    return {
        ".a1.weight": (module.inputs, rank),
        ".a2.weight": (rank, module.inputs),
        ".b1.weight": (module.outputs, rank),
        ".b2.weight": (rank, module.inputs),
        ".alpha": (),
    }


def full(module: Module, rank: int) -> Shapes:
    del rank  # the whole matrix
    return {
        ".diff": (module.outputs, module.inputs, *_kernel(module)),
        ".diff_b": (module.outputs,),
    }


def spelled(
    prefix: str, modules: Iterable[Module], algorithm: Algorithm = lora, rank: int = 8
) -> Shapes:
    """Tensor name -> shape. A prefix that ends in an underscore underscores the module as well."""
    return {
        prefix
        + (module.path.replace(".", "_") if prefix.endswith("_") else module.path)
        + end: shape
        for module in modules
        for end, shape in algorithm(module, rank).items()
    }


def processors(prefix: str, modules: Iterable[Module], rank: int = 8) -> Shapes:
    """Attention of a UNet as the first diffusers wrote it."""
    return {
        f"{prefix}{block}.processor.{side.removesuffix('.0')}_lora.{end}.weight": shape
        for module in modules
        for block, _, side in (module.path.partition(".to_"),)
        if side
        for side in (f"to_{side}",)
        for end, shape in (("down", (rank, module.inputs)), ("up", (module.outputs, rank)))
    }


def counted(part: str, modules: Iterable[Module], rank: int = 8) -> Shapes:
    """As cloneofsimo/lora counts layers."""
    return {
        f"{part}:{number}:{end}": shape
        for number, module in enumerate(modules)
        for end, shape in (("down", (rank, module.inputs)), ("up", (module.outputs, rank)))
    }


def layer(path: str, inputs: int, outputs: int | None = None) -> Shapes:
    """One layer as PEFT writes it; square when no outputs are given."""
    return spelled("", [Module(path, inputs if outputs is None else outputs, inputs)], peft)


def header(shapes: Mapping[str, tuple[int, ...]], dtype: str = "F16") -> Header:
    """A sound header of these tensors, one behind the other."""
    tensors: dict[str, Tensor] = {}
    at = 0
    for name, shape in shapes.items():
        end = at + 2 * prod(shape)
        tensors[name] = Tensor(dtype, shape, (at, end))
        at = end
    return Header(1, tensors, None)


def architecture_of(shapes: Shapes) -> str | None:
    return list_facts(header(shapes).tensors, 0).weights.architecture
