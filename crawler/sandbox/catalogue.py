"""A made-up catalogue of any size; nothing of it is stored."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import cached_property, lru_cache
from typing import Any

from crawler.errors import UsageError
from crawler.model import Outcome
from crawler.sandbox import contents, words
from crawler.sandbox.dates import DAY
from crawler.sandbox.drawing import LAST_DAY, MOST_MODELS, Drawing
from crawler.sandbox.entries import Body, Content, Sort, Upload
from crawler.sandbox.faults import Faults
from crawler.sandbox.items import comments, item
from crawler.sandbox.releases import Release, file_version, releases, version_index
from crawler.sandbox.tensors import Measure, Network, skeleton

# What is remembered, because it is asked for again soon: numbers of things
_REMEMBERED_TRAITS = 65_536
_REMEMBERED_RELEASES = 4_096
_REMEMBERED_MEASURES = 4_096
_REMEMBERED_SIZES = 262_144
_REMEMBERED_SKELETONS = 128  # of up to 0.4 MB each
_REMEMBERED_CONTENTS = 32  # the same
_READINGS = {
    Body.TRAINED: Outcome.DECODED,
    Body.SILENT: Outcome.NO_METADATA,
    Body.BAD: Outcome.BAD_HEADER,
}


class Catalogue:
    """Models, versions, files and bytes, all of them a function of `size`, `seed` and `faults`.

    Args:
        size: How many models, at most MOST_MODELS. Some of them no list shows, as the faults want.
        seed: Another seed is another catalogue.
        faults: What is out of order; by default a mild mix as the real catalogue has it.

    Raises:
        UsageError: The size is out of bounds.
    """

    def __init__(self, size: int, seed: int = 0, faults: Faults | None = None) -> None:
        if not 0 <= size <= MOST_MODELS:
            raise UsageError(f"a sandbox holds at most {MOST_MODELS} models, not {size}")
        self._drawing = Drawing(size, seed, Faults.mild() if faults is None else faults)
        self.traits = lru_cache(_REMEMBERED_TRAITS)(self._drawing.traits)
        self._skeleton = lru_cache(_REMEMBERED_SKELETONS)(skeleton)
        self._measure = lru_cache(_REMEMBERED_MEASURES)(self._draw_measure)
        self.releases = lru_cache(_REMEMBERED_RELEASES)(self._draw_releases)
        self._content = lru_cache(_REMEMBERED_CONTENTS)(self._draw_content)
        self._size_bytes = lru_cache(_REMEMBERED_SIZES)(self._draw_size_bytes)

    def __len__(self) -> int:
        return self._drawing.size

    @property
    def seed(self) -> int:
        """What this catalogue was drawn from."""
        return self._drawing.seed

    @property
    def faults(self) -> Faults:
        """What is out of order."""
        return self._drawing.faults

    @property
    def now(self) -> int:
        """The day after the last publication, milliseconds of Unix time."""
        return LAST_DAY + DAY

    @cached_property
    def creators(self) -> AbstractSet[str]:
        """Every user name, in lower case."""
        numbers = range(self._drawing.creator_count)
        return frozenset(words.creator(self.seed, number) for number in numbers)

    @property
    def tags(self) -> AbstractSet[str]:
        """Every tag of models, in lower case."""
        return frozenset(words.MODEL_TAGS)

    @property
    def in_time_order(self) -> bool:
        """Ids ascend with time here, which they do not quite in life: so no order is stored."""
        return True

    def last_version_at(self, index: int) -> int:
        """When a model last had a new version, milliseconds of Unix time."""
        return self._drawing.last_version_at(index)

    def counts(self, index: int, sort: Sort) -> tuple[int, int]:
        """The two numbers that an order by statistics compares."""
        downloads, likes = self._drawing.counts(index)
        match sort:
            case Sort.MOST_DOWNLOADED:
                return downloads, likes
            case Sort.MOST_DISCUSSED:
                return comments(likes), likes
            case Sort.MOST_COLLECTED:
                return likes // 2, likes
            case Sort.MOST_IMAGES:
                return likes % 40, likes
            case _:
                return likes, downloads

    def item(self, index: int, origin: str) -> Mapping[str, Any]:
        """One model as a list shows it, with every version, listed or not."""
        return item(
            self._drawing,
            index,
            traits=self.traits(index),
            releases=self.releases(index),
            size_bytes=self._size_bytes,
            origin=origin,
        )

    def _draw_releases(self, index: int) -> tuple[Release, ...]:
        return releases(self._drawing, index, self.traits(index))

    def find_model(self, model_id: int) -> int | None:
        """The position of a model."""
        return self._drawing.find_model(model_id)

    def find_version(self, version_id: int) -> int | None:
        """The position of the model that a version belongs to."""
        index = version_index(version_id)
        known = 0 <= index < len(self) and any(
            release.version_id == version_id for release in self.releases(index)
        )
        return index if known else None

    def find_file(self, file_id: int) -> Upload | None:
        """A file by its id."""
        uploads = self.uploads(file_version(file_id))
        return next((upload for upload in uploads if upload.file_id == file_id), None)

    def uploads(self, version_id: int) -> tuple[Upload, ...]:
        """The files of a version; empty when there is no such version."""
        index = self.find_version(version_id)
        return () if index is None else self._release(index, version_id).uploads

    def content(self, upload: Upload) -> Content:
        """The bytes of a file."""
        return self._content(upload)

    def truth(self, *, mature: bool = True, key: bool = True) -> dict[int, Outcome]:
        """How every file ends in a perfect crawl of everything that a list shows.

        Files with a header that is sound but huge are left out: the reader's own limit decides.

        Args:
            mature: Both maturity passes; else the ordinary one alone.
            key: Whether a valid API key is sent.
        """
        found: dict[int, Outcome] = {}
        for index in range(len(self)):
            traits = self.traits(index)
            if traits.mode == "Archived" or not (
                traits.in_ordinary_pass or (mature and traits.in_mature_pass)
            ):
                continue
            for release in self.releases(index):
                for upload in release.uploads if release.listed else ():
                    if upload.body is not Body.HUGE:
                        found[upload.file_id] = _outcome(upload, key=key)
        return found

    def _release(self, index: int, version_id: int) -> Release:
        return next(release for release in self.releases(index) if release.version_id == version_id)

    def _sample(self, upload: Upload) -> contents.Sample:
        index = version_index(upload.version_id)
        traits, release = self.traits(index), self._release(index, upload.version_id)
        return contents.Sample(
            upload=upload,
            model_type=traits.type,
            base_model=release.base_model,
            trigger=words.slug(traits.name),
            published_at=release.published_at,
        )

    def _draw_measure(self, network: Network) -> Measure:
        return self._skeleton(network).measure

    def _draw_content(self, upload: Upload) -> Content:
        return contents.content(self.seed, self._sample(upload), self._skeleton)

    def _draw_size_bytes(self, upload: Upload) -> int:
        if upload.body in (Body.TRAINED, Body.SILENT):
            return contents.size_bytes(self.seed, self._sample(upload), self._measure)
        return self._content(upload).size


def _outcome(upload: Upload, *, key: bool) -> Outcome:
    refusal = upload.refusal
    if refusal is Outcome.LOGIN_REQUIRED and key:
        refusal = None
    if refusal is Outcome.FORBIDDEN and not key:
        refusal = Outcome.LOGIN_REQUIRED
    if not upload.name.endswith(".safetensors"):
        return Outcome.NOT_SAFETENSORS
    return refusal or _READINGS.get(upload.body, Outcome.NOT_SAFETENSORS)
