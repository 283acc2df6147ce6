"""Mark what the site no longer lists. Nothing is deleted: it gets `gone_at`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from crawler.model import Model
from crawler.store.schema.tables import loras, models, versions, walk_models
from crawler.store.write.upserts import slices

#: If a larger share of the known models, versions or files is missing, that is taken for a fault of the
#: site, and nothing is marked.
MOST_GONE = 0.5

#: So few missing ones are always believed: a single creator may have removed them.
FEW_GONE = 20


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of models, versions and files."""

    models: int = 0
    versions: int = 0
    files: int = 0


@dataclass(frozen=True, slots=True)
class Marked:
    """What a complete pass did not list again.

    Attributes:
        believed: Whether it was marked as gone; False if it was too much to be credible.
    """

    missing: Counts
    believed: bool


@dataclass(frozen=True, slots=True)
class Unseen:
    """Versions that a walk listed in an earlier pass, but no walk since the current pass began.

    Attributes:
        versions: The version ids by model.
        missing: The models without any version listed since, all these versions, and their files.
        believed: They are few enough to be gone.
    """

    versions: Mapping[int, Collection[int]]
    missing: Counts
    believed: bool


def is_believed(missing: int, known: int) -> bool:
    """Whether so many of the known ones can be gone."""
    return missing <= max(FEW_GONE, known * MOST_GONE)


def mark_unseen(connection: sa.Connection, *, site: str, since: datetime, now: datetime) -> Marked:
    """Mark the models, versions and files that no walk has listed since a complete pass began."""
    here = models.c.site == site
    missing = _count(connection, here, since)
    if not _all_believed(missing, _count(connection, here)):
        return Marked(missing, believed=False)
    of_the_site = sa.select(models.c.model_id).where(here)
    for table, chosen in (
        (versions, versions.c.model_id.in_(of_the_site)),
        (models, here),
    ):
        old = sa.and_(chosen, table.c.gone_at.is_(None), table.c.last_seen_at < since)
        connection.execute(sa.update(table).where(old).values(gone_at=now))
    without = sa.exists().where(
        versions.c.version_id == loras.c.version_id, versions.c.gone_at.is_not(None)
    )
    left = sa.and_(loras.c.site == site, loras.c.gone_at.is_(None), without)
    connection.execute(sa.update(loras).where(left).values(gone_at=now))
    return Marked(missing, believed=True)


def find_unseen(
    connection: sa.Connection, *, walk: str, since: datetime, listed: Sequence[Model]
) -> Unseen:
    """The versions that the walk of a single maturity pass has not listed since its pass began.

    `listed` are the last models of the pass, which are not stored yet.
    """
    of_the_walk = sa.exists().where(
        walk_models.c.model_id == models.c.model_id, walk_models.c.walk == walk
    )
    known = _count(connection, of_the_walk)
    found = connection.execute(
        sa.select(versions.c.model_id, versions.c.version_id, models.c.last_seen_at < since)
        .join(models, versions.c.model_id == models.c.model_id)
        .where(of_the_walk, models.c.gone_at.is_(None))
        .where(versions.c.gone_at.is_(None), versions.c.last_seen_at < since)
        .order_by(versions.c.version_id)
    )
    last = {model.model_id: {one.version_id for one in model.versions} for model in listed}
    by_model: dict[int, list[int]] = {}
    unseen: set[int] = set()
    for model_id, version_id, whole in found:
        if version_id not in last.get(model_id, ()):
            by_model.setdefault(model_id, []).append(version_id)
            if whole and model_id not in last:
                unseen.add(model_id)
    missing = [version_id for some in by_model.values() for version_id in some]
    counts = Counts(len(unseen), len(missing), _count_files(connection, missing))
    return Unseen(by_model, counts, _all_believed(counts, known))


def mark_listed(connection: sa.Connection, found: Sequence[Model], now: datetime) -> None:
    """Record that the site has these models and versions, though no walk has listed them."""
    version_ids = [version.version_id for model in found for version in model.versions]
    for key, ids in (
        (models.c.model_id, [model.model_id for model in found]),
        (versions.c.version_id, version_ids),
    ):
        for some in slices(ids):
            connection.execute(sa.update(key.table).where(key.in_(some)).values(last_seen_at=now))


def mark_gone(
    connection: sa.Connection,
    model_ids: Sequence[int],
    version_ids: Sequence[int],
    now: datetime,
) -> Counts:
    """Mark models, and versions with their files, that the site has confirmed to be removed.

    The versions of the models must be among `version_ids`. Returns how many were marked.
    """
    marked = []
    for key, ids in (
        (models.c.model_id, model_ids),
        (versions.c.version_id, version_ids),
        (loras.c.version_id, version_ids),
    ):
        rows = 0
        for some in slices(ids):
            left = sa.and_(key.in_(some), key.table.c.gone_at.is_(None))
            rows += connection.execute(
                sa.update(key.table).where(left).values(gone_at=now)
            ).rowcount
        marked.append(rows)
    return Counts(*marked)


def _all_believed(missing: Counts, known: Counts) -> bool:
    return (
        is_believed(missing.models, known.models)
        and is_believed(missing.versions, known.versions)
        and is_believed(missing.files, known.files)
    )


def _count(
    connection: sa.Connection, chosen: sa.ColumnElement[bool], before: datetime | None = None
) -> Counts:
    """What is not gone of the chosen models; with `before`, only what was last seen before then."""
    number = sa.select(sa.func.count())
    of_models = number.select_from(models).where(chosen, models.c.gone_at.is_(None))
    joined = versions.join(models, versions.c.model_id == models.c.model_id)
    of_versions = number.select_from(joined).where(chosen, versions.c.gone_at.is_(None))
    joined = joined.join(loras, loras.c.version_id == versions.c.version_id)
    of_files = number.select_from(joined).where(chosen, loras.c.gone_at.is_(None))
    if before is not None:
        of_models = of_models.where(models.c.last_seen_at < before)
        of_versions = of_versions.where(versions.c.last_seen_at < before)
        of_files = of_files.where(versions.c.last_seen_at < before)
    return Counts(
        *(connection.execute(one).scalar_one() for one in (of_models, of_versions, of_files))
    )


def _count_files(connection: sa.Connection, version_ids: Sequence[int]) -> int:
    number = sa.select(sa.func.count()).select_from(loras).where(loras.c.gone_at.is_(None))
    return sum(
        connection.execute(number.where(loras.c.version_id.in_(some))).scalar_one()
        for some in slices(version_ids)
    )
