"""The API: the same answers as JSON."""

from http import HTTPStatus
from typing import Any

from crawler.answers.asked import without_copies
from crawler.answers.conditions import tree_of
from crawler.answers.fields import COLUMNS, field_list
from crawler.answers.lora import as_data
from crawler.answers.stats import asked_stats, statistics
from crawler.answers.suggest import as_data as suggested
from crawler.errors import LoraCrawlError, QueryError, SlowError, UsageError
from crawler.query.caret import caret
from crawler.query.fields import Kind, named
from crawler.store.read.columns import frequent_values
from crawler.store.read.limited import in_time
from crawler.store.read.pages import page as page_of
from crawler.store.schema.fields import BY_NAME
from crawler.web import browse, openapi
from crawler.web.limits import COMPLETION_SECONDS, MAX_CHARACTERS, MAX_FIELDS, MAX_ROWS, MOST_VALUES
from crawler.web.page import Asked, Data, Page
from crawler.web.suggest import asked_for


def loras(asked: Asked) -> Data:
    """Rows that match a condition, a page at a time."""
    view = browse.view_of(asked)
    question = browse.question_of(asked, view, view.limit)
    counts = browse.counts_of(asked, question)
    matches = None if counts is None else counts.total
    found = page_of(
        asked.connection,
        question.search,
        after=view.after,
        matches=matches,
        characters=MAX_CHARACTERS,
    )
    return Data(
        {
            "total": matches,
            "items": [dict(zip(found.columns, row[1:], strict=True)) for row in found.rows],
            "next": found.after or None,
        }
    )


def lora(asked: Asked) -> Data:
    """One LoRA, as `show` has it."""
    return Data(as_data(asked.lora()))


def stats(asked: Asked) -> Data:
    """Counts, quartiles and histograms of fields, as `stats` has them."""
    fields = [name for text in asked.texts("field") for name in text.split(",")]
    most = asked.whole("limit", 20, least=1, most=MAX_ROWS)
    wanted = asked_stats(fields, asked.text("by") or None, most=most)
    if len(wanted.fields) > MAX_FIELDS:
        raise UsageError(f"{len(wanted.fields)} fields are given; {MAX_FIELDS} are allowed")
    tree, _ = without_copies(
        asked.connection,
        tree_of(asked.condition("where")),
        copies=asked.text("copies") == "yes",
    )
    found = statistics(asked.connection, wanted, tree)
    return Data([dict(zip(found.columns, row, strict=True)) for row in found.rows()])


def suggest(asked: Asked) -> Data:
    """Settings to start with, as `suggest` has them."""
    return Data(suggested(asked_for(asked)))


def fields(asked: Asked) -> Data:
    """The fields that a condition can use."""
    found = field_list(asked.connection, asked.text("word"))
    return Data([dict(zip(COLUMNS, row, strict=True)) for row in found.rows()])


def values(asked: Asked) -> Data:
    """The most frequent values of a text field that begin so; none if that takes too long."""
    name, begin = asked.text("field"), asked.text("begin")
    field = named(name, BY_NAME)
    if field is None or field.kind is not Kind.TEXT:
        return Data([])

    def find() -> list[str]:
        with in_time(asked.connection, COMPLETION_SECONDS):
            return frequent_values(asked.connection, field.name, begin, MOST_VALUES)

    try:
        return Data(asked.kept.get(asked.connection, ("values", field.name, begin), find))
    except SlowError:
        return Data([])


def description(_asked: Asked) -> Data:
    """What the API can be asked, for programs."""
    return Data(openapi.description())


def problem(status: HTTPStatus, error: LoraCrawlError) -> Data:
    """An error as RFC 9457 has it, with the place in a condition, if it has one."""
    value: dict[str, Any] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": str(error),
    }
    if isinstance(error, QueryError):
        value |= {"text": error.text, "start": error.start, "end": error.end}
        value |= {"hint": error.hint or None, "caret": caret(error) or None}
    return Data(value, status, "application/problem+json")


#: The addresses of the API.
PAGES: tuple[tuple[str, Page], ...] = (
    ("/api/v1/loras", loras),
    ("/api/v1/loras/{file_id}", lora),
    ("/api/v1/stats", stats),
    ("/api/v1/suggest", suggest),
    ("/api/v1/fields", fields),
    ("/api/v1/values", values),
    ("/api/v1/openapi.json", description),
)
