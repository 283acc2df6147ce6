"""Conditions as a person edits them: one text with several conditions, to which a click adds one."""

import re
from collections.abc import Iterator, Sequence

from crawler.errors import QueryError
from crawler.query.fields import Kind, spelled
from crawler.query.parser import parse
from crawler.query.tree import And, Node
from crawler.store.schema.fields import BY_NAME

#: A word as a shell reads it: it ends at a blank outside of quotes.
_WORD = re.compile(r"""(?:'(?:[^']|'')*'|"(?:[^"]|"")*"|[^\s'"]|['"])+""")

#: The time of day in a tree. That of a relative time differs from parse to parse.
_TIME_OF_DAY = re.compile(r"(datetime\.datetime\([0-9]+, [0-9]+, [0-9]+)[^)]*")

_AND_BEFORE = re.compile(r"\s+and$", re.IGNORECASE)
_AND_AFTER = re.compile(r"^and\s+", re.IGNORECASE)

#: Any condition of one part.
_ANOTHER = "file_id = 0"

#: Most words that are tried as conditions side by side, and most words of one that is looked for in
#: another spelling.
_MOST_WORDS, _FEW_WORDS = 30, 5

#: A word that no shell changes, and what double quotes do not keep from a shell.
_PLAIN_WORD, _SPECIAL = re.compile(r"[\w./:=,+-]+", re.ASCII), re.compile(r'["$`\\!]')


def arguments(text: str) -> list[str]:
    """The words that `query` takes for a text: one condition, or several that stand side by side.

    Raises:
        QueryError: The text is no condition.
    """
    if not text.strip():
        return []
    if _is_condition(text):
        return [text]
    words = list(_WORD.finditer(text))
    if len(words) > _MOST_WORDS:
        raise _error(text, 0)
    found: list[str] = []
    at = 0
    while at < len(words):
        start = words[at].start()
        ends = ((number, words[number - 1].end()) for number in range(len(words), at, -1))
        # The longest one, since a condition has several words too.
        fits = ((number, text[start:end]) for number, end in ends if _is_condition(text[start:end]))
        number, piece = next(fits, (at, ""))
        if number == at:
            # Of two readings the one that comes further is meant.
            raise max(_error(text, start), _error(text, 0), key=lambda error: error.start or 0)
        found.append(piece)
        at = number
    return found


def _is_condition(text: str) -> bool:
    try:
        parse([text], BY_NAME)
    except QueryError:
        return False
    return True


def _error(text: str, start: int) -> QueryError:
    """What is wrong with a text from this place on."""
    try:
        parse([text[start:]], BY_NAME)
    except QueryError as error:
        error.text = text
        error.start = None if error.start is None else error.start + start
        error.end = None if error.end is None else error.end + start
        return error
    raise AssertionError(text)


def tree_of(text: str) -> Node | None:
    """The condition that a text states; None for an empty one.

    Raises:
        QueryError: The text is no condition.
    """
    return parse(arguments(text), BY_NAME)


def equal_to(name: str, value: str | int | None) -> str:
    """The condition that a field has exactly this value, of a time a month like `2025-01`."""
    if value is None:
        return f"{spelled(name)} is null"
    if BY_NAME[name].kind is Kind.TIME:
        return f"{name}:{value}"
    if isinstance(value, int):
        return f"{name} = {value}"
    quoted = value.replace("'", "''")
    return f"{name} = '{quoted}'"


def before_another(text: str) -> str:
    """What a text becomes in front of one more condition.

    Raises:
        QueryError: The text is no condition.
    """
    text = text.strip()
    if not text:
        return ""
    wanted = parts(tree_of(text)) | parts(tree_of(_ANOTHER))
    ways = [*_beginnings(text)]
    return next((one for one in ways if _states(one + _ANOTHER, wanted)), ways[-1])


def without_condition(text: str, condition: str) -> str | None:
    """The text without one of its conditions, which are joined by and; None if it cannot be cut out.

    Raises:
        QueryError: One of them is no condition.
    """
    wanted = parts(tree_of(text)) - parts(tree_of(condition))
    return next((one for one in _cut(text.strip(), condition) if _states(one, wanted)), None)


def parts(tree: Node | None) -> frozenset[str]:
    """The conditions that must all hold, in a form to compare."""
    if tree is None:
        return frozenset()
    if isinstance(tree, And):
        return frozenset[str]().union(*map(parts, tree.parts))
    return frozenset({_TIME_OF_DAY.sub(r"\1", repr(tree))})


def command_line(words: Sequence[str]) -> str:
    """Words as a line for a POSIX shell."""
    return " ".join(map(_shell_word, words))


def _shell_word(word: str) -> str:
    if _PLAIN_WORD.fullmatch(word):
        return word
    if not _SPECIAL.search(word):
        return f'"{word}"'
    quoted = word.replace("'", "'\"'\"'")
    return f"'{quoted}'"


def _states(text: str, wanted: frozenset[str]) -> bool:
    try:
        return parts(tree_of(text)) == wanted
    except QueryError:
        return False


def _beginnings(text: str) -> Iterator[str]:
    yield f"{text} and "
    pieces = arguments(text)
    yield " and ".join([*pieces, ""])
    yield " and ".join([*(f"({piece})" for piece in pieces), ""])


def _cut(text: str, condition: str) -> Iterator[str]:
    """The text without each of its parts that states the condition."""
    for start, end in _places(text, condition):
        before, after = text[:start].rstrip(), text[end:].lstrip()
        begun = _AND_BEFORE.sub("", before)
        if begun.startswith("(") and begun.endswith(")"):
            yield f"{begun[1:-1]} {after}".strip()
        yield f"{begun} {after}".strip()
        rest = _AND_AFTER.sub("", after)
        yield f"{before} {rest}".strip()


def _places(text: str, condition: str) -> Iterator[tuple[int, int]]:
    """The places of a condition in a text, as it is or in another spelling."""
    at = text.find(condition)
    while at >= 0:
        yield at, at + len(condition)
        at = text.find(condition, at + 1)
    wanted = parts(tree_of(condition))
    words = list(_WORD.finditer(text))
    for number, first in enumerate(words):
        for last in words[number : number + _FEW_WORDS]:
            if _states(text[first.start() : last.end()], wanted):
                yield first.start(), last.end()
