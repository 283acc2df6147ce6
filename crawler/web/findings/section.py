"""A section, the files that it is about, and what several sections call things."""

import shlex
from dataclasses import dataclass

from crawler.answers.text import count
from crawler.query.fields import Field
from crawler.query.parser import parse
from crawler.query.tree import And, Node
from crawler.store.schema.fields import BY_NAME
from crawler.web.charts import Chart

#: The learning rate of the image model.
RATE = "effective_unet_lr"

#: The settings that are shown, with what a reader calls them.
SETTINGS = {
    "network_dim": "rank",
    "alpha_ratio": "alpha / rank",
    "image_count": "training images",
    "mean_repeats": "repeats",
    "resolution": "resolution",
    "steps": "steps",
    "images_seen": "images seen",
    "training_seconds": "training time",
    RATE: "learning rate",
}

#: A month or a group with fewer files than this has no median and no shares.
FEWEST = 10

#: Characters of a name in a sentence.
LONGEST_NAME = 60

#: Medians that differ by a smaller factor are called about the same.
ALIKE = 1.1


@dataclass(frozen=True, slots=True)
class Among:
    """The files that are looked at.

    Attributes:
        tree: The condition that selects them; None for all.
        where: The condition as it was written, for the commands.
        copies: Whether scanned copies are kept, also for the commands.
    """

    tree: Node | None = None
    where: tuple[str, ...] = ()
    copies: bool = False

    def narrowed(self, condition: str) -> "Among":
        """The files among these that meet a further condition."""
        further = parse([condition], BY_NAME)
        tree = further if self.tree is None or further is None else And((self.tree, further))
        return Among(tree, (*self.where, condition), self.copies)

    def command(self, *words: str) -> str:
        """A command about these files, as it is typed."""
        options = [word for one in self.where for word in ("--where", one)]
        copies = ["--copies"] if self.copies else []
        return shlex.join(["lora-crawl", *words, *options, *copies])


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One finding.

    Attributes:
        key: Its id on the page.
        title: Its subject.
        paragraphs: The main figures, or that there is no data.
        tiles: Single figures, each after what it counts.
        charts: May be empty.
        commands: That print the same figures.
    """

    key: str
    title: str
    paragraphs: tuple[str, ...]
    tiles: tuple[tuple[str, str], ...] = ()
    charts: tuple[Chart, ...] = ()
    commands: tuple[str, ...] = ()


def called(field: Field) -> str:
    """What a reader calls one of SETTINGS."""
    return SETTINGS[field.name]


def behind(files: int) -> str:
    """`1,234 files`."""
    return count(files, "file")


def without_data(key: str, title: str) -> Section:
    """The section in place of one whose files contain no training metadata."""
    return Section(
        key=key, title=title, paragraphs=("None of these files states how it was trained.",)
    )
