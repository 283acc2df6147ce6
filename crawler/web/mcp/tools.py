"""The tools: what each asks of the database, and what an assistant is told about it."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, TypedDict

from pydantic import Field

from crawler.answers import fields as field_answers
from crawler.answers import similar as similar_answers
from crawler.answers import suggest as suggest_answers
from crawler.answers.asked import asked_by, without_copies
from crawler.answers.conditions import arguments, tree_of
from crawler.answers.lora import as_data, stored_lora
from crawler.answers.prose import sentences
from crawler.answers.recipe import recipe_files, stored_decoded, suggested_files
from crawler.answers.remarks import sparse, why_empty
from crawler.answers.stats import asked_stats, statistics
from crawler.answers.text import as_stored, count, distinct
from crawler.errors import UsageError
from crawler.insight.export import Format
from crawler.store.connect.database import Connection
from crawler.store.read.search import search
from crawler.store.read.sql import run_sql
from crawler.web.limits import MAX_EXPRESSION, MAX_FIELDS, MAX_ROWS, MAX_SQL, STATEMENT_SECONDS
from crawler.web.mcp.fitting import Rows, fitting, fitting_rows, remarked, whole_files

_LANGUAGE = """
A condition is what follows WHERE in SQL: network_dim >= 64 and optimizer = 'Prodigy'. Operators: = != < <= >
>= between, in (...), like 'adam%' (ignores case), is null, and, or, not, + - * / %. Functions: lower, upper,
length, abs, round, coalesce, has(list, 'member'). Text is in single quotes.

There is a short form: base_model:Pony (ignores case), network_dim:16..64 (a range), optimizer:adam*,
published_at:2025-01, network_alpha:* (has a value). Several side by side must all be true.

Times: published_at >= '-30d', training_seconds > '2h'. Caption tags: has(tags, '1girl'); tags of the site:
has(model_tags, 'style'). Keys of objects: optimizer_args.weight_decay > 0.1.

