"""Find the file that a REF of the command line names."""

import re
from urllib.parse import urlsplit

import sqlalchemy as sa

from crawler.errors import UsageError
from crawler.model.int64 import INT64
from crawler.model.site import ids_of_url, is_site_host, lacks_scheme
from crawler.store.schema.tables import crawls, loras

#: Files that the error about an ambiguous hash lists.
_NAMED_FILES = 5

_ID = re.compile(r"-?[0-9]{1,19}")
_HASHES = {"sha256": 64, "autov2": 10, "autov3": 64}
_HEX = re.compile("[0-9A-F]+")

_FORMS = (
    "a reference is a file id, file:ID, model:ID, version:ID, sha256:PREFIX, autov2:PREFIX,"
    " autov3:PREFIX, or the URL of a model page or of a download"
)


def find_file(connection: sa.Connection, ref: str) -> int:
    """The id of the file that a reference names.

    A model or a version stands for the primary file of its newest published version that has one.

    Raises:
        UsageError: The text is not a reference, or it matches no file or several.
    """
    text = ref.strip()
    if _ID.fullmatch(text):
        return _file(connection, _number(text), text)
    if lacks_scheme(text):
        text = f"https://{text}"
    if "://" in text:
        return _by_url(connection, text)
    kind, colon, value = text.partition(":")
    kind = kind.casefold()
    if colon and kind == "file" and _ID.fullmatch(value):
        return _file(connection, _number(value), text)
    if colon and kind in {"model", "version"} and _ID.fullmatch(value):
        return _primary(connection, kind, _number(value), text)
    if colon and kind in _HASHES:
        return _by_hash(connection, kind, value)
    raise UsageError(f"{ref!r} is not a reference: {_FORMS}")


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


def _primary(connection: sa.Connection, kind: str, number: int, ref: str) -> int:
    """The primary file of the newest version, or the version's first file if none is primary.

    Args:
        connection: A reader's.
        kind: `model` or `version`.
        number: Its id.
        ref: What the person wrote, for the error.
    """
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
        raise _not_found(ref, f"no {kind} {number} with files")
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
    """The file that a page or a download URL of the site names."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        raise UsageError(f"{url!r} is not a URL") from None
    if not is_site_host(host) and host not in _origins(connection):
        raise UsageError(f"{url!r} is not a URL of the site: {_FORMS}")
    ids = ids_of_url(url)
    if ids.file_id is not None:
        return _file(connection, ids.file_id, url)
    if ids.version_id is not None:
        return _primary(connection, "version", ids.version_id, url)
    if ids.model_id is not None:
        return _primary(connection, "model", ids.model_id, url)
    raise UsageError(f"{url!r} is neither a model page nor a download")


def _origins(connection: sa.Connection) -> set[str]:
    """The hosts of the APIs that this database was filled from."""
    found = connection.execute(sa.select(crawls.c.origin).distinct()).scalars()
    return {host for origin in found if (host := urlsplit(origin).hostname)}


def _not_found(ref: str, what: str) -> UsageError:
    return UsageError(
        f"{ref}: there is {what} in this database\n"
        "`lora-crawl query` lists the files; `lora-crawl sync` fetches more"
    )
