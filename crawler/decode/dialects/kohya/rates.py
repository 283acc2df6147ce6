"""Learning rates, schedule and optimizer as sd-scripts spells them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from crawler.decode import clean
from crawler.decode.dialect_result import take
from crawler.decode.problems import MALFORMED, WRONG_SHAPE, UnreadableError
from crawler.decode.python_literal import read_literal
from crawler.model import Problem

_OPTIMIZER = re.compile(r"\s*([A-Za-z_][\w.\-]*+)\s*(?:\((.*)\))?\s*", re.DOTALL)
_BRACKETS = re.compile(r"[][(){}]")
_DEPTH = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


def read_text_encoder(raw: str, _: list[Problem]) -> Mapping[str, Any]:
    """`ss_text_encoder_lr`: one rate, or since 2024-09-10 a list of one per text encoder.

    An empty list means what None means: the base rate.
    """
    if not raw.lstrip().startswith(("[", "(")):
        rate = clean.number(raw)
        return {} if rate is None else {"text_encoder_lr": rate, "text_encoder_lrs": (rate,)}
    items = read_literal(raw)
    rates = [clean.number(item) for item in items] if isinstance(items, list) else [None]
    if None in rates:
        raise UnreadableError(WRONG_SHAPE, f"{clean.quote(raw)} is no list of numbers")
    return {"text_encoder_lr": rates[0], "text_encoder_lrs": tuple(rates)} if rates else {}


def read_scheduler(raw: str, problems: list[Problem]) -> Mapping[str, Any]:
    """`ss_lr_scheduler`: its name.

    `adafactor:0.0001` is written when Adafactor sets the rate by itself; the number is the rate
    it begins with, and `ss_learning_rate` is then None: so it becomes the learning rate.
    """
    name, _, initial = raw.partition(":")
    if name != "adafactor":
        return {"lr_scheduler": clean.string(raw)}
    rate = take(clean.number, initial, "learning_rate", problems)
    return {"lr_scheduler": name, "learning_rate": rate}


def read_warmup(raw: str, _: list[Problem]) -> Mapping[str, Any]:
    """`ss_lr_warmup_steps`: steps, or since 2024-09-11 a share of all steps when it is below 1."""
    value = clean.number(raw)
    if value is not None and 0 < value < 1:
        return {"lr_warmup_ratio": value}
    return {"lr_warmup_steps": clean.integer(raw)}


def read_optimizer(raw: str, problems: list[Problem]) -> Mapping[str, Any]:
    """`ss_optimizer`: `module.Class` or `module.Class(k=v,k=v)`.

    Arguments are typed as Python writes them; a text that is no Python value stays text.
    """
    if clean.string(raw) is None:
        return {}
    match = _OPTIMIZER.fullmatch(raw)
    if match is None:
        raise UnreadableError(MALFORMED, f"{clean.quote(raw)} is no class with arguments")
    path = match[1]
    args = take(_arguments, match[2] or "", "optimizer_args", problems)
    return {
        "optimizer": path.rpartition(".")[2] or path,
        "optimizer_path": path if "." in path else None,
        "optimizer_args": args or None,
    }


def _arguments(inner: str) -> Mapping[str, Any]:
    arguments: dict[str, Any] = {}
    for piece in _pieces(inner):
        name, equals, spelt = piece.partition("=")
        if not equals:
            raise UnreadableError(MALFORMED, f"{clean.quote(piece)} is no argument with a value")
        try:
            value = read_literal(spelt)
        except UnreadableError:
            value = spelt
        kept = clean.json_value(value)
        # `inf` and integers beyond 64 bits stay the text they are: no JSON can hold them.
        arguments[clean.text(name.strip())] = kept if kept == value else clean.text(spelt)
    return arguments


def _pieces(inner: str) -> Iterator[str]:
    """The text cut at the commas that stand outside of all brackets."""
    if _BRACKETS.search(inner) is None:
        *pieces, last = inner.split(",")
        yield from pieces
        if last.strip():
            yield last
        return
    depth, begin = 0, 0
    for at, character in enumerate(inner):
        depth += _DEPTH.get(character, 0)
        if character == "," and depth == 0:
            yield inner[begin:at]
            begin = at + 1
    if inner[begin:].strip():
        yield inner[begin:]
