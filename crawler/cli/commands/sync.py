"""`lora-crawl sync`: list, read headers, store."""

from enum import StrEnum
from typing import Annotated

import typer

from crawler.cli.options import ApiUrl, Db, Quiet, Verbose, place, voice_of
from crawler.errors import UsageError
from crawler.settings import DEFAULT_API_URL, api_key, sandbox_database

#: Requests a second to the API unless the user says otherwise: what a busy reader would make.
DEFAULT_RATE = 2.0

#: What a sandbox's database remembers as its API: the port is another one each time.
SANDBOX_ORIGIN = "http://sandbox.invalid"


class OrderName(StrEnum):
    """The orders as options name them."""

    OLDEST = "oldest"
    MOST_DOWNLOADED = "most-downloaded"
    HIGHEST_RATED = "highest-rated"


class TypeName(StrEnum):
    """The site's types of LoRA."""

    LORA = "LORA"
    LOCON = "LoCon"
    DORA = "DoRA"


class FileChoice(StrEnum):
    """Which files of a version are read."""

    ALL = "all"
    PRIMARY = "primary"


_WHICH, _HOW = "Which LoRAs", "How"


def sync(
    ctx: typer.Context,
    *,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="End after the first N models of the order.",
            rich_help_panel=_WHICH,
        ),
    ] = None,
    order: Annotated[
        OrderName | None,
        typer.Option(
            help="Default: most-downloaded with --limit, else oldest, which loses nothing.",
            rich_help_panel=_WHICH,
        ),
    ] = None,
    base_model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="As the site names it, e.g. Pony; repeatable.",
            rich_help_panel=_WHICH,
        ),
    ] = None,
    type_: Annotated[
        list[TypeName] | None,
        typer.Option(
            "--type",
            metavar="LORA|LoCon|DoRA",
            help="Repeatable.",
            case_sensitive=False,
            rich_help_panel=_WHICH,
        ),
    ] = None,
    creator: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of this user.", rich_help_panel=_WHICH)
    ] = None,
    tag: Annotated[
        str | None, typer.Option(metavar="TAG", help="With this tag.", rich_help_panel=_WHICH)
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(metavar="WORDS", help="What the site's search finds.", rich_help_panel=_WHICH),
    ] = None,
    model: Annotated[
        list[int] | None,
        typer.Option(
            metavar="ID", min=1, help="Only this model; repeatable.", rich_help_panel=_WHICH
        ),
    ] = None,
    nsfw: Annotated[
        bool,
        typer.Option(
            "--nsfw", help="Mature ones too: the whole catalogue.", rich_help_panel=_WHICH
        ),
    ] = False,
    files: Annotated[
        FileChoice,
        typer.Option(help="All files of a version, or the primary one.", rich_help_panel=_WHICH),
    ] = FileChoice.ALL,
    no_headers: Annotated[
        bool, typer.Option("--no-headers", help="Only list; read no file.", rich_help_panel=_HOW)
    ] = False,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed", help="Try failed and vanished files again.", rich_help_panel=_HOW
        ),
    ] = False,
    refresh: Annotated[
        bool,
        typer.Option(
            "--refresh",
            help="Read again what is known: edits, statistics, replaced files.",
            rich_help_panel=_HOW,
        ),
    ] = False,
    max_downloads: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, help="Stop after so many counted downloads.", rich_help_panel=_HOW
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="R",
            min=0,
            help="Requests a second to the API, 0 = no limit.  Default: 2",
            rich_help_panel=_HOW,
        ),
    ] = None,
    concurrency: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, max=64, help="Files read at the same time.", rich_help_panel=_HOW
        ),
    ] = 8,
    storage_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A further host that downloads may lead to.", rich_help_panel=_HOW
        ),
    ] = None,
    max_header: Annotated[
        int,
        typer.Option(
            metavar="BYTES",
            min=1,
            max=100_000_000,
            help="Longest header that is fetched.",
            rich_help_panel=_HOW,
        ),
    ] = 32 * 1024 * 1024,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Say what it would ask and cost; store nothing.", rich_help_panel=_HOW
        ),
    ] = False,
    sandbox: Annotated[
        bool,
        typer.Option(
            "--sandbox", help="Crawl a made-up catalogue on this machine.", rich_help_panel=_HOW
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="The closing summary as JSON.", rich_help_panel=_HOW)
    ] = False,
    api_url: ApiUrl = None,
    db: Db = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """List LoRAs, read each file's header and store what it says.

    Run it again to go on after an interruption, and to pick up what is new. Ctrl-C once finishes
    what is in flight; twice stops at once. Nothing stored is lost or doubled.
    """
    from crawler.cli.run_sync import preview, sync_into
    from crawler.cli.sync_report import Job
    from crawler.model import LORA_TYPES, ListQuery, Order
    from crawler.sync.plan import Plan
    from crawler.sync.walk import Walk

    if sandbox and api_url:
        raise UsageError("--sandbox brings its own API: leave --api-url out")
    if model and (limit or order or base_model or type_ or creator or tag or search):
        raise UsageError("--model names the models to read: leave the other filters out")
    key = None if sandbox else api_key()
    ask = ListQuery(
        order=Order(order or (OrderName.MOST_DOWNLOADED if limit else OrderName.OLDEST)),
        types=tuple(dict.fromkeys(one.value for one in type_)) if type_ else LORA_TYPES,
        base_models=tuple(dict.fromkeys(base_model or ())),
        creator=creator,
        tag=tag,
        search=search,
    )
    plan = Plan(
        walk=Walk(
            ask=ask,
            nsfw=nsfw,
            model_ids=tuple(dict.fromkeys(model or ())),
            limit=limit,
            primary_only=files is FileChoice.PRIMARY,
        ),
        origin=SANDBOX_ORIGIN if sandbox else None,
        has_api_key=key is not None,
        fetch_headers=not no_headers,
        refresh=refresh,
        retry_failed=retry_failed,
        max_downloads=max_downloads,
        concurrency=concurrency,
    )
    job = Job(
        plan=plan,
        where=str(sandbox_database()) if sandbox and not db else place(db),
        api_url=None if sandbox else api_url or DEFAULT_API_URL,
        key=key,
        rate=rate if rate is not None else 0.0 if sandbox else DEFAULT_RATE,
        storage_hosts=tuple(storage_host or ()),
        max_header=max_header,
        as_json=as_json,
        voice=voice_of(ctx, quiet=quiet, verbose=verbose),
    )
    raise typer.Exit(preview(job) if dry_run else sync_into(job))
