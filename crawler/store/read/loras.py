"""Find the file that a REF of the command line names, and read everything stored about it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from crawler.errors import UsageError
from crawler.model.int64 import INT64
from crawler.model.site import ids_of_url, is_site_host, lacks_scheme
from crawler.store.schema import tables
from crawler.store.schema.tables import ALL, crawls, loras
from crawler.store.stats.field_stats import Age, age

Row = Mapping[str, Any]

#: Files that the error about an ambiguous hash lists.
_NAMED_FILES = 5

_ID = re.compile(r"-?[0-9]{1,19}")
_HASHES = {"sha256": 64, "autov2": 10, "autov3": 64}
_HEX = re.compile("[0-9A-F]+")

_FORMS = (
    "a reference is a file id, file:ID, model:ID, version:ID, sha256:PREFIX, autov2:PREFIX,"
    " autov3:PREFIX, or the URL of a model page or of a download"
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
        return _by_hash(connection, kind, value)
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


def _by_hash(connection: sa.Connection, kind: str, value: str) -> int:
    prefix = value.strip().upper()
    if not _HEX.fullmatch(prefix) or len(prefix) > _HASHES[kind]:
        raise UsageError(
            f"{kind}:{value} is not a hash; write 1 to {_HASHES[kind]} of the digits 0-9 and A-F"
        )
    column = loras.c[kind]
    statement = (
        sa.select(loras.c.file_id, loras.c.model_name, loras.c.file_name)
        # A range can use the index. G sorts after every hexadecimal digit.
        .where(column >= prefix, column < f"{prefix}G")
        .order_by(loras.c.file_id)
        .limit(_NAMED_FILES + 1)
    )
    found = connection.execute(statement).all()
    if not found:
        raise _not_found(f"{kind}:{value}", f"no file whose {kind} starts with that")
    if len(found) > 1:
        named = [f"{row.file_id}  {row.model_name}  {row.file_name}" for row in found]
        if len(found) > _NAMED_FILES:
            named[_NAMED_FILES:] = ["…"]
        raise UsageError(
            "\n  ".join([f"{kind}:{value} matches several files; name one by its id:", *named])
        )
    return int(found[0].file_id)


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


def lora(connection: sa.Connection, file_id: int) -> LoraPage:
    """Everything that is stored about one file.

    Raises:
        UsageError: There is no such file.
    """
    row = connection.execute(sa.select(loras).where(loras.c.file_id == file_id)).mappings().first()
    if row is None:
        raise UsageError(f"there is no file {file_id} in this database")
    base_model = row["base_model"]
    return LoraPage(
        row=dict(row),
        datasets=_parts(connection, tables.datasets, file_id),
        directories=_parts(connection, tables.directories, file_id),
        tags=_tags(connection, file_id),
        problems=_parts(connection, tables.problems, file_id),
        base_model_stats=_field_stats(connection, base_model) if base_model else {},
        all_stats=_field_stats(connection, ALL),
        stats_age=age(connection),
    )


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
