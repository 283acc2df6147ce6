"""How a drawn catalogue changes: while it is read, and from one week to the next.

Epoch 0 is the catalogue as it was drawn, each of its `Changes` begins another one. Inside of an epoch
time goes by in ticks: one list call each, a second of the catalogue's own clock. Everything here is a
function of the drawing, so nothing has to be remembered.
"""

from collections.abc import Iterator
from dataclasses import replace

from crawler.sandbox import words
from crawler.sandbox.chance import chosen, chosen_ones, dice_for, mix
from crawler.sandbox.dates import DAY
from crawler.sandbox.drawing import LAST_DAY, MOST_DOWNLOADS, Drawing
from crawler.sandbox.entries import Traits

_WEEK = 7 * DAY  # from one epoch to the next
_EDITING = 6 * DAY  # what is published between two epochs is published in so much of the week
_TICK = 1_000  # milliseconds
# So many models for each tick of unrest: a walk takes twice as many calls for them, so it meets the
# world in motion and is not at its end before the world has settled.
_MODELS_PER_TICK = 200
_DRIFTS = (-0.5, -0.2, 0.3, 1.0)  # what may become of a model's statistics: this much is added
(
    _MOVES,
    _DRIFT,
    _VERSIONS,
    _FILES,
    _EDITS,
    _STATS,
    _REPLACED,
    _GONE_MODELS,
    _GONE_VERSIONS,
) = range(500, 509)  # places of their own for `mix`


def now(drawing: Drawing) -> int:
    """When this epoch is looked at, milliseconds of Unix time."""
    return LAST_DAY + DAY + drawing.epoch * _WEEK


def clock(drawing: Drawing, tick: int) -> int:
    """When a tick of this epoch ends, milliseconds of Unix time; the first begins a day before `now`."""
    return now(drawing) - DAY + (tick + 1) * _TICK


def settled_after(drawing: Drawing) -> int:
    """The tick from which on nothing moves any more."""
    restless = drawing.faults.moves or drawing.faults.drift
    return drawing.count // _MODELS_PER_TICK if restless else 0


def resting_at(drawing: Drawing, index: int) -> int:
    """When the model had its last version before anything moved it, milliseconds of Unix time."""
    if index < drawing.size:
        return drawing.last_version_at(index)
    for epoch in range(1, drawing.epoch + 1):
        low, high = drawing.count_at(epoch - 1), drawing.count_at(epoch)
        if index < high:
            return _week(epoch) + _EDITING * (index - low) // (high - low)
    raise IndexError(index)


