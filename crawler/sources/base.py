"""The interface of a site that can be crawled."""

from collections.abc import Callable, Sequence
from typing import Protocol

from crawler.model import Fetched, ListQuery, Model, Page, Target

#: Models on one page, the most that a site gives.
PAGE_MODELS = 100


class Pages(Protocol):
    """The lists of a catalogue; errors are those of `Source`."""

    async def page(self, ask: ListQuery, cursor: str | None, *, limit: int = PAGE_MODELS) -> Page:
        """The first `limit` models at `cursor`, or of the list for None.

        Raises ReplyError if the site fails to give them, though it may give others.
        """


class Source(Pages, Protocol):
    """A catalogue, open between `async with`.

    Every method raises SiteError for a site-level error: the site cannot be reached, sends an invalid
    reply, or refuses us.
    """

    @property
    def origin(self) -> str:
        """The URL of the API, always spelled the same; the database stores it."""

    def hurry(self) -> None:
        """The run is stopping: end every wait at once, and what is in flight in some seconds."""

    async def models_by_id(self, model_ids: Sequence[int]) -> tuple[Model, ...]:
        """Those of at most PAGE_MODELS models that the site lists, in any order."""

    async def model(self, model_id: int) -> Model | None:
        """One model with all its versions; None when the site has no such model."""

    async def base_models(self) -> tuple[str, ...]:
        """The names of all base models of the site; empty when it does not give them."""

    async def tags(self, text: str) -> tuple[str, ...]:
        """Names of tags that contain a text; empty when the site does not give them."""

    async def fetch(self, target: Target, *, renew: Callable[[], bool]) -> Fetched:
        """The first bytes of one file, at least its whole header, for one counted download.

        `renew` is asked before an expired link is renewed for a second counted download; False makes
        the refusal `pending`.
        """
