"""What is nearest to a name or a value that is not known."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

#: Most names or values that are offered for an unknown one.
MAX_OFFERED = 3

#: Longest name or value that is shown and compared, in characters; no field has 30.
LONGEST = 60

#: Most pieces of a text with wildcards that is matched as it is; more could take very long.
_MOST_PIECES = 4

#: Fewest letters that are taken as the beginning of a part of a name.
_BEGINNING = 3

#: Words that people use for what a field holds, offered in place of an unknown name.
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "accumulation": ("gradient_accumulation_steps",),
    "algo": ("network_algo", "tensor_algo"),
    "algorithm": ("network_algo", "tensor_algo"),
    "base": ("base_model", "sd_model_name", "architecture"),
    "bucketing": ("enable_bucket",),
    "checkpoint": ("sd_model_name", "base_model"),
    "created_at": ("published_at",),
    "date": ("published_at", "training_started_at"),
    "dim": ("network_dim",),
    "duration": ("training_seconds",),
    "epochs": ("num_epochs", "epoch"),
    "hash": ("sha256", "autov2", "sd_model_hash"),
    "hours": ("training_seconds",),
    "images": ("image_count", "images_seen"),
    "huber_schedule": ("other_settings.ss_huber_schedule",),
    "license": ("other_settings.modelspec.license",),
    "locon": ("network_algo", "model_type"),
    "lora_type": ("model_type", "network_algo"),
    "lycoris": ("network_algo", "network_module"),
    "name": ("model_name", "file_name"),
    "network_rank": ("network_dim", "tensor_rank"),
    "popularity": ("likes", "downloads"),
    "precision": ("mixed_precision", "tensor_dtype"),
    "published": ("published_at",),
    "rating": ("likes",),
    "repeats": ("mean_repeats",),
    "scheduler": ("lr_scheduler",),
    "size": ("size_bytes", "resolution"),
    "snr": ("min_snr_gamma",),
    "tenc_lr": ("text_encoder_lr",),
    "time": ("training_seconds", "published_at"),
    "trigger": ("trained_words",),
    "triggers": ("trained_words",),
    "type": ("model_type", "network_algo"),
    "url": ("page_url",),
    "user": ("creator",),
    "username": ("creator",),
    "vae": ("vae_name",),
    "warmup": ("lr_warmup_steps", "lr_warmup_ratio"),
    "weight_decay": ("optimizer_args.weight_decay",),
}


def nearest(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """The known names closest to a mistyped one, the closest first, at most MAX_OFFERED.

    Fields that people call by this word come before those that are spelled alike.
    """
    known = tuple(names)
    wanted = name[:LONGEST].lower()
    meant = [other for other in SYNONYMS.get(wanted, ()) if other.partition(".")[0] in known]
    near = get_close_matches(wanted, known, n=MAX_OFFERED, cutoff=0.7)
    # A part of a name, such as `rank` for tensor_rank or `netw` for network_dim.
    parts = [
        other
        for other in known
        if any(
            part.startswith(wanted) if len(wanted) >= _BEGINNING else part == wanted
            for part in other.split("_")
        )
    ]
    far = get_close_matches(wanted, known, n=MAX_OFFERED, cutoff=0.5)
    return tuple(dict.fromkeys([*meant, *near, *parts, *far]))[:MAX_OFFERED]


def nearest_values(text: str, values: Iterable[str]) -> tuple[str, ...]:
    """The values that a text may stand for, at most MAX_OFFERED of the first ones.

    Those spelled alike but for case and punctuation come first, then those that have the text as a
    beginning or a part, or are a part of it, then those of similar spelling. `*` and `%` in the text
    stand for any text.
    """
    known = {value: _folded(value) for value in values}
    wanted = _folded(text[:LONGEST])
    if not wanted:
        return ()
    pieces = re.split("[*%]+", text[:LONGEST])
    if 1 < len(pieces) <= _MOST_PIECES:
        pattern = re.compile(".*".join(map(re.escape, pieces)), re.IGNORECASE | re.DOTALL)
        if fitting := [value for value in known if pattern.fullmatch(value)]:
            return tuple(fitting[:MAX_OFFERED])
    alike = [value for value, folded in known.items() if folded == wanted]
    if alike:
        return tuple(alike[:MAX_OFFERED])
    begun = [value for value, folded in known.items() if folded.startswith(wanted)]
    parts = [value for value, folded in known.items() if wanted in folded]
    wholes = [
        value
        for value, folded in known.items()
        if len(folded) >= _BEGINNING and wanted.startswith(folded)
    ]
    by_folded: dict[str, str] = {}
    for value, folded in known.items():
        by_folded.setdefault(folded[:LONGEST], value)
    spelled = get_close_matches(wanted, by_folded, n=MAX_OFFERED, cutoff=0.6)
    near = [*begun, *parts, *wholes, *(by_folded[one] for one in spelled)]
    return tuple(dict.fromkeys(near))[:MAX_OFFERED]


def offer(near: Sequence[str]) -> str:
    """`did you mean a, b or c?`; empty for none."""
    if not near:
        return ""
    *others, last = near
    before = f"{', '.join(others)} or " if others else ""
    return f"did you mean {before}{last}?"


def _folded(text: str) -> str:
    """The letters and digits of a text, without their case."""
    return "".join(filter(str.isalnum, text.casefold()))
