"""Modules of base models, by the names and widths that the real models have.

The stacks are only as complete as the signs of an architecture need.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Module(NamedTuple):
    """One module of a base model; a kernel larger than 1 makes it a convolution."""

    path: str
    outputs: int
    inputs: int
    kernel: int = 1


def _attention(path: str, width: int, depth: int, text: int) -> list[Module]:
    found = [Module(f"{path}.proj_in", width, width), Module(f"{path}.proj_out", width, width)]
    for number in range(depth):
        block = f"{path}.transformer_blocks.{number}"
        for name, keys in (("attn1", width), ("attn2", text)):
            found += [
                Module(f"{block}.{name}.to_q", width, width),
                Module(f"{block}.{name}.to_k", width, keys),
                Module(f"{block}.{name}.to_v", width, keys),
                Module(f"{block}.{name}.to_out.0", width, width),
            ]
        found.append(Module(f"{block}.ff.net.0.proj", 8 * width, width))
        found.append(Module(f"{block}.ff.net.2", width, 4 * width))
    return found


def _small_unet(text: int) -> list[Module]:
    levels = (
        ("down_blocks.0", 320),
        ("down_blocks.1", 640),
        ("down_blocks.2", 1280),
        ("mid_block", 1280),
        ("up_blocks.1", 1280),
        ("up_blocks.3", 320),
    )
    return [
        module
        for level, width in levels
        for module in _attention(f"{level}.attentions.0", width, 1, text)
    ]


def sd1() -> list[Module]:
    return _small_unet(768)


def sd2() -> list[Module]:
    return _small_unet(1024)


def sdxl() -> list[Module]:
    levels = (("down_blocks.1", 640, 2), ("down_blocks.2", 1280, 10), ("mid_block", 1280, 10))
    return [
        module
        for level, width, depth in levels
        for module in _attention(f"{level}.attentions.0", width, depth, 2048)
    ]


def convolutions() -> list[Module]:
    return [
        Module("down_blocks.1.resnets.0.conv1", 640, 320, 3),
        Module("down_blocks.1.resnets.0.conv_shortcut", 640, 320),
        Module("down_blocks.1.downsamplers.0.conv", 640, 640, 3),
    ]


def clip(width: int, depth: int) -> list[Module]:
    return [
        module
        for number in range(depth)
        for layer in (f"text_model.encoder.layers.{number}",)
        for module in (
            *(
                Module(f"{layer}.self_attn.{side}_proj", width, width)
                for side in ("q", "k", "v", "out")
            ),
            Module(f"{layer}.mlp.fc1", 4 * width, width),
            Module(f"{layer}.mlp.fc2", width, 4 * width),
        )
    ]


def sd3(width: int = 1536, depth: int = 24) -> list[Module]:
    """In the spelling of the original code."""
    return [
        Module(f"joint_blocks.{number}.{side}.attn.qkv", 3 * width, width)
        for number in range(depth)
        for side in ("context_block", "x_block")
    ]


def joint_transformer(width: int, depth: int) -> list[Module]:
    """Blocks of joint attention in the spelling of diffusers: SD3, and the double ones of Flux."""
    return [
        module
        for number in range(depth)
        for block in (f"transformer_blocks.{number}",)
        for module in (
            *(
                Module(f"{block}.attn.{side}", width, width)
                for side in ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj")
            ),
            Module(f"{block}.ff.net.0.proj", 4 * width, width),
            Module(f"{block}.ff.net.2", width, 4 * width),
        )
    ]


def single_transformer(width: int, depth: int) -> list[Module]:
    """The single blocks of Flux.1 in the spelling of diffusers."""
    return [
        module
        for number in range(depth)
        for block in (f"single_transformer_blocks.{number}",)
        for module in (
            *(Module(f"{block}.attn.{side}", width, width) for side in ("to_q", "to_k", "to_v")),
            Module(f"{block}.proj_mlp", 4 * width, width),
            Module(f"{block}.proj_out", width, 5 * width),
        )
    ]


def double_blocks(width: int, depth: int, *, ratio: int = 4, gated: bool = False) -> list[Module]:
    """The double blocks of Flux in the spelling of the original code."""
    inner = ratio * width
    return [
        module
        for number in range(depth)
        for side in ("img", "txt")
        for block in (f"double_blocks.{number}.{side}",)
        for module in (
            Module(f"{block}_attn.qkv", 3 * width, width),
            Module(f"{block}_attn.proj", width, width),
            Module(f"{block}_mlp.0", inner * (2 if gated else 1), width),
            Module(f"{block}_mlp.2", width, inner),
        )
    ]


def single_blocks(width: int, depth: int, *, ratio: int = 4, gated: bool = False) -> list[Module]:
    inner = ratio * width
    return [
        module
        for number in range(depth)
        for module in (
            Module(
                f"single_blocks.{number}.linear1", 3 * width + inner * (2 if gated else 1), width
            ),
            Module(f"single_blocks.{number}.linear2", width, width + inner),
        )
    ]


def flux1() -> list[Module]:
    """In the spelling of the original code."""
    return [*double_blocks(3072, 19), *single_blocks(3072, 38)]


def flux1_diffusers() -> list[Module]:
    return [*joint_transformer(3072, 19), *single_transformer(3072, 38)]


def stack(name: str, count: int, layers: Mapping[str, tuple[int, int]]) -> list[Module]:
    """Equal blocks: the path of a layer in each -> its inputs and outputs."""
    return [
        Module(f"{name}.{number}.{path}", outputs, inputs)
        for number in range(count)
        for path, (inputs, outputs) in layers.items()
    ]


def square(width: int, *paths: str) -> dict[str, tuple[int, int]]:
    return dict.fromkeys(paths, (width, width))


JOINT = ("attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0")
ADDED = ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj", "attn.to_add_out")
CROSS = tuple(f"attn{n}.{side}" for n in (1, 2) for side in ("to_q", "to_k", "to_v", "to_out.0"))


def _feed_forward(width: int, inner: int, *starts: str) -> dict[str, tuple[int, int]]:
    return {f"{start}.net.0.proj": (width, inner) for start in starts} | {
        f"{start}.net.2": (inner, width) for start in starts
    }


def _gate(width: int, inner: int, start: str, names: str) -> dict[str, tuple[int, int]]:
    """Three matrices, of which the one in the middle of the names reads the inner width."""
    one, two, three = names.split()
    return {
        f"{start}.{one}": (width, inner),
        f"{start}.{two}": (inner, width),
        f"{start}.{three}": (width, inner),
    }


def _flux_in_diffusers(doubles: int, singles: int) -> list[Module]:
    return stack(
        "transformer_blocks",
        doubles,
        square(3072, *JOINT, *ADDED)
        | _feed_forward(3072, 12288, "ff", "ff_context")
        | {"norm1.linear": (3072, 18432), "norm1_context.linear": (3072, 18432)},
    ) + stack(
        "single_transformer_blocks",
        singles,
        square(3072, *JOINT[:3])
        | {"proj_mlp": (3072, 12288), "proj_out": (15360, 3072), "norm.linear": (3072, 9216)},
    )


def _hunyuan_video(doubles: int, width: int, singles: int) -> list[Module]:
    sides: dict[str, tuple[int, int]] = {}
    for side in ("img", "txt"):
        sides |= {
            f"{side}_attn_qkv": (width, 3 * width),
            f"{side}_attn_proj": (width, width),
            f"{side}_mlp.fc1": (width, 4 * width),
            f"{side}_mlp.fc2": (4 * width, width),
            f"{side}_mod.linear": (width, 6 * width),
        }
    return stack("double_blocks", doubles, sides) + stack(
        "single_blocks",
        singles,
        {
            "linear1": (width, 7 * width),
            "linear2": (5 * width, width),
            "modulation.linear": (width, 3 * width),
        },
    )


def _qwen(depth: int) -> list[Module]:
    return stack(
        "transformer_blocks",
        depth,
        square(3072, *JOINT, *ADDED)
        | _feed_forward(3072, 12288, "img_mlp", "txt_mlp")
        | {"img_mod.1": (3072, 18432), "txt_mod.1": (3072, 18432)},
    )


def _kandinsky5() -> list[Module]:
    attention = ("to_query", "to_key", "to_value", "out_layer")
    feed_forward = {"feed_forward.in_layer": (1792, 7168), "feed_forward.out_layer": (7168, 1792)}
    own = square(1792, *(f"self_attention.{side}" for side in attention))
    return stack("text_transformer_blocks", 2, own | feed_forward) + stack(
        "visual_transformer_blocks",
        32,
        own | square(1792, *(f"cross_attention.{side}" for side in attention)) | feed_forward,
    )


#: Whole models by name, with the answer, from the models' own code.
WHOLE: dict[str, tuple[str | None, list[Module]]] = {
    "flux1": ("flux1", [
        *flux1(),
        *stack("double_blocks", 19, {"img_mod.lin": (3072, 18432), "txt_mod.lin": (3072, 18432)}),
        *stack("single_blocks", 38, {"modulation.lin": (3072, 9216)}),
    ]),
    "flux1 in diffusers": ("flux1", _flux_in_diffusers(19, 38)),
    "chroma": ("chroma", [
        *flux1(),
        *stack("distilled_guidance_layer.layers", 5, square(5120, "in_layer", "out_layer")),
        Module("distilled_guidance_layer.in_proj", 5120, 64),
    ]),
    "flux2 klein": ("flux2", [
        *double_blocks(3072, 5, ratio=3, gated=True), *single_blocks(3072, 20, ratio=3, gated=True)
    ]),
    "flux2 dev in diffusers": ("flux2", [
        *stack("transformer_blocks", 8, square(6144, *JOINT, *ADDED) | {
            "ff.linear_in": (6144, 36864), "ff.linear_out": (18432, 6144),
        }),
        *stack("single_transformer_blocks", 48, {
            "attn.to_qkv_mlp_proj": (6144, 55296), "attn.to_out": (24576, 6144),
        }),
    ]),
    "sd3": ("sd3", stack("joint_blocks", 24, {
        "x_block.attn.qkv": (1536, 4608), "x_block.attn.proj": (1536, 1536),
        "context_block.attn.qkv": (1536, 4608), "x_block.mlp.fc1": (1536, 6144),
        "x_block.mlp.fc2": (6144, 1536), "x_block.adaLN_modulation.1": (1536, 9216),
    })),
    "sd3.5 large in diffusers": ("sd3", stack("transformer_blocks", 38, square(2432, *JOINT, *ADDED)
        | _feed_forward(2432, 9728, "ff", "ff_context") | {"norm1.linear": (2432, 14592)})),
    "hunyuan-video": ("hunyuan-video", _hunyuan_video(20, 3072, 40)),
    "hunyuan-video in diffusers": ("hunyuan-video", _flux_in_diffusers(20, 40)),
    "hunyuan-video 1.5 in diffusers": ("hunyuan-video", stack("transformer_blocks", 54,
        square(2048, *JOINT, *ADDED) | _feed_forward(2048, 8192, "ff", "ff_context"))),
    "hunyuan-image": (None, _hunyuan_video(20, 3584, 40)),
    "qwen-image": ("qwen-image", _qwen(60)),
    "mageflow": (None, _qwen(12)),
    "wan 14B": ("wan", stack("blocks", 40, square(5120,
        *(f"{one}_attn.{side}" for one in ("self", "cross") for side in "qkvo"))
        | {"ffn.0": (5120, 13824), "ffn.2": (13824, 5120)})),
    "wan 1.3B in diffusers": ("wan", stack("blocks", 30, square(1536, *CROSS) | {
        "ffn.net.0.proj": (1536, 8960), "ffn.net.2": (8960, 1536)})),
    "z-image": ("z-image", stack("layers", 30, {
        "attention.qkv": (3840, 11520), "attention.out": (3840, 3840), "adaLN_modulation.0": (256, 15360),
        **_gate(3840, 10240, "feed_forward", "w1 w2 w3")})),
    "z-image in diffusers": ("z-image", stack("layers", 30,
        square(3840, *(f"attention.{side}" for side in ("to_q", "to_k", "to_v", "to_out.0")))
        | _gate(3840, 10240, "feed_forward", "w1 w2 w3"))),
    "lumina2": ("lumina2", stack("layers", 26, {
        "attention.qkv": (2304, 3840), "attention.out": (2304, 2304),
        **_gate(2304, 9216, "feed_forward", "w1 w2 w3")})),
    "omnigen2": (None, stack("layers", 32, square(2520, "attn.to_q", "attn.to_out.0"))),
    "ltx": ("ltx", stack("transformer_blocks", 28, square(2048, *CROSS))),
    "ltx2": ("ltx", stack("transformer_blocks", 48, square(4096, *CROSS) | square(2048, "audio_attn1.to_q")
        | _feed_forward(4096, 16384, "ff"))),
    "cosmos": (None, stack("transformer_blocks", 28, square(2048, *CROSS)
        | {"attn2.to_k": (1024, 2048), "attn2.to_v": (1024, 2048)} | _feed_forward(2048, 8192, "ff"))),
    "hidream": ("hidream", [
        *stack("double_stream_blocks", 16, square(2560, "block.attn1.to_q", "block.attn1.to_k_t")
            | _gate(2560, 6912, "block.ff_t", "w1 w2 w3")),
        *stack("single_stream_blocks", 32, square(2560, "block.attn1.to_q", "block.attn1.to_out")
            | _gate(2560, 6912, "block.ff_i.experts.3", "w1 w2 w3")),
    ]),
    "anima": ("anima", stack("blocks", 28, square(2048, "self_attn.q_proj", "self_attn.output_proj")
        | {"cross_attn.k_proj": (1024, 2048), "mlp.layer1": (2048, 8192), "mlp.layer2": (8192, 2048)})),
    "krea2": ("krea2", [
        *stack("blocks", 28, square(6144, "attn.wq", "attn.gate", "attn.wo")
            | {"attn.wk": (6144, 1536)} | _gate(6144, 16384, "mlp", "gate down up")),
        *stack("txtfusion.refiner_blocks", 2, square(2560, "attn.wq", "attn.wk")),
    ]),
    "krea2 in diffusers": ("krea2", stack("transformer_blocks", 28, square(6144, "attn.to_q", "attn.to_gate")
        | {"attn.to_k": (6144, 1536), "attn.to_v": (6144, 1536)}
        | _gate(6144, 16384, "ff", "gate down up"))),
    "ideogram4": ("ideogram4", stack("layers", 34, {"attention.qkv": (4608, 13824),
        "attention.o": (4608, 4608), **_gate(4608, 12288, "feed_forward", "w1 w2 w3")})),
    "kandinsky5": ("kandinsky5", _kandinsky5()),
    "ernie": ("ernie", stack("layers", 36, square(4096, "self_attention.to_q", "self_attention.to_out.0")
        | _gate(4096, 12288, "mlp", "gate_proj linear_fc2 up_proj"))),
    "minimax-h3": ("minimax-h3", stack("blocks", 50, {"attn.qkv_proj": (5376, 21504),
        "attn.out_proj": (7168, 5376), "mlp.fc1": (5376, 28672), "mlp.fc2": (14336, 5376)})),
    "minimax-h3 in diffusers": ("minimax-h3", stack("transformer_blocks", 50, {
        "attn.to_q": (5376, 7168), "attn.to_out.0": (7168, 5376), **_feed_forward(5376, 28672, "ff"),
        "ff.net.2": (14336, 5376)})),
    "llm": ("llm", stack("model.layers", 28, {"self_attn.q_proj": (2048, 2048),
        "self_attn.k_proj": (2048, 512), **_gate(2048, 8192, "mlp", "gate_proj down_proj up_proj")})),
    "auraflow": (None, [
        *stack("joint_transformer_blocks", 4, square(3072, *JOINT, *ADDED)),
        *stack("single_transformer_blocks", 32, square(3072, *JOINT)),
    ]),
    "bria": (None, _flux_in_diffusers(8, 28)),
    "fibo": (None, _flux_in_diffusers(8, 38)),
    "longcat-image": (None, _flux_in_diffusers(10, 20)),
    "ovis-image": (None, _flux_in_diffusers(6, 27)),
    "flux3": (None, stack("single_transformer_blocks", 28, square(3072, *JOINT)
        | {"ff.linear_in": (3072, 18432), "ff.linear_out": (9216, 3072)})),
    "nucleus": (None, stack("transformer_blocks", 24, square(2048, *JOINT, *ADDED[1:3]))),
    "joyimage": (None, stack("double_blocks", 20, {"attn.img_attn_qkv": (3072, 9216)}
        | _feed_forward(3072, 12288, "img_mlp", "txt_mlp"))),
    "kandinsky6": (None, stack("visual_transformer_blocks", 32, square(1792, "self_attention.to_query")
        | _feed_forward(1792, 7168, "feed_forward"))),
    "pixart": (None, stack("transformer_blocks", 28, square(1152, *CROSS))),
    "cogvideox": (None, stack("transformer_blocks", 42, square(3072, *CROSS[:4]))),
    "mochi": (None, stack("transformer_blocks", 48, square(3072, "attn1.to_q")
        | {"attn1.add_k_proj": (1536, 3072)} | _feed_forward(3072, 16384, "ff"))),
    "sana": (None, stack("transformer_blocks", 20, square(2240, *CROSS))),
    "longcat-audio": (None, stack("blocks", 24, square(1536,
        *(f"{one}_attn.to_{side}" for one in ("self", "cross") for side in "qkv")))),
    "lumina": (None, stack("layers", 32, square(2304, "attention.wq", "attention.wo"))),
}  # fmt: skip
