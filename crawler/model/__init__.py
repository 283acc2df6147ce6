"""The nouns that the stages pass to each other: frozen values without behaviour."""

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
from crawler.model.recipe import Dataset, Decoded, Directory, Problem, Recipe, Trainer, Weights

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
