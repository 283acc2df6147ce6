"""What one sync is to do."""

from dataclasses import dataclass

from crawler.sync.walk import Walk


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one sync is to do.

    Attributes:
        origin: What the database remembers as its API; None means the source's own.
        has_api_key: An API key is sent, so that a wanted login is the file's own business.
        fetch_headers: Otherwise the walk only lists.
        refresh: The walk begins a new pass, in which everything known is met again.
        retry_failed: Files that ended `failed` or `not_found` are pending again.
        max_downloads: Counted downloads that this run may cost; None means as many as it takes.
        concurrency: Files fetched at the same time.
    """

    walk: Walk
    site: str = "civitai"
    origin: str | None = None
    has_api_key: bool = False
    fetch_headers: bool = True
    refresh: bool = False
    retry_failed: bool = False
    max_downloads: int | None = None
    concurrency: int = 8
