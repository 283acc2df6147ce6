"""`lora-crawl stats`: counts, quartiles and histograms of fields."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from crawler.answers.text import count, number
from crawler.cli import options
from crawler.cli.output.console import answers, open_console
from crawler.cli.output.rows import Format, chosen, write_rows

if TYPE_CHECKING:
    from crawler.insight.distribution import Bin, Groups, Part, Summary

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

#: The name that --by takes besides those of fields: the month of publication.
_MONTH = "month"


def _complete_by(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    month = [(_MONTH, "month of publication")] if _MONTH.startswith(incomplete) else []
    return [*month, *options.complete_field(ctx, incomplete)]


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
        str | None,
        typer.Option(
            metavar="FIELD",
            help="Group by the values of a field (numbers in bins, times by month), or by month of "
            "publication with --by month.",
            autocompletion=_complete_by,
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(
            "--limit",
            "-n",
            metavar="N",
            min=0,
            help="With --by: show the N most common texts; 0 = all.",
        ),
    ] = 20,
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
    from crawler.query.fields import counted, single_group
    from crawler.query.parser import parse
    from crawler.store.schema.fields import BY_NAME

    named = ",".join(field or (_MAIN if by is None else _MAIN_GROUPED))
    fields = counted(named, BY_NAME)
    grouping = None
    if by is not None:
        grouping = BY_NAME["published_at"] if by == _MONTH else single_group(by, BY_NAME)
    name = by if grouping is None or by == _MONTH else grouping.name
    tree = parse(where or [], BY_NAME)
    with options.read_connection(db) as connection:
        selected = options.without_copies(connection, tree, voice, copies=copies)
        found = groups(connection, selected, grouping, most=limit)
        shown = summaries(connection, fields, selected, found)
        if wanted is not Format.TABLE:
            group = () if name is None else (name,)
            rows = (_row(found, one, part) for one in shown for part in one.parts)
            write_rows(("field", *group, *_COLUMNS), rows, wanted, safe_csv=safe_csv)
        elif found.among:
            from crawler.cli.pages.distribution import print_population, print_summary

            with answers(pager=not no_pager) as stream:
                console = open_console(stream)
                print_population(console, found)
                for one in shown:
                    print_summary(console, one, found, name)
        if found.left_out:
            voice.notice(
                f"the {number(limit)} most common of {count(found.left_out + limit, 'group')};"
                f" {count(found.files, 'file')} in the others; --limit 0 shows all"
            )
        if not found.among:
            if where:
                voice.notice("no file matches")
            options.explain(connection, tree, voice)


def _row(found: "Groups", summary: "Summary", part: "Part") -> list[Any]:
    from crawler.insight.distribution import Bin, group_of

    population, spread = part.population, part.spread
    group = [] if found.by is None else [group_of(found.by, population)]
    group = [_range(one) if isinstance(one, Bin) else one for one in group]
    counts = (population.files, population.read, population.no_metadata, part.count)
    numbers: tuple[float | None, ...] = (None,) * 5
    if spread is not None:
        quartiles = (spread.quartile1, spread.median, spread.quartile3)
        numbers = (spread.minimum, *quartiles, spread.maximum)
    histogram = [
        {"value": one.low, "count": one.count}
        if one.low is not None and one.low == one.high
        else {**_range(one), "count": one.count}
        for one in part.bins
    ] or [{"value": value, "count": amount} for value, amount in part.values]
    return [summary.field.name, *group, *counts, *numbers, histogram]


def _range(one: "Bin") -> dict[str, float | None]:
    return {"from": one.low, "below": one.high}
