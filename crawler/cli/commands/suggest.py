"""`lora-crawl suggest`: a starting recipe from the settings of other LoRAs."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crawler.answers.text import count, json_text, listed
from crawler.cli.options import (
    Db,
    Force,
    Json,
    NoPager,
    Output,
    Quiet,
    Verbose,
    complete_base_model,
    read_connection,
    voice_of,
)
from crawler.cli.output.console import Voice, answers, open_console
from crawler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crawler.insight.suggest.settings import Advice, Finding
    from crawler.store.stats.examples import Coverage, Selection

#: With --images N, data sets of N divided by this up to N times this count as similar: in this range
#: the number of steps varies less than between creators.
_ALIKE = 2


def suggest(
    ctx: typer.Context,
    *,
    base_model: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Base model as the site names it, e.g. Pony.",
            show_default=False,
            autocompletion=complete_base_model,
        ),
    ],
    images: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help=f"Only LoRAs trained on N/{_ALIKE} to {_ALIKE}N images.",
        ),
    ] = None,
    tag: Annotated[
        str | None,
        typer.Option(metavar="TAG", help="Only LoRAs with this site tag, e.g. character."),
    ] = None,
    creator: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only LoRAs of this creator.")
    ] = None,
    min_likes: Annotated[
        int, typer.Option(metavar="N", min=0, help="Only LoRAs with N or more likes.")
    ] = 0,
    output: Output = None,
    force: Force = False,
    db: Db = None,
    as_json: Json = False,
    no_pager: NoPager = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Suggest settings from well-liked LoRAs.

    Each LoRA counts once, weighted by its likes per month. Each setting shows how many LoRAs are
    behind it. With --output, config.toml and dataset.toml for sd-scripts are written.
    """
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    if force and output is None:
        raise UsageError("--force needs --output DIR")
    from crawler.insight.suggest.advice import COLUMNS, advise
    from crawler.store.stats import examples

    with read_connection(db) as connection:
        selection = examples.Selection(
            base_model=_known(base_model, examples.base_models(connection)),
            images=None if images is None else (-(-images // _ALIKE), images * _ALIKE),
            tag=tag,
            creator=creator,
            min_likes=min_likes,
        )
        coverage = examples.coverage_of(connection, selection)
        advice = advise(examples.find_examples(connection, selection, COLUMNS), datetime.now(UTC))
    if output is not None and advice.loras:
        # Before the page, whose reader may close the pipe early.
        _write(output, advice, selection, images, voice, force=force)
    with answers(machine=as_json, pager=not no_pager) as stream:
        if as_json:
            stream.write(json_text(_data(selection, coverage, advice), indent=2) + "\n")
        else:
            from crawler.cli.pages.suggest import print_advice

            print_advice(open_console(stream), _title(selection), coverage, advice)
    if output is not None and not advice.loras:
        raise UsageError(f"nothing written to {output}: no LoRA matches")


def _known(name: str, base_models: "Mapping[str, int]") -> str:
    """The base model of this name, ignoring case.

    Raises:
        UsageError: The name is unknown; the message lists the nearest ones.
    """
    from crawler.query.fields import clipped
    from crawler.query.near import nearest_values, offer

    if name in base_models:
        return name
    alike = {other.casefold(): other for other in base_models}
    if name.casefold() in alike:
        return alike[name.casefold()]
    if not base_models:
        raise UsageError("the database has no base models yet\nrun lora-crawl sync to fill it")
    commonest = sorted(base_models, key=lambda other: -base_models[other])
    some = f"the database has {listed(commonest[:5])}"
    near = offer(nearest_values(name, commonest))
    raise UsageError(f"no LoRA has the base model {clipped(name)}\n{near or some}")


def _title(selection: "Selection") -> str:
    parts = [selection.base_model]
    if selection.images is not None:
        low, high = selection.images
        parts.append(f"{low:,} to {high:,} images")
    if selection.tag is not None:
        parts.append(f"tag {selection.tag}")
    if selection.creator is not None:
        parts.append(f"by {selection.creator}")
    if selection.min_likes:
        parts.append(f"{selection.min_likes:,} likes or more")
    return ", ".join(parts)


def _write(
    folder: Path,
    advice: "Advice",
    selection: "Selection",
    images: int | None,
    voice: Voice,
    *,
    force: bool,
) -> None:
    from crawler.cli.commands.recipe import escaped, write_files
    from crawler.cli.pages.suggest import evidence
    from crawler.insight.export.draft import config_text, dataset_text
    from crawler.insight.suggest.advice import recipe_of

    made = recipe_of(advice, images, evidence)
    loras = count(advice.loras, "LoRA") + ("" if advice.is_enough else " (too few to rely on)")
    source = f"the settings of {loras}: {_title(selection)}"
    texts = {
        "config.toml": escaped(config_text(made, source)),
        "dataset.toml": escaped(dataset_text(made)),
    }
    write_files(folder, texts, force=force)
    voice.notice(f"wrote {', '.join(texts)} to {folder}")
    for note in made.notes:
        voice.notice(f"{note.subject}: {note.text}")


def _data(selection: "Selection", coverage: "Coverage", advice: "Advice") -> dict[str, Any]:
    from crawler.insight.suggest.settings import COMBINED

    return {
        **asdict(selection),
        "known": asdict(coverage),
        "loras": advice.loras,
        "creators": advice.creators,
        "without_weight": advice.weightless,
        "weighted": advice.is_weighted,
        "half_of_weight": advice.half,
        "enough": advice.is_enough,
        "settings": {name: _finding(one) for name, one in advice.findings.items()},
        "combinations": [
            {**dict(zip(COMBINED, one.value, strict=True)), "loras": one.count, "share": one.share}
            for one in advice.combinations
        ],
        "examples": [
            {
                "file_id": one.file_id,
                "model_name": one.model_name,
                "creator": one.creator,
                "likes_per_month": monthly,
            }
            for one, monthly in advice.examples
        ],
    }


def _finding(one: "Finding") -> dict[str, Any]:
    quartile1, median, quartile3 = one.quartiles or (None, None, None)
    return {
        "suggested": one.chosen,
        "given": dict(one.given),
        "loras": one.count,
        "of_loras": one.among,
        "share": one.share,
        "excluded": one.excluded or None,
        "quartile1": quartile1,
        "median": median,
        "quartile3": quartile3,
        "values": [
            {"value": value.value, "loras": value.count, "share": value.share}
            for value in one.values
        ],
    }
