"""`lora-crawl fields`: the names that a query can use."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from crawler.cli.options import (
    Db,
    Form,
    Json,
    Quiet,
    SafeCsv,
    Verbose,
    complete_field,
    read_connection,
    voice_of,
)
from crawler.cli.output.console import Voice, answers, open_console
from crawler.cli.output.rows import Format, chosen, write_rows
from crawler.errors import DatabaseError
from crawler.query.fields import TAGS, Field
from crawler.store.schema.fields import FIELDS

_COLUMNS = ("name", "type", "unit", "group", "meaning", "share", "default", "usual", "keys")

#: Cells of the list for a person: before a name, of a name, and of a share.
_INDENT, _NAME, _SHARE = 2, 28, 4


def fields(
    ctx: typer.Context,
    word: Annotated[
        str | None,
        typer.Argument(
            metavar="WORD",
            help="Show only fields with this in their name or meaning.",
            show_default=False,
            autocompletion=complete_field,
        ),
    ] = None,
    *,
    db: Db = None,
    form: Form = None,
    as_json: Json = False,
    safe_csv: SafeCsv = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """List the fields that queries can use.

    Each has its type, unit, meaning, fill rate (the share of rows with a value), sd-scripts'
    default and the usual value. With WORD, the list also shows the metadata keys.
    """
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    wanted = chosen(form, json=as_json, safe_csv=safe_csv)
    found = [field for field in (*FIELDS, TAGS) if _has(field, word)]
    shares = _shares([field.name for field in found], db, voice)
    if not found:
        voice.notice(
            f"no field has {word!r} in its name or meaning; `lora-crawl fields` lists all fields"
        )
    if wanted is Format.TABLE:
        _print_groups(found, shares, with_keys=word is not None)
        return
    rows = [
        (
            field.name,
            field.kind.value,
            field.unit or None,
            field.group,
            field.meaning,
            shares.get(field.name),
            field.default or None,
            field.usual or None,
            list(field.keys) or None,
        )
        for field in found
    ]
    write_rows(_COLUMNS, rows, wanted, safe_csv=safe_csv)


def _has(field: Field, word: str | None) -> bool:
    sought = (word or "").casefold()
    return sought in field.name.casefold() or sought in field.meaning.casefold()


def _shares(names: Sequence[str], db: str | None, voice: Voice) -> Mapping[str, float]:
    """The fill rate of each field; empty when there is no database."""
    from crawler.store.read.search import fill_rates

    try:
        with read_connection(db) as connection:
            return fill_rates(connection, names)
    except DatabaseError as error:
        voice.notice(f"no fill rates: {str(error).splitlines()[0]}")
        return {}


def _print_groups(found: Sequence[Field], shares: Mapping[str, float], *, with_keys: bool) -> None:
    from rich.text import Text

    from crawler.cli.output.cells import share
    from crawler.cli.output.table import print_line

    with answers() as stream:
        console = open_console(stream)
        group = ""
        for field in found:
            if field.group != group:
                if group:
                    print_line(console, Text())
                print_line(console, Text(field.group, style="bold"))
                group = field.group
            before = " " * _INDENT + field.name.ljust(_NAME)
            if shares:
                part = share(shares[field.name]) if field.name in shares else ""
                before += part.rjust(_SHARE) + " " * _INDENT
            shown = [Text.assemble(field.meaning, "  ", (f"({_kind(field)})", "dim"))]
            if with_keys:
                shown += [Text(key, style="dim") for key in field.keys]
            for text in shown:
                for line in text.wrap(console, max(console.width - len(before), _NAME)):
                    print_line(console, Text(before) + line)
                    before = " " * len(before)


def _kind(field: Field) -> str:
    """`integer, px, default 256, usually 256`."""
    parts = [
        field.kind.value,
        field.unit,
        field.default and f"default {field.default}",
        field.usual and f"usually {field.usual}",
    ]
    return ", ".join(filter(None, parts))