def published(drawing: Drawing, index: int) -> tuple[int, ...]:
    """When the model got the versions that it did not have at first, ascending."""
    times = []
    for epoch in range(drawing.epoch + 1):
        if _chosen(drawing, index, epoch, _VERSIONS):
            times.append(_week(epoch) + mix(drawing.seed, _VERSIONS, index, epoch) % _EDITING)
        if _chosen(drawing, index, epoch, _MOVES):
            bits = mix(drawing.seed, _MOVES, index, epoch, 1)
            tick = bits % (drawing.count_at(epoch) // _MODELS_PER_TICK + 1)
            # behind what was edited in the week before, and within a second of the tick
            eve = LAST_DAY + epoch * _WEEK
            times.append(eve + tick * _TICK + (bits >> 32) % _TICK)
    return tuple(times)


def last_version_at(drawing: Drawing, index: int, tick: int) -> int:
    """When the model last had a new version at a tick, milliseconds of Unix time."""
    until = clock(drawing, tick)
    times = [time for time in published(drawing, index) if time < until]
    return times[-1] if times else resting_at(drawing, index)


def restless(drawing: Drawing) -> frozenset[int]:
    """The models that have not the time, or not the statistics, that they began with."""
    found: set[int] = set()
    for epoch in range(drawing.epoch + 1):
        for place in (_VERSIONS, _MOVES, _STATS, _DRIFT):
            found.update(_chosen_ones(drawing, epoch, place))
    return frozenset(found)


def counts(drawing: Drawing, index: int, tick: int) -> tuple[int, int]:
    """Downloads and thumbs up at a tick."""
    downloads, likes = drawing.counts(index)
    for epoch in range(drawing.epoch + 1):
        if _chosen(drawing, index, epoch, _STATS):
            more = 1 + mix(drawing.seed, _STATS, index, epoch) % (10 + downloads // 4)
            downloads, likes = downloads + more, likes + 1 + more // 10
        if _chosen(drawing, index, epoch, _DRIFT):
            steps = drawing.count_at(epoch) // _MODELS_PER_TICK
            done = min(tick, steps) if epoch == drawing.epoch else steps
            swing = _DRIFTS[mix(drawing.seed, _DRIFT, index, epoch, 1) % len(_DRIFTS)]
            grown = 1 + swing * done / steps if steps else 1 + swing
            downloads, likes = int(downloads * grown), int(likes * grown)
    return min(downloads, MOST_DOWNLOADS), min(likes, MOST_DOWNLOADS)


def traits(drawing: Drawing, index: int, drawn: Traits) -> Traits:
    """What the list filters by in this epoch, of a model that was `drawn` like this."""
    current = drawn
    if any(_chosen(drawing, index, epoch, _GONE_MODELS) for epoch in _weeks(drawing)):
        current = replace(current, gone=True)
    for epoch in _weeks(drawing):
        if _chosen(drawing, index, epoch, _EDITS):
            dice = dice_for(drawing.seed, _EDITS, index, epoch)
            tags = (current.tags[0], *dice.sample(words.MODEL_TAGS[3:], dice.randint(1, 5)))
            current = replace(current, name=f"{words.subject(dice)[0]} ({epoch})", tags=tags)
    return current


def generation(drawing: Drawing, index: int) -> int:
    """How often the first file of the model's newest version of the beginning was replaced."""
    return sum(_chosen(drawing, index, epoch, _REPLACED) for epoch in _weeks(drawing))


def has_new_file(drawing: Drawing, index: int) -> bool:
    """Whether that version has a file that it did not begin with."""
    return any(_chosen(drawing, index, epoch, _FILES) for epoch in _weeks(drawing))


def lost_version(drawing: Drawing, index: int) -> bool:
    """Whether the model's first version is not there any more."""
    return any(_chosen(drawing, index, epoch, _GONE_VERSIONS) for epoch in _weeks(drawing))


def _weeks(drawing: Drawing) -> range:
    return range(1, drawing.epoch + 1)


def _week(epoch: int) -> int:
    """When the week before an epoch began."""
    return LAST_DAY + DAY + (epoch - 1) * _WEEK


def _chosen(drawing: Drawing, index: int, epoch: int, place: int) -> bool:
    share = _share(drawing, epoch, place)
    if share <= 0:
        return False
    return chosen(index, _affected(drawing, epoch, place), share, drawing.seed, place, epoch)


def _chosen_ones(drawing: Drawing, epoch: int, place: int) -> Iterator[int]:
    size, share = _affected(drawing, epoch, place), _share(drawing, epoch, place)
    return chosen_ones(size, share, drawing.seed, place, epoch)


def _affected(drawing: Drawing, epoch: int, place: int) -> int:
    """How many models there are to choose from: what changes over a week was there before it."""
    return drawing.count_at(epoch if place in (_MOVES, _DRIFT) else max(0, epoch - 1))


def _share(drawing: Drawing, epoch: int, place: int) -> float:
    if place == _MOVES:
        return drawing.faults.moves
    if place == _DRIFT:
        return drawing.faults.drift
    if epoch == 0:
        return 0.0
    changes = drawing.history[epoch - 1]
    return {
        _VERSIONS: changes.new_versions,
        _FILES: changes.new_files,
        _EDITS: changes.edited,
        _STATS: changes.stats,
        _REPLACED: changes.replaced_files,
        _GONE_MODELS: changes.gone_models,
        _GONE_VERSIONS: changes.gone_versions,
    }[place]
