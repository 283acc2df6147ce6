"""One LoRA in sentences: where it is from, how it was trained, and why it was not read."""

from collections.abc import Mapping
from typing import Any

from crawler.answers.outcomes import REMEDIES, SANDBOX_REMEDIES
from crawler.answers.settings import spoken_value
from crawler.answers.text import count, day, duration, instant, number, rounded, size
from crawler.model import Outcome, Trainer
from crawler.model.site import SANDBOX_URL
from crawler.store.schema.fields import BY_NAME

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

#: Trigger words and site tags that are listed.
_MOST_WORDS = 20

#: Hexadecimal digits of a Git commit, and how many of them are shown.
_COMMIT_LENGTH, _COMMIT_DIGITS = 40, 8


def origin(row: Mapping[str, Any]) -> list[str]:
    """What the site says of a model, and of the file, in one line each; may be empty.

    Args:
        row: Columns of `loras` by name.
    """
    get = row.get
    creator, published, autov2 = get("creator"), get("published_at"), get("autov2")
    file_id, length, downloads, likes = (
        get(name) for name in ("file_id", "size_bytes", "downloads", "likes")
    )
    model = (
        get("base_model"),
        get("model_type"),
        creator and f"by {creator}",
        published and f"published {day(published)}",
        None if downloads is None else count(downloads, "download"),
        None if likes is None else count(likes, "like"),
    )
    file = (
        None if file_id is None else f"file {file_id}",
        get("file_name"),
        None if length is None else size(length),
        autov2 and f"AutoV2 {autov2}",
    )
    return list(filter(None, (" · ".join(filter(None, parts)) for parts in (model, file))))


def words(row: Mapping[str, Any]) -> dict[str, str]:
    """The trigger words and the tags of the site, if there are any."""
    found = {}
    for name, label in (("trained_words", "trigger words"), ("model_tags", "site tags")):
        if some := row.get(name):
            text = ", ".join(str(word) for word in some[:_MOST_WORDS])
            more = len(some) - _MOST_WORDS
            found[label] = f"{text} and {number(more)} more" if more > 0 else text
    return found


def gone(row: Mapping[str, Any]) -> str:
    """Since when a file is no longer listed; empty if it is."""
    if not (since := row.get("gone_at")):
        return ""
    place = "on this machine" if row.get("site") == "local" else "listed by the site"
    return f"no longer {place} since {day(since)}"


def refusal(row: Mapping[str, Any]) -> list[str]:
    """Why a file was not read, and for a file from the site what can be done."""
    outcome = str(row["outcome"])
    told = [f"{outcome}: {row['reason']}" if row.get("reason") else outcome]
    if until := row.get("early_access_until"):
        told.append(f"Early access ends on {instant(until)} UTC.")
    if due := row.get("next_try_at"):
        told.append(f"The next try is after {instant(due)} UTC.")
    if row.get("file_id") is not None and row.get("site") != "local":
        is_sandbox = str(row.get("page_url") or "").startswith(SANDBOX_URL)
        remedy = (SANDBOX_REMEDIES if is_sandbox else REMEDIES)[outcome]
        told.append(f"{remedy[0].upper()}{remedy[1:]}.")
    return told


def training(row: Mapping[str, Any]) -> list[str]:
    """The sentences about the training of a file that was read, or how little its header says."""
    told = sentences(row)
    if row["outcome"] == Outcome.NO_METADATA:
        return [*told, "The header contains no training metadata."]
    return told or ["The header contains little training metadata."]


def folder(directory: Mapping[str, Any]) -> str:
    """The images of a training folder: how many, how often, what for."""
    amounts = ((directory.get("image_count"), "image"), (directory.get("repeats"), "repeat"))
    parts = [count(amount, noun) for amount, noun in amounts if amount is not None]
    if directory.get("is_reg"):
        parts.append("for regularisation")
    if tokens := directory.get("class_tokens"):
        parts.append(f"class “{tokens}”")
    return ", ".join(parts) or "nothing else known"


