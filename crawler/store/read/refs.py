"""From what a person points at to the id of a file."""

import re
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

import sqlalchemy as sa

from crawler.errors import UsageError
from crawler.model.int64 import INT64
from crawler.store.schema.tables import crawls, loras

#: The site's own names; a database filled from another API also knows that one.
_SITES = frozenset({"civitai.com", "civitai.red", "civitai.green"})

#: How many files an ambiguous reference names.
_NAMED_FILES = 5

_ID = re.compile(r"-?[0-9]{1,19}")
_HASHES = {"sha256": 64, "autov2": 10, "autov3": 64}
_HEX = re.compile("[0-9A-F]+")

_FORMS = (
    "a reference is a file id, file:ID, model:ID, version:ID, sha256:PREFIX, autov2:PREFIX,"
    " autov3:PREFIX, or the address of a model's page or of a download"
)


def find_file(connection: sa.Connection, ref: str) -> int:
    """The id of the one file that a reference means.

    A model or version means the primary file of its newest published version that has one.

    Raises:
        UsageError: It is no reference, nothing is found, or it fits several files.
    """
    text = ref.strip()
    if _ID.fullmatch(text):
        return _file(connection, _number(text), text)
    if text.partition("/")[0].removeprefix("www.") in _SITES:
        text = f"https://{text}"
    if "://" in text:
        return _by_address(connection, text)
    kind, colon, value = text.partition(":")
    kind = kind.casefold()
    if colon and kind in {"file", "model", "version"} and _ID.fullmatch(value):
        find = {"file": _file, "model": _of_model, "version": _of_version}[kind]
        return find(connection, _number(value), text)
    if colon and kind in _HASHES:
        return _by_hash(connection, kind, value)
    raise UsageError(f"{ref!r} points at nothing: {_FORMS}")


def _number(digits: str) -> int:
    number = int(digits)
    if number not in INT64:
        raise UsageError(f"{digits} is too large for an id")
    return number


def _file(connection: sa.Connection, file_id: int, ref: str) -> int:
    statement = sa.select(loras.c.file_id).where(loras.c.file_id == file_id)
    if connection.execute(statement).first() is None:
        raise _not_found(ref, f"no file {file_id}")
    return file_id


def _of_version(connection: sa.Connection, version_id: int, ref: str) -> int:
    return _primary(connection, loras.c.version_id == version_id, ref, f"no version {version_id}")


def _of_model(connection: sa.Connection, model_id: int, ref: str) -> int:
    return _primary(connection, loras.c.model_id == model_id, ref, f"no model {model_id}")


def _primary(
    connection: sa.Connection, condition: sa.ColumnElement[bool], ref: str, missing: str
) -> int:
    """The primary file of the newest version; where the site marks none, the version's first one."""
    statement = (
        sa.select(loras.c.file_id)
        .where(condition)
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
        raise _not_found(ref, f"{missing} with files")
    return int(found)


def _by_hash(connection: sa.Connection, kind: str, value: str) -> int:
    prefix = value.strip().upper()
    if not _HEX.fullmatch(prefix) or len(prefix) > _HASHES[kind]:
        raise UsageError(
            f"{kind}:{value} is no hash: up to {_HASHES[kind]} digits 0-9 and A-F are due"
        )
    column = loras.c[kind]
    statement = (
        sa.select(loras.c.file_id, loras.c.model_name, loras.c.file_name)
        # A range, which the index serves: no hexadecimal digit comes after F.
        .where(column >= prefix, column < f"{prefix}G")
        .order_by(loras.c.file_id)
        .limit(_NAMED_FILES + 1)
    )
    found = connection.execute(statement).all()
    if not found:
        raise _not_found(f"{kind}:{value}", f"no file whose {kind} begins so")
    if len(found) > 1:
        named = [f"{row.file_id}  {row.model_name}  {row.file_name}" for row in found]
        if len(found) > _NAMED_FILES:
            named[_NAMED_FILES:] = ["…"]
        raise UsageError(
            "\n  ".join([f"{kind}:{value} fits several files; name one by its id:", *named])
        )
    return int(found[0].file_id)


def _by_address(connection: sa.Connection, address: str) -> int:
    """The file that a page or a download link of the site means."""
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:
        raise UsageError(f"{address!r} is no address") from None
    if host not in _SITES | _origins(connection):
        raise UsageError(f"{address!r} is no address of the site: {_FORMS}")
    query = parse_qs(parts.query)
    match [part for part in parts.path.split("/") if part]:
        case ["api", "download", "models", version] if _ID.fullmatch(version):
            file_id = _parameter(query.get("fileId"))
            if file_id is not None:
                return _file(connection, file_id, address)
            return _of_version(connection, _number(version), address)
        case ["models", model, *_] if _ID.fullmatch(model):
            version_id = _parameter(query.get("modelVersionId"))
            if version_id is not None:
                return _of_version(connection, version_id, address)
            return _of_model(connection, _number(model), address)
        case ["model-versions", version] if _ID.fullmatch(version):
            return _of_version(connection, _number(version), address)
    raise UsageError(f"{address!r} is neither a model's page nor a download")


def _parameter(values: Sequence[str] | None) -> int | None:
    return _number(values[0]) if values and _ID.fullmatch(values[0]) else None


def _origins(connection: sa.Connection) -> set[str]:
    """The hosts that this database was filled from."""
    found = connection.execute(sa.select(crawls.c.origin).distinct()).scalars()
    return {host for origin in found if (host := urlsplit(origin).hostname)}


def _not_found(ref: str, what: str) -> UsageError:
    return UsageError(
        f"{ref}: there is {what} in this database\n"
        "`lora-crawl query` lists what there is, `lora-crawl sync` brings more"
    )
