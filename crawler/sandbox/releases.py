"""The versions of a drawn model."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from crawler.sandbox import history, words
from crawler.sandbox.chance import dice_for, happens
from crawler.sandbox.dates import DAY
from crawler.sandbox.drawing import Drawing
from crawler.sandbox.entries import Traits, Upload
from crawler.sandbox.uploads import FIRST_VERSION_ID, changed, first_uploads

_VERSION_STRIDE = 32  # from the versions of one model to those of the next
_MOST_VERSIONS = 20  # that a model begins with
#: Every week may add two versions: one before it is looked at, and one meanwhile.
MOST_WEEKS = (_VERSION_STRIDE - _MOST_VERSIONS - 1) // 2
_RELEASES, _LATER = 200, 204  # places of their own for `mix`


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One version.

    Attributes:
        published_at: Milliseconds of Unix time.
        listed: Whether a list shows it.
    """

    version_id: int
    name: str
    base_model: str
    published_at: int
    listed: bool
    trained_words: tuple[str, ...]
    uploads: tuple[Upload, ...]


def version_index(version_id: int) -> int:
    """The position that the model of a version would have, if there is such a version."""
    return (version_id - FIRST_VERSION_ID) // _VERSION_STRIDE


def releases(drawing: Drawing, index: int, traits: Traits) -> tuple[Release, ...]:
    """The versions of a model in the creator's order, mostly the newest first.

    Args:
        drawing: The catalogue.
        index: The model's position.
        traits: As they were drawn: a name that changes later changes no file.
    """
    faults = drawing.faults
    dice = dice_for(drawing.seed, _RELEASES, index)
    count = max(_version_count(dice), len(traits.base_models))
    hidden_run = range(faults.tied_run, faults.tied_run + faults.unlisted_run)
    listed = not (happens(dice, faults.unlisted) or index in hidden_run)
    model = _Model(drawing, index, traits, listed)
    first = list(_first_releases(model, dice, count))
    first[0] = replace(first[0], uploads=changed(drawing, index, first[0].uploads, traits))
    if count > 1 and history.lost_version(drawing, index):
        first.pop()
    if len(first) > 1 and happens(dice, 0.085):  # some creators keep an older version on top
        first[0], first[1] = first[1], first[0]
    later = [
        _release(model, dice_for(drawing.seed, _LATER, index, number), number, time)
        for number, time in enumerate(history.published(drawing, index), start=count)
    ]
    return (*reversed(later), *first)


@dataclass(frozen=True, slots=True)
class _Model:
    """What the versions of one model have in common."""

    drawing: Drawing
    index: int
    traits: Traits
    listed: bool


def _version_count(dice: Random) -> int:
    few = dice.choices((1, 2, 3, 0), (730, 150, 70, 50))[0]
    return few or min(_MOST_VERSIONS, 3 + int(1 / (1 - dice.random())))


def _first_releases(model: _Model, dice: Random, count: int) -> Iterator[Release]:
    """The versions that a model began with, the newest first."""
    time = history.resting_at(model.drawing, model.index)
    for number in reversed(range(count)):
        yield _release(model, dice, number, time)
        time -= dice.randint(1, 20 * DAY)


def _release(model: _Model, dice: Random, number: int, published_at: int) -> Release:
    drawing, index, traits = model.drawing, model.index, model.traits
    version_id = FIRST_VERSION_ID + _VERSION_STRIDE * index + number
    empty = happens(dice, drawing.faults.no_files)
    return Release(
        version_id=version_id,
        name=f"v{number + 1}.0",
        base_model=traits.base_models[number % len(traits.base_models)],
        published_at=published_at,
        listed=model.listed,
        trained_words=(words.slug(traits.name),) if happens(dice, 0.8) else (),
        uploads=() if empty else first_uploads(drawing, index, version_id, traits),
    )
