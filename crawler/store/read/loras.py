"""Find the file that a REF of the command line names, and read everything stored about it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from crawler.errors import UsageError
from crawler.model.int64 import INT64
from crawler.model.site import ids_of_url, is_site_host, lacks_scheme
from crawler.query.parser import parse
from crawler.store.read.search import condition_on
from crawler.store.schema import tables
from crawler.store.schema.fields import BY_NAME
from crawler.store.schema.tables import ALL, crawls, loras
from crawler.store.stats.field_stats import Age, age

Row = Mapping[str, Any]

#: Files that the error about an ambiguous hash lists, and models that the one about a name lists.
_NAMED_FILES, _NAMED_MODELS = 5, 20

_ID = re.compile(r"-?[0-9]{1,19}")
_HASHES = {"sha256": 64, "autov2": 10, "autov3": 64}
_HEX = re.compile("[0-9A-F]+")

#: A hash without its kind, long enough that it is no word.
_HASH_ALONE = re.compile("[0-9A-Fa-f]{10,64}")

_FORMS = (
    "a reference is a file id, file:ID, model:ID, version:ID, name:WORDS, ten or more digits of a hash,"
    " sha256:PREFIX, autov2:PREFIX, autov3:PREFIX, or the URL of a model page or of a download"
)


@dataclass(frozen=True, slots=True)
class FieldStats:
    """The row of a field in `field_stats`.

    Attributes:
        percentiles: None also in rows written by an older lora-crawl.
    """

    count: int
    quartile1: float | None
    median: float | None
    quartile3: float | None
    percentiles: list[float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraPage:
    """Everything that is stored about one file.

    Attributes:
        row: The row of `loras`, by column.
        datasets: Rows ordered by number, without `file_id`.
        directories: Rows ordered by number, without `file_id`.
        tags: By directory number (-1, -2 … for directories that the file does not list): tags and
            their counts, the most frequent first, then by name.
        problems: Rows ordered by number, without `file_id`.
        base_model_stats: By field, for files of the same base model; empty if the file has none.
        all_stats: By field, for all files.
        stats_age: How old both are; None if there are none.
    """

    row: Row
    datasets: tuple[Row, ...]
    directories: tuple[Row, ...]
    tags: Mapping[int, tuple[tuple[str, int], ...]]
    problems: tuple[Row, ...]
    base_model_stats: Mapping[str, FieldStats]
    all_stats: Mapping[str, FieldStats]
    stats_age: Age | None


def find_file(connection: sa.Connection, ref: str) -> int:
    """The id of the file that a reference names.

    A model or a version means the primary file of its newest published version that has one.

    Raises:
        UsageError: The text is not a reference, or it matches no file or several.
    """
    text = ref.strip()
    if _ID.fullmatch(text):
        return _by_id(connection, "file", int(text), text)
    if lacks_scheme(text):
        text = f"https://{text}"
    if "://" in text:
        return _by_url(connection, text)
    kind, colon, value = text.partition(":")
    kind = kind.lower()
    if kind in {"file", "model", "version"} and _ID.fullmatch(value):
        return _by_id(connection, kind, int(value), text)
    if colon and kind in _HASHES:
        return _by_hash(connection, (kind,), value, text)
    if _HASH_ALONE.fullmatch(text):
        return _by_hash(connection, tuple(_HASHES), text, text)
    if colon and kind == "name":
        return _by_name(connection, value, text)
    raise UsageError(f"{ref!r} is not a reference: {_FORMS}")


def _by_id(connection: sa.Connection, kind: str, number: int, ref: str) -> int:
    """A file by its id, or the primary file of a model or version by the id of that.

    Without a primary file it is the first file of the newest version.
    """
    if number not in INT64:
        raise UsageError(f"{number} is too large for an id")
    statement = (
        sa.select(loras.c.file_id)
        .where(loras.c[f"{kind}_id"] == number)
        .order_by(
            loras.c.is_primary.is_(True).desc(),
            loras.c.published_at.desc().nulls_last(),
            loras.c.version_id.desc(),
            loras.c.file_id,
        )
        .limit(1)
    )
    found = connection.execute(statement).scalar()
    if found is None:
        raise _not_found(ref, f"no {kind} {number}{'' if kind == 'file' else ' with files'}")
    return int(found)


def _by_hash(connection: sa.Connection, kinds: Sequence[str], value: str, ref: str) -> int:
    prefix = value.strip().upper()
    most = max(_HASHES[kind] for kind in kinds)
    if not _HEX.fullmatch(prefix) or len(prefix) > most:
        raise UsageError(f"{ref} is not a hash; write 1 to {most} of the digits 0-9 and A-F")
    columns = [loras.c[kind] for kind in kinds]
    statement = (
        sa.select(loras.c.file_id, loras.c.model_name, loras.c.file_name)
        # Ranges can use the indexes. G sorts after every hexadecimal digit.
        .where(sa.or_(*(sa.and_(column >= prefix, column < f"{prefix}G") for column in columns)))
        .order_by(loras.c.file_id)
        .limit(_NAMED_FILES + 1)
    )
    found = connection.execute(statement).all()
    if not found:
        what = kinds[0] if len(kinds) == 1 else "hash"
        raise _not_found(ref, f"no file whose {what} starts with that")
    if len(found) > 1:
        named = [f"{row.file_id}  {row.model_name}  {row.file_name}" for row in found]
        raise _several(f"{ref} matches several files; name one by its id:", named, _NAMED_FILES)
    return int(found[0].file_id)


def _by_name(connection: sa.Connection, value: str, ref: str) -> int:
    """The file of the only model whose name has all words, or of the only one that has this name."""
    words = value.split()
    if not words:
        raise UsageError("name: needs words of a model's name, as in name:marble")
    quoted = (word.replace("'", "''") for word in words)
    tree = parse([" and ".join(f"model_name like '%{word}%'" for word in quoted)], BY_NAME)
    likes = sa.func.max(loras.c.likes).label("likes")
    statement = (
        sa.select(loras.c.model_id, loras.c.model_name, sa.func.max(loras.c.creator), likes)
        .where(condition_on(tree, connection.dialect.name))
        .group_by(loras.c.model_id, loras.c.model_name)
        .order_by(likes.desc().nulls_last(), loras.c.model_id)
        .limit(_NAMED_MODELS + 1)
    )
    found = connection.execute(statement).all()
    if not found:
        raise _not_found(ref, "no model whose name has these words")
    exact = [row for row in found if row.model_name.casefold() == " ".join(words).casefold()]
    if len(found) > 1 and len(exact) != 1:
        named = [f"model:{number}  {name}  by {creator}" for number, name, creator, _ in found]
        text = f"{ref} matches several models; name one by its id, the best liked first:"
        raise _several(text, named, _NAMED_MODELS)
    return _by_id(connection, "model", (exact or found)[0].model_id, ref)


def _several(text: str, named: list[str], most: int) -> UsageError:
    if len(named) > most:
        named[most:] = ["…"]
    return UsageError("\n  ".join([text, *named]))


def _by_url(connection: sa.Connection, url: str) -> int:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        raise UsageError(f"{url!r} is not a URL") from None
    origins = connection.execute(sa.select(crawls.c.origin).distinct()).scalars()
    if not is_site_host(host) and host not in {urlsplit(origin).hostname for origin in origins}:
        raise UsageError(f"{url!r} is not a URL of the site: {_FORMS}")
    ids = ids_of_url(url)
    for kind, number in (
        ("file", ids.file_id),
        ("version", ids.version_id),
        ("model", ids.model_id),
    ):
        if number is not None:
            return _by_id(connection, kind, number, url)
    raise UsageError(f"{url!r} is neither a model page nor a download")


def _not_found(ref: str, missing: str) -> UsageError:
    return UsageError(
        f"{ref}: there is {missing} in this database\n"
        "`lora-crawl query` lists the files; `lora-crawl sync` fetches more"
    )


def versions_of(connection: sa.Connection, file_id: int) -> list[Row]:
    """A row of `loras` for each version of the model of a file, in the order of time.

    A version is represented by the file that was asked for, its primary file, or its first one.
    """
    model = sa.select(loras.c.model_id).where(loras.c.file_id == file_id).scalar_subquery()
    statement = (
        sa.select(loras)
        .where(loras.c.model_id == model)
        .order_by(
            loras.c.published_at.asc().nulls_last(),
            loras.c.version_id,
            (loras.c.file_id == file_id).desc(),
            sa.func.coalesce(loras.c.is_primary, sa.false()).desc(),
            loras.c.file_id,
        )
    )
    first: dict[int, Row] = {}
    for row in connection.execute(statement).mappings():
        first.setdefault(row["version_id"], dict(row))
    return list(first.values())


def lora(connection: sa.Connection, file_id: int) -> LoraPage:
    """Everything that is stored about one file.

    Raises:
        UsageError: There is no such file.
    """
    row = connection.execute(sa.select(loras).where(loras.c.file_id == file_id)).mappings().first()
    if row is None:
        raise UsageError(f"there is no file {file_id} in this database")
    own, every, made = statistics_of(connection, row["base_model"])
    return LoraPage(
        row=dict(row),
        datasets=_parts(connection, tables.datasets, file_id),
        directories=_parts(connection, tables.directories, file_id),
        tags=_tags(connection, file_id),
        problems=_parts(connection, tables.problems, file_id),
        base_model_stats=own,
        all_stats=every,
        stats_age=made,
    )


def statistics_of(
    connection: sa.Connection, base_model: str | None
) -> tuple[Mapping[str, FieldStats], Mapping[str, FieldStats], Age | None]:
    """The statistics of a base model (empty for None) and of all files, by field, and their age."""
    own = _field_stats(connection, base_model) if base_model else {}
    return own, _field_stats(connection, ALL), age(connection)


def _parts(connection: sa.Connection, table: sa.Table, file_id: int) -> tuple[Row, ...]:
    columns = [column for column in table.columns if column.name != "file_id"]
    statement = sa.select(*columns).where(table.c.file_id == file_id).order_by(table.c.number)
    return tuple(dict(row) for row in connection.execute(statement).mappings())


def _tags(connection: sa.Connection, file_id: int) -> dict[int, tuple[tuple[str, int], ...]]:
    counted, names = tables.file_tags, tables.tags
    statement = (
        sa.select(counted.c.directory_number, names.c.name, counted.c["count"])
        .join(names, names.c.tag_id == counted.c.tag_id)
        .where(counted.c.file_id == file_id)
        .order_by(counted.c.directory_number, counted.c["count"].desc(), names.c.name)
    )
    found: dict[int, list[tuple[str, int]]] = {}
    for number, name, count in connection.execute(statement):
        found.setdefault(number, []).append((name, count))
    return {number: tuple(tags) for number, tags in found.items()}


def _field_stats(connection: sa.Connection, base_model: str) -> dict[str, FieldStats]:
    table = tables.field_stats
    columns = [table.c[column.name] for column in fields(FieldStats)]
    statement = sa.select(table.c.field, *columns).where(table.c.base_model == base_model)
    return {field: FieldStats(*numbers) for field, *numbers in connection.execute(statement)}
