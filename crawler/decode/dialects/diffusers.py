"""diffusers since 0.34: its training scripts and other tools that save with its pipelines.

Earlier releases write only `{"format": "pt"}`, which does not identify them.
"""

import re
from collections.abc import Mapping
from typing import Any

from crawler.decode import clean
from crawler.decode.clean import model_name
from crawler.decode.dialect_result import DialectResult, held, take
from crawler.decode.embedded_json import an_object, read_key
from crawler.model import Problem, Trainer

#: Key of the adapter's configuration, with settings for each component of the pipeline.
KEY = "lora_adapter_metadata"

#: A setting with its component, such as `unet.r`. PEFT alone writes no components.
_OF_A_COMPONENT = re.compile(r'"[a-z][a-z0-9_]{0,40}\.(?:r|lora_alpha|peft_type|target_modules)"')

#: Components whose rank is that of the file, the first one present; the text encoder comes last.
_FIRST = ("transformer", "unet", "prior", "")

#: `peft_type` -> `network_algo`.
_ALGORITHMS = {
    "LORA": "lora",
    "LOHA": "loha",
    "LOKR": "lokr",
    "OFT": "oft",
    "BOFT": "boft",
    "IA3": "ia3",
}

#: Settings that columns hold.
_COLUMNS = frozenset({"r", "lora_alpha", "alpha", "lora_dropout"})

#: A Hub id or a path on the user's disk, so never part of the arguments.
_BASE = "base_model_name_or_path"


def matches(metadata: Mapping[str, str]) -> bool:
    """Whether the metadata has the configuration of an adapter by component."""
    return _OF_A_COMPONENT.search(metadata.get(KEY, "")) is not None


def read(metadata: Mapping[str, str]) -> DialectResult:
    """Read the rank, alpha and other settings of the adapter."""
    return read_adapter_config(metadata, KEY, Trainer.DIFFUSERS)


def read_adapter_config(metadata: Mapping[str, str], key: str, trainer: Trainer) -> DialectResult:
    """Read a key that holds the configuration of an adapter. It has nothing on the run."""
    problems: list[Problem] = []
    used: set[str] = set()
    config = read_key(key, metadata, an_object, "network_args", problems=problems, used=used)
    return DialectResult(
        values={**columns(config or {}, problems), "trainer": trainer},
        problems=tuple(problems),
        used=frozenset() if problems else frozenset(used),
    )


def columns(config: Mapping[str, Any], problems: list[Problem]) -> Mapping[str, Any]:
    """Columns of `Recipe` by name.

    Rank and alpha are those of the U-Net or transformer. `network_args` holds layers that differ as
    `rank_pattern` and `alpha_pattern`, and other components by name. Settings that are off (null,
    false or empty) are left out.
    """
    components: dict[str, dict[str, Any]] = {}
    for key, value in config.items():
        component, _, name = key.rpartition(".")
        components.setdefault(component, {})[name] = value
    main = next((name for name in _FIRST if name in components), next(iter(components), ""))
    settings = components.pop(main, {})
    arguments = {name: value for name, value in _set(settings).items() if name not in _COLUMNS}
    arguments |= {name: _set(others) for name, others in components.items() if _set(others)}
    alpha = settings.get("lora_alpha", settings.get("alpha"))
    return {
        "network_dim": take(clean.integer, settings.get("r"), "network_dim", problems),
        "network_alpha": take(clean.number, alpha, "network_alpha", problems),
        "network_dropout": take(
            clean.number, settings.get("lora_dropout"), "network_dropout", problems
        ),
        "network_algo": _algorithm(settings, problems),
        "network_args": held(arguments, "network_args", problems) or None,
        "sd_model_name": take(model_name, settings.get(_BASE), "sd_model_name", problems),
    }


def _set(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that are not off, without the base. A 0 is kept: somebody set it."""
    return {
        name: value
        for name, value in settings.items()
        if name != _BASE and value is not False and value not in (None, "", [], {})
    }


def _algorithm(settings: Mapping[str, Any], problems: list[Problem]) -> str | None:
    """None without a method or an alpha of LoRA, or when `use_dora` cannot be read."""
    method = take(clean.string, settings.get("peft_type"), "network_algo", problems)
    if method is None and "lora_alpha" in settings:
        method = "LORA"
    found = _ALGORITHMS.get(method or "")
    before = len(problems)
    decomposed = take(clean.boolean, settings.get("use_dora"), "network_algo", problems)
    if len(problems) > before:
        return None
    return "dora" if found == "lora" and decomposed else found
