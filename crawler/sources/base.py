"""The interface of a site that can be crawled."""

from collections.abc import Callable
from typing import Protocol

from crawler.model import Fetched, ListQuery, Model, Page, Target


class Source(Protocol):
    """A catalogue, open between `async with`.

    Every method raises SiteError for a site-level error: the site cannot be reached, sends an invalid
    reply, or refuses us.
    """

    @property
    def origin(self) -> str:
        """The URL of the API, always spelled the same; the database stores it."""

    async def page(self, ask: ListQuery, cursor: str | None) -> Page:
        """The page at `cursor`, or the first one for None."""

    async def model(self, model_id: int) -> Model | None:
        """One model with all its versions; None when the site has no such model."""

    async def base_models(self) -> tuple[str, ...]:
        """The names of all base models of the site; empty when it does not give them."""

    async def fetch(self, target: Target, *, renew: Callable[[], bool]) -> Fetched:
        """The first bytes of one file, at least its whole header, for one counted download.

        `renew` is asked before an expired link is renewed for a second counted download; False makes
        the refusal `pending`.
        """
