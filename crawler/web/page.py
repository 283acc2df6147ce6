"""What a page is: a function from what is asked to what is shown."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from crawler.answers.asked import demand_storable
from crawler.answers.lora import LoraView, stored_lora
from crawler.errors import QueryError, UsageError
from crawler.store.connect.database import Connection
from crawler.web.counting import Counting
from crawler.web.kept import Kept
from crawler.web.limits import MAX_EXPRESSION

_FILE_ID = re.compile("-?[0-9]{1,19}")


class NotFoundError(UsageError):
    """There is nothing at this address."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request.

    Attributes:
        connection: The database, to read from. Its statements have a time limit.
        request: Its path and parameters.
        kept: Answers that hold while the database does not change.
        counting: Counts rows and facets.
    """

    connection: Connection
    request: Request
    kept: Kept
    counting: Counting

    def text(self, name: str, default: str = "") -> str:
        """A parameter; the last one if it is given twice.

        Raises:
            UsageError: It cannot be in a database.
        """
        return next(reversed(self._values(name)), default)

    def texts(self, name: str) -> list[str]:
        """All values of a parameter, without empty ones.

        Raises:
            UsageError: One of them cannot be in a database.
        """
        return [text for text in self._values(name) if text]

    def _values(self, name: str) -> list[str]:
        found = self.request.query_params.getlist(name)
        for text in found:
            demand_storable(name, text)
        return found

    def whole(self, name: str, default: int, *, least: int, most: int) -> int:
        """A parameter as a whole number.

        Raises:
            UsageError: It is none, or not in this range.
        """
        text = self.text(name).strip()
        if not text:
            return default
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(text) < len(str(most)) + 2):
            raise UsageError(f"{name} takes a whole number from {least} to {most}")
        if not least <= int(text) <= most:
            raise UsageError(f"{name} is {text}; it takes {least} to {most}")
        return int(text)

    def lora(self, file_id: str | None = None) -> LoraView:
        """The stored file of this id, with what `show` compares it with.

        Args:
            file_id: As it was written; None for the one in the path of the address.

        Raises:
            NotFoundError: There is none.
        """
        text = str(self.request.path_params["file_id"]) if file_id is None else file_id
        if not _FILE_ID.fullmatch(text):
            raise NotFoundError(f"{text!r} is no file id")
        try:
            return stored_lora(self.connection, f"file:{text}")
        except UsageError as error:
            raise NotFoundError(str(error)) from error

    def condition(self, name: str = "q") -> str:
        """A parameter with a condition, as text.

        Raises:
            QueryError: It is too long.
        """
        text = str(self.request.query_params.get(name, "")).strip()
        if len(text) > MAX_EXPRESSION:
            raise QueryError(
                f"the condition has {len(text):,} characters; {MAX_EXPRESSION:,} are allowed",
                text=text[: 2 * MAX_EXPRESSION],
                start=MAX_EXPRESSION,
                end=len(text),
            )
        return text


@dataclass(frozen=True, slots=True)
class Html:
    """A page made from a template. Every template extends `base.html`.

    Attributes:
        template: A file in templates/.
        title: What it is about, for the title of the window.
        values: For the template.
    """

    template: str
    title: str
    values: Mapping[str, Any]
    status: int = 200


@dataclass(frozen=True, slots=True)
class Data:
    """A value that is sent as JSON."""

    value: object
    status: int = 200
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Download:
    """A text that a browser saves as a file."""

    name: str
    text: str
    media_type: str


Answer = Html | Data | Download

#: Raises UsageError for what cannot be answered, and QueryError with the place in a condition.
Page = Callable[[Asked], Answer]
