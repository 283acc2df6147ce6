"""Rates, schedule and optimizer in OneTrainer's settings."""

from collections.abc import Iterable, Mapping
from typing import Any

from crawler.decode import clean
from crawler.decode.dialect_result import held, take
from crawler.decode.dialects.onetrainer import names as onetrainer_names
from crawler.decode.dialects.onetrainer.names import Family
from crawler.decode.dialects.onetrainer.settings import Config
from crawler.model import Problem


def columns(
    config: Config, family: Family | None, denoiser: Mapping[str, Any], base: float | None
) -> Mapping[str, Any]:
    """A part without a rate of its own has the base rate, one that is not trained the rate 0."""
    if family is None:
        return {}
    own = [
        _rate(config.part(name), "text_encoder_lr", config.problems)
        for name in family.encoder_names
    ]
    rates = [base if rate is None else rate for rate in own]
    several = any(rate is not None for rate in own) and None not in rates
    return {
        "unet_lr": _rate(denoiser, "unet_lr", config.problems),
        "text_encoder_lr": rates[0] if several else None,
        "text_encoder_lrs": tuple(rates) if several else None,
        "caption_dropout_rate": _caption_dropout(config, family.encoder_names),
    }


def _rate(part: Mapping[str, Any], column: str, problems: list[Problem]) -> float | None:
    if part.get("train") is False or part.get("include") is False:
        return 0.0
    return take(clean.number, part.get("learning_rate"), column, problems)


def _caption_dropout(config: Config, encoders: Iterable[str]) -> float | None:
    """The chance to train without a caption; several encoders drop it each by itself."""
    name = "caption_dropout_rate"
    rates = [
        take(clean.number, config.part(one).get("dropout_probability"), name, config.problems)
        for one in encoders
    ]
    return rates[0] if len(rates) == 1 or set(rates) == {0.0} else None


def schedule(config: Config) -> Mapping[str, Any]:
    """The curve's name; a warmup of at most 1 is a share, above it counts batches."""
    name = config.read("learning_rate_scheduler", clean.string, "lr_scheduler")
    if name == "CUSTOM":
        name = config.read("custom_learning_rate_scheduler", clean.string, "lr_scheduler")
    elif name is not None:
        name = name.lower()
    values: dict[str, Any] = {"lr_scheduler": name}
    warmup = config.read("learning_rate_warmup_steps", clean.number, "lr_warmup_steps")
    if warmup is not None and 0 < warmup <= 1:
        values["lr_warmup_ratio"] = warmup
    elif warmup is not None:
        batches = take(clean.integer, warmup, "lr_warmup_steps", config.problems)
        each = take(clean.integer, config.settings.get("gradient_accumulation_steps"), "", [])
        if batches is not None:
            values["lr_warmup_steps"] = max(batches, 0) // max(each or 1, 1)
    return values


def optimizer(config: Config) -> Mapping[str, Any]:
    """Its class and its settings: every number, and the switches that are not as they come."""
    settings = config.settings.get("optimizer")
    if not isinstance(settings, dict):
        name = config.read("optimizer", clean.string, "optimizer")
        return {"optimizer": onetrainer_names.OPTIMIZERS.get(name or "", name)}
    before = len(config.problems)
    name = take(clean.string, settings.get("optimizer"), "optimizer", config.problems)
    arguments = {
        key: value
        for key, value in settings.items()
        if key != "optimizer" and not key.startswith("__") and value not in (None, {}, "")
        if not isinstance(value, bool) or value != (key in onetrainer_names.ON_BY_DEFAULT)
    }
    kept = held(arguments, "optimizer_args", config.problems)
    if len(config.problems) == before:
        config.told.add("optimizer")
    return {
        "optimizer": onetrainer_names.OPTIMIZERS.get(name or "", name),
        "optimizer_args": kept or None,
    }