def sentences(row: Mapping[str, Any]) -> list[str]:
    """The trainer, the amount of training and the learning rates, as far as known; may be empty.

    Args:
        row: Columns of `loras` by name.
    """
    texts = (_trainer(row), _amount(row), _rates(row))
    return [f"{text[0].upper()}{text[1:]}." for text in texts if text]


def _trainer(row: Mapping[str, Any]) -> str:
    trainer, base = row.get("trainer"), row.get("sd_model_name")
    parts = []
    if trainer:
        version = str(row.get("trainer_version") or "")
        if len(version) == _COMMIT_LENGTH:
            version = version[:_COMMIT_DIGITS]
        parts.append(f"by {_TRAINERS.get(trainer, trainer)} {version}".rstrip())
    if base:
        parts.append(f"on {base}")
    if finished := row.get("training_finished_at") or row.get("training_started_at"):
        parts.append(f"({day(finished)})" if base else f"on {day(finished)}")
    done = "made" if trainer == Trainer.MERGE_TOOL else "trained"
    return " ".join([done, *parts]) if parts else ""


def _amount(row: Mapping[str, Any]) -> str:
    work = " ".join(filter(None, (_steps(row), _batch(row), _images(row), _resolution(row))))
    return ": ".join(filter(None, (work, _effort(row))))


def _steps(row: Mapping[str, Any]) -> str:
    steps, epoch, epochs = row.get("steps"), row.get("epoch"), row.get("num_epochs")
    amount = count(steps, "step") if steps is not None else ""
    if epoch is not None and epochs is not None and epoch != epochs:
        epoch_of = f"epoch {number(epoch)} of {number(epochs)}"
        return f"{amount} ({epoch_of})" if amount else epoch_of
    return amount or ("" if epochs is None else count(epochs, "epoch"))


def _batch(row: Mapping[str, Any]) -> str:
    whole, batch = row.get("total_batch_size"), row.get("batch_size")
    accumulated = row.get("gradient_accumulation_steps") or 1
    if batch is None:
        return "" if whole is None else f"of batch {number(whole)}"
    if accumulated > 1:
        return f"of {number(accumulated)} batches of {number(batch)}"
    if whole is not None and whole > batch:
        return f"of batch {number(whole)} ({number(batch)} on each device)"
    return f"of batch {number(batch)}"


def _images(row: Mapping[str, Any]) -> str:
    images, repeats = row.get("image_count"), row.get("mean_repeats")
    if images is None:
        total = row.get("num_train_images")
        return "" if total is None else f"over {count(total, 'image')}, repeats included"
    over = f"over {count(images, 'image')}"
    if repeats is None or repeats == 1:
        return over
    if float(repeats).is_integer():
        return f"{over} repeated {count(int(repeats), 'time')}"
    return f"{over} repeated {rounded(repeats)} times on average"


def _resolution(row: Mapping[str, Any]) -> str:
    width, height = row.get("resolution_width"), row.get("resolution_height")
    if width and height and width != height:
        return f"at {width} by {height} px"
    side = row.get("resolution")
    return f"at {spoken_value(BY_NAME['resolution'], side)}" if side else ""


def _effort(row: Mapping[str, Any]) -> str:
    seen, seconds = row.get("images_seen"), row.get("training_seconds")
    about = "at least" if row.get("images_seen_is_lower_bound") else "about"
    images = "" if seen is None else f"{about} {count(seen, 'image')} seen"
    time = "" if seconds is None else f"in {duration(seconds)}"
    return f"{images} {time}".strip()


def _rates(row: Mapping[str, Any]) -> str:
    unet, text_encoder = row.get("effective_unet_lr"), row.get("effective_text_encoder_lr")
    rates = []
    if unet is not None:
        rates.append(f"{number(unet)} for the image model")
    if text_encoder is not None and row.get("trains_text_encoder") is not False:
        rates.append(f"{number(text_encoder)} for the text encoder")
    parts = [f"learning rate {' and '.join(rates)}"] if rates else []
    if optimizer := row.get("optimizer"):
        parts.append(f"optimizer {optimizer}")
    if scheduler := row.get("lr_scheduler"):
        parts.append(f"schedule {scheduler}")
    return ", ".join(parts)
