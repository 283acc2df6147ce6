"""Which script of sd-scripts trains a LoRA, and what only that script asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from crawler.decode import clean
from crawler.decode.base_names import have_same_layers, likely_architecture
from crawler.insight.export.parts import Kind, Note
from crawler.model import Decoded, Trainer


@dataclass(frozen=True, slots=True)
class Script:
    """A training script.

    Attributes:
        file: Its name; empty where sd-scripts has none for this base.
        base: The base model in the words of the column `architecture`, or as the trainer says.
        module: sd-scripts' own LoRA module for this base; empty where it has none.
        models: Options that name further model files, all of them required.
        extras: Options that it knows and other scripts do not.
        side: Side of the square that the base was made for, px; used where the file says nothing.
    """

    file: str
    base: str
    module: str = ""
    models: tuple[str, ...] = ()
    extras: frozenset[str] = frozenset()
    side: int = 1024


_DENSITY = frozenset({"weighting_scheme", "logit_mean", "logit_std", "mode_scale"})
_FLOW = frozenset({"timestep_sampling", "sigmoid_scale", "discrete_flow_shift"})
_PREDICTION = frozenset({"model_prediction_type"})
_FLUX = _DENSITY | _FLOW | _PREDICTION | {"model_type", "apply_t5_attn_mask", "guidance_scale"}
_SD3 = _DENSITY | {"apply_lg_attn_mask", "apply_t5_attn_mask"}
_HUNYUAN = _DENSITY - {"weighting_scheme"} | _FLOW | _PREDICTION

#: Options that some scripts know and others do not.
EXTRAS = _FLUX | _SD3

_LORA = "networks.lora"
_SCRIPTS: Mapping[str, Script] = MappingProxyType(
    {
        script.base: script
        for script in (
            Script("train_network.py", "sd1", _LORA, side=512),
            Script("train_network.py", "sd2", _LORA, side=768),
            Script("sdxl_train_network.py", "sdxl", _LORA),
            Script("sd3_train_network.py", "sd3", f"{_LORA}_sd3", ("clip_l", "clip_g", "t5xxl"), _SD3),
            Script("flux_train_network.py", "flux1", f"{_LORA}_flux", ("clip_l", "t5xxl", "ae"), _FLUX),
            Script("flux_train_network.py", "chroma", f"{_LORA}_flux", ("t5xxl", "ae"), _FLUX),
            Script(
                "lumina_train_network.py",
                "lumina2",
                f"{_LORA}_lumina",
                ("gemma2", "ae"),
                _DENSITY | _FLOW | _PREDICTION,
            ),
            Script(
                "hunyuan_image_train_network.py",
                "hunyuan-image",
                f"{_LORA}_hunyuan_image",
                ("text_encoder", "byt5", "vae"),
                _HUNYUAN,
            ),
            Script(
                "anima_train_network.py", "anima", f"{_LORA}_anima", ("qwen3", "vae"), _DENSITY | _FLOW
            ),
        )
    }
)  # fmt: skip

#: Longest name of a base that is quoted, in characters; the known ones stay below 40.
_MAX_NAME_CHARS = 80


def choose(decoded: Decoded, notes: list[Note]) -> Script:
    """The script for the base of a LoRA; one without a file where sd-scripts has none.

    The tensors are believed before the metadata: tools that convert, extract or merge write a base
    they were not trained on.
    """
    claimed, found = _claimed(decoded), decoded.weights.architecture
    base = claimed
    if found and not (claimed and have_same_layers(claimed, found)):
        if claimed:
            text = f"the metadata says {claimed}, the tensors fit {found}: taken for {found}"
            notes.append(Note(Kind.CONFLICT, "base model", text))
        else:
            text = f"taken for {found} by the shapes of the tensors, the metadata does not say"
            notes.append(Note(Kind.ASSUMED, "base model", text))
        base = found
    if base is None:
        text = "neither the metadata nor the tensors tell it: taken for Stable Diffusion 1"
        notes.append(Note(Kind.ASSUMED, "base model", text))
        base = "sd1"
    if base in _SCRIPTS:
        return _SCRIPTS[base]
    text = f"sd-scripts has no script that trains {base}: the settings are for another trainer"
    notes.append(Note(Kind.CONFLICT, "script", text))
    return Script("", base)


def _claimed(decoded: Decoded) -> str | None:
    """The base that the metadata names, directly or by the network module; None when it does not."""
    recipe, metadata = decoded.recipe, decoded.header.metadata or {}
    for name in (recipe.base_model_version, metadata.get("modelspec.architecture")):
        if name and name.strip():
            return _base_of(name)
    module = recipe.network_module or ""
    for script in _SCRIPTS.values():
        if script.module == module != _LORA:
            return script.base
    if recipe.v2 is not None and recipe.trainer == Trainer.KOHYA:
        # Older than 2023-06-26, when the base got a key of its own; SDXL came after it.
        return "sd2" if recipe.v2 else "sd1"
    return None


def _base_of(name: str) -> str:
    return likely_architecture(name) or clean.text(name.strip().partition("/")[0][:_MAX_NAME_CHARS])
