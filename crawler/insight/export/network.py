"""The network and the optimizer of a run, in the words of sd-scripts' options."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from crawler.decode import clean
from crawler.decode.dialects.kohya.network import RESIZED
from crawler.insight.export.parts import Kind, Note, Option
from crawler.insight.export.scripts import Script
from crawler.model import Decoded, Trainer

#: Algorithms, as the tensors tell them, that LyCORIS trains under its own names.
_LYCORIS = MappingProxyType(
    {"loha": "loha", "lokr": "lokr", "ia3": "ia3", "glora": "glora", "oft": "diag-oft", "boft": "boft"}
)  # fmt: skip

#: Trainers whose modules and arguments are those of sd-scripts; None is one that borrows its words.
SAME_WORDS = frozenset({None, Trainer.KOHYA, Trainer.MUSUBI_TUNER, Trainer.MERGE_TOOL})

#: A module that Python can import. `network.` without an s is TrainTrain's own.
_MODULE = re.compile(r"(?!network\.)[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)

#: Package and class of an optimizer -> the short name under which sd-scripts knows it. A class that
#: is not here goes by its full path, which sd-scripts takes as well.
_OPTIMIZERS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        (package, cls): cls
        for package, classes in (
            (
                "bitsandbytes",
                "AdamW8bit PagedAdamW PagedAdamW8bit PagedAdamW32bit Lion8bit PagedLion8bit",
            ),
            ("torch", "AdamW"),
            ("lion_pytorch", "Lion"),
            ("transformers", "Adafactor"),
            ("prodigyopt", "Prodigy"),
            (
                "dadaptation",
                "DAdaptAdam DAdaptAdaGrad DAdaptAdan DAdaptAdanIP DAdaptLion DAdaptSGD",
            ),
            ("schedulefree", "AdamWScheduleFree RAdamScheduleFree SGDScheduleFree"),
        )
        for cls in classes.split()
    }
    | {("dadaptation", "DAdaptAdamPreprint"): "DAdaptation"}
)

#: Short names by themselves, for trainers that write no path; in lower case.
_SHORT = MappingProxyType({name.casefold(): name for name in _OPTIMIZERS.values()})

#: Plain gradient descent, which sd-scripts knows with Nesterov's momentum alone.
_SGD = MappingProxyType(
    {("torch", "SGD"): "SGDNesterov", ("bitsandbytes", "SGD8bit"): "SGDNesterov8bit"}
)


#: Infinity is kept as text, since JSON has none; Python reads it as a number that is too large.
_INFINITE = MappingProxyType({"inf": "1e999", "-inf": "-1e999"})


def network(decoded: Decoded, script: Script, notes: list[Note]) -> list[Option]:
    """`network_module` and what belongs to it, as they were before any resizing."""
    module, pairs = _module(decoded, script, notes)
    options = [Option("network_module", module)] if module else []
    options += _size(decoded, notes)
    if (dropout := _given_dropout(decoded)) is not None:
        options.append(Option("network_dropout", dropout))
    spelt = tuple(
        f"{name}={value if isinstance(value, str) else _literal(value)}"
        for name, value in pairs.items()
        if value is not None and _is_pair("network_args", name, value, notes)
    )
    return [*options, Option("network_args", spelt)] if spelt else options


def optimizer(decoded: Decoded, notes: list[Note]) -> list[Option]:
    """`optimizer_type` by its short name where it has one, and `optimizer_args`."""
    recipe = decoded.recipe
    if recipe.optimizer is None:
        return []
    args = dict(recipe.optimizer_args or {})
    if recipe.trainer not in SAME_WORDS and args:
        if {"beta1", "beta2"} <= args.keys():
            args = {"betas": [args.pop("beta1"), args.pop("beta2")], **args}
        text = f"as {recipe.trainer} names them; the optimizer's package may call them otherwise"
        notes.append(Note(Kind.ASSUMED, "optimizer_args", text))
    options = [Option("optimizer_type", _optimizer_type(decoded, args, notes))]
    spelt = tuple(
        f"{name}={_literal(value)}"
        for name, value in args.items()
        if _is_pair("optimizer_args", name, value, notes)
    )
    if spelt:
        options.append(Option("optimizer_args", spelt))
    return options


def comment_without_prefix(comment: str | None) -> str | None:
    """The comment of the run, without what tools that resize put in front of it."""
    at = 0
    while comment and (match := RESIZED.match(comment, at)):
        at = match.end()
    return (comment or "")[at:] or None


def _module(
    decoded: Decoded, script: Script, notes: list[Note]
) -> tuple[str | None, Mapping[str, Any]]:
    """A module that sd-scripts can load, and its arguments.

    Those of another trainer mean nothing to it: then the module follows from the tensors, and the
    ranks of the convolutions are all that is kept of the arguments.
    """
    recipe = decoded.recipe
    if recipe.trainer in SAME_WORDS and _MODULE.fullmatch(recipe.network_module or ""):
        pairs = dict(recipe.network_args or {})
        if not isinstance(pairs.get("dropout"), str):
            pairs.pop("dropout", None)  # put in by the trainer itself, from network_dropout
        return recipe.network_module, pairs
    algo = _LYCORIS.get(decoded.weights.tensor_algo or recipe.network_algo or "")
    module = "lycoris.kohya" if algo else script.module
    if module:
        by = "the algorithm" if algo else "the base model"
        instead = "" if recipe.network_module is None else f" in place of {recipe.network_module}"
        notes.append(Note(Kind.ASSUMED, "network_module", f"{module}, by {by}{instead}"))
    if foreign := sorted((recipe.network_args or {}).keys() - {"conv_dim", "conv_alpha"}):
        named = clean.quote(", ".join(foreign))
        text = f"left out, since another trainer gives them their meaning: {named}"
        notes.append(Note(Kind.CONFLICT, "network_args", text))
    alpha = None if recipe.conv_alpha is None else f"{recipe.conv_alpha:g}"
    return module or None, {"algo": algo, "conv_dim": recipe.conv_dim, "conv_alpha": alpha}


def _size(decoded: Decoded, notes: list[Note]) -> list[Option]:
    """`network_dim` and `network_alpha` as they were trained."""
    recipe, weights = decoded.recipe, decoded.weights
    dim, alpha = recipe.network_dim, recipe.network_alpha
    if recipe.original_dim is not None and recipe.original_dim != dim:
        text = f"the file was resized to {dim or 'ranks that differ'}; {recipe.original_dim} was trained"
        notes.append(Note(Kind.ASSUMED, "network_dim", text))
        if alpha is not None and dim:
            alpha = alpha * recipe.original_dim / dim
            text = f"{alpha:g}, in the proportion to the rank that the resized file has"
            notes.append(Note(Kind.ASSUMED, "network_alpha", text))
        dim = recipe.original_dim
    if dim is None and weights.tensor_rank and not _is_default(decoded, "ss_network_dim"):
        dim = weights.tensor_rank
        notes.append(Note(Kind.ASSUMED, "network_dim", f"{dim}, the rank of most tensors"))
    if dim is not None and alpha is None and not _is_default(decoded, "ss_network_alpha"):
        alpha = float(dim)
        text = f"{dim}, the same as the rank: what a trainer means that writes no alpha"
        notes.append(Note(Kind.ASSUMED, "network_alpha", text))
    found = [] if dim is None else [Option("network_dim", dim)]
    return found if alpha is None else [*found, Option("network_alpha", alpha)]


def _given_dropout(decoded: Decoded) -> float | None:
    """`network_dropout` unless it is only there because the network's arguments have a dropout."""
    args = decoded.recipe.network_args or {}
    flat = (decoded.header.metadata or {}).get("ss_network_dropout", "")
    if isinstance(args.get("dropout"), str) and flat.strip() in clean.ABSENT:
        return None
    return decoded.recipe.network_dropout


