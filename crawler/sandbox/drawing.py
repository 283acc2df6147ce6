"""The types of the catalogue, and models generated from a seed."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from random import Random

from crawler.model import Outcome
from crawler.sandbox.faults import Faults
from crawler.sandbox.runs import happens

KINDS = ("character", "style", "concept")
LAST_DAY = datetime(2026, 8, 1, tzinfo=UTC)
MODEL_TAGS = (
    "anime", "woman", "man", "photorealistic", "fantasy", "sci-fi", "background", "poses",
    "vehicle", "animal", "game character", "landscape", "girls", "objects", "celestial", "retro",
)  # fmt: skip
_FIRST_DAY = datetime(2023, 1, 20, tzinfo=UTC)
_FIRST_MODEL, _MODEL_STRIDE = 1_000, 3  # ids are sparse and ascend with time
_FIRST_VERSION, _VERSION_STRIDE = 100_000, 32
_FIRST_FILE, _FILE_STRIDE = 500_000, 8
# Base models and their shares in hundredths until a year and month
_FASHIONS = {
    (2023, 7): {"SD 1.5": 100},
    (2024, 1): {"SD 1.5": 80, "SDXL 1.0": 20},
    (2024, 8): {"SD 1.5": 45, "Pony": 36, "SDXL 1.0": 19},
    (2024, 11): {"Pony": 40, "Flux.1 D": 28, "SD 1.5": 20, "SDXL 1.0": 12},
    (2100, 1): {"Illustrious": 48, "Pony": 18, "Flux.1 D": 15, "SD 1.5": 12, "SDXL 1.0": 7},
}
_SYLLABLES = (
    ("Ka", "Mi", "To", "Ve", "Lu", "Shi", "Ro", "Ae", "Zan", "Ori", "Bel", "Quo", "Nym", "Fe"),
    ("ra", "lo", "ne", "vi", "sha", "du", "mori", "the", "ku", "li", "zo", "ba", "rin", "pha"),
    ("", "n", "ka", "sel", "dris", "ru", "mi", "tor", "la", "ss", "wyn", "go", "na", "th"),
)
_WORLDS = ("Skyfold Saga", "Lanternfall", "Ninth Harbour", "Brass Orchard", "Hollow Tides")
_STYLES = ("Inkwash", "Neon Dusk", "Riso Print", "Woodcut", "Low Poly", "Blueprint", "Mosaic")
_CONCEPTS = ("Floating Lanterns", "Glass Armor", "Tea Ceremony", "Paper Wings", "Cloud Whale")
_HANDLES = ("pixel", "moss", "lumen", "crow", "tofu", "nova", "kelp", "ember", "quill", "fable")
_TRADES = ("smith", "fox", "works", "lab", "loom", "garden", "forge", "cat", "wave", "press")
_REFUSALS = ("archived", "downloads_disabled", "login_required", "early_access", "forbidden")
_ODD_STEMS = ("猫耳 スタイル", "naïve + more & more", 'a "quoted" name', "100% final %28v2%29")


class Body(StrEnum):
    """The kind of content of a file. All except the first have the name of the fault that causes them."""

    TRAINED = "trained"
    NO_METADATA = "no_metadata"
    OTHER_FORMAT = "other_format"
    BAD_HEADER = "bad_header"
    HUGE_HEADER = "huge_header"
    GIANT_BODY = "giant_body"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFile:
    """One file; the first of a version is the primary one."""

    file_id: int
    name: str
    type: str
    body: Body
    refusal: Outcome | None  # how a request for it ends; None when it is handed out
    generation: int = 0  # how often the creator replaced its bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteVersion:
    """One version."""

    version_id: int
    base_model: str
    published_at: datetime
    trigger: str  # the word that its images were captioned with
    files: tuple[SiteFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteModel:
    """One model with its versions, the newest first."""

    model_id: int
    name: str
    type: str
    creator: str
    tags: tuple[str, ...]
    level: int  # bit mask: 1 PG, 2 PG-13, 4 R, 8 X, 16 XXX
    minor: bool  # children are shown: hidden from the maturity pass for every level
    listed: bool  # whether a list shows it; a request by id always finds it
    downloads: int
    likes: int
    versions: tuple[SiteVersion, ...]

    def in_pass(self, *, mature: bool) -> bool:
        """Whether a maturity pass shows the model."""
        return not self.minor if mature else bool(self.level & 1)


def dice_for(seed: int, *place: object) -> Random:
    """A random generator for one place of a catalogue. The same place always gives the same numbers."""
    return Random("/".join(map(str, (seed, *place))))  # noqa: S311 - nothing here is a secret


def draw_models(size: int, seed: int, faults: Faults) -> Iterator[SiteModel]:
    """The models of a catalogue, the oldest first."""
    time = _FIRST_DAY
    for index in range(size):
        dice = dice_for(seed, "model", index)
        jitter = dice.random()
        if index >= faults.tied_run:
            time = _FIRST_DAY + (LAST_DAY - _FIRST_DAY) * ((index + jitter) / size)
        model = draw_model(dice, index, time, faults, creators=max(1, size // 8))
        hidden = faults.tied_run <= index < faults.tied_run + faults.unlisted_run
        yield replace(model, listed=model.listed and not hidden)


def draw_model(
    dice: Random, index: int, last_version_at: datetime, faults: Faults, *, creators: int
) -> SiteModel:
    """The model at a position, which decides its ids.

    The draws do not depend on the faults, so a fault changes nothing else.
    """
    name, kind = draw_subject(dice)
    month = (last_version_at.year, last_version_at.month)
    shares = next(shares for end, shares in _FASHIONS.items() if month < end)
    bases = dice.choices(tuple(shares), tuple(shares.values()), k=2)
    several_bases = happens(dice, 0.1)
    minor, mature = happens(dice, faults.minor), happens(dice, faults.mature_only)
    everyones, adults = dice.choice((1, 1, 3, 7)), dice.choice((4, 12, 28))
    creator = int(creators * dice.random() ** 2)  # few creators made most
    downloads = int(80 * (1 - dice.random()) ** -0.8)
    model = SiteModel(
        model_id=_FIRST_MODEL + _MODEL_STRIDE * index + dice.randrange(_MODEL_STRIDE),
        name=name,
        type=dice.choices(("LORA", "LoCon", "DoRA"), (91, 7, 2))[0],
        creator=f"{_HANDLES[creator % 10]}{_TRADES[creator // 10 % 10]}{creator}",
        tags=(kind, *dice.sample(MODEL_TAGS, dice.randint(0, 5))),
        level=adults if mature and not minor else everyones,
        minor=minor,
        listed=not happens(dice, faults.unlisted),
        downloads=downloads,
        likes=int(downloads * dice.uniform(0.02, 0.17)),
        versions=(),
    )
    count = dice.choices((1, 2, 3, 8), (73, 15, 7, 5))[0]
    versions, time = [], last_version_at
    for number in reversed(range(count)):
        version_id = _FIRST_VERSION + _VERSION_STRIDE * index + number
        base_model = bases[number % 2 if several_bases else 0]
        version = SiteVersion(
            version_id=version_id,
            base_model=base_model,
            published_at=time,
            trigger=slug(name),
            files=tuple(draw_files(dice, f"{slug(name)}-{version_id}", version_id, faults)),
        )
        versions.append(version)
        time -= timedelta(days=dice.uniform(0.01, 20))
    return replace(model, versions=tuple(versions))


def draw_subject(dice: Random) -> tuple[str, str]:
    """The name of a made-up model, and one of KINDS."""
    kind = dice.choices(KINDS, (60, 25, 15))[0]
    if kind == "style":
        return f"{dice.choice(_STYLES)} Style", kind
    if kind == "concept":
        return dice.choice(_CONCEPTS), kind
    name = "".join(map(dice.choice, _SYLLABLES))
    return dice.choice((name, f"{name} ({dice.choice(_WORLDS)})")), kind


def draw_files(dice: Random, stem: str, version_id: int, faults: Faults) -> Iterator[SiteFile]:
    """The files of a version, named with a stem."""
    if happens(dice, faults.odd_name):
        stem = _ODD_STEMS[version_id % len(_ODD_STEMS)]
    suffix = "pt" if happens(dice, faults.pickle) else "safetensors"
    refusals = {Outcome(switch): getattr(faults, switch) for switch in _REFUSALS}
    refusals[Outcome.NOT_FOUND] = faults.gone
    granted = max(0, 1 - sum(refusals.values()))
    file = SiteFile(
        file_id=_FIRST_FILE + _FILE_STRIDE * (version_id - _FIRST_VERSION),
        name=f"{stem}.{suffix}",
        type="Model",
        body=draw_body(dice, faults),
        refusal=dice.choices((*refusals, None), (*refusals.values(), granted))[0],
    )
    yield file
    if happens(dice, faults.training_data):
        name = f"{stem}_training_data.zip"
        yield replace(file, file_id=file.file_id + 1, name=name, type="Training Data")


def draw_body(dice: Random, faults: Faults) -> Body:
    """The kind of content of a file."""
    shares = {body: getattr(faults, body) for body in Body if body is not Body.TRAINED}
    trained = max(0, 1 - sum(shares.values()))
    return dice.choices((*shares, Body.TRAINED), (*shares.values(), trained))[0]


def slug(name: str) -> str:
    """A name as a file or a trigger word spells it: letters, digits and underscores."""
    kept = "".join(letter if letter.isalnum() else " " for letter in name)
    return "_".join(kept.lower().split())
