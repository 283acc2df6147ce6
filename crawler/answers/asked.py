"""What a person asks, as a search: a condition, columns and an order as text."""

from crawler.errors import UsageError
from crawler.query import fields
from crawler.query.parser import parse
from crawler.query.tree import And, Node, names
from crawler.store.connect.database import Connection
from crawler.store.read.search import DEFAULT_COLUMNS, Search
from crawler.store.read.status import ORIGINALS, scanned_copies
from crawler.store.schema.fields import BY_NAME

#: A condition on one of these asks for copies, or leaves them out itself.
_TELLS_COPIES = frozenset({"site", "page_url", "file_id"})


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


def demand_storable(name: str, text: str) -> None:
    """Raise UsageError for a text that PostgreSQL cannot even be asked about."""
    if "\0" in text:
        raise UsageError(f"{name} cannot contain the character 0x0000")


def _columns(text: str | None, order: tuple[tuple[str, bool], ...]) -> tuple[str, ...]:
    """The columns to show: by default those of the order too."""
    if text is None:
        return tuple(dict.fromkeys((*DEFAULT_COLUMNS, *(name for name, _ in order))))
    return tuple(BY_NAME) if text.strip() == "all" else fields.columns(text, BY_NAME)


def without_copies(
    connection: Connection, tree: Node | None, *, copies: bool
) -> tuple[Node | None, int]:
    """A condition without scanned copies of crawled files, which would count twice.

    They are kept where `copies` asks for them, or a condition on the site, the page or the file id.

    Returns:
        The condition, and how many copies the database has that it leaves out.
    """
    asked = copies or (tree is not None and not _TELLS_COPIES.isdisjoint(names(tree)))
    if asked or not (number := scanned_copies(connection)):
        return tree, 0
    original = parse([ORIGINALS], BY_NAME)
    return (original if tree is None or original is None else And((tree, original))), number
