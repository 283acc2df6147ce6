"""A recipe for sd-scripts, made of what a file says of its training.

What the metadata holds is written as it was, what can be told otherwise is written and noted as
assumed, what cannot be told is a placeholder or is left out, and noted as missing.

Sources: sd-scripts `train_network.py` (what it records, and its options), `library/train_util.py`
(options, `read_config_from_file`), `library/config_util.py` (the schema of a dataset config).
"""

from collections.abc import Collection, Iterable

from crawler.decode.problems import CONTRADICTED
from crawler.errors import UsageError
from crawler.insight.export.config import config
from crawler.insight.export.dataset import datasets
from crawler.insight.export.parts import Export, Kind, Note
from crawler.insight.export.scripts import Script, choose
from crawler.model import Decoded, Problem, Trainer

#: Options that every recipe should have, and what sd-scripts does without them.
_EXPECTED = (
    ("network_dim", "its network module would take its default, 4 for LoRA"),
    ("optimizer_type", "sd-scripts would take AdamW"),
    ("lr_scheduler", "sd-scripts would take constant"),
    ("mixed_precision", "sd-scripts would take no"),
    ("seed", "sd-scripts would draw one"),
)

#: Base models whose text encoders are costly enough that their outputs are usually cached.
_CACHED_TEXT = frozenset({"sdxl", "sd3", "flux1", "chroma", "lumina2", "hunyuan-image", "anima"})


def missing(decoded: Decoded, script: Script, written: Collection[str]) -> list[Note]:
    """What the recipe lacks beside its placeholders.

    Args:
        decoded: The file.
        script: Trains its kind.
        written: The options that the recipe has, or of which the report already says why not.
    """
    recipe = decoded.recipe
    found = [
        (name, f"not told; {otherwise}") for name, otherwise in _EXPECTED if name not in written
    ]
    found += _rates(decoded)
    found += _schedule(decoded, written)
    if "save_precision" not in written:
        found.append(("save_precision", "the number format of the result"))
    if "min_timestep" not in written and "max_timestep" not in written:
        found.append(("min_timestep, max_timestep", "whether only some timesteps were trained"))
    if decoded.weights.trains_text_encoder is None:
        found.append(("network_train_unet_only", "whether the text encoder was left out"))
    if script.base in _CACHED_TEXT:
        text = "whether the outputs of the text encoder were cached"
        found.append(("cache_text_encoder_outputs", text))
    found += [
        ("xformers, sdpa", "how attention was computed; this changes speed and memory"),
        ("network_weights, resume", "whether the run began from another LoRA or state"),
        ("masked_loss, alpha_mask", "whether parts of the images were left out"),
        ("token_warmup_min, token_warmup_step", "whether captions grew during the run"),
    ]
    notes = [Note(Kind.MISSING, subject, text) for subject, text in found]
    if recipe.trainer == Trainer.MERGE_TOOL and recipe.original_dim is None:
        text = "a tool that merges, extracts or splits made the file: no single run did"
        notes.append(Note(Kind.ASSUMED, "trainer", text))
    elif recipe.trainer not in {None, Trainer.KOHYA}:
        text = f"{recipe.trainer} trained it: what it left to its own defaults is not known here"
        notes.append(Note(Kind.ASSUMED, "trainer", text))
    return notes


def _rates(decoded: Decoded) -> list[tuple[str, str]]:
    """The base learning rate, where one of the parts of the network depends on it."""
    recipe = decoded.recipe
    text_encoder = decoded.weights.trains_text_encoder is not False
    lacks = recipe.unet_lr is None or (text_encoder and recipe.text_encoder_lr is None)
    if recipe.learning_rate is not None or not lacks:
        return []
    return [("learning_rate", "not told; sd-scripts would take 2e-6 where no other rate is given")]


def _schedule(decoded: Decoded, written: Collection[str]) -> list[tuple[str, str]]:
    """What no trainer writes of the schedule, as far as this one has it."""
    name = decoded.recipe.lr_scheduler
    found = []
    if name == "cosine_with_restarts" and "lr_scheduler_num_cycles" not in written:
        found.append(("lr_scheduler_num_cycles", "how often the schedule restarted; default 1"))
    if name == "polynomial" and "lr_scheduler_power" not in written:
        found.append(("lr_scheduler_power", "how steep the schedule was; default 1"))
    found.append(
        ("lr_scheduler_type, lr_scheduler_args", "a schedule of one's own, and its arguments")
    )
    found.append(("lr_decay_steps", "how many steps the rate fell at the end of the run"))
    return found


#: Problems of the header that the report names; `inspect` names all of them.
MAX_PROBLEMS = 20


def export(decoded: Decoded) -> Export:
    """The recipe of a file that was read.

    Raises:
        UsageError: Neither the network module nor a learning rate is known: nothing would be left
            but defaults.
    """
    recipe = decoded.recipe
    rates = (recipe.learning_rate, recipe.unet_lr, recipe.text_encoder_lr)
    if recipe.network_module is None and all(rate is None for rate in rates):
        raise UsageError(
            "there is no recipe to be made of this file: it names neither a network module nor a"
            " learning rate\n`lora-crawl inspect` or `show` tell what it does say"
        )
    notes: list[Note] = []
    script = choose(decoded, notes)
    sections = config(decoded, script, notes)
    tables = datasets(decoded, script, notes)
    written = {option.name for section in sections for option in section.options}
    left_out = {note.subject for note in notes if note.kind is Kind.CONFLICT}
    notes += missing(decoded, script, written | left_out)
    notes += _problems(decoded.problems)
    order = list(Kind)
    return Export(
        script=script.file,
        config=sections,
        datasets=tables,
        notes=tuple(sorted(notes, key=lambda note: order.index(note.kind))),
    )


def _problems(problems: Iterable[Problem]) -> list[Note]:
    """What is wrong with the header, so that the recipe lacks it or should be looked at.

    A base that the tensors contradict has been told when the script was chosen.
    """
    told = (CONTRADICTED, "base_model_version")
    listed = [one for one in problems if (one.code, one.field) != told]
    notes = [Note(Kind.CONFLICT, one.field, one.detail) for one in listed[:MAX_PROBLEMS]]
    if more := listed[MAX_PROBLEMS:]:
        text = f"{len(more):,} more problems; `inspect` names them"
        notes.append(Note(Kind.CONFLICT, "metadata", text))
    return notes
