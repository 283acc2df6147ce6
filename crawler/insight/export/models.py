"""The model files that a training needs: all of them placeholders, since no file holds their paths."""

import re

from crawler.decode import clean
from crawler.insight.export.parts import Kind, Note, Option, placeholder
from crawler.insight.export.scripts import Script
from crawler.model import Decoded

#: A model on Hugging Face, which sd-scripts fetches by itself.
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)

#: How a name ends that is a file's, and so no model on Hugging Face.
_FILES = (".safetensors", ".ckpt", ".pt", ".sft", ".bin")


def models(decoded: Decoded, script: Script, notes: list[Note]) -> list[Option]:
    """The base model, the VAE, and the further files that the script asks for."""
    recipe = decoded.recipe
    found = [_base(decoded, notes)]
    if recipe.vae_name is not None:
        remark = _known_as(recipe.vae_name)
        found.append(Option("vae", placeholder(recipe.vae_name), remark))
        notes.append(Note(Kind.MISSING, "vae", f"the path of the VAE; {remark}"))
    for name in script.models:
        if name != "vae" or recipe.vae_name is None:
            found.append(Option(name, placeholder(name), "a file that the script asks for"))
            notes.append(
                Note(Kind.MISSING, name, f"the path of a file that {script.file} asks for")
            )
    if recipe.v2 is not None or script.base == "sd2":
        found.append(Option("v2", recipe.v2 is True or script.base == "sd2"))
    if script.base in {"sd1", "sd2", "sdxl"} and _predicts_velocity(decoded):
        found.append(Option("v_parameterization", value=True))
    if "model_type" in script.extras:
        found.append(Option("model_type", "chroma" if script.base == "chroma" else "flux"))
    return [*found, *_clip_skip(decoded)]


def _base(decoded: Decoded, notes: list[Note]) -> Option:
    recipe = decoded.recipe
    name, option = recipe.sd_model_name, "pretrained_model_name_or_path"
    if name is None:
        notes.append(Note(Kind.MISSING, option, "the model that was trained on, not even its name"))
        return Option(option, placeholder("base model"), "the model that was trained on")
    hashes = {"SHA-256": recipe.sd_model_sha256, "AutoV1": recipe.sd_model_hash}
    told = [f"{kind} {value}" for kind, value in hashes.items() if value]
    if _HUB_ID.fullmatch(name) and not told and not name.casefold().endswith(_FILES):
        notes.append(Note(Kind.ASSUMED, option, f"{name}, taken for a model on Hugging Face"))
        return Option(option, name, "on Hugging Face")
    remark = ", ".join([_known_as(name), *told])
    notes.append(Note(Kind.MISSING, option, f"the path of the model that was trained on; {remark}"))
    return Option(option, placeholder(name), remark)


def _known_as(name: str) -> str:
    return f"it was called {clean.quote(name)}"


def _predicts_velocity(decoded: Decoded) -> bool:
    """Whether the base predicts velocity, by sd-scripts' name for it or by the model spec."""
    version = decoded.recipe.base_model_version or ""
    metadata = decoded.header.metadata or {}
    return version.endswith("_v") or metadata.get("modelspec.prediction_type") == "v"


def _clip_skip(decoded: Decoded) -> list[Option]:
    value = decoded.recipe.clip_skip
    if value is None:
        layer = (decoded.header.metadata or {}).get("modelspec.encoder_layer", "")
        value = int(layer) if re.fullmatch("[0-9]{1,2}", layer, re.ASCII) else None
    return [] if value is None else [Option("clip_skip", value)]
