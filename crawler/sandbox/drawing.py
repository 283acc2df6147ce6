"""Models drawn from a seed, every one computable by itself."""

from dataclasses import dataclass

from crawler.sandbox import words
from crawler.sandbox.chance import dice_for, happens, mix, unit
from crawler.sandbox.changes import Changes
from crawler.sandbox.dates import milliseconds
from crawler.sandbox.entries import Traits
from crawler.sandbox.faults import Faults

FIRST_DAY = milliseconds("2023-01-20")
LAST_DAY = milliseconds("2026-08-01")
MOST_MODELS = 10_000_000  # beyond twice as many the ids of files would not fit into 32 bits
_MODEL_IDS, _MODEL_STRIDE = 1_000, 3  # ids are sparse, and ascend with time
_MODELS_PER_CREATOR = 8
# What was trained until a day, in shares of a hundred
_FASHIONS: tuple[tuple[int, tuple[str, ...], tuple[int, ...]], ...] = (
    (milliseconds("2023-07-26"), ("SD 1.5", "SD 2.1", "Other"), (95, 3, 2)),
    (milliseconds("2024-01-20"), ("SD 1.5", "SDXL 1.0", "Other"), (80, 18, 2)),
    (milliseconds("2024-08-20"), ("SD 1.5", "Pony", "SDXL 1.0", "Other"), (45, 35, 18, 2)),
    (
        milliseconds("2024-11-01"),
        ("Pony", "Flux.1 D", "SD 1.5", "SDXL 1.0", "Other"),
        (40, 26, 20, 12, 2),
    ),
    (
        milliseconds("2100-01-01"),
        ("Illustrious", "Pony", "Flux.1 D", "SD 1.5", "NoobAI", "SDXL 1.0", "Other"),
        (40, 18, 14, 10, 8, 7, 3),
    ),
)
_TRAITS, _TIMES, _CREATORS, _COUNTS = range(100, 104)  # places of their own for `mix`
_HALF = 1 << 32  # as many values as half of the bits of `mix` have
MOST_DOWNLOADS = (1 << 20) - 1  # about what the most wanted LoRA has


@dataclass(frozen=True, slots=True)
class Drawing:
    """What everything is drawn from.

    Attributes:
        size: How many models there were at first.
        history: What changed since then, a week each; see `crawler.sandbox.history`.
    """

    size: int
    seed: int
    faults: Faults
    history: tuple[Changes, ...] = ()

    @property
    def epoch(self) -> int:
        """How many weeks after the beginning this is."""
        return len(self.history)

    @property
    def count(self) -> int:
        """How many models there are, those that are gone among them."""
        return self.count_at(self.epoch)

    def count_at(self, epoch: int) -> int:
        """How many models there were so many weeks after the beginning."""
        count = self.size
        for changes in self.history[:epoch]:
            count += round(count * changes.new_models)
        return count

    @property
    def creator_count(self) -> int:
        """How many users there are to publish something."""
        return max(1, self.size // _MODELS_PER_CREATOR)

    def model_id(self, index: int) -> int:
        """The id of a model."""
        return _MODEL_IDS + _MODEL_STRIDE * index + mix(self.seed, _TRAITS, index) % _MODEL_STRIDE

    def find_model(self, model_id: int) -> int | None:
        """The position of a model; most ids belong to none."""
        index = (model_id - _MODEL_IDS) // _MODEL_STRIDE
        known = 0 <= index < self.count and self.model_id(index) == model_id
        return index if known else None

    def creator_id(self, index: int) -> int:
        """The number of a model's creator; few creators made most."""
        draw = unit(self.seed, _CREATORS, index)
        return int(self.creator_count * draw * draw)

    def last_version_at(self, index: int) -> int:
        """When the model had its last version at first; never before that of the model before."""
        if index < self.faults.tied_run:
            return FIRST_DAY
        if index % 2 and unit(self.seed, _TIMES, index) < self.faults.ties:
            return self.last_version_at(index - 1)
        step = (LAST_DAY - FIRST_DAY) // self.size
        jitter = mix(self.seed, _TIMES, index) % max(1, step)
        return FIRST_DAY + (LAST_DAY - FIRST_DAY) * index // self.size + jitter

    def counts(self, index: int) -> tuple[int, int]:
        """Downloads and thumbs up: half have under 150 downloads, one in a hundred thousands."""
        bits = mix(self.seed, _COUNTS, index)
        rarity = ((bits >> 32) + 1) / _HALF
        downloads = min(MOST_DOWNLOADS, int(80 * rarity**-0.8))
        return downloads, int(downloads * (0.02 + 0.15 * (bits % _HALF) / _HALF))

    def traits(self, index: int) -> Traits:
        """One model, by its position."""
        faults = self.faults
        dice = dice_for(self.seed, _TRAITS, index)
        time = self.last_version_at(index)
        name, kind = words.subject(dice)
        _until, names, shares = next(row for row in _FASHIONS if time < row[0])
        bases = dice.choices(names, shares, k=2 if happens(dice, 0.1) else 1)
        minor, mature = happens(dice, faults.minor), happens(dice, faults.mature_only)
        nameless, real_person = happens(dice, faults.no_creator), happens(dice, faults.real_person)
        archived, taken_down = happens(dice, faults.archived), happens(dice, faults.taken_down)
        return Traits(
            model_id=self.model_id(index),
            name=name,
            type=dice.choices(("LORA", "LoCon", "DoRA"), (91, 7, 2))[0],
            base_models=tuple(dict.fromkeys(bases)),
            creator=None if nameless else words.creator(self.seed, self.creator_id(index)),
            tags=(kind, *dice.sample(words.MODEL_TAGS[3:], dice.randint(0, 5))),
            level=dice.choice((4, 12, 28) if mature and not minor else (1, 1, 3, 7)),
            minor=minor,
            real_person=real_person,
            mode="Archived" if archived else "TakenDown" if taken_down else None,
        )
