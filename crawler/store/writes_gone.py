"""What the site has no more: nothing is deleted, it gets `gone_at`."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from crawler.model import Model
from crawler.store.tables import loras, models, versions
from crawler.store.upserts import slices

#: More of the known models than this share do not vanish between two laps: a list that lacks them is
#: taken for a fault of the site.
MOST_GONE = 0.5


@dataclass(frozen=True, slots=True)
class Gone:
    """What a lap through the whole catalogue did not meet.

    Attributes:
        models: How many models that were there before.
        believed: They are marked; otherwise they are too many, and nothing was changed.
    """

    models: int
    believed: bool


def note_gone(connection: sa.Connection, *, site: str, since: datetime, now: datetime) -> Gone:
    """Mark the models, versions and files that no walk has met since a lap began.

    Args:
        connection: In the caller's transaction.
        site: Only what is from there.
        since: When the lap began that has met everything the site lists.
        now: What is stored as `gone_at`.
    """
    here = sa.and_(models.c.site == site, models.c.gone_at.is_(None))
    missing = sa.and_(here, models.c.last_seen_at < since)
    number = sa.select(sa.func.count()).select_from(models)
    known = connection.execute(number.where(here)).scalar_one()
    unseen = connection.execute(number.where(missing)).scalar_one()
    if unseen > known * MOST_GONE:
        return Gone(unseen, believed=False)
    connection.execute(sa.update(models).where(missing).values(gone_at=now))
    of_the_site = versions.c.model_id.in_(sa.select(models.c.model_id).where(models.c.site == site))
    old = sa.and_(versions.c.gone_at.is_(None), versions.c.last_seen_at < since, of_the_site)
    connection.execute(sa.update(versions).where(old).values(gone_at=now))
    without = sa.exists().where(
        versions.c.version_id == loras.c.version_id, versions.c.gone_at.is_not(None)
    )
    left = sa.and_(loras.c.site == site, loras.c.gone_at.is_(None), without)
    connection.execute(sa.update(loras).where(left).values(gone_at=now))
    return Gone(unseen, believed=True)


def note_removed(
    connection: sa.Connection, listed: Sequence[Model], file_ids: Collection[int], now: datetime
) -> None:
    """Mark the files that are not among those of their version any more.

    A version without any file says nothing: the site leaves out the files of archived models.

    Args:
        connection: In the caller's transaction.
        listed: Models as the site shows them now.
        file_ids: All their files.
        now: What is stored as `gone_at`.
    """
    told = [one.version_id for model in listed for one in model.versions if one.files]
    stored = sa.select(loras.c.file_id).where(loras.c.gone_at.is_(None))
    gone = [
        file_id
        for ids in slices(told)
        for file_id in connection.execute(stored.where(loras.c.version_id.in_(ids))).scalars()
        if file_id not in file_ids
    ]
    for ids in slices(gone):
        connection.execute(sa.update(loras).where(loras.c.file_id.in_(ids)).values(gone_at=now))
