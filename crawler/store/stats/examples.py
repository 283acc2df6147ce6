"""Example LoRAs to learn settings from: those of one kind with training metadata, one file of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from crawler.model import Outcome, Trainer
from crawler.model.outcome import READ
from crawler.query.tree import Has, Node, Or
from crawler.query.types import ASCII_LOWER
from crawler.store.read.search import condition_on
from crawler.store.schema.tables import loras, versions
from crawler.store.schema.types import UtcTime

#: Rows fetched at a time.
_FETCH_ROWS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which LoRAs may be examples.

    Attributes:
        base_model: As the site names it.
        images: Fewest and most distinct training images; None for any number, known or not.
        tag: One of the site's tags, as written or in lower case; None for any.
        creator: A user name, ignoring ASCII case; None for any.
        min_likes: Fewest likes of the model.
    """

    base_model: str
    images: tuple[int, int] | None = None
    tag: str | None = None
    creator: str | None = None
    min_likes: int = 0


@dataclass(frozen=True, slots=True)
class Example:
    """One LoRA, represented by one of its files.

    Attributes:
        likes: Of the model; None where the site does not give them.
        published_at: When the first known version of the model was published; None if unknown.
        values: Of the requested columns, in their order.
    """

    file_id: int
    model_name: str | None
    creator: str | None
    likes: int | None
    published_at: datetime | None
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many LoRAs of a selection there are, with any number of images.

    Attributes:
        loras: Number of models.
        read: Models among these with a file whose header was read.
        telling: Models among these with a file that has training metadata.
    """

    loras: int
    read: int
    telling: int


def base_models(connection: sa.Connection) -> dict[str, int]:
    """The number of files of every base model."""
    statement = (
        sa.select(loras.c.base_model, sa.func.count())
        .where(loras.c.base_model.is_not(None), loras.c.base_model != "")
        .group_by(loras.c.base_model)
    )
    return dict(iter(connection.execute(statement)))


def coverage_of(connection: sa.Connection, selection: Selection) -> Coverage:
    """How many LoRAs of a selection were read. `images` is ignored: only headers state it."""
    decoded = loras.c.outcome == Outcome.DECODED
    read = loras.c.outcome.in_(READ)
    statement = sa.select(
        sa.func.count(loras.c.model_id.distinct()),
        sa.func.count(sa.case((read, loras.c.model_id)).distinct()),
        sa.func.count(sa.case((decoded, loras.c.model_id)).distinct()),
    ).where(_is_of(selection, connection.dialect.name))
    total, with_header, telling = connection.execute(statement).one()
    return Coverage(total, with_header, telling)


def find_examples(
    connection: sa.Connection, selection: Selection, columns: Sequence[str]
) -> list[Example]:
    """One file of each selected LoRA that has training metadata, ordered by model id.

    A LoRA counts once, however many files and versions it has. It is represented by the selected file
    of its newest version; of several by the primary one, then by the one that was trained longest.
    Merged files are left out.
    """
    newest = (
        loras.c.published_at.desc().nulls_last(),
        sa.func.coalesce(loras.c.is_primary, sa.false()).desc(),
        loras.c.images_seen.desc().nulls_last(),
        loras.c.file_id.asc(),
    )
    rank = sa.func.row_number().over(partition_by=loras.c.model_id, order_by=newest)
    about = ("file_id", "model_name", "creator", "likes", "model_id")
    names = tuple(dict.fromkeys((*about, *columns)))
    ranked = (
        sa.select(*(loras.c[name] for name in names), rank.label("rank"))
        .where(
            _is_of(selection, connection.dialect.name),
            loras.c.outcome == Outcome.DECODED,
            sa.func.coalesce(loras.c.trainer, "") != Trainer.MERGE_TOOL,
            sa.true()
            if selection.images is None
            else loras.c.image_count.between(*selection.images),
        )
        .subquery()
    )
    first = sa.func.min(versions.c.published_at, type_=UtcTime())
    published = sa.select(first).where(versions.c.model_id == ranked.c.model_id).scalar_subquery()
    statement = (
        sa.select(
            *(ranked.c[name] for name in about[:4]), published, *(ranked.c[n] for n in columns)
        )
        .where(ranked.c.rank == 1)
        .order_by(ranked.c.model_id)
        .execution_options(yield_per=_FETCH_ROWS)
    )
    return [Example(*row[:5], tuple(row[5:])) for row in connection.execute(statement)]


def _is_of(selection: Selection, dialect: str) -> sa.ColumnElement[bool]:
    parts = [loras.c.base_model == selection.base_model]
    if selection.tag is not None:
        spellings = dict.fromkeys((selection.tag, selection.tag.lower()))
        tagged: tuple[Node, ...] = tuple(Has("model_tags", spelling) for spelling in spellings)
        parts.append(condition_on(Or(tagged) if len(tagged) > 1 else tagged[0], dialect))
    if selection.creator is not None:
        parts.append(sa.func.lower(loras.c.creator) == selection.creator.translate(ASCII_LOWER))
    if selection.min_likes > 0:
        parts.append(loras.c.likes >= selection.min_likes)
    return sa.and_(*parts)
