"""What one sync does."""

from dataclasses import dataclass

from crawler.sync.walk import Walk


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one sync does.

    Attributes:
        origin: The API that the database stores; None means the source's own.
        has_api_key: A key is sent, so a wanted login is the file's own outcome.
        fetch_headers: Otherwise the walk only lists.
        refresh: List everything known again, in a new pass.
        retry_failed: Make files pending again that ended without being read.
        max_downloads: Counted downloads that this run may cost; None means no limit.
        concurrency: Files fetched at the same time.
    """

    walk: Walk
    origin: str | None = None
    has_api_key: bool = False
    fetch_headers: bool = True
    refresh: bool = False
    retry_failed: bool = False
    max_downloads: int | None = None
    concurrency: int = 8
