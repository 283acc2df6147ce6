"""The scripts of sd-scripts: which script trains a LoRA, and the options that only this script has."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from crawler.decode import clean
from crawler.decode.base_names import UNETS, have_same_layers, likely_architecture
from crawler.decode.tensors.layer_names import UNET_STARTS, locate, split_name
from crawler.insight.export.draft import Draft
from crawler.model import Trainer


@dataclass(frozen=True, slots=True)
class Script:
    """A training script.

    Attributes:
        file: Its name; empty if sd-scripts has none for this base.
        base: The base model as a value of `architecture`, or as the trainer names it.
        module: The LoRA module of sd-scripts for this base; empty if it has none.
        models: Options that name further model files. All of them are required.
        extras: Options of EXTRAS that it has.
        side: Native side of square images, in px; used when the file names no resolution.
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
_LUMINA = _DENSITY | _FLOW | _PREDICTION
_HUNYUAN = _LUMINA - {"weighting_scheme"}

#: Options that only some scripts have.
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
            Script("lumina_train_network.py", "lumina2", f"{_LORA}_lumina", ("gemma2", "ae"), _LUMINA),
            Script("hunyuan_image_train_network.py", "hunyuan-image", f"{_LORA}_hunyuan_image",
                   ("text_encoder", "byt5", "vae"), _HUNYUAN),
            Script("anima_train_network.py", "anima", f"{_LORA}_anima", ("qwen3", "vae"), _DENSITY | _FLOW),
        )
    }
)  # fmt: skip

#: Longest name of a base that is quoted, in characters; the known ones stay below 40.
_MAX_NAME_CHARS = 80


def choose(draft: Draft) -> Script:
    """The script for the base model; one without a file if sd-scripts does not train it.

    Tensors take precedence over metadata: tools that convert, extract or merge may write a base that
    the LoRA was not trained on. So does ai-toolkit 0.1, which names Stable Diffusion 1.5 whatever it
    trains.
    """
    claimed, found = _claimed(draft), draft.weights.architecture
    base = claimed or "sd1"
    if claimed and found and not have_same_layers(claimed, found):
        text = f"the metadata says {claimed}, the tensors fit {found}: {found} is used"
        draft.conflict("base model", text)
        base = found
    elif found and not claimed:
        text = f"{found}, by the shapes of the tensors; the metadata does not name it"
        draft.assumed("base model", text)
        base = found
    elif not claimed:
        text = "Stable Diffusion 1; neither the metadata nor the tensors identify it"
        draft.assumed("base model", text)
    if base in UNETS and not found and _changes_a_transformer(draft):
        text = "the layers are those of a transformer, which Stable Diffusion 1, 2 and XL are not"
        draft.conflict("base model", text)
        base = "an unknown transformer"
    if base in _SCRIPTS:
        return _SCRIPTS[base]
    text = f"sd-scripts has no script that trains {base}; use these settings in another trainer"
    draft.conflict("script", text)
    return Script("", base)


def _changes_a_transformer(draft: Draft) -> bool:
    """Whether the file has layers of a denoiser, and none of a U-Net's."""
    places = (locate(split_name(name)[0]) for name in draft.decoded.header.tensors)
    paths = [place.path for place in places if place.encoder is None and place.path]
    return bool(paths) and not any(path.startswith(UNET_STARTS) for path in paths)


def _claimed(draft: Draft) -> str | None:
    """The base that the metadata names, or the network module implies; None when neither does."""
    recipe = draft.recipe
    for name in (recipe.base_model_version, draft.metadata.get("modelspec.architecture")):
        if name and name.strip():
            spelt = name.strip().partition("/")[0][:_MAX_NAME_CHARS]
            return likely_architecture(name) or clean.text(spelt)
    module = recipe.network_module or ""
    for script in _SCRIPTS.values():
        if script.module == module != _LORA:
            return script.base
    if recipe.v2 is not None and recipe.trainer == Trainer.KOHYA:
        # Before 2023-06-26 the base had no key of its own, and sd-scripts did not train SDXL.
        return "sd2" if recipe.v2 else "sd1"
    return None
