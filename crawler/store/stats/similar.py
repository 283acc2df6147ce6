"""LoRAs that are like another one: trained with like settings, or on like caption tags."""

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crawler.model import Outcome, Trainer
from crawler.query.parser import parse
from crawler.store.read.search import condition_on
from crawler.store.read.status import ORIGINALS
from crawler.store.schema.fields import BY_NAME
from crawler.store.schema.tables import file_tags, loras, tags

Row = Mapping[str, Any]

#: The settings that are compared, with their weights. Those that shape a LoRA most count twice.
WEIGHTS = {
    "network_algo": 2,
    "network_dim": 2,
    "alpha_ratio": 1,
    "conv_dim": 1,
    "network_dropout": 1,
    "optimizer": 2,
    "effective_unet_lr": 2,
    "effective_text_encoder_lr": 1,
    "lr_scheduler": 1,
    "trains_text_encoder": 1,
    "images_seen": 2,
    "batch_size": 1,
    "image_count": 1,
    "resolution": 1,
    "noise_offset": 1,
    "multires_noise_iterations": 1,
    "min_snr_gamma": 1,
    "timestep_sampling": 1,
    "sd_model_name": 1,
}

#: Files that are looked at for each LoRA that is asked for: the files of one model count once.
_FILES_PER_LORA = 50

#: The same where tags are compared, which reads whole rows from all over the table.
_TAGGED_FILES_PER_LORA = 20

#: A tag in this many files or more says little about a LoRA, and is not counted further: reading five
#: times as many takes a large database that is not in memory three times as long.
COMMON = 1_000

#: Tags of a file that are looked at, those of most images first.
_MOST_TAGS = 200

#: Pairs of file and tag that are read, those of the rarest tags first.
_MOST_PAIRS = 200_000

#: What tells the base model of a file that the site does not know, the surest first.
_TELLING = ("sd_model_sha256", "sd_model_name", "architecture")

#: Files of one checkpoint or architecture whose base models are counted.
_SAMPLE = 1_000


@dataclass(frozen=True, slots=True)
class Similar:
    """A LoRA that is like another one.

    Attributes:
        row: Its row of `loras`.
        similarity: From 0 to 1.
        shared: The shared caption tags, the rarest first; empty when settings were compared.
    """

    row: Row
    similarity: float
    shared: tuple[str, ...] = ()


def by_settings(connection: sa.Connection, own: Row, base_model: str, limit: int) -> list[Similar]:
    """The LoRAs of a base model with the most similar settings, one file of each.

    The distance of two files is the weighted mean, over the settings that either has, of
    |x - y| / (|x| + |y|) for numbers, and of 0 or 1 for other values; a setting that only one of them
    has counts as 1. The similarity is 1 minus the distance.

    Args:
        connection: To read from.
        own: The columns of the LoRA; its model is left out.
        base_model: As the site names it.
        limit: Most LoRAs.
    """
    distances = [
        _distance(loras.c[name], own.get(name), weight) for name, weight in WEIGHTS.items()
    ]
    known = sum(weight for name, weight in WEIGHTS.items() if own.get(name) is not None)
    further = [
        sa.case((loras.c[name].is_not(None), float(weight)), else_=0.0)
        for name, weight in WEIGHTS.items()
        if own.get(name) is None
    ]
    if not known:
        return []
    distance = (sum(distances[1:], distances[0]) / sum(further, sa.literal(float(known)))).label(
        "d"
    )
    statement = (
        sa.select(loras.c.file_id, loras.c.model_id, distance)
        .where(
            loras.c.base_model == base_model,
            loras.c.outcome == Outcome.DECODED,
            sa.func.coalesce(loras.c.trainer, "") != Trainer.MERGE_TOOL,
            _is_other(own, connection.dialect.name),
        )
        .order_by(distance, loras.c.likes.desc().nulls_last(), loras.c.file_id)
        .limit(limit * _FILES_PER_LORA)
    )
    nearest: dict[int, tuple[int, float]] = {}
    for file_id, model_id, away in connection.execute(statement):
        if len(nearest) < limit:
            nearest.setdefault(model_id, (file_id, away))
    rows = _rows(connection, [file_id for file_id, _ in nearest.values()])
    return [Similar(rows[file_id], 1 - away) for file_id, away in nearest.values()]


