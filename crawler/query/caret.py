"""Mark the place of an error below the text of the query."""

from unicodedata import category, east_asian_width

from crawler.errors import LoraCrawlError, QueryError

#: Widest drawing, in columns: it fits a terminal of 80 with a margin.
WIDTH = 76

#: Characters shown before the place of the error when the text is too long.
_BEFORE = 24

_CUT = "…"


def caret(error: QueryError) -> str:
    """Two lines: the text of the query, cut to WIDTH columns, and carets under the place of the error.

    Empty when the error has no place. Characters that are invisible or would shift others are
    replaced.
    """
    if error.start is None or not error.text:
        return ""
    text = "".join(map(_visible, error.text))
    start = min(error.start, len(text))
    end = max(start, error.end or start)
    line = text
    if _width(text) > WIDTH:
        first = max(0, start - _BEFORE)
        line = (_CUT if first else "") + _fitting(text[first:], WIDTH - 2 * len(_CUT))
        line += "" if first + len(line) - 1 >= len(text) else _CUT
        start, end = (place - first + bool(first) for place in (start, end))
    blank = _width(line[:start])
    marked = max(1, _width(line[start:end]))
    return f"{line}\n{' ' * blank}{'^' * marked}"


def explained(error: LoraCrawlError) -> str:
    """The message of an error; for one of a query also its place and what to do instead."""
    if not isinstance(error, QueryError):
        return str(error)
    return "\n".join(filter(None, (str(error), caret(error), error.hint)))


def _visible(character: str) -> str:
    kind = category(character)
    if character.isspace():
        return " "
    return "�" if kind[0] == "C" or kind in ("Mn", "Me") else character


def _width(text: str) -> int:
    """Columns of a terminal; East Asian wide characters take two."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def _fitting(text: str, width: int) -> str:
    """The longest beginning that fits into `width` columns."""
    result = text[:width]
    while _width(result) > width:
        result = result[:-1]
    return result
