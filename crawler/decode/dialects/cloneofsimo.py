"""cloneofsimo/lora, the first trainer of image LoRAs: a rank for each layer, and little else.

The keys `unet` and `text_encoder` hold JSON lists of the trained layer classes. `unet:0:rank` is the
rank of the first U-Net layer. A trained word is a key with the value `<embed>`.
Source: its `lora_diffusion/lora.py`, `save_safeloras_with_embeds`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from crawler.decode import clean
from crawler.decode.dialect_result import DialectResult, held, note, take
from crawler.decode.embedded_json import read_json
from crawler.decode.problems import OUT_OF_RANGE, SEVERAL, WRONG_SHAPE, UnreadableError
from crawler.model import Problem, Trainer

_RANK = re.compile("(?:unet|text_encoder):[0-9]{1,6}:rank")

#: Models that it trains.
_MODELS = ("unet", "text_encoder")


def matches(metadata: Mapping[str, str]) -> bool:
    """Whether the metadata has the rank of a model's first layer."""
    return any(f"{name}:0:rank" in metadata for name in _MODELS)


def read(metadata: Mapping[str, str]) -> DialectResult:
    """Read the rank, if it is the same for all layers, and the trained classes."""
    problems: list[Problem] = []
    used: set[str] = set()
    ranks = {key: value for key, value in metadata.items() if _RANK.fullmatch(key)}
    dim = _common(ranks, problems)
    if dim is not None:
        used |= ranks.keys()
    classes: dict[str, Any] = {}
    for name in _MODELS:
        listed = take(_classes, metadata.get(name), name, problems)
        if listed is not None:
            classes[name] = listed
            used.add(name)
    kept = held(classes, "network_args", problems) or None
    if kept is None:
        used -= classes.keys()
    return DialectResult(
        values={
            "trainer": Trainer.CLONEOFSIMO,
            "network_dim": dim,
            "network_args": kept,
            "network_algo": _algo(classes, ranks),
        },
        problems=tuple(problems),
        used=frozenset(used),
    )


def _common(ranks: Mapping[str, str], problems: list[Problem]) -> int | None:
    """The rank of every layer; None and a problem when they differ or one is unreadable."""
    spellings = dict.fromkeys(ranks.values())
    known = [take(_rank, spelt, "network_dim", problems) for spelt in spellings]
    found = sorted({rank for rank in known if rank is not None})
    if len(found) > 1:
        detail = f"{len(found):,} different ranks, from {found[0]} to {found[-1]}"
        note(problems, SEVERAL, "network_dim", detail)
    return found[0] if len(found) == 1 and None not in known else None


def _rank(value: str) -> int:
    rank = clean.integer(value)
    if rank is None or rank <= 0:
        raise UnreadableError(OUT_OF_RANGE, f"{clean.quote(value)} is not a rank")
    return rank


def _classes(value: str | None) -> list[str] | None:
    """Names of classes; None when the model was not trained."""
    listed = None if value is None else read_json(value)
    if listed is None:
        return None
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise UnreadableError(WRONG_SHAPE, f"{clean.quote(value)} is not a list of names")
    return listed


def _algo(classes: Mapping[str, Any], ranks: Iterable[str]) -> str | None:
    """`lora` or `locon`; None unless the classes of every model with ranks are known."""
    if not {key.partition(":")[0] for key in ranks} <= classes.keys():
        return None
    # The class of a U-Net's convolutions.
    return "locon" if "ResnetBlock2D" in classes.get("unet", ()) else "lora"
