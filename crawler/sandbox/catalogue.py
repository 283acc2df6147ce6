"""A made-up catalogue: its models in each order, the bytes of its files, and the true outcomes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property, lru_cache
from operator import itemgetter
from random import Random
from typing import NamedTuple

from crawler.model import Outcome
from crawler.sandbox import drawing, headers
from crawler.sandbox.drawing import LAST_DAY, Body, SiteFile, SiteModel, SiteVersion, dice_for
from crawler.sandbox.faults import Faults
from crawler.sandbox.headers import Base
from crawler.sandbox.metadata import digits, metadata
from crawler.sandbox.runs import draw_network, draw_run

_REMEMBERED_SIZES = 65_536  # numbers
_REMEMBERED_CONTENTS = 128  # beginnings of files, of up to 0.5 MB each
_EDITING = timedelta(days=6)  # of each week: what is published is published in it
_BASES = {"SD 1.5": Base.SD1, "Flux.1 D": Base.FLUX1}  # all others are SDXL
_OTHER_FORMATS = (
    b"<!DOCTYPE html>\n<html><head><title>Not found</title></head></html>\n",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0123456789abcdef\nsize 9\n",
    b"PK\x03\x04\x14\x00" + bytes(3_000),
)
_READINGS: Mapping[Body, Outcome] = {
    Body.TRAINED: Outcome.DECODED,
    Body.GIANT_BODY: Outcome.DECODED,
    Body.NO_METADATA: Outcome.NO_METADATA,
    Body.BAD_HEADER: Outcome.BAD_HEADER,
    Body.OTHER_FORMAT: Outcome.NOT_SAFETENSORS,
    Body.HUGE_HEADER: Outcome.FAILED,  # it is longer than the default limit of a crawl
}
#: What an order compares, ascending: two numbers and the id of the model.
Rank = tuple[float, float, int]


class Sort(StrEnum):
    """The orders of the list, as the API spells them."""

    OLDEST = "Oldest"
    MOST_DOWNLOADED = "Most Downloaded"
    HIGHEST_RATED = "Highest Rated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Changes of a catalogue in a week, as shares of the existing models; by default none.

    The same changes of the same catalogue affect the same models.
    """

    new_models: float = 0.0  # models that were not there before
    new_versions: float = 0.0  # models with one more version; they move to the end of `Oldest`
    new_files: float = 0.0  # models whose newest version has one more file, which moves nothing
    edited: float = 0.0  # models with another name and other tags
    stats: float = 0.0  # models with more downloads and likes
    replaced_files: float = 0.0  # models with other bytes under the same file id
    gone_models: float = 0.0  # models that are no longer there, not even by their id
    gone_versions: float = 0.0  # models of several versions whose oldest one is no longer there


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a file: a beginning, and zeros up to its size."""

    beginning: bytes
    size: int

    def part(self, start: int, end: int) -> bytes:
        """The bytes from `start` up to, not including, `end`; both within the file."""
        head = self.beginning[start:end]
        return head + bytes(end - start - len(head))


class Place(NamedTuple):
    """A file and where it belongs."""

    model: SiteModel
    version: SiteVersion
    file: SiteFile


class Catalogue:
    """Models, versions, files and bytes, all determined by the arguments.

    Attributes:
        models: The oldest first, those of later weeks at the end.
        files: Every file by its id.
        content: Gives the bytes of a file.
        size_of: Gives the number of bytes of a file, by its id.

    Args:
        size: Number of models at first.
        seed: A different seed gives a different catalogue.
        faults: The faults; by default about those of the real catalogue.
        weeks: The changes since then, one item for each week.
    """

    def __init__(
        self,
        size: int,
        seed: int = 0,
        faults: Faults | None = None,
        weeks: tuple[Changes, ...] = (),
    ) -> None:
        self.size, self.seed, self.weeks = size, seed, weeks
        self.faults = Faults.mild() if faults is None else faults
        models, ever = tuple(drawing.draw_models(size, seed, self.faults)), size
        for week, changes in enumerate(weeks, start=1):
            models = tuple(self._next_week(models, ever, week, changes))
            ever += round(ever * changes.new_models)
        self.models = models
        self.files = {
            file.file_id: Place(model, version, file)
            for model in models
            for version in model.versions
            for file in version.files
        }
        self.content = lru_cache(_REMEMBERED_CONTENTS)(self._content)
        self.size_of = lru_cache(_REMEMBERED_SIZES)(lambda it: self.content(self.files[it]).size)

    def later(self, changes: Changes) -> "Catalogue":
        """The same catalogue a week later. Ids do not change."""
        return Catalogue(self.size, self.seed, self.faults, (*self.weeks, changes))

    @cached_property
    def orders(self) -> Mapping[Sort, Sequence[tuple[Rank, SiteModel]]]:
        """For each order, pairs of rank and model, ascending."""
        return {
            sort: sorted(((rank_of(it, sort), it) for it in self.models), key=itemgetter(0))
            for sort in Sort
        }

    def _content(self, place: Place) -> Content:
        model, version, file = place
        dice = dice_for(self.seed, "content", file.file_id, file.generation)
        if file.body is Body.HUGE_HEADER:
            size = 2 * headers.HUGE_HEADER_BYTES
            return Content(headers.HUGE_HEADER_BYTES.to_bytes(8, "little") + b"{}", size)
        if file.body is Body.OTHER_FORMAT:
            body = dice.choice(_OTHER_FORMATS)
            return Content(body, len(body))
        base = _BASES.get(version.base_model, Base.SDXL)
        trainer, network = draw_network(dice, base, model.type)
        tensors = headers.tensor_list(replace(network, giant=file.body is Body.GIANT_BODY))
        if file.body is Body.NO_METADATA:
            header = headers.sound(dice.choice((None, {"format": "pt"})), tensors)
        else:
            saved_by = version.published_at.timestamp()
            run = draw_run(dice, trainer, network, version.trigger, saved_by)
            told = metadata(dice, run, f"{version.trigger}-v1")
            told["sshs_model_hash"] = self.digest(file, "weights")
            header = headers.sound(told, tensors)
            if file.body is Body.BAD_HEADER:
                header = headers.broken(told, tensors, file.file_id // 8)
        return Content(header, len(header) + tensors.body_bytes)

    def digest(self, file: SiteFile, part: str) -> str:
        """A made-up SHA-256 of the whole file or its weights: hashing gigabytes of zeros takes long."""
        return digits(64, f"{part} {self.seed} {file.file_id} {file.generation}")

    def truth(self, *, mature: bool = True, key: bool = True) -> dict[int, Outcome]:
        """The outcome of every file, by its id, after a complete crawl of everything that is listed.

        Args:
            mature: Both maturity passes; else only the general one.
            key: Whether a valid API key is sent.
        """
        return {
            file_id: Outcome.NOT_SAFETENSORS
            if not file.name.endswith(".safetensors")
            else refusal_of(file, key=key) or _READINGS[file.body]
            for file_id, (model, _version, file) in self.files.items()
            if model.listed and (model.in_pass(mature=False) or (mature and not model.minor))
        }

    def _next_week(
        self, models: Sequence[SiteModel], ever: int, week: int, changes: Changes
    ) -> Iterator[SiteModel]:
        """The models a week later, the new ones last. `ever` counts all models, including those gone."""
        dice, begin = dice_for(self.seed, "week", week), LAST_DAY + timedelta(weeks=week)
        hit = {
            change: set(dice.sample(range(len(models)), round(len(models) * share)))
            for change, share in asdict(changes).items()
        }
        for index, model in enumerate(models):
            kinds = {change for change, indices in hit.items() if index in indices}
            if "gone_models" not in kinds:
                own = dice_for(self.seed, "week", week, model.model_id)
                yield _changed(model, kinds, own, begin, self.faults)
        count = round(ever * changes.new_models)
        for number in range(count):
            own = dice_for(self.seed, "model", ever + number)
            time = begin + _EDITING * (number / count)
            yield drawing.draw_model(own, ever + number, time, self.faults, creators=ever)


def _changed(
    model: SiteModel, kinds: set[str], dice: Random, begin: datetime, faults: Faults
) -> SiteModel:
    """A model after a week that began at `begin`; `kinds` names the changes that affect it."""
    newest, *older = model.versions
    first, *others = newest.files
    if "replaced_files" in kinds:
        body = drawing.draw_body(dice, faults)
        first = replace(first, generation=first.generation + 1, body=body)
    if "new_files" in kinds:
        last, name = newest.files[-1], f"{newest.trigger}_{begin:%m%d}.safetensors"
        others.append(replace(first, file_id=last.file_id + 1, name=name))
    versions = [replace(newest, files=(first, *others)), *older]
    if "gone_versions" in kinds and older:
        versions.pop()
    if "new_versions" in kinds:
        new_id, time = newest.version_id + 1, begin + _EDITING * dice.random()
        files = drawing.draw_files(dice, f"{newest.trigger}-{new_id}", new_id, faults)
        new = replace(newest, version_id=new_id, published_at=time, files=tuple(files))
        versions.insert(0, new)
    model = replace(model, versions=tuple(versions))
    if "stats" in kinds:
        more = dice.randint(10, 10 + model.downloads // 4)
        model = replace(model, downloads=model.downloads + more, likes=model.likes + more // 10)
    if "edited" in kinds:
        tags = (model.tags[0], *dice.sample(drawing.MODEL_TAGS, 3))
        model = replace(model, name=f"{model.name} {begin:%m%d}", tags=tags)
    return model


def rank_of(model: SiteModel, sort: Sort) -> Rank:
    """The sort key of a model in an order. Ties are sorted by id."""
    if sort is Sort.OLDEST:
        return (model.versions[0].published_at.timestamp(), 0, model.model_id)
    if sort is Sort.MOST_DOWNLOADED:
        return (-model.downloads, -model.likes, model.model_id)
    return (-model.likes, -model.downloads, model.model_id)


def refusal_of(file: SiteFile, *, key: bool) -> Outcome | None:
    """The refusal of a request for a file, with or without a valid API key; None if it is granted."""
    if file.refusal is Outcome.LOGIN_REQUIRED and key:
        return None
    if file.refusal is Outcome.FORBIDDEN and not key:
        return Outcome.LOGIN_REQUIRED
    return file.refusal
