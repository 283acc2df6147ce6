"""`lora-crawl sync`: list LoRAs, read their headers, store both."""

import sys
from enum import StrEnum
from typing import Annotated, Literal

import typer

from crawler.cli.options import (
    ApiUrl,
    Concurrency,
    Db,
    Json,
    MaxHeader,
    Quiet,
    StorageHosts,
    Verbose,
    complete_base_model,
    place,
    told_api_key,
    voice_of,
)
from crawler.errors import UsageError
from crawler.model import LORA_TYPES, ListQuery, Order
from crawler.model.site import SANDBOX_URL
from crawler.settings import DEFAULT_API_URL, sandbox_database

#: Requests a second to the API by default: what a busy reader would make.
DEFAULT_RATE = 2.0


class TypeName(StrEnum):
    """The LoRA types of the site."""

    LORA = "LORA"
    LOCON = "LoCon"
    DORA = "DoRA"


def sync(
    ctx: typer.Context,
    *,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Stop after the first N models."),
    ] = None,
    order: Annotated[
        Order | None,
        typer.Option(
            help="Order of the models.  Default: most-downloaded with --limit, else oldest"
        ),
    ] = None,
    base_model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Only this base model, e.g. Pony; repeatable.",
            autocompletion=complete_base_model,
        ),
    ] = None,
    type_: Annotated[
        list[TypeName] | None,
        typer.Option(
            "--type",
            metavar="LORA|LoCon|DoRA",
            help="Only this type; repeatable.",
            case_sensitive=False,
        ),
    ] = None,
    creator: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only models of this user.")
    ] = None,
    tag: Annotated[
        str | None, typer.Option(metavar="TAG", help="Only models with this tag.")
    ] = None,
    search: Annotated[
        str | None, typer.Option(metavar="WORDS", help="Only results of the site's search.")
    ] = None,
    model: Annotated[
        list[int] | None, typer.Option(metavar="ID", min=1, help="Only this model; repeatable.")
    ] = None,
    nsfw: Annotated[
        bool, typer.Option("--nsfw", help="Include mature models: the whole catalogue.")
    ] = False,
    files: Annotated[
        Literal["all", "primary"],
        typer.Option(help="Read all files of a version, or only the primary one."),
    ] = "all",
    no_headers: Annotated[
        bool, typer.Option("--no-headers", help="List only; read no file.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Retry all files that ended without being read.")
    ] = False,
    refresh: Annotated[
        bool,
        typer.Option(
            "--refresh",
            help="Read the list again for edits, statistics, and replaced or removed files.",
        ),
    ] = False,
    max_downloads: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Stop after N counted downloads."),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(metavar="R", min=0, help="API requests per second; 0 = no limit.  Default: 2"),
    ] = None,
    concurrency: Concurrency = 8,
    storage_hosts: StorageHosts = None,
    max_header: MaxHeader = 32 * 1024 * 1024,
    enqueue: Annotated[
        bool,
        typer.Option(
            "--enqueue",
            help="List, and leave the files to `lora-crawl worker` on any machines (PostgreSQL).",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what it would do and cost; store nothing.")
    ] = False,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="Use no API key, and do not ask for one.")
    ] = False,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Crawl a made-up catalogue on this machine.")
    ] = False,
    as_json: Json = False,
    api_url: ApiUrl = None,
    db: Db = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """List LoRAs, read the header of each file, and store both.

    Run it again to continue after an interruption and to add what is new. Press Ctrl-C once to
    finish the files in progress, twice to stop at once. Neither loses stored data.
    """
    from crawler.cli.run_sync import Job, Kind, preview, sync_into
    from crawler.sync.state import Plan
    from crawler.sync.walk import Walk

    if sandbox and api_url:
        raise UsageError("--sandbox cannot be combined with --api-url")
    if enqueue and (sandbox or no_headers):
        other = "--sandbox" if sandbox else "--no-headers"
        raise UsageError(f"--enqueue cannot be combined with {other}")
    if model and (limit or order or base_model or type_ or creator or tag or search):
        raise UsageError("--model cannot be combined with --limit, --order or other filters")
    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    key = None if sandbox or anonymous else told_api_key(voice)
    is_told = sandbox
    if key is None and not (sandbox or anonymous or dry_run or voice.quiet) and _at_a_terminal():
        from crawler.cli.commands.login import offered_key

        key, is_told = offered_key(api_url or DEFAULT_API_URL, voice), True
    ask = ListQuery(
        order=order or (Order.MOST_DOWNLOADED if limit else Order.OLDEST),
        types=tuple(dict.fromkeys(map(str, type_ or LORA_TYPES))),
        base_models=tuple(dict.fromkeys(map(_trimmed, base_model or ()))),
        creator=creator and _trimmed(creator),
        tag=tag and _trimmed(tag),
        search=search and _trimmed(search),
    )
    if rate is None and (dry_run or not enqueue):  # without one, a fleet keeps its own
        rate = 0.0 if sandbox else DEFAULT_RATE
    plan = Plan(
        walk=Walk(
            ask=ask,
            nsfw=nsfw,
            model_ids=tuple(dict.fromkeys(model or ())),
            limit=limit,
            primary_only=files == "primary",
        ),
        origin=SANDBOX_URL if sandbox else None,
        has_api_key=key is not None,
        fetch_headers=not (no_headers or enqueue),
        refresh=refresh,
        retry_failed=retry_failed,
        retry_refused=retry_failed,
        max_downloads=max_downloads,
        concurrency=concurrency,
    )
    job = Job(
        plan=plan,
        where=str(sandbox_database()) if sandbox and not db else place(db),
        api_url=None if sandbox else api_url or DEFAULT_API_URL,
        key=key,
        tells_terms=key is None and not is_told,
        rate=rate,
        storage_hosts=tuple(storage_hosts or ()),
        max_header=max_header,
        as_json=as_json,
        voice=voice,
        kind=Kind.ENQUEUE if enqueue else Kind.SYNC,
    )
    raise typer.Exit(preview(job) if dry_run else sync_into(job))


def _at_a_terminal() -> bool:
    """Whether somebody sees a question and can answer it."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _trimmed(text: str) -> str:
    """A filter without the blanks around it, which the site would take for a part of the name."""
    if not text.strip():
        raise UsageError("a filter must not be blank")
    return text.strip()
