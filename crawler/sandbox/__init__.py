"""A small stand-in for Civitai on this machine, for trying the tool and for tests.

A `Catalogue` is generated from a seed: models, versions and files (`drawing`), the training run of
each file (`runs`), its metadata in the format of its trainer (`metadata`), its tensors and header
(`headers`), and `truth`, the outcome of each file after a complete crawl. `later` is the same catalogue
after some `Changes`. A `Sandbox` serves it on two loopback addresses (`server`): the API with its list in two
maturity passes and three orders, and storage behind signed links (`hosts`). `Faults` say how it
misbehaves on purpose.
"""

from crawler.sandbox.catalogue import Catalogue, Changes
from crawler.sandbox.faults import Counters, Faults
from crawler.sandbox.server import Sandbox

__all__ = [
    "Catalogue",
    "Changes",
    "Counters",
    "Faults",
    "Sandbox",
]
