"""The network in OneTrainer's settings; those of all methods are there, whichever was used."""

from collections.abc import Mapping
from typing import Any

from crawler.decode import clean
from crawler.decode.dialect_result import held
from crawler.decode.dialects.local_paths import without_folders
from crawler.decode.dialects.onetrainer.names import ALGORITHMS
from crawler.decode.dialects.onetrainer.settings import PATHS, Config

#: Beginnings of the settings of each method; LoHa has those of LoRA.
_OWN = {"LORA": ("lora_",), "LOHA": ("lora_",), "LOKR": ("lokr_",), "OFT_2": ("oft_", "dora_oft")}
_ANY = ("lora_", "lokr_", "oft_", "dora_oft")

#: Which layers have a network at all: names that belong to it, a preset, whether they are patterns.
_LAYERS = "layer_filter"

#: The rank of each method, and the switch that splits its weights into size and direction. OFT is
#: told its blocks in place of a rank, and its alpha has no effect.
_RANK = {"LORA": "lora_rank", "LOHA": "lora_rank", "LOKR": "lokr_dim"}
_DECOMPOSED = {"LORA": "lora_decompose", "LOKR": "lokr_weight_decompose"}


def columns(config: Config) -> Mapping[str, Any]:
    """Columns of `Recipe` by name; none when what was trained is no network."""
    if config.settings.get("training_method", "LORA") != "LORA":
        return {}
    config.told.add("training_method")
    before = len(config.problems)
    method = config.read("peft_type", clean.string, "network_algo")
    if method is None and len(config.problems) == before and "lora_rank" in config.settings:
        method = "LORA"  # the only one before there was a choice
    if method not in _OWN:
        return {}
    values: dict[str, Any] = {"network_algo": ALGORITHMS[method]}
    if method in _RANK:
        values["network_dim"] = config.read(_RANK[method], clean.integer, "network_dim")
        values["network_alpha"] = config.read("lora_alpha", clean.number, "network_alpha")
    if method in _DECOMPOSED and config.read(_DECOMPOSED[method], clean.boolean, "network_algo"):
        values["network_algo"] = "dora"
    values["network_dropout"] = config.read("dropout_probability", clean.number, "network_dropout")
    told = {_RANK.get(method), "lora_alpha", _DECOMPOSED.get(method)}
    arguments = {
        name: value
        for name, value in config.settings.items()
        if name.startswith((*_OWN[method], _LAYERS)) and value not in (None, "")
        if name not in told
    }
    values["network_args"] = (
        without_folders(held(arguments, "network_args", config.problems), PATHS) or None
    )
    if len(config.problems) == before:
        config.told.update(name for name in config.settings if name.startswith((*_ANY, _LAYERS)))
    return values
