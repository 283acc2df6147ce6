"""The network and the optimizer of a run, as options of sd-scripts."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from crawler.decode import clean
from crawler.insight.export.draft import Draft, Option
from crawler.insight.export.scripts import Script
from crawler.model import Trainer

#: Algorithm -> its name in LyCORIS.
_LYCORIS = MappingProxyType(
    {name: name for name in ("loha", "lokr", "ia3", "glora", "boft", "tlora")} | {"oft": "diag-oft"}
)

#: Trainers with the modules and arguments of sd-scripts; None means an unknown trainer with its keys.
_SAME_OPTIONS = frozenset({None, Trainer.KOHYA, Trainer.MUSUBI_TUNER, Trainer.MERGE_TOOL})

#: A module that Python can import; `network.` without an s is TrainTrain's.
_MODULE = re.compile(r"(?!network\.)[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)

#: Package and class of an optimizer -> its short name in sd-scripts, which accepts any other class by
#: its full path.
_OPTIMIZERS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        (package, cls): cls
        for package, classes in (
            ("bitsandbytes", "AdamW8bit PagedAdamW PagedAdamW8bit PagedAdamW32bit Lion8bit PagedLion8bit"),
            ("torch", "AdamW"),
            ("lion_pytorch", "Lion"),
            ("transformers", "Adafactor"),
            ("prodigyopt", "Prodigy"),
            ("dadaptation", "DAdaptAdam DAdaptAdaGrad DAdaptAdan DAdaptAdanIP DAdaptLion DAdaptSGD"),
            ("schedulefree", "AdamWScheduleFree RAdamScheduleFree SGDScheduleFree"),
        )
        for cls in classes.split()
    }
    | {("dadaptation", "DAdaptAdamPreprint"): "DAdaptation"}
)  # fmt: skip

#: Short names by their lower case, for trainers that record no path.
_SHORT = MappingProxyType({name.casefold(): name for name in _OPTIMIZERS.values()})

#: Gradient descent, for which sd-scripts has a short name only with Nesterov momentum.
_SGD = MappingProxyType(
    {("torch", "SGD"): "SGDNesterov", ("bitsandbytes", "SGD8bit"): "SGDNesterov8bit"}
)

#: Infinity is stored as text, since JSON has none. Python reads a number that is too large as infinity.
_INFINITE = MappingProxyType({"inf": "1e999", "-inf": "-1e999"})


def network(draft: Draft, script: Script) -> list[Option]:
    """`network_module` and its options, as they were before any resize."""
    module, pairs = _module(draft, script)
    options = [Option("network_module", module)] if module else []
    options += _size(draft)
    args = draft.recipe.network_args or {}
    flat = draft.metadata.get("ss_network_dropout", "")
    # If the metadata has no such key, the column repeats the argument `dropout`, which is kept below.
    if not (isinstance(args.get("dropout"), str) and clean.is_absent(flat)):
        options += draft.columns("network_dropout")
    texts = {
        name: value if isinstance(value, str) else _literal(value)
        for name, value in pairs.items()
        if value is not None
    }
    return options + _pairs("network_args", texts, draft)


def optimizer(draft: Draft) -> list[Option]:
    """`optimizer_type`, by its short name if it has one, and `optimizer_args`."""
    recipe = draft.recipe
    if recipe.optimizer is None:
        return []
    args = dict(recipe.optimizer_args or {})
    if recipe.trainer not in _SAME_OPTIONS and args:
        if {"beta1", "beta2"} <= args.keys():
            args = {"betas": [args.pop("beta1"), args.pop("beta2")], **args}
        text = f"as {recipe.trainer} names them; the optimizer may use other names"
        draft.assumed("optimizer_args", text)
    options = [Option("optimizer_type", _optimizer_type(draft, args))]
    texts = {name: _literal(value) for name, value in args.items()}
    return options + _pairs("optimizer_args", texts, draft)


def _module(draft: Draft, script: Script) -> tuple[str | None, Mapping[str, Any]]:
    """A module that sd-scripts can load, and its arguments.

    sd-scripts cannot load modules of other trainers. For those files the module follows from the
    tensors, and only the rank and alpha of convolutions are kept of the arguments.
    """
    recipe = draft.recipe
    if recipe.trainer in _SAME_OPTIONS and _MODULE.fullmatch(recipe.network_module or ""):
        pairs = dict(recipe.network_args or {})
        if not isinstance(pairs.get("dropout"), str):
            pairs.pop("dropout", None)  # sd-scripts itself added it, from network_dropout
        return recipe.network_module, pairs
    algo = _LYCORIS.get(draft.weights.tensor_algo or recipe.network_algo or "")
    module = "lycoris.kohya" if algo else script.module
    if module:
        by = "the algorithm" if algo else "the base model"
        instead = "" if recipe.network_module is None else f", instead of {recipe.network_module}"
        draft.assumed("network_module", f"{module}, by {by}{instead}")
    if foreign := sorted((recipe.network_args or {}).keys() - {"conv_dim", "conv_alpha"}):
        named = clean.quote(", ".join(foreign))
        draft.conflict("network_args", f"left out {named}: arguments of another trainer")
    alpha = None if recipe.conv_alpha is None else f"{recipe.conv_alpha:g}"
    return module or None, {"algo": algo, "conv_dim": recipe.conv_dim, "conv_alpha": alpha}


def _size(draft: Draft) -> list[Option]:
    """`network_dim` and `network_alpha` of the training."""
    recipe, weights = draft.recipe, draft.weights
    dim, alpha = recipe.network_dim, recipe.network_alpha
    if recipe.original_dim is not None and recipe.original_dim != dim:
        text = f"{recipe.original_dim}, before the file was resized to {dim or 'various ranks'}"
        draft.assumed("network_dim", text)
        if alpha is not None and dim:
            alpha = alpha * recipe.original_dim / dim
            draft.assumed("network_alpha", f"{alpha:g}, scaled like the rank")
        dim = recipe.original_dim
    if dim is None and weights.tensor_rank and not _is_default(draft, "ss_network_dim"):
        dim = weights.tensor_rank
        draft.assumed("network_dim", f"{dim}, the rank of most tensors")
    if dim is not None and alpha is None and not _is_default(draft, "ss_network_alpha"):
        alpha = float(dim)
        draft.assumed("network_alpha", f"{dim}, equal to the rank, as no alpha is recorded")
    found = [] if dim is None else [Option("network_dim", dim)]
    return found if alpha is None else [*found, Option("network_alpha", alpha)]


def _optimizer_type(draft: Draft, args: dict[str, Any]) -> str:
    cls, path = draft.recipe.optimizer or "", draft.recipe.optimizer_path
    if path is None:
        known = _SHORT.get(cls.casefold(), cls)
        if draft.recipe.trainer != Trainer.KOHYA:
            text = f"{known}; the trainer records the class {cls} without its package"
            draft.assumed("optimizer_type", text)
        return known
    key = (path.partition(".")[0], cls)
    if key in _SGD and args.get("nesterov", "momentum" in args) is True:
        # sd-scripts sets nesterov itself and refuses it as an argument.
        args.pop("nesterov", None)
        return _SGD[key]
    return _OPTIMIZERS.get(key, path)


def _is_default(draft: Draft, key: str) -> bool:
    """Whether the metadata says that the network module used its default."""
    raw = draft.metadata.get(key)
    return raw is not None and clean.is_absent(raw)


def _pairs(option: str, texts: Mapping[str, str], draft: Draft) -> list[Option]:
    """The arguments as `name=value`, which sd-scripts splits at every equals sign."""
    pairs = []
    for name, text in texts.items():
        if "=" in name or "=" in text:
            why = "sd-scripts cannot read a value with an equals sign"
            draft.conflict(option, f"left out {clean.quote(name)}: {why}")
        else:
            pairs.append(f"{name}={text}")
    return [Option(option, tuple(pairs))] if pairs else []


def _literal(value: Any) -> str:
    """The value as a Python literal, as sd-scripts reads it; lists become tuples."""
    if isinstance(value, str) and value in _INFINITE:
        return _INFINITE[value]
    if isinstance(value, list | tuple):
        items = [_literal(item) for item in value]
        return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_literal(item)}" for key, item in value.items()) + "}"
    return repr(value)
