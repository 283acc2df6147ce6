"""The names that trainers give to base models, and the architectures they mean.

The names are values of `ss_base_model_version` and `modelspec.architecture`, as sd-scripts,
musubi-tuner, ai-toolkit, OneTrainer, SimpleTuner and TrainTrain write them.
"""

import re

#: Start of a name, the rest of it where the meaning is certain (None: it never is), architecture.
#: Names are in lower case without separators; the first start that fits decides.
_NAMES = (
    (r"sdxl|stablediffusionxl", r".*", "sdxl"),
    (r"sdv?1", r"v|\d?", "sd1"),
    (r"stablediffusionv1", r"\d?", "sd1"),
    (r"stablediffusion1", None, "sd1"),
    (r"sdv?2", r"v|\d?", "sd2"),
    (r"stablediffusionv2", r"\d{3}v?|\d?", "sd2"),
    (r"stablediffusion2", None, "sd2"),
    (r"sdv?3|stablediffusion3", r".*", "sd3"),
    ("flux2", r".*", "flux2"),
    ("flux3", None, "flux3"),
    ("flux", r"1.*|kontext", "flux1"),
    ("chromaradiance", None, "chroma-radiance"),  # another script, the same layers as Chroma
    ("chroma", r"1?(?:hd|base|radiance)?", "chroma"),
    ("lumina", r"2", "lumina2"),
    ("hunyuanimage", None, "hunyuan-image"),
    ("hunyuanvideo", r"(?:15)?", "hunyuan-video"),
    ("qwenimage", r"(?:edit|layered)?(?:plus|\d{4})?", "qwen-image"),
    ("wan", r"(?:\d\w*)?", "wan"),
    ("zimage", r"(?:turbo|base|deturbo)?", "z-image"),
    ("hidreami1", r"\w*", "hidream"),
    (r"anima(?!gine)", r"(?:preview)?\d*", "anima"),
    ("krea2", r"", "krea2"),
    ("ideogram4", r"", "ideogram4"),
    ("kandinsky5", r"\w*", "kandinsky5"),
    ("ltx", r"(?:v|video)?\d*", "ltx"),
    ("ernieimage", r"(?:turbo)?", "ernie"),
    ("minimaxh3", r"", "minimax-h3"),
)
#: Architectures with convolutions that a LoRA can train; elsewhere `conv_dim` has no effect.
UNETS = frozenset({"sd1", "sd2", "sdxl"})

_SEPARATORS = re.compile(r"[-_./ ]+")

#: Longest name that is looked up, in characters; the known ones stay below 40.
_MAX_CHARS = 80

#: Architectures whose LoRAs have the same layer names: a LoRA for Chroma is read as one for Flux.1,
#: and tools that extract LoRAs write `flux1` for both.
_SAME_LAYERS = (frozenset({"flux1", "chroma"}), frozenset({"hunyuan-image", "hunyuan-video"}))


def certain_architecture(name: str) -> str | None:
    """The architecture that the name of a base model means; None when several are possible."""
    if len(name) > _MAX_CHARS:
        return None
    spelt = _plain(name)
    for start, rest, found in _NAMES:
        if rest is not None and re.fullmatch(f"(?:{start})(?:{rest})", spelt):
            return found
    return None


def likely_architecture(name: str) -> str | None:
    """The most likely architecture, from the start of the name; None for an unknown name."""
    spelt = _plain(name[:_MAX_CHARS])
    return next((found for start, _, found in _NAMES if re.match(start, spelt)), None)


def have_same_layers(one: str, other: str) -> bool:
    """Whether the two architectures have the same tensors."""
    return one == other or any({one, other} <= alike for alike in _SAME_LAYERS)


def _plain(name: str) -> str:
    return _SEPARATORS.sub("", name.casefold())
