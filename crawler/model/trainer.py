"""The programs that train LoRAs."""

from enum import StrEnum


class Trainer(StrEnum):
    """Values of the column `trainer`."""

    KOHYA = "kohya"
    MUSUBI_TUNER = "musubi-tuner"
    AI_TOOLKIT = "ai-toolkit"
    ONETRAINER = "onetrainer"
    SIMPLETUNER = "simpletuner"
    DIFFUSERS = "diffusers"
    PEFT = "peft"
    TRAINTRAIN = "traintrain"
    #: Writes no metadata of its own, so no file has this value yet.
    DIFFUSION_PIPE = "diffusion-pipe"
    CLONEOFSIMO = "cloneofsimo"
    #: Any tool that merges, extracts or resizes LoRAs: no single training run made the file.
    MERGE_TOOL = "merge-tool"
