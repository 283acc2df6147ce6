"""A recipe for sd-scripts, made from what a file says about its training.

What the metadata states is written unchanged. What follows from other facts is written and noted as
assumed. What is unknown is a placeholder or left out, and noted as missing.

Sources: sd-scripts `train_network.py` (what it records, and its options), `library/train_util.py`
(options, `read_config_from_file`), `library/config_util.py` (the schema of a dataset config).
"""

import math
from collections.abc import Collection

from crawler.decode.problems import CONTRADICTED
from crawler.errors import UsageError
from crawler.insight.export.config import config
from crawler.insight.export.dataset import datasets
from crawler.insight.export.draft import Draft, Export, Kind
from crawler.insight.export.scripts import Script, choose
from crawler.model import Decoded, Trainer

#: Problems of the header that the report lists; `inspect` lists all of them.
MAX_PROBLEMS = 20

#: Options that every recipe should have, and what happens without them.
_EXPECTED = (
    ("network_dim", "the network module would use its default, 4 for LoRA"),
    ("optimizer_type", "sd-scripts would use AdamW"),
    ("lr_scheduler", "sd-scripts would use constant"),
    ("mixed_precision", "sd-scripts would use no"),
    ("seed", "sd-scripts would draw one"),
)

#: Base models with large text encoders, whose outputs are usually cached.
_CACHED_TEXT = frozenset({"sdxl", "sd3", "flux1", "chroma", "lumina2", "hunyuan-image", "anima"})


def export(decoded: Decoded) -> Export:
    """Make the recipe of a file.

    Raises:
        UsageError: Neither the network module nor a learning rate is known, so that only defaults
            would be left.
    """
    recipe = decoded.recipe
    rates = (recipe.learning_rate, recipe.unet_lr, recipe.text_encoder_lr)
    if recipe.network_module is None and all(rate is None for rate in rates):
        raise UsageError(
            "cannot make a recipe: the file states neither a network module nor a learning rate\n"
            "`lora-crawl inspect` and `show` print what it does state"
        )
    draft = Draft(decoded)
    script = choose(draft)
    sections = config(draft, script)
    tables = datasets(draft, script)
    written = {option.name for section in sections for option in section.options}
    left_out = {note.subject for note in draft.notes if note.kind is Kind.CONFLICT}
    _note_missing(draft, script, written | left_out)
    _note_trainer(draft)
    _note_problems(draft)
    order = list(Kind)
    steps, epochs = _length(decoded)
    return Export(
        script=script.file,
        base=script.base,
        steps=steps,
        epochs=epochs,
        config=sections,
        datasets=tables,
        notes=tuple(sorted(draft.notes, key=lambda note: order.index(note.kind))),
    )


def _length(decoded: Decoded) -> tuple[int | None, int | None]:
    """Steps and epochs that were planned; what is not recorded follows from the other, if it can."""
    recipe = decoded.recipe
    steps, epochs = recipe.max_train_steps, recipe.num_epochs
    if steps is None and epochs is None:
        steps = recipe.steps
    batches = recipe.batches_per_epoch or _batches(decoded)
    each = max(recipe.gradient_accumulation_steps or 1, 1)
    if batches is not None and batches > 0:
        if epochs is None and steps is not None:
            epochs = max(round(steps * each / batches), 1)
        elif steps is None and epochs is not None:
            steps = math.ceil(batches / each) * epochs
    return steps, epochs


def _batches(decoded: Decoded) -> int | None:
    """Batches of an epoch, by the images of the folders and their repeats; None when unknown."""
    recipe = decoded.recipe
    images = recipe.num_train_images
    trained = [one for one in decoded.directories if not one.is_reg]
    if images is None and trained and all(one.image_count is not None for one in trained):
        images = sum((one.image_count or 0) * (one.repeats or 1) for one in trained)
    if images is None:
        return None
    return math.ceil((images + (recipe.num_reg_images or 0)) / max(recipe.batch_size or 1, 1))


def _note_missing(draft: Draft, script: Script, known: Collection[str]) -> None:
    """Note what the recipe lacks besides its placeholders.

    Args:
        draft: The file.
        script: The script that trains it.
        known: Options that the recipe has, and those whose absence is already noted.
    """
    for name, otherwise in _EXPECTED:
        if name not in known:
            draft.missing(name, "not recorded", otherwise)
    recipe = draft.recipe
    text_encoder = draft.weights.trains_text_encoder
    lacks = recipe.unet_lr is None or (text_encoder is not False and recipe.text_encoder_lr is None)
    if recipe.learning_rate is None and lacks:
        otherwise = "sd-scripts would use 2e-6 for parts without a rate"
        draft.missing("learning_rate", "not recorded", otherwise)
    if recipe.lr_scheduler == "cosine_with_restarts" and "lr_scheduler_num_cycles" not in known:
        draft.missing("lr_scheduler_num_cycles", "how often the schedule restarted", "default 1")
    if recipe.lr_scheduler == "polynomial" and "lr_scheduler_power" not in known:
        draft.missing("lr_scheduler_power", "the power of the schedule", "default 1")
    draft.missing("lr_scheduler_type, lr_scheduler_args", "a custom schedule and its arguments")
    draft.missing("lr_decay_steps", "over how many steps the rate fell at the end of the run")
    if "save_precision" not in known:
        draft.missing("save_precision", "the number format of the result")
    if "min_timestep" not in known and "max_timestep" not in known:
        draft.missing("min_timestep, max_timestep", "whether only some timesteps were trained")
    if text_encoder is None:
        draft.missing("network_train_unet_only", "whether the text encoder was trained")
    if script.base in _CACHED_TEXT:
        text = "whether the outputs of the text encoder were cached"
        draft.missing("cache_text_encoder_outputs", text)
    draft.missing("xformers, sdpa", "the implementation of attention; it affects speed and memory")
    draft.missing("network_weights, resume", "whether the run started from another LoRA or state")
    draft.missing("masked_loss, alpha_mask", "whether parts of the images were masked")
    draft.missing(
        "token_warmup_min, token_warmup_step", "whether captions grew longer during the run"
    )


def _note_trainer(draft: Draft) -> None:
    trainer = draft.recipe.trainer
    if trainer == Trainer.MERGE_TOOL and draft.recipe.original_dim is None:
        text = "a tool that merges, extracts or splits LoRAs made the file, not a single run"
        draft.assumed("trainer", text)
    elif trainer not in {None, Trainer.KOHYA}:
        draft.assumed(
            "trainer", f"{trainer}; settings that it left to its own defaults are unknown"
        )


def _note_problems(draft: Draft) -> None:
    """Note the problems of the header, except a base that the tensors contradict.

    The wrong base is noted when the script is chosen.
    """
    noted = (CONTRADICTED, "base_model_version")
    listed = [one for one in draft.decoded.problems if (one.code, one.field) != noted]
    for one in listed[:MAX_PROBLEMS]:
        draft.conflict(one.field, one.detail)
    if more := listed[MAX_PROBLEMS:]:
        draft.conflict("metadata", f"{len(more):,} more problems; `inspect` lists them")
