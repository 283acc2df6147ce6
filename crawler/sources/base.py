"""What a site must be able to do to be crawled."""

from collections.abc import Callable
from typing import Protocol

from crawler.model import Fetched, ListQuery, Model, Page, Target


class Source(Protocol):
    """A catalogue, opened and closed with `async with`.

    Every method raises SiteError when the site, as opposed to one file, is unreachable, answers
    nonsense or refuses us.
    """

    @property
    def origin(self) -> str:
        """The API this source reads, in one spelling; a database remembers it."""

    async def page(self, ask: ListQuery, cursor: str | None) -> Page:
        """The page at `cursor`, the first one for None."""

    async def model(self, model_id: int) -> Model | None:
        """One model with all its versions; None when the site has none of that id."""

    async def base_models(self) -> tuple[str, ...]:
        """Every base model that the site knows by name; empty when it does not tell."""

    async def fetch(self, target: Target, *, renew: Callable[[], bool]) -> Fetched:
        """The first bytes of one file, at least its whole header, for one counted download.

        Args:
            target: The file.
            renew: Asked before a second download is spent on a link that storage does not take any
                more. Where it says no, the refusal is `pending`.
        """
