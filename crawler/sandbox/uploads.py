"""The files of a drawn version: their names, what is in them, and who gets them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from crawler.model import Outcome
from crawler.sandbox import history, words
from crawler.sandbox.chance import dice_for, happens, unit
from crawler.sandbox.drawing import Drawing
from crawler.sandbox.entries import Body, Traits, Upload

FIRST_VERSION_ID = 100_000
_FILE_IDS, _FILE_STRIDE = 500_000, 4
_NEW_PLACE = _FILE_STRIDE - 1  # of a file that a version did not begin with
# Far away, so that a catalogue means the same on every day it is asked
_EARLY_ACCESS_ENDS = datetime(2099, 12, 31, 12, tzinfo=UTC)
_ODD_STEMS = (
    "猫耳 スタイル",
    "naïve + more & more",
    'a "quoted" name',
    "100% final %28v2%29",
    "v1;x=1",
)
_FILES, _REFUSALS, _BODIES = range(201, 204)  # places of their own for `mix`
_Fate = TypeVar("_Fate")


@dataclass(frozen=True, slots=True)
class _Label:
    """What a file is called and what the site says it is."""

    name: str
    type: str
    format: str


def file_version(file_id: int) -> int:
    """The id that the version of a file would have, if there is such a file."""
    return (file_id - _FILE_IDS) // _FILE_STRIDE + FIRST_VERSION_ID


def first_uploads(
    drawing: Drawing, index: int, version_id: int, traits: Traits
) -> tuple[Upload, ...]:
    """The files that a version began with, the primary one first."""
    faults = drawing.faults
    dice = dice_for(drawing.seed, _FILES, version_id)
    stem = _stem(traits, version_id)
    if happens(dice, 0.2):
        stem += " (1)"  # as a browser names a second download
    if happens(dice, faults.odd_name):
        stem = dice.choice(_ODD_STEMS)
    labels = [_Label(f"{stem}.safetensors", "Model", "SafeTensor")]
    if happens(dice, faults.pickle):
        labels = [_Label(f"{stem}.{dice.choice(('pt', 'ckpt'))}", "Model", "PickleTensor")]
    if happens(dice, faults.twin_links):
        labels.append(_Label(f"{stem}_b.safetensors", "Model", "SafeTensor"))
    if happens(dice, faults.training_data):
        labels.append(_Label(f"{stem}_training_data.zip", "Training Data", "Other"))
    refusal = _refusal(drawing, version_id, traits)
    wrong_link = happens(dice, faults.wrong_link)
    return tuple(
        Upload(
            file_id=_file_id(version_id, place),
            version_id=version_id,
            user_id=drawing.creator_id(index),
            name=label.name,
            type=label.type,
            format=label.format,
            fp="fp16" if label.type == "Model" else None,
            body=Body.ZIP if label.format != "SafeTensor" else _body(drawing, version_id, place),
            primary=place == 0,
            refusal=refusal,
            early_access_until=_EARLY_ACCESS_ENDS if refusal is Outcome.EARLY_ACCESS else None,
            wrong_link=wrong_link,
        )
        for place, label in enumerate(labels)
    )


def changed(
    drawing: Drawing, index: int, uploads: tuple[Upload, ...], traits: Traits
) -> tuple[Upload, ...]:
    """The files of a version as the creator left them, after some weeks of changes."""
    if not uploads:
        return uploads
    first, *others = uploads
    if generation := history.generation(drawing, index):
        body = first.body
        if first.format == "SafeTensor":
            body = _body(drawing, first.version_id, 0, generation)
        first = replace(first, generation=generation, body=body)
    if history.has_new_file(drawing, index):
        more = replace(
            first,
            file_id=_file_id(first.version_id, _NEW_PLACE),
            name=f"{_stem(traits, first.version_id)}_fp32.safetensors",
            format="SafeTensor",
            fp="fp32",
            body=_body(drawing, first.version_id, _NEW_PLACE),
            primary=False,
            generation=0,
        )
        others.append(more)
    return (first, *others)


def _file_id(version_id: int, place: int) -> int:
    return _FILE_IDS + (version_id - FIRST_VERSION_ID) * _FILE_STRIDE + place


def _stem(traits: Traits, version_id: int) -> str:
    return f"{words.slug(traits.name)}-{version_id}"


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


def _body(drawing: Drawing, version_id: int, place: int, generation: int = 0) -> Body:
    faults = drawing.faults
    draw = unit(drawing.seed, _BODIES, version_id, place, *((generation,) if generation else ()))
    fate = _fate(
        draw,
        (
            (faults.no_metadata, Body.SILENT),
            (faults.html_body, Body.HTML),
            (faults.zip_body, Body.ZIP),
            (faults.lfs_body, Body.LFS),
            (faults.bad_header, Body.BAD),
            (faults.huge_header, Body.HUGE),
            (faults.giant_body, Body.GIANT),
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
