"""What a catalogue holds, as the endpoints and the storage see it."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from crawler.model import Outcome
from crawler.sandbox.faults import Faults

SETTLED = 1 << 62  # later than any number of list calls


class Sort(StrEnum):
    """The orders of the list, as the API spells them."""

    HIGHEST_RATED = "Highest Rated"
    MOST_DOWNLOADED = "Most Downloaded"
    MOST_LIKED = "Most Liked"
    MOST_DISCUSSED = "Most Discussed"
    MOST_COLLECTED = "Most Collected"
    MOST_IMAGES = "Most Images"
    NEWEST = "Newest"
    OLDEST = "Oldest"


class Body(StrEnum):
    """What the bytes of a file really are; named like the switch that makes them so."""

    TRAINED = "trained"  # a header with training metadata
    SILENT = "no_metadata"  # a header without
    BAD = "bad_header"  # a header that is refused
    HUGE = "huge_header"  # a sound header of a size nobody wants
    GIANT = "giant_body"  # a header like any other, and 24 GiB behind it
    HTML = "html_body"
    ZIP = "zip_body"
    LFS = "lfs_body"
    REAL = "real"  # bytes that were recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What the list filters and sorts by.

    Attributes:
        base_models: Of all its versions.
        level: Bit mask: 1 PG, 2 PG-13, 4 R, 8 X, 16 XXX.
        minor: Children are shown; hidden from the pass that shows every level.
        real_person: Hidden from every list.
        mode: `Archived` (hidden unless asked for), `TakenDown`, None for the ordinary case.
        gone: It was there once, and is not any more.
    """

    model_id: int
    name: str
    type: str
    base_models: tuple[str, ...]
    creator: str | None
    tags: tuple[str, ...]
    level: int
    minor: bool
    real_person: bool
    mode: str | None
    gone: bool = False

    @property
    def in_ordinary_pass(self) -> bool:
        """Whether a list shows it that was not asked for mature models."""
        return bool(self.level & 1) and self._listable

    @property
    def in_mature_pass(self) -> bool:
        """Whether a list shows it that was asked for models of every level."""
        return not self.minor and self._listable

    @property
    def _listable(self) -> bool:
        return not (self.real_person or self.gone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One file.

    Attributes:
        refusal: The outcome that asking for it has, None when it is handed out.
        wrong_link: Whether it is found by its id only, not by its version's link.
        generation: How often the creator put other bytes in its place.
    """

    file_id: int
    version_id: int
    user_id: int
    name: str
    type: str
    format: str
    fp: str | None
    body: Body
    primary: bool
    refusal: Outcome | None = None
    early_access_until: datetime | None = None
    wrong_link: bool = False
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a file: a beginning, and the same byte over and over behind it.

    Attributes:
        size: Bytes altogether.
    """

    beginning: bytes
    size: int
    filler: int = 0

    def part(self, start: int, end: int) -> bytes:
        """The bytes from `start` up to, not including, `end`; both within the file."""
        head = self.beginning[start:end]
        return head + bytes((self.filler,)) * (end - start - len(head))


class Stock(Protocol):
    """A catalogue by position: 0 is the model with the lowest id, and ids ascend.

    What changes while a client reads depends on a tick: how many list calls were answered since
    the catalogue was first looked at. SETTLED is the tick at which all of that is over.
    """

    @property
    def faults(self) -> Faults:
        """What is out of order."""

    @property
    def now(self) -> int:
        """The time at which the catalogue was looked at, milliseconds of Unix time."""

    @property
    def creators(self) -> AbstractSet[str]:
        """Every user name, in lower case."""

    @property
    def tags(self) -> AbstractSet[str]:
        """Every tag of models, in lower case."""

    def __len__(self) -> int:
        """How many models there are."""

    @property
    def in_time_order(self) -> bool:
        """Whether `resting_at` never falls from one position to the next."""

    @property
    def restless(self) -> AbstractSet[int]:
        """The positions whose place in an order is not, or not always, that of a resting model."""

    @property
    def settled_after(self) -> int:
        """The tick from which on nothing changes any more."""

    def resting_at(self, index: int) -> int:
        """`last_version_at` of a model that is not restless; for the others, what it was once."""

    def last_version_at(self, index: int, tick: int = SETTLED) -> int:
        """When a model last had a new version, milliseconds of Unix time."""

    def traits(self, index: int) -> Traits:
        """What one model is filtered by."""

    def counts(self, index: int, sort: Sort, tick: int = SETTLED) -> tuple[int, int]:
        """The two numbers that an order by statistics compares, both descending."""

    def item(self, index: int, origin: str, tick: int = SETTLED) -> Mapping[str, Any]:
        """One model as a list shows it, with every version; links begin with `origin`."""

    def find_model(self, model_id: int) -> int | None:
        """The position of a model."""

    def find_version(self, version_id: int) -> int | None:
        """The position of the model that a version belongs to."""

    def find_file(self, file_id: int) -> Upload | None:
        """A file by its id."""

    def uploads(self, version_id: int) -> tuple[Upload, ...]:
        """The files of a version, those of an archived model too; empty when there is none."""

    def content(self, upload: Upload) -> Content:
        """The bytes of a file."""
