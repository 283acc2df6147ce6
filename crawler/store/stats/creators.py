"""The work that creators put into their LoRAs.

A training run often saves several files, one every few epochs, and each of them states the work done
until then. So a run counts once, with the highest number that any of its files states. Files belong to
the same run if the trainer gave them the same session id, or else if they belong to the same version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crawler.model import Outcome
from crawler.model.outcome import READ
from crawler.query.tree import Node
from crawler.store.read.search import condition_on, number_errors
from crawler.store.schema.tables import loras

#: Decimal places of sums: the two databases add in different orders.
_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Creator:
    """A creator and the work in the selected files.

    Attributes:
        creator: The user name.
        loras: Number of models.
        files: Number of files of these models.
        with_metadata: The share of files with training metadata among those whose header was read;
            None if no header was read.
        runs: Training runs, counted as the module describes; the attributes below are over these runs.
        median_images_seen: The median over the runs that state it; None if none does.
        megapixels_seen: The sum over all runs; None if none states it.
        training_hours: The sum over all runs; None if none states it.
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
    """The requested creators, and counts over all of them.

    Attributes:
        listed: In order, cut to the limit.
        total: Number of creators.
        files: Number of files of all creators.
        read: Files among these whose header was read.
        no_metadata: Files among these that contain no training metadata.
        without_creator: Further selected files that have no creator, such as local ones.
    """

    listed: tuple[Creator, ...]
    total: int
    files: int
    read: int
    no_metadata: int
    without_creator: int


def creators(connection: sa.Connection, tree: Node | None, *, sort: str, limit: int) -> Creators:
    """The creators of the files for which `tree` is true.

    Args:
        connection: To read from.
        tree: None for every file.
        sort: An attribute of `Creator`. Numbers are sorted from the largest, names alphabetically;
            missing values come last, and the name breaks ties.
        limit: Most creators, 0 for all.
    """
    selected = condition_on(tree, connection.dialect.name)
    files = _files(selected)
    counts = (files.c.files, files.c.read, files.c.no_metadata)
    totals = [sa.func.count().over(), *(sa.func.sum(each).over() for each in counts)]
    names = [f"total{number}" for number in range(len(totals))]
    first = (
        sa.select(*files.c, *map(sa.ColumnElement.label, totals, names))
        .order_by(*_order(_columns(files, selected), sort))
        .limit(limit or None)
        .subquery()
    )
    # The work is added up for the creators that are shown; for the others only what sorts them.
    columns = _columns(first, selected)
    shown = (column.label(name) for name, column in columns.items())
    listed = sa.select(*shown, *(first.c[name] for name in names)).order_by(*_order(columns, sort))
    without = sa.select(sa.func.count()).where(selected, loras.c.creator.is_(None))
    with number_errors(tree):
        rows = connection.execute(listed).all()
        without_creator = connection.execute(without.select_from(loras)).scalar_one()
    total, *sums = map(int, rows[0][len(columns) :]) if rows else (0,) * len(totals)
    files_of_all, read, no_metadata = sums
    return Creators(
        listed=tuple(_creator(row[: len(columns)]) for row in rows),
        total=total,
        files=files_of_all,
        read=read,
        no_metadata=no_metadata,
        without_creator=without_creator,
    )


def _order(
    columns: Mapping[str, sa.ColumnElement[Any]], sort: str
) -> tuple[sa.ColumnElement[Any], ...]:
    by_name = columns["creator"].asc()
    return (by_name,) if sort == "creator" else (columns[sort].desc().nulls_last(), by_name)


def _creator(row: Sequence[Any]) -> Creator:
    *counts, megapixels, hours = row
    sums = (None if value is None else round(value, _DIGITS) for value in (megapixels, hours))
    return Creator(*counts, *sums)


def _files(selected: sa.ColumnElement[bool]) -> sa.Subquery:
    """The numbers of files of each creator."""
    return (
        sa.select(
            loras.c.creator,
            sa.func.count().label("files"),
            sa.func.count().filter(loras.c.outcome.in_(READ)).label("read"),
            sa.func.count().filter(loras.c.outcome == Outcome.DECODED).label("decoded"),
            sa.func.count().filter(loras.c.outcome == Outcome.NO_METADATA).label("no_metadata"),
        )
        .where(selected, loras.c.creator.is_not(None))
        .group_by(loras.c.creator)
        .subquery()
    )


def _columns(
    files: sa.Subquery, selected: sa.ColumnElement[bool]
) -> dict[str, sa.ColumnElement[Any]]:
    """The attributes of `Creator` for each row of `files`."""
    version = sa.literal("version ") + sa.cast(loras.c.version_id, sa.Text())
    # The work of each run: the highest value among its files.
    run = (
        sa.select(
            sa.cast(sa.func.max(loras.c.images_seen), sa.Double()).label("images"),
            sa.func.max(loras.c.megapixels_seen).label("megapixels"),
            sa.func.max(loras.c.training_seconds).label("seconds"),
        )
        .where(loras.c.creator == files.c.creator, loras.c.outcome == Outcome.DECODED, selected)
        .group_by(sa.func.coalesce(loras.c.session_id, version))
        .correlate(files)
        .subquery()
    )
    return {
        "creator": files.c.creator,
        "loras": sa.select(sa.func.count(loras.c.model_id.distinct()))
        .where(loras.c.creator == files.c.creator, selected)
        .correlate(files)
        .scalar_subquery(),
        "files": files.c.files,
        # Both as floats: of whole numbers PostgreSQL makes a decimal with other digits.
        "with_metadata": sa.cast(files.c.decoded, sa.Double())
        / sa.func.nullif(sa.cast(files.c.read, sa.Double()), 0),
        "runs": _of(run, sa.func.count()),
        "median_images_seen": _median(run.c.images),
        "megapixels_seen": _of(run, sa.func.sum(run.c.megapixels)),
        "training_hours": _of(run, sa.func.sum(run.c.seconds)) / 3600.0,
    }


def _of(rows: sa.Subquery, column: sa.ColumnElement[Any]) -> sa.ScalarSelect[Any]:
    return sa.select(column).select_from(rows).scalar_subquery()


def _median(numbers: sa.ColumnElement[float]) -> sa.ScalarSelect[Any]:
    """The median of numbers, the mean of the two middle ones if there are two; NULL without any."""
    place = sa.func.row_number().over(order_by=numbers).label("place")
    known = sa.func.count().over().label("known")
    ranked = sa.select(numbers.label("number"), place, known).where(numbers.is_not(None)).subquery()
    middle = ranked.c.place.in_(((ranked.c.known + 1) // 2, (ranked.c.known + 2) // 2))
    return sa.select(sa.func.avg(ranked.c.number)).where(middle).scalar_subquery()