def by_tags(
    connection: sa.Connection, own: Row, counts: Mapping[str, int], limit: int
) -> list[Similar]:
    """The LoRAs that share the rarest caption tags, of any base model, one file of each.

    A tag weighs log2(1 + COMMON / files that have it); tags of COMMON files or more are left out. The
    similarity is the weight of the shared tags among that of the tags of both. A tag that only the other
    LoRA has weighs as much as those of this one do on average, and one that no other has is not counted.

    Args:
        connection: To read from.
        own: The columns of the LoRA; its model is left out.
        counts: Its tags, with the number of images that have each.
        limit: Most LoRAs.
    """
    most = sorted(counts, key=lambda tag: (-counts[tag], tag))[:_MOST_TAGS]
    named = sa.select(tags.c.tag_id, tags.c.name).where(tags.c.name.in_(most))
    names: dict[int, str] = dict(iter(connection.execute(named)))
    frequent = {tag_id: _files_of(connection, tag_id) for tag_id in names}
    chosen, pairs = [], 0
    for tag_id in sorted(frequent, key=lambda tag_id: (frequent[tag_id], tag_id)):
        pairs += frequent[tag_id]
        if frequent[tag_id] < COMMON and pairs <= _MOST_PAIRS:
            chosen.append(tag_id)
    shared: defaultdict[int, set[int]] = defaultdict(set)
    statement = sa.select(file_tags.c.file_id, file_tags.c.tag_id)
    for file_id, tag_id in connection.execute(statement.where(file_tags.c.tag_id.in_(chosen))):
        shared[file_id].add(tag_id)
    weights = {tag_id: math.log2(1 + COMMON / frequent[tag_id]) for tag_id in chosen}
    sums = {file_id: math.fsum(weights[tag] for tag in both) for file_id, both in shared.items()}
    best = sorted(sums, key=lambda file_id: (-sums[file_id], file_id))
    best = best[: limit * _TAGGED_FILES_PER_LORA]
    rows = _rows(connection, best, _is_other(own, connection.dialect.name))
    others = set().union(*(shared[file_id] for file_id in rows))
    whole = math.fsum(weights[tag_id] for tag_id in others)
    similarities = {}
    for file_id, row in rows.items():
        further = max((row["tag_count"] or 0) - len(counts), 0)
        similarities[file_id] = sums[file_id] / (whole + further * whole / len(others))
    # Of two files that are as similar the better liked one comes first.
    best = sorted(rows, key=lambda at: (-similarities[at], -(rows[at]["likes"] or 0), at))
    first: dict[int, int] = {}
    for file_id in best:
        first.setdefault(rows[file_id]["model_id"], file_id)
    return [
        Similar(
            rows[file_id],
            similarities[file_id],
            tuple(names[tag] for tag in chosen if tag in shared[file_id]),
        )
        for file_id in list(first.values())[:limit]
    ]


def likely_base_model(connection: sa.Connection, row: Row) -> tuple[str, str] | None:
    """The base model that most LoRAs of the same checkpoint or architecture have, and what told it.

    None where the database has no such LoRA.
    """
    for name in _TELLING:
        if row.get(name) is None:
            continue
        alike = (
            sa.select(loras.c.base_model)
            .where(loras.c[name] == row[name], loras.c.base_model.is_not(None))
            .limit(_SAMPLE)
            .subquery()
        )
        count = sa.func.count()
        found = connection.execute(
            sa.select(alike.c.base_model)
            .group_by(alike.c.base_model)
            .order_by(count.desc(), alike.c.base_model)
            .limit(1)
        ).scalar()
        if found:
            return found, name
    return None


def _distance(column: sa.Column[Any], value: Any, weight: int) -> sa.ColumnElement[float]:
    if value is None:
        return sa.case((column.is_not(None), float(weight)), else_=0.0)
    away: sa.ColumnElement[float]
    if isinstance(value, int | float) and not isinstance(value, bool):
        theirs: sa.ColumnElement[float] = sa.cast(column, sa.Double())
        size = sa.func.nullif(sa.func.abs(theirs) + abs(float(value)), 0.0)
        away = sa.func.coalesce(sa.func.abs(theirs - float(value)) / size, 0.0)
    else:
        away = sa.case((column == value, 0.0), else_=1.0)
    return sa.case((column.is_(None), float(weight)), else_=away * float(weight))


def _is_other(own: Row, dialect: str) -> sa.ColumnElement[bool]:
    """Whether a file is of another model, and no scanned copy of a crawled one."""
    parts = [condition_on(parse([ORIGINALS], BY_NAME), dialect)]
    if own.get("model_id") is not None:
        parts.append(loras.c.model_id != own["model_id"])
    if own.get("site") == "local" and own.get("page_url"):
        parts.append(sa.func.coalesce(loras.c.page_url, "") != own["page_url"])
    return sa.and_(*parts)


def _files_of(connection: sa.Connection, tag_id: int) -> int:
    """How many files have a tag, counted up to COMMON."""
    some = sa.select(file_tags.c.file_id).where(file_tags.c.tag_id == tag_id).limit(COMMON)
    return connection.execute(sa.select(sa.func.count()).select_from(some.subquery())).scalar_one()


def _rows(
    connection: sa.Connection, file_ids: Collection[int], *where: sa.ColumnElement[bool]
) -> dict[int, Row]:
    statement = sa.select(loras).where(loras.c.file_id.in_(file_ids), *where)
    return {row["file_id"]: dict(row) for row in connection.execute(statement).mappings()}


def differing(own: Row, other: Row) -> Sequence[str]:
    """The compared settings that differ, the most important ones first."""
    names = [name for name in WEIGHTS if own.get(name) != other.get(name)]
    return sorted(names, key=lambda name: -WEIGHTS[name])
