"""The nouns that the stages pass to each other: frozen values without behaviour.

A module of nouns is imported with the first of them: a question needs few, and all take 40 ms.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crawler.model.catalogue import LORA_TYPES, File, ListQuery, Model, Order, Page, Version
    from crawler.model.files import (
        Fetched,
        FileHashes,
        HeaderBytes,
        LocalFile,
        LocalResult,
        Result,
        Target,
    )
    from crawler.model.header import Header, Tensor, TensorList
    from crawler.model.outcome import Outcome
    from crawler.model.recipe import Dataset, Decoded, Directory, Problem, Recipe, Weights
    from crawler.model.trainer import Trainer
else:

    def __getattr__(name: str) -> Any:
        for module in ("outcome", "trainer", "header", "recipe", "files", "catalogue"):
            nouns = vars(import_module(f"{__name__}.{module}"))
            if name in nouns:
                return nouns[name]
        raise AttributeError(f"module {__name__} has no attribute {name}")


__all__ = [
    "LORA_TYPES",
    "Dataset",
    "Decoded",
    "Directory",
    "Fetched",
    "File",
    "FileHashes",
    "Header",
    "HeaderBytes",
    "ListQuery",
    "LocalFile",
    "LocalResult",
    "Model",
    "Order",
    "Outcome",
    "Page",
    "Problem",
    "Recipe",
    "Result",
    "Target",
    "Tensor",
    "TensorList",
    "Trainer",
    "Version",
    "Weights",
]
