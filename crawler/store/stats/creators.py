"""How much work creators put into their LoRAs.

A run of training often leaves several files, one for every few epochs, and each of them tells the
work done so far. So a run counts once, with the most that any of its files tells; files belong to one
run when the trainer gave them the same session, else when they belong to the same version.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crawler.model import Outcome
from crawler.model.outcome import READ
from crawler.query.tree import Node
from crawler.store.read.search import condition_on, number_errors
from crawler.store.schema.tables import loras

#: Digits behind the point of what is summed up: two databases add in different orders.
_DIGITS = 3

_SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Creator:
    """A creator and the work in the files that were picked.

    Attributes:
        creator: The user name.
        loras: Models.
        files: Of all models together.
        with_metadata: Of the files whose headers were read, the share that tells of its training;
            None where no header was read.
        runs: Runs of training that the figures behind rest on, see the module.
        median_images_seen: Of the runs that tell it; None where none does, as for all that follow.
        megapixels_seen: Of all runs together.
        training_hours: Of all runs together.
    """

    creator: str
    loras: int
    files: int
    with_metadata: float | None
    runs: int
    median_images_seen: float | None
    megapixels_seen: float | None
    training_hours: float | None


@dataclass(frozen=True, slots=True)
class Creators:
    """Creators in an order.

    Attributes:
        listed: As many as were asked for.
        total: How many there are.
        files: Files of all of them.
        read: Of these, files whose header was read.
        no_metadata: Of those read, files without a word on their training.
        without_creator: Files that were picked too but have no creator, like those on this machine.
    """

    listed: tuple[Creator, ...]
    total: int
    files: int
    read: int
    no_metadata: int
    without_creator: int


def creators(connection: sa.Connection, tree: Node | None, *, sort: str, limit: int) -> Creators:
    """The creators of the files for which `tree` holds.

    Args:
        connection: To read from.
        tree: None for every file.
        sort: An attribute of `Creator`. The largest is first, of names the first in the alphabet;
            what is missing is last, and the name decides among equals.
        limit: Most creators, 0 for all.
    """
    picked = condition_on(tree, connection.dialect.name)
    each = _each_run(picked)
    files, runs, medians = _files(picked), _runs(each), _medians(each)
    columns: dict[str, sa.ColumnElement[Any]] = {
        "creator": files.c.creator,
        "loras": files.c.loras,
        "files": files.c.files,
        "with_metadata": files.c.decoded / sa.func.nullif(sa.cast(files.c.read, sa.Double()), 0),
        "runs": sa.func.coalesce(runs.c.runs, 0),
        "median_images_seen": medians.c.median,
        "megapixels_seen": runs.c.megapixels,
        "training_hours": runs.c.seconds / float(_SECONDS_PER_HOUR),
    }
    order = columns[sort]
    statement = (
        sa.select(*(column.label(name) for name, column in columns.items()))
        .select_from(files)
        .outerjoin(runs, runs.c.creator == files.c.creator)
        .outerjoin(medians, medians.c.creator == files.c.creator)
        .order_by(
            order.asc() if sort == "creator" else order.desc().nulls_last(), files.c.creator.asc()
        )
    )
    named = loras.c.creator.is_not(None)
    counts = sa.select(
        sa.func.count(loras.c.creator.distinct()),
        sa.func.count(sa.case((named, 1))),
        sa.func.count(sa.case((sa.and_(named, _read()), 1))),
        sa.func.count(sa.case((sa.and_(named, _outcome(Outcome.NO_METADATA)), 1))),
        sa.func.count(sa.case((loras.c.creator.is_(None), 1))),
    ).where(picked)
    with number_errors(tree):
        rows = connection.execute(statement.limit(limit) if limit else statement).all()
        totals = connection.execute(counts).one()
    return Creators(tuple(_creator(row) for row in rows), *totals)


def _creator(row: Sequence[Any]) -> Creator:
    creator, models, files, share, runs, median, megapixels, hours = row
    return Creator(
        creator, models, files, share, runs, median, _rounded(megapixels), _rounded(hours)
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)


def _outcome(outcome: Outcome) -> sa.ColumnElement[bool]:
    return loras.c.outcome == outcome


def _read() -> sa.ColumnElement[bool]:
    return loras.c.outcome.in_(READ)


def _files(picked: sa.ColumnElement[bool]) -> sa.Subquery:
    """Files and models of each creator."""
    return (
        sa.select(
            loras.c.creator,
            sa.func.count(loras.c.model_id.distinct()).label("loras"),
            sa.func.count().label("files"),
            sa.func.count(sa.case((_read(), 1))).label("read"),
            sa.func.count(sa.case((_outcome(Outcome.DECODED), 1))).label("decoded"),
        )
        .where(picked, loras.c.creator.is_not(None))
        .group_by(loras.c.creator)
        .subquery()
    )


def _each_run(picked: sa.ColumnElement[bool]) -> sa.CTE:
    """What each run of each creator came to; one file's claim is enough."""
    version = sa.literal("version ") + sa.cast(loras.c.version_id, sa.Text())
    run = sa.func.coalesce(loras.c.session_id, version).label("run")
    return (
        sa.select(
            loras.c.creator,
            run,
            sa.func.max(loras.c.images_seen).label("images"),
            sa.func.max(loras.c.megapixels_seen).label("megapixels"),
            sa.func.max(loras.c.training_seconds).label("seconds"),
        )
        .where(picked, loras.c.creator.is_not(None), _outcome(Outcome.DECODED))
        .group_by(loras.c.creator, run)
        .cte("each_run")
    )


def _runs(each: sa.CTE) -> sa.Subquery:
    return (
        sa.select(
            each.c.creator,
            sa.func.count().label("runs"),
            sa.func.sum(each.c.megapixels).label("megapixels"),
            sa.func.sum(each.c.seconds).label("seconds"),
        )
        .group_by(each.c.creator)
        .subquery()
    )


def _medians(each: sa.CTE) -> sa.Subquery:
    """The middle number of images, or the mean of the two that share the middle."""
    owner = each.c.creator
    ranked = (
        sa.select(
            each.c.creator,
            each.c.images,
            sa.func.row_number().over(partition_by=owner, order_by=each.c.images).label("rank"),
            sa.func.count().over(partition_by=owner).label("total"),
        )
        .where(each.c.images.is_not(None))
        .subquery()
    )
    middle = sa.or_(
        ranked.c.rank == (ranked.c.total + 1) // 2, ranked.c.rank == (ranked.c.total + 2) // 2
    )
    return (
        sa.select(
            ranked.c.creator,
            sa.func.avg(sa.cast(ranked.c.images, sa.Double())).label("median"),
        )
        .where(middle)
        .group_by(ranked.c.creator)
        .subquery()
    )
