"""The versions and files of a drawn model."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import TypeVar

from crawler.model import Outcome
from crawler.sandbox import words
from crawler.sandbox.chance import dice_for, happens, unit
from crawler.sandbox.dates import DAY
from crawler.sandbox.drawing import Drawing
from crawler.sandbox.entries import Body, Traits, Upload

_VERSION_IDS, _VERSION_STRIDE = 100_000, 32
_MOST_VERSIONS = 20  # of one model; less than the stride of their ids
_FILE_IDS, _FILE_STRIDE = 500_000, 4
# Far away, so that a catalogue means the same on every day it is asked
_EARLY_ACCESS_ENDS = datetime(2099, 12, 31, 12, tzinfo=UTC)
_RELEASES, _FILES, _REFUSALS, _BODIES = range(200, 204)  # places of their own for `mix`
_Fate = TypeVar("_Fate")


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
    return (version_id - _VERSION_IDS) // _VERSION_STRIDE


def file_version(file_id: int) -> int:
    """The id that the version of a file would have, if there is such a file."""
    return (file_id - _FILE_IDS) // _FILE_STRIDE + _VERSION_IDS


def releases(drawing: Drawing, index: int, traits: Traits) -> tuple[Release, ...]:
    """The versions of a model in the creator's order, mostly the newest first."""
    faults = drawing.faults
    dice = dice_for(drawing.seed, _RELEASES, index)
    count = max(_version_count(dice), len(traits.base_models))
    unlisted = 1 <= index <= faults.unlisted_run or happens(dice, faults.unlisted)
    made, time = [], drawing.last_version_at(index)
    for number in range(count):
        version_id = _VERSION_IDS + _VERSION_STRIDE * index + count - 1 - number
        empty = happens(dice, faults.no_files)
        made.append(
            Release(
                version_id=version_id,
                name=f"v{count - number}.0",
                base_model=traits.base_models[number % len(traits.base_models)],
                published_at=time,
                listed=not unlisted,
                trained_words=(words.slug(traits.name),) if happens(dice, 0.8) else (),
                uploads=() if empty else _uploads(drawing, index, version_id, traits),
            )
        )
        time -= dice.randint(1, 20 * DAY)
    if count > 1 and happens(dice, 0.085):  # some creators keep an older version on top
        made[0], made[1] = made[1], made[0]
    return tuple(made)


def _version_count(dice: Random) -> int:
    few = dice.choices((1, 2, 3, 0), (730, 150, 70, 50))[0]
    return few or min(_MOST_VERSIONS, 3 + int(1 / (1 - dice.random())))


def _uploads(drawing: Drawing, index: int, version_id: int, traits: Traits) -> tuple[Upload, ...]:
    faults = drawing.faults
    dice = dice_for(drawing.seed, _FILES, version_id)
    stem = f"{words.slug(traits.name)}-{version_id}"
    if happens(dice, 0.2):
        stem += " (1)"  # as a browser names a second download
    names = [(f"{stem}.safetensors", "Model", "SafeTensor")]
    if happens(dice, faults.pickle):
        names = [(f"{stem}.{dice.choice(('pt', 'ckpt'))}", "Model", "PickleTensor")]
    if happens(dice, faults.twin_links):
        names.append((f"{stem}_b.safetensors", "Model", "SafeTensor"))
    if happens(dice, faults.training_data):
        names.append((f"{stem}_training_data.zip", "Training Data", "Other"))
    refusal = _refusal(drawing, version_id, traits)
    wrong_link = happens(dice, faults.wrong_link)
    return tuple(
        Upload(
            file_id=_FILE_IDS + (version_id - _VERSION_IDS) * _FILE_STRIDE + place,
            version_id=version_id,
            user_id=drawing.creator_id(index),
            name=name,
            type=kind,
            format=format_,
            fp="fp16" if kind == "Model" else None,
            body=_body(drawing, version_id, place) if format_ == "SafeTensor" else Body.ZIP,
            primary=place == 0,
            refusal=refusal,
            early_access_until=_EARLY_ACCESS_ENDS if refusal is Outcome.EARLY_ACCESS else None,
            wrong_link=wrong_link,
        )
        for place, (name, kind, format_) in enumerate(names)
    )


def _refusal(drawing: Drawing, version_id: int, traits: Traits) -> Outcome | None:
    if traits.real_person:
        return Outcome.NOT_FOUND
    if traits.mode == "Archived":
        return Outcome.ARCHIVED
    faults = drawing.faults
    return _fate(
        unit(drawing.seed, _REFUSALS, version_id),
        (
            (faults.gone, Outcome.NOT_FOUND),
            (faults.archived_late, Outcome.ARCHIVED),
            (faults.downloads_disabled, Outcome.DOWNLOADS_DISABLED),
            (faults.login_required, Outcome.LOGIN_REQUIRED),
            (faults.early_access, Outcome.EARLY_ACCESS),
            (faults.forbidden, Outcome.FORBIDDEN),
        ),
    )


def _body(drawing: Drawing, version_id: int, place: int) -> Body:
    faults = drawing.faults
    fate = _fate(
        unit(drawing.seed, _BODIES, version_id, place),
        (
            (faults.no_metadata, Body.SILENT),
            (faults.html_body, Body.HTML),
            (faults.zip_body, Body.ZIP),
            (faults.lfs_body, Body.LFS),
            (faults.bad_header, Body.BAD),
            (faults.huge_header, Body.HUGE),
        ),
    )
    return fate or Body.TRAINED


def _fate(draw: float, shares: Iterable[tuple[float, _Fate]]) -> _Fate | None:
    """What a draw from 0 to 1 falls on when the shares are laid end to end; None behind them."""
    for share, fate in shares:
        if draw < share:
            return fate
        draw -= share
    return None
