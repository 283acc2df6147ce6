"""What a person asks, as a search: a condition, columns and an order as text."""

from crawler.query import fields
from crawler.query.parser import parse
from crawler.store.read.search import DEFAULT_COLUMNS, Search
from crawler.store.schema.fields import BY_NAME


def asked_by(
    expr: list[str] | None,
    *,
    columns: str | None,
    sort: str | None,
    limit: int,
    offset: int,
    count: bool,
    group_by: str | None,
) -> Search:
    """The search that the options of `query` describe.

    Raises:
        QueryError: The condition or a name is not known.
    """
    order = () if sort is None else fields.order(sort, BY_NAME)
    return Search(
        tree=parse(expr or [], BY_NAME),
        columns=_columns(None if group_by is not None else columns, order),
        sort=order,
        limit=limit,
        offset=offset,
        count=count,
        group_by=() if group_by is None else fields.grouping(group_by, BY_NAME),
        medians=() if None in (group_by, columns) else fields.measures(columns or "", BY_NAME),
    )


def _columns(text: str | None, order: tuple[tuple[str, bool], ...]) -> tuple[str, ...]:
    """The columns to show: by default those of the order too."""
    if text is None:
        return tuple(dict.fromkeys((*DEFAULT_COLUMNS, *(name for name, _ in order))))
    return tuple(BY_NAME) if text.strip() == "all" else fields.columns(text, BY_NAME)
