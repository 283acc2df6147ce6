"""`lora-crawl stats`: counts, quartiles and histograms of fields."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from crawler.cli import options
from crawler.cli.output.console import answers, open_console
from crawler.cli.output.rows import Format, chosen, write_rows

if TYPE_CHECKING:
    from crawler.insight.distribution import Part, Summary
    from crawler.query.fields import Field

#: The fields by default: how LoRAs were trained, and how much work it was.
_MAIN = (
    *("base_model", "trainer", "network_dim", "optimizer", "effective_unet_lr", "resolution"),
    *("image_count", "images_seen", "megapixels_seen", "training_seconds"),
)

#: The fields by default with --by, where every field is a table.
_MAIN_GROUPED = ("network_dim", "images_seen", "megapixels_seen", "training_seconds")

#: Columns of the formats for programs, after the field and its group.
_COLUMNS = (
    *("files", "headers_read", "no_metadata", "count"),
    *("minimum", "quartile1", "median", "quartile3", "maximum", "histogram"),
)


def stats(
    ctx: typer.Context,
    field: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FIELD",
            help="Fields to show; `lora-crawl fields` lists them. Default: the main settings.",
            show_default=False,
            autocompletion=options.complete_field,
        ),
    ] = None,
    *,
    by: Annotated[
        Literal["base_model", "month"] | None,
        typer.Option(help="Group by base model or by month of publication."),
    ] = None,
    where: options.Where = None,
    copies: options.Copies = False,
    db: options.Db = None,
    form: options.Form = None,
    as_json: options.Json = False,
    safe_csv: options.SafeCsv = False,
    no_pager: options.NoPager = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = 0,
) -> None:
    """Show counts, quartiles and histograms of fields.

    Every figure comes with the number of files behind it.
    """
    voice = options.voice_of(ctx, quiet=quiet, verbose=verbose)
    wanted = chosen(form, json=as_json, safe_csv=safe_csv)
    from crawler.insight.distribution import groups, summaries
    from crawler.query.parser import parse
    from crawler.store.schema.fields import BY_NAME

    fields = _fields(field or (_MAIN if by is None else _MAIN_GROUPED))
    tree = parse(where or [], BY_NAME)
    with options.read_connection(db) as connection:
        selected = options.without_copies(connection, tree, voice, copies=copies)
        among = groups(connection, selected, by)
        found = summaries(connection, fields, selected, by, among)
        if wanted is not Format.TABLE:
            group = () if by is None else (by,)
            rows = (_row(one, part, by) for one in found for part in one.parts)
            write_rows(("field", *group, *_COLUMNS), rows, wanted, safe_csv=safe_csv)
        elif among:
            from crawler.cli.pages.distribution import print_population, print_summary

            with answers(pager=not no_pager) as stream:
                console = open_console(stream)
                print_population(console, among)
                for one in found:
                    print_summary(console, one, by)
        if not among:
            if where:
                voice.notice("no file matches")
            options.explain(connection, tree, voice)


def _fields(names: Sequence[str]) -> "list[Field]":
    """The fields of these names.

    Raises:
        QueryError: One is unknown, repeated, or holds lists or objects.
    """
    from crawler.errors import QueryError
    from crawler.query.fields import WORDS, Kind, columns, named
    from crawler.store.schema.fields import BY_NAME

    text = ",".join(names)
    found = [field for name in columns(text, BY_NAME) if (field := named(name, BY_NAME))]
    for one in found:
        if one.kind in (Kind.LIST, Kind.OBJECT, Kind.VALUE):
            at = max(text.lower().find(one.name), 0)
            raise QueryError(
                f"{one.name} is {WORDS[one.kind]} and has no statistics",
                text=text,
                start=at,
                end=at + len(one.name),
            )
    return found


def _row(summary: "Summary", part: "Part", by: str | None) -> list[Any]:
    population, spread = part.population, part.spread
    group = [] if by is None else [population.group]
    counts = (population.files, population.read, population.no_metadata, part.count)
    numbers: tuple[float | None, ...] = (None,) * 5
    if spread is not None:
        quartiles = (spread.quartile1, spread.median, spread.quartile3)
        numbers = (spread.minimum, *quartiles, spread.maximum)
    histogram = [
        {"value": one.low, "count": one.count}
        if one.low is not None and one.low == one.high
        else {"from": one.low, "below": one.high, "count": one.count}
        for one in part.bins
    ] or [{"value": value, "count": amount} for value, amount in part.values]
    return [summary.field.name, *group, *counts, *numbers, histogram]
