"""The network of a run: its arguments and the algorithm that follows from them."""

import re
from collections.abc import Mapping
from typing import Any

from crawler.decode import clean
from crawler.decode.base_names import UNETS, certain_architecture
from crawler.decode.dialect_result import held, take
from crawler.decode.embedded_json import read_json
from crawler.decode.problems import WRONG_SHAPE, UnreadableError
from crawler.model import Problem

#: Algorithms by the names of LyCORIS. Its `lora`, `locon` and `dylora` depend on the trained layers.
_LYCORIS = {
    **{name: name for name in ("loha", "lokr", "ia3", "glora", "full", "boft", "oft", "tlora")},
    "diag-oft": "oft",
}
_LYCORIS_LORA = frozenset({"lora", "locon", "dylora"})

#: LyCORIS presets that leave the convolutions out, and those that train them.
_WITHOUT_CONV = frozenset({"full-lin", "attn-mlp", "attn-only", "unet-transformer-only", "ia3"})
_WITH_CONV = frozenset({None, "full", "unet-only", "unet-convblock-only"})

#: The ranks of convolutions by block of the UNet, instead of one `conv_dim`.
_PER_BLOCK = "conv_block_dims"

#: Algorithms that LyCORIS decomposes into magnitude and direction, and the arguments that ask for it:
#: that of its network module, and that of the modules, which trainers of their own pass on.
_DECOMPOSED = frozenset({"lora", "locon", "loha", "lokr"})
_DECOMPOSE = ("dora_wd", "weight_decompose")

_PLAIN = re.compile(r"(?:networks?|kohya-ss)[./](?:dy)?lora(?:_\w+)?")
_OTHER = {
    "networks.oft": "oft",
    "networks.oft_flux": "oft",
    "networks.loha": "loha",
    "networks.lokr": "lokr",
    "locon.locon_kohya": "locon",
}

#: What resizing tools put before the comment. The number is the former rank. Since 2025
#: `resize_lora` adds a rank for convolutions; ports of it write `dim`.
_RESIZED = re.compile(
    r"(?:dimension is resized from|Resized from dim|"
    r"Dynamic resize with [^;]{0,80}? from(?: dim)?|"
    r"split from DyLoRA, rank|split from DyLoRA from) "
    r"([0-9]{1,9})(?: to [0-9]{1,9}(?: \(conv: [0-9]{1,9}\))?)?(?:; ?|$)"
)


#: Longest text that is read as options of a command line, in characters.
_MAX_OPTIONS_CHARS = 4_096


def read_args(raw: str, problems: list[Problem]) -> Mapping[str, Any]:
    """`ss_network_args` as they are, and the columns that they fill.

    Values are text, but sd-scripts itself adds `dropout` as a number or null. A trainer of its keys
    writes the arguments as on a command line: `conv_dim=4 conv_alpha=2`.
    """
    args = None if clean.is_absent(raw) else _options(raw) or read_json(raw)
    if not args:
        return {}
    if not isinstance(args, dict):
        raise UnreadableError(WRONG_SHAPE, f"{clean.quote(args)} is not an object")
    return {
        "network_args": held(args, "network_args", problems),
        "conv_dim": take(clean.integer, args.get("conv_dim"), "conv_dim", problems),
        "conv_alpha": take(clean.number, args.get("conv_alpha"), "conv_alpha", problems),
        "network_dropout": take(clean.number, args.get("dropout"), "network_dropout", problems),
    }


def _options(raw: str) -> Mapping[str, str]:
    """`name=value` pairs between blanks; empty for another text."""
    if len(raw) > _MAX_OPTIONS_CHARS:
        return {}
    pairs = [piece.partition("=") for piece in raw.split()]
    if not all(name.isidentifier() and equals for name, equals, _ in pairs):
        return {}
    return {name: value for name, _, value in pairs}


def algo(module: str | None, args: Mapping[str, Any] | None, conv_dim: int | None) -> str | None:
    """The algorithm as a value of `network_algo`; None when it cannot be determined."""
    args = args or {}
    if module is None:
        return None
    if module.startswith("lycoris."):
        found = _lycoris(args, conv_dim)
    elif _PLAIN.fullmatch(module):
        convolutions = (conv_dim is not None and conv_dim > 0) or _PER_BLOCK in args
        found = "locon" if convolutions else "lora"
    else:
        found = _OTHER.get(module)
    weight_decomposed = any(str(args.get(name)).lower() in {"true", "1"} for name in _DECOMPOSE)
    return "dora" if weight_decomposed and found in _DECOMPOSED else found


def on_base(values: Mapping[str, Any], architecture: str | None) -> str | None:
    """`network_algo`, without the convolutions that the base model does not have.

    LyCORIS trains convolutions by default. The base is the one that the metadata names, else the one
    that the tensors show. Only U-Nets have convolutions that are trained.
    """
    found: str | None = values.get("network_algo")
    base = certain_architecture(values.get("base_model_version") or "") or architecture
    return "lora" if found == "locon" and base and base not in UNETS else found


def _lycoris(args: Mapping[str, Any], conv_dim: int | None) -> str | None:
    """LyCORIS trains convolutions by default, with the common rank if `conv_dim` is missing."""
    name = str(args.get("algo") or "lora").strip().lower()
    if name not in _LYCORIS_LORA:
        return _LYCORIS.get(name)
    preset = args.get("preset")
    if name == "locon":
        return "locon"
    if conv_dim == 0 or (isinstance(preset, str) and preset in _WITHOUT_CONV):
        return "lora"
    known = preset is None or (isinstance(preset, str) and preset in _WITH_CONV)
    return "locon" if known else None


def split_comment(comment: str | None) -> tuple[str | None, str]:
    """The rank before any resize, None if there was none, and the comment that the user wrote.

    Each resize puts its text before the comment, so the last one holds the rank that was trained.
    """
    rank, rest = None, comment or ""
    while match := _RESIZED.match(rest):
        rank, rest = match[1], rest[match.end() :]
    return rank, rest
