"""`lora-crawl fields`: the names that a query can use."""

from typing import TYPE_CHECKING, Annotated

import typer

from crawler.answers.text import count, instant, share
from crawler.answers.visible import visible
from crawler.cli import options
from crawler.cli.output.console import Voice, answers, open_console
from crawler.cli.output.rows import Format, chosen, write_rows
from crawler.errors import DatabaseError
from crawler.query.fields import spelled

if TYPE_CHECKING:
    from crawler.answers.fields import FieldList

#: Cells of the list for a person: before a name, of a name, and of a fill rate.
_INDENT, _NAME, _SHARE = 2, 28, 4


def fields(
    ctx: typer.Context,
    word: Annotated[
        str | None,
        typer.Argument(
            metavar="WORD",
            help="Show only fields with this in their name, short name or meaning.",
            show_default=False,
            autocompletion=options.complete_field,
        ),
    ] = None,
    *,
    db: options.Db = None,
    form: options.Form = None,
    as_json: options.Json = False,
    safe_csv: options.SafeCsv = False,
    no_pager: options.NoPager = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """List the fields that queries can use.

    Each has its type, unit, meaning, fill rate (the share of rows with a value), sd-scripts'
    default and the usual value. With WORD, the list also shows the metadata keys.
    """
    voice = options.voice_of(ctx, quiet=quiet, verbose=verbose)
    wanted = chosen(form, json=as_json, safe_csv=safe_csv)
    found = _found(word or "", db, voice)
    if not found.fields:
        voice.notice(
            f"no field has {word!r} in its name or meaning; `lora-crawl fields` lists all fields"
        )
    if wanted is Format.TABLE:
        _print_groups(found, with_keys=word is not None, pager=not no_pager)
        return
    from crawler.answers.fields import COLUMNS

    write_rows(COLUMNS, found.rows(), wanted, safe_csv=safe_csv)


def _found(word: str, db: str | None, voice: Voice) -> "FieldList":
    """The fields, without fill rates where there is no database."""
    from crawler.answers.fields import field_list

    try:
        with options.read_connection(db) as connection:
            found = field_list(connection, word)
    except DatabaseError as error:
        voice.notice(f"no fill rates: {str(error).splitlines()[0]}")
        return field_list(None, word)
    made = found.made
    if made is not None and made.made_at is not None and made.changed:
        voice.notice(
            f"fill rates of {instant(made.made_at)} UTC;"
            f" {count(made.changed, 'file')} changed since"
        )
    return found


def _print_groups(found: "FieldList", *, with_keys: bool, pager: bool) -> None:
    from rich.text import Text

    from crawler.answers.fields import short_names
    from crawler.cli.output.table import print_line

    shares = found.shares
    with answers(pager=pager) as stream:
        console = open_console(stream)
        group = ""
        for field in found.fields:
            if field.group != group:
                if group:
                    print_line(console, Text())
                group = field.group
                print_line(console, Text(group, style="bold"))
            before = " " * _INDENT + visible(spelled(field.name)).ljust(_NAME)
            if shares:
                part = share(shares[field.name]) if field.name in shares else ""
                before += part.rjust(_SHARE) + " " * _INDENT
            kind = [field.kind.value, field.unit]
            kind += [f"short name {short}" for short in short_names(field)]
            kind += [f"default {field.default}"] if field.default else []
            kind += [f"usually {field.usual}"] if field.usual else []
            remark = f"({', '.join(filter(None, kind))})"
            shown = [Text.assemble(field.meaning, "  ", (remark, "dim"))]
            if with_keys:
                shown += [Text(key, style="dim") for key in field.keys]
            for text in shown:
                for line in text.wrap(console, max(console.width - len(before), _NAME)):
                    print_line(console, Text(before) + line)
                    before = " " * len(before)
