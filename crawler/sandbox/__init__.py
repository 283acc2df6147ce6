"""A local catalogue that behaves like Civitai, for trying the tool and for tests.

`Catalogue` is made up from a seed, `Replay` serves what was recorded, `Sandbox` runs either one
as a server on loopback addresses. What the real site does wrong it does too, on purpose; `Faults`
has the switches. Nothing here knows the rest of the project, but for its nouns.
"""

from crawler.sandbox.catalogue import Catalogue
from crawler.sandbox.changes import Changes
from crawler.sandbox.faults import Faults
from crawler.sandbox.replay import Replay
from crawler.sandbox.server import SANDBOX_KEY, Sandbox, serve_forever
from crawler.sandbox.tally import Counters

__all__ = [
    "SANDBOX_KEY",
    "Catalogue",
    "Changes",
    "Counters",
    "Faults",
    "Replay",
    "Sandbox",
    "serve_forever",
]
