"""Adapters with PEFT's configuration in the file.

- diffusers since 0.34 (its training scripts, and other tools that save with its pipelines) writes the
  settings with the component of the pipeline in front: `unet.r`.
- finetrainers and other trainers on top of PEFT write them without components.

Earlier releases of diffusers, and PEFT itself, write only `{"format": "pt"}`, which identifies neither.
"""

import re
from collections.abc import Mapping
from typing import Any

from crawler.decode import clean
from crawler.decode.clean import model_name
from crawler.decode.dialect_result import DialectResult, held, take
from crawler.decode.embedded_json import an_object, read_key
from crawler.model import Problem, Trainer

#: Key of the adapter's configuration.
KEY = "lora_adapter_metadata"

#: finetrainers' key: rank, alpha and target modules.
_LORA_CONFIG = "lora_config"

#: A setting with its component, such as `unet.r`.
_OF_A_COMPONENT = re.compile(r'"[a-z][a-z0-9_]{0,40}\.(?:r|lora_alpha|peft_type|target_modules)"')

#: Components whose rank is that of the file, the first one present; the text encoder comes last.
_FIRST = ("transformer", "unet", "prior", "")

#: `peft_type` -> `network_algo`.
_ALGORITHMS = {name.upper(): name for name in ("lora", "loha", "lokr", "oft", "boft", "ia3")}

#: Settings that columns hold.
_COLUMNS = frozenset({"r", "lora_alpha", "alpha", "lora_dropout"})

#: A Hub id or a path on the user's disk, so never part of the arguments.
_BASE = "base_model_name_or_path"


def matches(metadata: Mapping[str, str]) -> bool:
    """Whether the metadata configures an adapter; `lora_config` of other tools has no alpha."""
    return KEY in metadata or '"lora_alpha"' in metadata.get(_LORA_CONFIG, "")


def read(metadata: Mapping[str, str]) -> DialectResult:
    """Read the rank, alpha and other settings of the adapter, and PEFT's version."""
    problems: list[Problem] = []
    used: set[str] = set()
    key = KEY if KEY in metadata else _LORA_CONFIG
    config = read_key(key, metadata, an_object, "network_args", problems=problems, used=used)
    values = {**columns(config or {}, problems), "trainer": Trainer.DIFFUSERS}
    if problems:
        used.clear()
    if not _OF_A_COMPONENT.search(metadata.get(KEY, "")):
        arguments = dict(values["network_args"] or {})
        version = arguments.pop("peft_version", None)
        values |= {
            "trainer": Trainer.PEFT,
            "trainer_version": take(clean.string, version, "trainer_version", problems),
            "network_args": arguments or None,
        }
    return DialectResult(values=values, problems=tuple(problems), used=frozenset(used))


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
    """Settings that are not off, without the base. A 0 is kept, because it was set on purpose."""
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