A missing value matches neither a condition nor its opposite. Empty for all files.
"""

_NAMES = """
Often used fields: file_id, model_id, model_name, version_name, creator, base_model (as the site names it:
Pony, Illustrious, 'SDXL 1.0', 'Flux.1 D'), published_at, likes, downloads, page_url, trainer, network_algo,
network_dim (the rank), network_alpha, alpha_ratio, effective_unet_lr, effective_text_encoder_lr, optimizer,
lr_scheduler, batch_size, steps, num_epochs, image_count, mean_repeats, images_seen, megapixels_seen,
resolution (px), training_seconds, noise_offset, min_snr_gamma, architecture, tensor_rank, outcome ('decoded':
has training settings).
"""


def unwrapped(text: str) -> str:
    """A text with one line for each paragraph."""
    return "\n\n".join(" ".join(part.split()) for part in text.strip().split("\n\n"))


Where = Annotated[
    str,
    Field(
        description="Only files for which this condition is true, as the tool `query` describes it; "
        "empty for all.",
        max_length=MAX_EXPRESSION,
    ),
]
Copies = Annotated[
    bool,
    Field(description="Keep scanned copies of files that the site lists too; they count twice."),
]
Ref = Annotated[
    str,
    Field(
        description="The LoRA: a file_id, model:ID, version:ID, name:WORDS, ten or more digits of a hash, "
        "or the URL of a Civitai page or download.",
        max_length=MAX_EXPRESSION,
    ),
]
Limit = Annotated[int, Field(description="Most rows.", ge=1, le=MAX_ROWS)]


class Recipe(TypedDict):
    """The files of a recipe."""

    files: Annotated[dict[str, str], Field(description="Their contents by file name.")]
    remarks: Annotated[list[str], Field(description="What to know about the files.")]


class Lora(TypedDict):
    """One LoRA."""

    in_words: Annotated[list[str], Field(description="Its training in sentences.")]
    lora: Annotated[
        dict[str, Any],
        Field(
            description="Its known fields by name; `datasets` and `directories` of the training images, "
            "`tags` (folder -> caption tag -> count), `problems` (contradictions in the metadata), and "
            "`medians`: for numbers the median, quartiles and this LoRA's percentile (0 to 100) among the "
            "LoRAs of `compared_with`. A field that is not there is unknown."
        ),
    ]


class Suggestion(TypedDict):
    """A starting recipe."""

    preface: Annotated[list[str], Field(description="What it rests on.")]
    files: Annotated[
        dict[str, str],
        Field(description="With `files_for`: the contents of a trainer's files by file name."),
    ]
    recipe: Annotated[
        dict[str, Any],
        Field(
            description="`settings`: by name the `suggested` value (null: leave it unset), the number of "
            "`loras` behind it, `given` (the choices that it depends on), quartiles for numbers, and the "
            "`values` in use with their share of the weight (0 to 1); `combinations`; `examples` to `show`; "
            "`enough`: false where there are too few LoRAs to rely on."
        ),
    ]


def query(
    connection: Connection,
    *,
    where: Annotated[str, Field(description=unwrapped(_LANGUAGE), max_length=MAX_EXPRESSION)] = "",
    columns: Annotated[
        str,
        Field(
            description="Fields to show, separated by commas, or all; empty for the usual ones. With "
            "group_by: fields of numbers whose medians to show.",
            max_length=MAX_EXPRESSION,
        ),
    ] = "",
    sort: Annotated[
        str,
        Field(
            description="Fields to sort by, separated by commas, with a minus for descending: -likes. "
            "Unknown values come last.",
            max_length=MAX_EXPRESSION,
        ),
    ] = "",
    limit: Limit = 20,
    offset: Annotated[int, Field(description="Rows to skip.", ge=0)] = 0,
    count_only: Annotated[bool, Field(description="Only the number of matching files.")] = False,
    group_by: Annotated[
        str,
        Field(
            description="Fields separated by commas: a row for each combination of their values, the most "
            "frequent first, with `count`, `share` (0 to 1) and medians of numbers.",
            max_length=MAX_EXPRESSION,
        ),
    ] = "",
    copies: Copies = False,
) -> Rows:
    """List the LoRA files that match a condition, one row for each file.

    Or count them, or count the values of fields with the medians of others.
    """
    if count_only and group_by:
        raise UsageError("count_only cannot be combined with group_by")
    asked = asked_by(
        arguments(where),
        columns=columns or None,
        sort=sort or None,
        limit=limit,
        offset=offset,
        count=count_only,
        group_by=group_by or None,
    )
    tree, left_out = without_copies(connection, asked.tree, copies=copies)
    # One row more than is shown says whether the limit left some out.
    with search(connection, replace(asked, tree=tree, limit=limit + 1)) as found:
        answer = fitting_rows(found.columns, found.rows, limit)
    remarks = _copies(left_out)
    if not answer["rows"] and not offset:
        remarks += why_empty(connection, tree)
    return remarked(answer, remarks + sparse(connection, asked))


def stats(
    connection: Connection,
    *,
    fields: Annotated[
        str,
        Field(
            description=f"Fields separated by commas, {MAX_FIELDS} at most; empty for the main settings.",
            max_length=MAX_EXPRESSION,
        ),
    ] = "",
    by: Annotated[
        str,
        Field(
            description="Statistics for each group: a field (numbers in bins, times by month), or month for "
            "the month of publication; empty for all files together.",
            max_length=MAX_EXPRESSION,
        ),
    ] = "",
    where: Where = "",
    limit: Annotated[
        int, Field(description="Most groups of a text, the most common ones.", ge=1, le=MAX_ROWS)
    ] = 20,
    copies: Copies = False,
) -> Rows:
    """Count and describe fields over many files, a row for each field (and group).

    `files`, of which `headers_read` were read, `no_metadata` of these without training settings; `count`
    of them have the field: their minimum, quartiles and maximum, and a `histogram` (of texts: the most
    common values).
    """
    asked = asked_stats([fields] if fields.strip() else [], by or None, most=limit)
    if len(asked.fields) > MAX_FIELDS:
        raise UsageError(f"{len(asked.fields)} fields are too many; ask for {MAX_FIELDS} at most")
    tree, left_out = without_copies(connection, tree_of(where), copies=copies)
    found = statistics(connection, asked, tree)
    answer = fitting_rows(found.columns, found.rows(), MAX_ROWS)
    remarks = _copies(left_out) + list(filter(None, [found.remark()]))
    if not found.groups.among:
        remarks += why_empty(connection, tree)
    return remarked(answer, remarks)


def similar(
    connection: Connection,
    ref: Ref,
    by: Annotated[
        Literal["settings", "tags"],
        Field(
            description="Compare training settings within the base model, or caption tags over all."
        ),
    ] = "settings",
    limit: Limit = 10,
) -> Rows:
    """List the LoRAs that are most like one.

    Each has its `similarity` (0 to 1), and how its settings differ (`differs`: setting -> the value of the
    one, and its own) or which caption tags both have. A LoRA counts once, by its most similar file.
    """
    found = similar_answers.similar(
        connection, ref, stored_lora(connection, ref), by=by, limit=limit
    )
    return remarked(fitting_rows(found.columns, found.rows(), limit), found.remarks())


def show(connection: Connection, ref: Ref) -> Lora:
    """Show everything that is known about one LoRA file.

    Its training in words, its settings, images and captions, and how its numbers compare with those of
    other LoRAs of the base model.
    """
    view = stored_lora(connection, ref)
    known = {name: value for name, value in as_data(view).items() if value not in (None, [], {})}
    return {"in_words": fitting(sentences(view.row)), "lora": fitting(known)}


def suggest(
    connection: Connection,
    *,
    base_model: Annotated[
        str,
        Field(
            description="As the site names it, in any case: Pony, 'SDXL 1.0'.",
            max_length=MAX_EXPRESSION,
        ),
    ],
    images: Annotated[
        int | None,
        Field(description="Only LoRAs trained on N/2 to 2N images: say how many there are.", ge=1),
    ] = None,
    tag: Annotated[
        str | None,
        Field(
            description="Only LoRAs with this tag of the site: character, style, …",
            max_length=MAX_EXPRESSION,
        ),
    ] = None,
    creator: Annotated[
        str | None, Field(description="Only LoRAs of this creator.", max_length=MAX_EXPRESSION)
    ] = None,
    min_likes: Annotated[int, Field(description="Only LoRAs with so many likes.", ge=0)] = 0,
    files_for: Annotated[
        Format | None, Field(description="Also the files of this trainer.")
    ] = None,
    copies: Copies = False,
) -> Suggestion:
    """Suggest training settings for a base model, from the settings of well-liked LoRAs.

    Each LoRA counts once, weighted by its likes per month.
    """
    made = suggest_answers.suggestion(
        connection,
        base_model=base_model,
        images=images,
        tag=tag,
        creator=creator,
        min_likes=min_likes,
        copies=copies,
    )
    preface = [*suggest_answers.preface(made.coverage, made.advice), *_copies(made.left_out)]
    files: Mapping[str, str] = {}
    if files_for is not None and made.advice.loras:
        written = suggested_files(made, images, files_for)
        files, preface = whole_files(written.texts), [*preface, *written.remarks]
    return {
        "preface": fitting(preface),
        "files": dict(files),
        "recipe": fitting(suggest_answers.as_data(made)),
    }


def recipe(
    connection: Connection,
    *,
    ref: Ref,
    trainer: Annotated[
        Format, Field(description="The trainer whose files to make.")
    ] = Format.SD_SCRIPTS,
) -> Recipe:
    """Make a trainer's files to train a LoRA with the same settings as this one.

    `report.txt` lists what could not be recovered. The files have placeholders (REPLACE_ME) for what the
    user must fill in.
    """
    made = recipe_files(*stored_decoded(connection, ref), trainer)
    return {"files": dict(whole_files(made.texts)), "remarks": fitting(list(made.remarks))}


def fields(
    connection: Connection,
    word: Annotated[
        str,
        Field(
            description="Only fields with this in their name or meaning, with the metadata keys that they "
            "are read from; the name of an object field lists its keys. Empty for all fields.",
            max_length=MAX_EXPRESSION,
        ),
    ] = "",
) -> Rows:
    """List the fields that queries can use.

    Each has its type, unit, meaning, `share` (the part of all files that have a value, 0 to 1), the default
    of sd-scripts, the usual values and short names.
    """
    found = field_answers.field_list(connection, word)
    # Without a word the metadata keys are left out, as on the command line.
    names = [name for name in field_answers.COLUMNS if word or name != "keys"]
    rows = (dict(zip(field_answers.COLUMNS, row, strict=True)) for row in found.rows())
    return fitting_rows(names, ([row[name] for name in names] for row in rows), MAX_ROWS)


def sql(
    connection: Connection,
    statement: Annotated[str, Field(description="One statement.", max_length=MAX_SQL)],
    limit: Limit = 50,
) -> Rows:
    """Run one SQL statement that only reads.

    It is in the dialect of the database (SQLite or PostgreSQL). The table `loras` has a row for each file,
    with the columns that the tool `fields` lists. Views: `lora_tags` (file_id, directory, tag, count) and
    `lora_problems`. `field_notes` (table_name, column_name, meaning, unit) describes every table and column.
    Prefer the other tools where they can answer.
    """
    with run_sql(connection.engine, statement, timeout=STATEMENT_SECONDS) as found:
        rows = (tuple(map(as_stored, row)) for row in found.rows)
        return fitting_rows(distinct(found.columns), rows, limit)


#: In the order of their use.
TOOLS = (query, stats, show, similar, suggest, recipe, fields, sql)


def description(tool: Callable[..., Any]) -> str:
    """What an assistant reads about a tool: its docstring."""
    return unwrapped(f"{inspect.getdoc(tool)}\n\n{_NAMES if tool is query else ''}")


def _copies(left_out: int) -> list[str]:
    if not left_out:
        return []
    copied = count(left_out, "scanned copy", "scanned copies")
    return [f"{copied} left out; with copies they are counted too"]
