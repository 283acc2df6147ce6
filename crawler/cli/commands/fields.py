"""`lora-crawl fields`: the names that a query can use."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from crawler.answers.text import count, instant, share
from crawler.answers.visible import visible
from crawler.cli import options
from crawler.cli.output.console import Voice, answers, open_console
from crawler.cli.output.rows import Format, chosen, write_rows
from crawler.errors import DatabaseError
from crawler.query.fields import SHORT_NAMES, TAGS, Field, spelled
from crawler.query.near import SYNONYMS
from crawler.store.schema.fields import FIELDS

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
    sought = (word or "").casefold()
    found = [
        field
        for field in (*FIELDS, TAGS)
        if any(sought in text for text in (field.name, field.meaning.casefold(), *_short(field)))
        or field.name in SYNONYMS.get(sought, ())
    ]
    shares = dict(_shares([field.name for field in (*FIELDS, TAGS)], db, voice))
    if sought and shares:
        found = _with_keys(found, sought, shares, db)
    if not found:
        voice.notice(
            f"no field has {word!r} in its name or meaning; `lora-crawl fields` lists all fields"
        )
    if wanted is Format.TABLE:
        _print_groups(found, shares, with_keys=word is not None, pager=not no_pager)
        return
    rows = [
        (
            spelled(field.name),
            field.kind.value,
            field.unit or None,
            field.group,
            field.meaning,
            shares.get(field.name),
            field.default or None,
            field.usual or None,
            list(field.keys) or None,
            _short(field) or None,
        )
        for field in found
    ]
    described = ("name", "type", "unit", "group", "meaning", "share", "default", "usual")
    names = (*described, "keys", "short_names")
    write_rows(names, rows, wanted, safe_csv=safe_csv)


def _short(field: Field) -> list[str]:
    return [short for short, name in SHORT_NAMES.items() if name == field.name]


def _shares(names: Sequence[str], db: str | None, voice: Voice) -> Mapping[str, float]:
    """The fill rate of each field; empty when there is no database."""
    from crawler.store.read.search import fill_rates
    from crawler.store.stats.field_stats import age

    try:
        with options.read_connection(db) as connection:
            made = age(connection)
            if made is not None and made.made_at is not None and made.changed:
                voice.notice(
                    f"fill rates of {instant(made.made_at)} UTC;"
                    f" {count(made.changed, 'file')} changed since"
                )
            return fill_rates(connection, names)
    except DatabaseError as error:
        voice.notice(f"no fill rates: {str(error).splitlines()[0]}")
        return {}


def _with_keys(
    found: Sequence[Field], sought: str, shares: dict[str, float], db: str | None
) -> list[Field]:
    """The fields and, after each object, those of its keys that have the word; all for its whole name.

    The keys' shares of all rows are added to `shares`.
    """
    from crawler.store.read.columns import key_fields

    shown = {field.name for field in found}
    result = []
    with options.read_connection(db) as connection:
        for field in (*FIELDS, TAGS):
            result += [field] if field.name in shown else []
            for key, part in key_fields(connection, field.name):
                if sought == field.name or sought in key.name.partition(".")[2].casefold():
                    result.append(key)
                    shares[key.name] = part * shares[field.name]
    return result


def _print_groups(
    found: Sequence[Field], shares: Mapping[str, float], *, with_keys: bool, pager: bool
) -> None:
    from rich.text import Text

    from crawler.cli.output.table import print_line

    with answers(pager=pager) as stream:
        console = open_console(stream)
        group = ""
        for field in found:
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
            kind += [f"short name {short}" for short in _short(field)]
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
