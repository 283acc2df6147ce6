"""What a later pass does not list again, and what of it is believed to be gone."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
import sqlalchemy as sa

from crawler.model import ListQuery, Model, Page
from crawler.sources.base import PAGE_MODELS
from crawler.store.schema.tables import loras, models, versions
from tests.conftest import ON_SQLITE
from tests.factories import make_file, make_model, make_version
from tests.sync.site import WALK, Site, run


@dataclass
class Shrunk(Site):
    """A site that has more models than its list shows.

    Attributes:
        by_pages: Shown when many are asked for by their ids.
        by_id: Shown when one is asked for by its id.
        batches: How many ids each request had.
        singles: The ids asked for one by one.
    """

    by_pages: Sequence[Model] = ()
    by_id: Sequence[Model] = ()
    batches: list[int] = field(default_factory=list)
    singles: list[int] = field(default_factory=list)

    async def page(self, ask: ListQuery, cursor: str | None, *, limit: int = PAGE_MODELS) -> Page:
        return await super().page(replace(ask, mature=False), cursor, limit=limit)

    async def models_by_id(self, model_ids: Sequence[int]) -> tuple[Model, ...]:
        self.batches.append(len(model_ids))
        return tuple(one for one in self.by_pages if one.model_id in model_ids)

    async def model(self, model_id: int) -> Model | None:
        self.singles.append(model_id)
        return next((one for one in self.by_id if one.model_id == model_id), None)


def several(count: int, *, each: int = 1, files: int = 1) -> list[Model]:
    """Models of several versions with several files."""
    return [
        make_model(
            number,
            versions=tuple(
                make_version(
                    version_id,
                    files=tuple(make_file(version_id * 100 + k) for k in range(files)),
                )
                for version_id in range(number * 10, number * 10 + each)
            ),
        )
        for number in range(1, count + 1)
    ]


def grown() -> Model:
    """Model 3 with seven further versions of twenty files each."""
    own, many = several(3)[2], several(3, each=8, files=20)[2]
    return replace(own, versions=(*own.versions, *many.versions[1:]))


def gone(engine: sa.Engine) -> tuple[int, int, int]:
    with engine.connect() as connection:
        return tuple(  # type: ignore[return-value]
            connection.execute(sa.select(sa.func.count(table.c.gone_at))).scalar_one()
            for table in (models, versions, loras)
        )


@ON_SQLITE
@pytest.mark.parametrize("nsfw", [False, True])
@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        # One version of three is listed.
        (several(20, each=3), several(20), "0 known models, 40 versions and 40 files"),
        # Few versions are missing, but they have most of the files.
        (
            [*several(2), grown(), *several(50)[3:]],
            several(50),
            "0 known models, 7 versions and 140 files",
        ),
        (several(60), several(20), "40 known models, 40 versions and 40 files"),
    ],
)
def test_more_than_half_of_models_versions_or_files_is_not_believed(
    engine: sa.Engine,
    before: list[Model],
    after: list[Model],
    told: str,
    *,
    nsfw: bool,
) -> None:
    walk = replace(WALK, nsfw=nsfw)
    run(engine, Shrunk(models=before), walk=walk, fetch_headers=False)

    tally = run(engine, Shrunk(models=after), walk=walk, fetch_headers=False, refresh=True)

    assert gone(engine) == (0, 0, 0)
    assert told in tally.notices[0]
    assert "too many to be credible" in tally.notices[0]


def test_files_that_most_versions_lack_are_told_and_not_marked(engine: sa.Engine) -> None:
    run(engine, Shrunk(models=several(11, files=9)), fetch_headers=False)

    tally = run(engine, Shrunk(models=several(11)), fetch_headers=False, refresh=True)

    assert gone(engine) == (0, 0, 0)
    assert "88 known files are no longer listed by their versions" in tally.notices[0]


def test_the_report_counts_what_is_gone(engine: sa.Engine) -> None:
    before = several(40, each=2, files=2)
    run(engine, Shrunk(models=before), walk=replace(WALK, nsfw=True), fetch_headers=False)
    after = [*before[3:39], several(40, files=2)[-1]]

    site = Shrunk(models=after)
    tally = run(engine, site, walk=replace(WALK, nsfw=True), fetch_headers=False, refresh=True)

    summary = tally.summary()
    counts = [summary[f"gone_{what}"] for what in ("models", "versions", "files")]
    assert tuple(counts) == gone(engine) == (3, 7, 14)
    assert site.batches == []


@ON_SQLITE
def test_models_that_became_mature_are_asked_for_by_pages_and_few_one_by_one(
    engine: sa.Engine,
) -> None:
    before = several(300)
    run(engine, Shrunk(models=before), fetch_headers=False)
    # Of 140 unseen models the site lists 120 by their ids, has 15 more, and 5 are gone.
    site = Shrunk(models=before[:160], by_pages=before[160:280], by_id=before[280:295])

    tally = run(engine, site, fetch_headers=False, refresh=True)

    assert site.batches == [100, 40]
    assert site.singles == list(range(281, 301))
    assert gone(engine) == (5, 5, 5)
    assert tally.notices == []


@ON_SQLITE
def test_many_models_that_seem_not_to_exist_are_not_believed_by_a_general_pass(
    engine: sa.Engine,
) -> None:
    before = several(200)
    run(engine, Shrunk(models=before), fetch_headers=False)
    site = Shrunk(models=before[:120])

    tally = run(engine, site, fetch_headers=False, refresh=True)

    assert gone(engine) == (0, 0, 0)
    assert len(site.singles) == 21
    assert "21 known models and perhaps more do not exist" in tally.notices[0]
