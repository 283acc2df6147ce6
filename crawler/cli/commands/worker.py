"""`lora-crawl worker`: fetch what the queue of a fleet has."""

from typing import Annotated

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
    place,
    told_api_key,
    voice_of,
)
from crawler.settings import DEFAULT_API_URL


def worker(
    ctx: typer.Context,
    *,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="R",
            min=0,
            help="API requests per second of all workers together, from now on; 0 = no limit."
            "  Default: as stored, at first 2",
        ),
    ] = None,
    concurrency: Concurrency = 8,
    storage_hosts: StorageHosts = None,
    max_header: MaxHeader = 32 * 1024 * 1024,
    anonymous: Annotated[bool, typer.Option("--anonymous", help="Use no API key.")] = False,
    as_json: Json = False,
    api_url: ApiUrl = None,
    db: Db = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Read the headers of files that `sync --enqueue` put on the queue.

    Any number of workers, on any machines, share one PostgreSQL database, one rate and one
    budget of downloads. When the site refuses one of them, all wait, and then one tries first.

    It ends when nothing is left. While other workers have files it waits: if one of them dies,
    its files come back. Press Ctrl-C once to finish the files in progress and give the others
    back, twice to stop at once.
    """
    from crawler.cli.run_sync import Job, Kind, sync_into
    from crawler.model import ListQuery, Order
    from crawler.sync.state import Plan
    from crawler.sync.walk import Walk

    voice = voice_of(ctx, quiet=quiet, verbose=verbose)
    key = None if anonymous else told_api_key(voice)
    job = Job(
        kind=Kind.WORKER,
        # Its files come from the queue, not from a walk.
        plan=Plan(
            walk=Walk(ask=ListQuery(order=Order.OLDEST)),
            has_api_key=key is not None,
            concurrency=concurrency,
        ),
        where=place(db),
        api_url=api_url or DEFAULT_API_URL,
        key=key,
        tells_terms=key is None,
        rate=rate,
        storage_hosts=tuple(storage_hosts or ()),
        max_header=max_header,
        as_json=as_json,
        voice=voice,
    )
    raise typer.Exit(sync_into(job))
