"""How long a run is: its steps or epochs, and how many batches an update sums up."""

from crawler.insight.export.parts import Kind, Note, Option
from crawler.model import Decoded


def length(decoded: Decoded, notes: list[Note]) -> list[Option]:
    """`max_train_steps` where it is known, else `max_train_epochs`; never both."""
    recipe = decoded.recipe
    found = _planned(decoded, notes)
    if recipe.gradient_accumulation_steps is not None:
        found.append(Option("gradient_accumulation_steps", recipe.gradient_accumulation_steps))
    if recipe.epoch is not None and recipe.num_epochs is not None:
        early = recipe.epoch < recipe.num_epochs
        if early and (recipe.steps is None or recipe.steps != recipe.max_train_steps):
            text = (
                f"the whole run is written, of {recipe.num_epochs:,} epochs;"
                f" this file was saved in epoch {recipe.epoch:,}"
            )
            notes.append(Note(Kind.ASSUMED, "length", text))
    _note_devices(decoded, notes)
    return found


def _planned(decoded: Decoded, notes: list[Note]) -> list[Option]:
    recipe = decoded.recipe
    if recipe.max_train_steps is not None:
        return [Option("max_train_steps", recipe.max_train_steps)]
    if recipe.num_epochs is not None:
        return [Option("max_train_epochs", recipe.num_epochs)]
    if recipe.steps is not None:
        text = f"{recipe.steps:,}, the steps of this file; how many were planned is not told"
        notes.append(Note(Kind.ASSUMED, "max_train_steps", text))
        return [Option("max_train_steps", recipe.steps)]
    text = "neither steps nor epochs are told; sd-scripts would do 1,600 steps"
    notes.append(Note(Kind.MISSING, "max_train_steps", text))
    return []


def _note_devices(decoded: Decoded, notes: list[Note]) -> None:
    """Say how many devices worked together, or that it is unknown."""
    recipe = decoded.recipe
    batch, whole = recipe.batch_size, recipe.total_batch_size
    if batch is None:
        return
    if whole is None:
        text = "how many trained together; with more than one, a step saw more images"
        notes.append(Note(Kind.MISSING, "devices", text))
        return
    each = batch * (recipe.gradient_accumulation_steps or 1)
    devices, rest = divmod(whole, each) if each > 0 else (1, 0)
    if devices > 1 and rest == 0:
        text = f"{devices:,} trained together: start as many processes, or raise the batch size"
        notes.append(Note(Kind.ASSUMED, "devices", text))
