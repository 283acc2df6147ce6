"""Mark what the site no longer lists. Nothing is deleted: it gets `gone_at`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from crawler.model import Model
from crawler.store.schema.tables import loras, models, versions, walk_models
from crawler.store.write.upserts import slices

#: If a larger share of the known models is missing from a complete pass, that is taken for a fault of
#: the site, and nothing is marked.
MOST_GONE = 0.5

#: So few missing models are always believed: a single creator may have removed them.
FEW_GONE = 20


@dataclass(frozen=True, slots=True)
class Marked:
    """The number of models that a complete pass did not list again.

    Attributes:
        believed: Whether they were marked as gone; False if too many were missing to be credible.
    """

    models: int
    believed: bool


@dataclass(frozen=True, slots=True)
class Unseen:
    """Versions that a walk listed in an earlier pass, but no walk since the current pass began.

    Attributes:
        versions: The version ids by model.
        models: The number of models without any version listed since.
        believed: They are few enough to be gone.
    """

    versions: Mapping[int, Collection[int]]
    models: int
    believed: bool


def mark_unseen(connection: sa.Connection, *, site: str, since: datetime, now: datetime) -> Marked:
    """Mark the models, versions and files that no walk has listed since a complete pass began."""
    here = sa.and_(models.c.site == site, models.c.gone_at.is_(None))
    missing = sa.and_(here, models.c.last_seen_at < since)
    number = sa.select(sa.func.count()).select_from(models)
    known = connection.execute(number.where(here)).scalar_one()
    unseen = connection.execute(number.where(missing)).scalar_one()
    if not _believed(unseen, known):
        return Marked(unseen, believed=False)
    connection.execute(sa.update(models).where(missing).values(gone_at=now))
    of_the_site = versions.c.model_id.in_(sa.select(models.c.model_id).where(models.c.site == site))
    old = sa.and_(versions.c.gone_at.is_(None), versions.c.last_seen_at < since, of_the_site)
    connection.execute(sa.update(versions).where(old).values(gone_at=now))
    without = sa.exists().where(
        versions.c.version_id == loras.c.version_id, versions.c.gone_at.is_not(None)
    )
    left = sa.and_(loras.c.site == site, loras.c.gone_at.is_(None), without)
    connection.execute(sa.update(loras).where(left).values(gone_at=now))
    return Marked(unseen, believed=True)


def find_unseen(
    connection: sa.Connection, *, walk: str, since: datetime, listed: Sequence[Model]
) -> Unseen:
    """The versions that the walk of a single maturity pass has not listed since its pass began.

    `listed` are the last models of the pass, which are not stored yet.
    """
    here = models.join(walk_models, walk_models.c.model_id == models.c.model_id)
    of_the_walk = sa.and_(walk_models.c.walk == walk, models.c.gone_at.is_(None))
    known = connection.execute(
        sa.select(sa.func.count()).select_from(here).where(of_the_walk)
    ).scalar_one()
    old = sa.and_(of_the_walk, versions.c.gone_at.is_(None), versions.c.last_seen_at < since)
    found = connection.execute(
        sa.select(versions.c.model_id, versions.c.version_id, models.c.last_seen_at < since)
        .select_from(here.join(versions, versions.c.model_id == models.c.model_id))
        .where(old)
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
    return Unseen(by_model, len(unseen), _believed(len(unseen), known))


def mark_gone(
    connection: sa.Connection,
    model_ids: Sequence[int],
    version_ids: Sequence[int],
    now: datetime,
) -> None:
    """Mark models, and versions with their files, that the site has confirmed to be removed.

    The versions of the models must be among `version_ids`.
    """
    for key, ids in (
        (models.c.model_id, model_ids),
        (versions.c.version_id, version_ids),
        (loras.c.version_id, version_ids),
    ):
        for some in slices(ids):
            left = sa.and_(key.in_(some), key.table.c.gone_at.is_(None))
            connection.execute(sa.update(key.table).where(left).values(gone_at=now))


def _believed(unseen: int, known: int) -> bool:
    return unseen <= max(FEW_GONE, known * MOST_GONE)
