"""Example LoRAs to learn settings from: those of one kind with training metadata, one file of each."""

import json
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from crawler.model import Outcome, Trainer
from crawler.model.outcome import READ
from crawler.query.tree import Has, Node, Or
from crawler.query.types import ASCII_LOWER
from crawler.store.read.search import condition_on
from crawler.store.schema.tables import loras, versions
from crawler.store.schema.types import Json, UtcTime

#: LoRAs that a suggestion rests on at most, those with the most likes a month. Beyond them a LoRA has next
#: to no weight, and a hundred thousand would take five seconds.
MOST_EXAMPLES = 10_000

#: Rows fetched at a time; more would not fit a processor's cache.
_FETCH_ROWS = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which LoRAs may be examples.

    Attributes:
        base_model: As the site names it.
        images: Fewest and most distinct training images; None for any number, known or not.
        tag: One of the site's tags, as written or in lower case; None for any.
        creator: A user name, ignoring ASCII case; None for any.
        min_likes: Fewest likes of the model.
        condition: A further condition; None for none.
    """

    base_model: str
    images: tuple[int, int] | None = None
    tag: str | None = None
    creator: str | None = None
    min_likes: int = 0
    condition: Node | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """The values of many LoRAs in one column.

    Attributes:
        values: Every value that occurs, once, in no order.
        codes: For each LoRA the place of its value in `values`; -1 for a LoRA without one.
    """

    values: Sequence[Any]
    codes: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Examples:
    """LoRAs, each represented by one of its files. All sequences are in the same order.

    Attributes:
        likes: Of the models; None where the site does not give them.
        published_at: When the first known version of each model was published; None if unknown.
        columns: The requested columns, by name; a value is missing where the file has none.
    """

    file_ids: Sequence[int]
    model_names: Sequence[str | None]
    creators: Sequence[str | None]
    likes: Sequence[int | None]
    published_at: Sequence[datetime | None]
    columns: Mapping[str, Column]


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
) -> Examples:
    """One file of each selected LoRA that has training metadata, in no order.

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
    # Only what the rank needs is sorted; the other columns are read for the chosen files.
    rank = sa.func.row_number().over(partition_by=loras.c.model_id, order_by=newest)
    ranked = (
        sa.select(loras.c.file_id, loras.c.likes_per_month, rank.label("rank"))
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
    chosen = (
        sa.select(ranked.c.file_id)
        .where(ranked.c.rank == 1)
        .order_by(ranked.c.likes_per_month.desc().nulls_last(), ranked.c.file_id)
        .limit(MOST_EXAMPLES)
        .subquery()
    )
    first = sa.func.min(versions.c.published_at, type_=UtcTime())
    published = sa.select(first).where(versions.c.model_id == loras.c.model_id).scalar_subquery()
    about = (loras.c.file_id, loras.c.model_name, loras.c.creator, loras.c.likes, published)
    settings = [loras.c[name] for name in columns]
    statement = (
        sa.select(*(_as_stored(column) for column in (*about, *settings)))
        .select_from(chosen.join(loras, loras.c.file_id == chosen.c.file_id))
        .execution_options(yield_per=_FETCH_ROWS)
    )
    decoders = {column.name: _decoder(column.type) for column in settings}
    return examples_of(connection.execute(statement).partitions(), decoders)


class _Numbers(dict[Any, int]):
    """Numbers the values that it is asked for: 0, 1 and so on, since None is there before them."""

    def __missing__(self, value: Any) -> int:
        self[value] = number = len(self) - 1
        return number


def examples_of(
    batches: Iterable[Sequence[Sequence[Any]]], decoders: Mapping[str, Callable[[Any], Any]]
) -> Examples:
    """The examples that rows describe.

    Args:
        batches: Rows with the first five attributes of `Examples`, then the columns.
        decoders: By column: makes the value of what the row has, which is hashable and not None.
    """
    about: tuple[list[Any], ...] = ([], [], [], [], [])
    numbers = [_Numbers({None: -1}) for _ in decoders]
    codes = [array("i") for _ in decoders]
    for rows in batches:
        together = list(zip(*rows, strict=True))
        for into, values in zip(about, together, strict=False):
            into.extend(values)
        for number, code, values in zip(numbers, codes, together[len(about) :], strict=True):
            code.extend(map(number.__getitem__, values))
    columns = {
        name: _column([decode(value) for value in number if value is not None], code)
        for (name, decode), number, code in zip(decoders.items(), numbers, codes, strict=True)
    }
    file_ids, names, creators, likes, published = about
    return Examples(file_ids, names, creators, likes, list(map(_utc, published)), columns)


def _column(values: Sequence[Any], codes: "array[int]") -> Column:
    """A column in which objects that are spelt differently are one value."""
    places = np.array(codes, np.int32)
    if not any(isinstance(value, dict) for value in values):
        return Column(values, places)
    spelt = [json.dumps(value, sort_keys=True) for value in values]
    firsts = {text: at for at, text in reversed(list(enumerate(spelt)))}
    kept = {at: number for number, at in enumerate(sorted(firsts.values()))}
    new = np.array([*(kept[firsts[text]] for text in spelt), -1], np.int32)
    return Column([values[at] for at in kept], new[places])


def _as_stored(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The value without its decoding, for which each distinct value is enough."""
    if isinstance(column.type, Json):
        return sa.cast(column, sa.Text())  # PostgreSQL's driver would decode it
    return sa.type_coerce(column, sa.types.NullType())


def _decoder(of: sa.types.TypeEngine[Any]) -> Callable[[Any], Any]:
    if isinstance(of, Json):
        return json.loads
    return bool if isinstance(of, sa.Boolean) else lambda value: value


def _utc(moment: Any) -> datetime | None:
    if moment is None:
        return None
    naive = moment if isinstance(moment, datetime) else datetime.fromisoformat(moment)
    return naive if naive.tzinfo else naive.replace(tzinfo=UTC)


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
    if selection.condition is not None:
        parts.append(condition_on(selection.condition, dialect))
    return sa.and_(*parts)
