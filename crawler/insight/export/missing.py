"""What a recipe lacks: settings that were lost, and those that no trainer writes down."""

from collections.abc import Collection

from crawler.insight.export.parts import Kind, Note
from crawler.insight.export.scripts import Script
from crawler.model import Decoded

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
    if recipe.trainer == "merge-tool" and recipe.original_dim is None:
        text = "a tool that merges, extracts or splits made the file: no single run did"
        notes.append(Note(Kind.ASSUMED, "trainer", text))
    elif recipe.trainer not in {None, "kohya"}:
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
