"""List for a fleet: what `sync` would fetch goes on the queue."""

from collections.abc import Sequence
from dataclasses import replace

import anyio

from crawler.fleet.queue import batches, queue_of
from crawler.fleet.turns import OpenSite, SharedTurns
from crawler.store.connect.database import Connection, Engine, open_as_found
from crawler.store.write.fleet import begin_budget, share
from crawler.store.write.pending import pending_files
from crawler.sync.progress import SyncTally
from crawler.sync.run import crawl
from crawler.sync.state import Plan, WriterThread


async def enqueue(
    open_site: OpenSite,
    engine: Engine,
    plan: Plan,
    *,
    rate: float | None,
    tally: SyncTally,
    stop: anyio.Event,
) -> None:
    """List as `crawl` does, and put the pending files of the walk on the queue, each once.

    Those that were pending before come first.

    Args:
        open_site: Opens the site.
        engine: Open for writing, on PostgreSQL, with a `fleet_lock` that lists.
        plan: What to list. Its budget is that of all workers together.
        rate: Requests a second of all together from now on; None keeps what is stored.
        tally: Grows during the run; its `enqueued` too.
        stop: Once set, no further page is listed.

    Raises:
        StoppedError, UsageError: As in `crawl`.
    """
    writer, shared_engine = WriterThread(engine), open_as_found(engine.url)
    shared_writer = WriterThread(shared_engine)

    def settle(connection: Connection) -> None:
        share(connection, rate=rate)
        begin_budget(connection, plan.max_downloads)

    try:
        async with queue_of(engine.url) as queue:
            await shared_writer.run(settle)
            queued = await queue.file_ids()
            tally.enqueued = 0

            async def put(model_ids: Sequence[int] | None) -> None:
                def find(connection: Connection) -> list[list[int]]:
                    found = pending_files(connection, walk=plan.walk.key, model_ids=model_ids)
                    return [*batches(one for one in found if one[0] not in queued)]

                new = await writer.run(find)
                await queue.put(new)
                for batch in new:
                    queued.update(batch)
                tally.enqueued = (tally.enqueued or 0) + sum(map(len, new))

            async with open_site(SharedTurns(shared_writer, None)) as site:
                listing = replace(plan, fetch_headers=False)
                await crawl(site, writer, listing, tally=tally, stop=stop, listed=put)
    finally:
        shared_engine.dispose()
