"""A site with the cursors of Civitai, whose list may break."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from crawler.errors import CursorError, ReplyError
from crawler.model import Fetched, ListQuery, Model, Order, Page, Target
from crawler.sources.base import PAGE_MODELS
from tests.factories import make_model, make_version

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


@dataclass
class Dated:
    """A catalogue in two orders. A cursor of `oldest` is a time and an id, or a word.

    Attributes:
        times: The time of each model's last version, None for none, by id.
        broken: A page with one of these models fails.
        opaque: Cursors of `oldest` are words.
        exact: `oldest` goes on at the model of the cursor, not at its time.
    """

    times: dict[int, datetime | None]
    broken: Collection[int] = ()
    opaque: bool = False
    exact: bool = False
    base_names: Sequence[str] = ()
    tag_names: Sequence[str] = ()
    origin: str = "http://dated.invalid"
    asked: list[tuple[Order, str | None, int]] = field(default_factory=list)

    async def page(self, ask: ListQuery, cursor: str | None, *, limit: int = PAGE_MODELS) -> Page:
        self.asked.append((ask.order, cursor, limit))
        assert len(self.asked) < 500
        oldest = ask.order is Order.OLDEST
        found = sorted(self.times, key=self._key if oldest else lambda one: (0, one))
        if cursor is not None:
            found = found[self._place(found, ask.order, cursor) :]
        shown, left = found[:limit], found[limit : limit + 1]
        if set(shown) & set(self.broken):
            raise ReplyError(self.origin, "answers 500: no file")
        models = tuple(self.model_at(one) for one in shown)
        following = self._cursor(left[0], ask.order) if left else None
        return Page(models=models, next_cursor=following)

    def model_at(self, number: int) -> Model:
        version = make_version(number, published_at=self.times[number])
        return make_model(number, versions=(version,))

    def _key(self, number: int) -> tuple[bool, datetime, int]:
        when = self.times[number]
        return when is None, when or START, number

    def _cursor(self, number: int, order: Order) -> str:
        if order is not Order.OLDEST:
            return f"7|0|{number}"
        when = self.times[number]
        if self.opaque:
            return f"word{number}"
        # As PostgreSQL writes it, without zeros at the end.
        text = "" if when is None else when.strftime("%Y-%m-%d %H:%M:%S.%f").rstrip("0").rstrip(".")
        return f"{text}|{number}"

    def _place(self, found: Sequence[int], order: Order, cursor: str) -> int:
        if self.opaque and order is Order.OLDEST:
            return found.index(int(cursor.removeprefix("word")))
        text, _, number = cursor.rpartition("|")
        if order is not Order.OLDEST:
            first = int(number)
            return next((i for i, one in enumerate(found) if one >= first), len(found))
        if not text:
            raise CursorError(self.origin, 'Invalid cursor: unparseable date value ""')
        when = datetime.fromisoformat(text).replace(tzinfo=UTC)
        wanted = (False, when, int(number) if self.exact else 0)
        return next((i for i, one in enumerate(found) if self._key(one) >= wanted), len(found))

    def hurry(self) -> None:
        raise AssertionError

    async def models_by_id(self, model_ids: Sequence[int]) -> tuple[Model, ...]:
        raise AssertionError(model_ids)

    async def model(self, model_id: int) -> Model | None:
        raise AssertionError(model_id)

    async def base_models(self) -> tuple[str, ...]:
        return tuple(self.base_names)

    async def tags(self, text: str) -> tuple[str, ...]:
        return tuple(one for one in self.tag_names if text.lower() in one.lower())

    async def fetch(self, target: Target, *, renew: Callable[[], bool]) -> Fetched:
        raise AssertionError((target, renew))


def every_minute(count: int) -> dict[int, datetime | None]:
    return {number: at(number) for number in range(1, count + 1)}
