"""A recipe made from what a file says about its training, in the formats of several trainers."""

from enum import StrEnum


class Format(StrEnum):
    """The trainers whose formats are written."""

    SD_SCRIPTS = "sd-scripts"
    KOHYA_SS = "kohya_ss"
    ONETRAINER = "onetrainer"
    AI_TOOLKIT = "ai-toolkit"
