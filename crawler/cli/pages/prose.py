"""The training of a LoRA in sentences."""

from collections.abc import Mapping
from typing import Any

from crawler.cli.output.cells import count, duration, instant, number, rounded
from crawler.model import Trainer

#: Trainers as they spell their names.
_TRAINERS = {
    Trainer.KOHYA: "kohya's sd-scripts",
    Trainer.MUSUBI_TUNER: "musubi-tuner",
    Trainer.AI_TOOLKIT: "ai-toolkit",
    Trainer.ONETRAINER: "OneTrainer",
    Trainer.SIMPLETUNER: "SimpleTuner",
    Trainer.DIFFUSERS: "diffusers",
    Trainer.PEFT: "PEFT",
    Trainer.TRAINTRAIN: "TrainTrain",
    Trainer.DIFFUSION_PIPE: "diffusion-pipe",
    Trainer.CLONEOFSIMO: "cloneofsimo's lora",
    Trainer.MERGE_TOOL: "a tool that merges, extracts or resizes LoRAs",
}

#: Hexadecimal digits of a Git commit, and how many of them are shown.
_COMMIT_LENGTH, _COMMIT_DIGITS = 40, 8


def sentences(row: Mapping[str, Any]) -> list[str]:
    """The trainer, the amount of training and the learning rates, as far as known; may be empty.

    Args:
        row: Columns of `loras` by name.
    """
    return [text for text in (_who(row), _how_much(row), _how_fast(row)) if text]


def _who(row: Mapping[str, Any]) -> str:
    parts = []
    if trainer := row.get("trainer"):
        version = str(row.get("trainer_version") or "")
        if len(version) == _COMMIT_LENGTH:
            version = version[:_COMMIT_DIGITS]
        known = _TRAINERS.get(trainer, trainer)
        parts.append(f"by {known} {version}".rstrip())
    if base := row.get("sd_model_name"):
        parts.append(f"on {base}")
    if finished := row.get("training_finished_at") or row.get("training_started_at"):
        parts.append(f"on {instant(finished)[:10]}" if not base else f"({instant(finished)[:10]})")
    done = "Made" if row.get("trainer") == Trainer.MERGE_TOOL else "Trained"
    return f"{done} {' '.join(parts)}." if parts else ""


def _how_much(row: Mapping[str, Any]) -> str:
    work = [part for part in (_steps(row), _batch(row), _images(row), _resolution(row)) if part]
    effort = _effort(row)
    text = " ".join(work)
    if text and effort:
        text += ": "
    text += effort
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _steps(row: Mapping[str, Any]) -> str:
    steps, epoch, epochs = row.get("steps"), row.get("epoch"), row.get("num_epochs")
    amount = count(steps, "step") if steps is not None else ""
    if epoch is not None and epochs is not None and epoch != epochs:
        past = f"epoch {number(epoch)} of {number(epochs)}"
        return f"{amount} ({past})" if amount else past
    if amount or epochs is None:
        return amount
    return count(epochs, "epoch")


def _batch(row: Mapping[str, Any]) -> str:
    whole, batch = row.get("total_batch_size"), row.get("batch_size")
    summed = row.get("gradient_accumulation_steps") or 1
    if batch is None:
        return "" if whole is None else f"of batch {number(whole)}"
    if summed > 1:
        return f"of {number(summed)} batches of {number(batch)}"
    if whole is not None and whole > batch:
        return f"of batch {number(whole)} ({number(batch)} on each device)"
    return f"of batch {number(batch)}"


def _images(row: Mapping[str, Any]) -> str:
    images, repeated = row.get("image_count"), row.get("mean_repeats")
    if images is None:
        total = row.get("num_train_images")
        return "" if total is None else f"over {count(total, 'image')}, repeats included"
    over = f"over {count(images, 'image')}"
    if repeated is None or repeated == 1:
        return over
    if float(repeated).is_integer():
        return f"{over} repeated {count(int(repeated), 'time')}"
    return f"{over} repeated {rounded(repeated)} times on average"


def _resolution(row: Mapping[str, Any]) -> str:
    width, height = row.get("resolution_width"), row.get("resolution_height")
    if width and height and width != height:
        return f"at {number(width)} by {number(height)} px"
    side = row.get("resolution")
    return f"at {rounded(side, 5)} px" if side else ""


def _effort(row: Mapping[str, Any]) -> str:
    seen, seconds = row.get("images_seen"), row.get("training_seconds")
    about = "at least" if row.get("images_seen_is_lower_bound") else "about"
    images = "" if seen is None else f"{about} {count(seen, 'image')} seen"
    time = "" if seconds is None else f"in {duration(seconds)}"
    return f"{images} {time}".strip()


def _how_fast(row: Mapping[str, Any]) -> str:
    unet, text = row.get("effective_unet_lr"), row.get("effective_text_encoder_lr")
    rates = []
    if unet is not None:
        rates.append(f"{number(unet)} for the image model")
    if text is not None and row.get("trains_text_encoder") is not False:
        rates.append(f"{number(text)} for the text encoder")
    parts = []
    if rates:
        parts.append(f"learning rate {' and '.join(rates)}")
    if optimizer := row.get("optimizer"):
        parts.append(f"optimizer {optimizer}")
    if scheduler := row.get("lr_scheduler"):
        parts.append(f"schedule {scheduler}")
    text_of_all = ", ".join(parts)
    return f"{text_of_all[0].upper()}{text_of_all[1:]}." if parts else ""
