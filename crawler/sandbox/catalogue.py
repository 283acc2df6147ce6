"""A made-up catalogue of any size; nothing of it is stored."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import cached_property, lru_cache
from typing import Any

from crawler.errors import UsageError
from crawler.model import Outcome
from crawler.sandbox import contents, history, words
from crawler.sandbox.changes import Changes
from crawler.sandbox.drawing import MOST_MODELS, Drawing
from crawler.sandbox.entries import SETTLED, Content, Sort, Traits, Upload
from crawler.sandbox.faults import Faults
from crawler.sandbox.items import comments, item
from crawler.sandbox.releases import MOST_WEEKS, Release, releases, version_index
from crawler.sandbox.tensors import Measure, Network, skeleton
from crawler.sandbox.truth import is_listed, outcome
from crawler.sandbox.uploads import file_version

# What is remembered, because it is asked for again soon: numbers of things
_REMEMBERED_TRAITS = 65_536
_REMEMBERED_RELEASES = 4_096
_REMEMBERED_MEASURES = 4_096
_REMEMBERED_SIZES = 262_144
_REMEMBERED_SKELETONS = 128  # of up to 0.4 MB each
_REMEMBERED_CONTENTS = 32  # the same
#: The longest header that a reader takes unless it is told otherwise, in bytes.
MAX_HEADER_BYTES = 32 * 1024 * 1024


class Catalogue:
    """Models, versions, files and bytes, all of them a function of what it is made with.

    Where no tick is given, methods speak of the settled catalogue: whatever moves while it is read
    has moved.

    Args:
        size: How many models, at most MOST_MODELS. Some of them no list shows, as the faults want.
        seed: Another seed is another catalogue.
        faults: What is out of order; by default a mild mix as the real catalogue has it.
        weeks: What changed since, a week each; see `later`.

    Raises:
        UsageError: The size is out of bounds, or there are too many weeks.
    """

    def __init__(
        self,
        size: int,
        seed: int = 0,
        faults: Faults | None = None,
        weeks: tuple[Changes, ...] = (),
    ) -> None:
        drawing = Drawing(size, seed, Faults.mild() if faults is None else faults, weeks)
        if not 0 <= size <= drawing.count <= MOST_MODELS:
            raise UsageError(f"a sandbox holds at most {MOST_MODELS} models, not {drawing.count}")
        if len(weeks) > MOST_WEEKS:
            raise UsageError(f"a sandbox lives {MOST_WEEKS} weeks at most, not {len(weeks)}")
        self._drawing = drawing
        self._drawn = lru_cache(_REMEMBERED_TRAITS)(drawing.traits)
        self.traits = lru_cache(_REMEMBERED_TRAITS)(self._draw_traits) if weeks else self._drawn
        self._skeleton = lru_cache(_REMEMBERED_SKELETONS)(skeleton)
        self._measure = lru_cache(_REMEMBERED_MEASURES)(self._draw_measure)
        self.releases = lru_cache(_REMEMBERED_RELEASES)(self._draw_releases)
        self._content = lru_cache(_REMEMBERED_CONTENTS)(self._draw_content)
        self._size_bytes = lru_cache(_REMEMBERED_SIZES)(self._draw_size_bytes)

    def later(self, changes: Changes) -> "Catalogue":
        """The same catalogue a week later: what it was once it had settled, and these changes.

        What is listed by both keeps its ids. `truth` of the result is how a crawl ends that reads
        everything again; a file that only the truth of this catalogue knows has vanished since.

        Raises:
            UsageError: This one is as old as a catalogue gets, or too large.
        """
        drawing = self._drawing
        weeks = (*drawing.history, changes)
        return Catalogue(drawing.size, drawing.seed, drawing.faults, weeks)

    def __len__(self) -> int:
        return self._drawing.count

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
        return history.now(self._drawing)

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

    @cached_property
    def restless(self) -> AbstractSet[int]:
        """The positions whose place in an order is not that of a model left alone."""
        return history.restless(self._drawing)

    @property
    def settled_after(self) -> int:
        """The tick from which on nothing changes any more."""
        return history.settled_after(self._drawing)

    def resting_at(self, index: int) -> int:
        """`last_version_at` before anything moved the model."""
        return history.resting_at(self._drawing, index)

    def last_version_at(self, index: int, tick: int = SETTLED) -> int:
        """When a model last had a new version, milliseconds of Unix time."""
        return history.last_version_at(self._drawing, index, tick)

    def counts(self, index: int, sort: Sort, tick: int = SETTLED) -> tuple[int, int]:
        """The two numbers that an order by statistics compares."""
        downloads, likes = history.counts(self._drawing, index, tick)
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

    def item(self, index: int, origin: str, tick: int = SETTLED) -> Mapping[str, Any]:
        """One model as a list shows it, with every version, listed or not."""
        published = self.releases(index)
        if index in self.restless:
            until = history.clock(self._drawing, tick)
            published = tuple(release for release in published if release.published_at < until)
        return item(
            self._drawing,
            index,
            traits=self.traits(index),
            counts=history.counts(self._drawing, index, tick),
            releases=published,
            size_bytes=self._size_bytes,
            origin=origin,
        )

    def find_model(self, model_id: int) -> int | None:
        """The position of a model."""
        index = self._drawing.find_model(model_id)
        return None if index is None or self.traits(index).gone else index

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

    def truth(
        self, *, mature: bool = True, key: bool = True, max_header: int = MAX_HEADER_BYTES
    ) -> dict[int, Outcome]:
        """How every file ends, by its id, in a perfect crawl of everything that a list shows.

        That is a walk by `Oldest` over the settled catalogue, every model of it read, every file
        asked for often enough. Statistics that drift are no part of it.

        Args:
            mature: Both maturity passes; else the ordinary one alone.
            key: Whether a valid API key is sent.
            max_header: The longest header that is read, in bytes; longer ones are `failed`.
        """
        return {
            upload.file_id: outcome(upload, key=key, max_header=max_header)
            for index in range(len(self))
            if is_listed(self.traits(index), mature=mature)
            for release in self.releases(index)
            if release.listed
            for upload in release.uploads
        }

    def _draw_traits(self, index: int) -> Traits:
        return history.traits(self._drawing, index, self._drawn(index))

    def _draw_releases(self, index: int) -> tuple[Release, ...]:
        if self.traits(index).gone:
            return ()
        return releases(self._drawing, index, self._drawn(index))

    def _release(self, index: int, version_id: int) -> Release:
        return next(release for release in self.releases(index) if release.version_id == version_id)

    def _sample(self, upload: Upload) -> contents.Sample:
        index = version_index(upload.version_id)
        traits, release = self._drawn(index), self._release(index, upload.version_id)
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
        if upload.body in contents.SOUND:
            return contents.size_bytes(self.seed, self._sample(upload), self._measure)
        return self._content(upload).size