def _optimizer_type(decoded: Decoded, args: dict[str, Any], notes: list[Note]) -> str:
    cls, path = decoded.recipe.optimizer or "", decoded.recipe.optimizer_path
    if path is None:
        known = _SHORT.get(cls.casefold(), cls)
        if decoded.recipe.trainer != Trainer.KOHYA:
            text = f"{known}: the trainer writes the class {cls} without its package"
            notes.append(Note(Kind.ASSUMED, "optimizer_type", text))
        return known
    key = (path.partition(".")[0], cls)
    if key in _SGD and args.get("nesterov", "momentum" in args) is True:
        # sd-scripts sets nesterov itself and refuses it as an argument.
        args.pop("nesterov", None)
        return _SGD[key]
    return _OPTIMIZERS.get(key, path)


def _is_default(decoded: Decoded, key: str) -> bool:
    """Whether the trainer says that it took the default of the network module."""
    raw = (decoded.header.metadata or {}).get(key)
    return raw is not None and raw.strip() in clean.ABSENT


def _is_pair(option: str, name: str, value: object, notes: list[Note]) -> bool:
    """Whether sd-scripts can take it apart again: it cuts at every equals sign."""
    sound = "=" not in name and "=" not in (value if isinstance(value, str) else _literal(value))
    if not sound:
        text = f"{clean.quote(name)} is left out: sd-scripts reads no value with an equals sign"
        notes.append(Note(Kind.CONFLICT, option, text))
    return sound


def _literal(value: Any) -> str:
    """The value as Python reads it, which is how sd-scripts does; lists were tuples there."""
    if isinstance(value, str) and value in _INFINITE:
        return _INFINITE[value]
    if isinstance(value, list | tuple):
        items = [_literal(item) for item in value]
        return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_literal(item)}" for key, item in value.items()) + "}"
    return repr(value)
