"""From the words of a query to a checked tree."""

from collections.abc import Mapping, Sequence

from crawler.errors import QueryError
from crawler.query.caret import WIDTH, caret
from crawler.query.fields import Field
from crawler.query.grammar import COMPARISONS, SIGNS, Parser
from crawler.query.lexer import Mark, tokens
from crawler.query.token_stream import is_sign
from crawler.query.tree import And, Node, Or, walk

__all__ = ["MAX_CONDITIONS", "MAX_LENGTH", "caret", "parse"]

#: Longest text of all words together, in characters. As UTF-8 it stays under the 50,000 bytes that
#: SQLite allows for the pattern of a LIKE.
MAX_LENGTH = 12_000

#: Most conditions in one query, counting each alternative of the short spelling. SQLite nests a
#: chain of `or` as deep as it is long, and allows 1,000 levels.
MAX_CONDITIONS = 500

#: Tokens that join two sides: a word that begins or ends with one is a piece of a condition.
_JOINTS = frozenset({*COMPARISONS, "*", "/", "%", ",", "and", "or", "in", "like", "between", "is"})


def parse(words: Sequence[str], fields: Mapping[str, Field]) -> Node | None:
    """The condition that all words together state; None when there is no word.

    Each word is a condition of its own, and all must hold. Only where a word is plainly a piece of
    one, because the shell has cut `network_dim '>' 64` at its blanks, are all words read as one
    text.

    Raises:
        QueryError: With the text it is about and the place in it.
    """
    words = [word for word in words if word.strip()]
    whole = " ".join(words)
    if len(whole) > MAX_LENGTH:
        raise QueryError(
            f"the condition has {len(whole):,} characters; {MAX_LENGTH:,} are allowed",
            # As much of it as is drawn: a text of any length is refused at once.
            text=whole[: MAX_LENGTH + WIDTH],
            start=MAX_LENGTH,
            end=len(whole),
            hint="a long list of values is better put into a table and asked for with SQL",
        )
    if len(words) > 1 and any(_is_piece(word) for word in words):
        words = [whole]
    parts = []
    for word in words:
        try:
            parts.append(Parser(word, fields).parse())
        except QueryError as error:
            error.text = word
            raise
    nodes = tuple(part.node for part in parts)
    tree = And(nodes) if len(nodes) > 1 else next(iter(nodes), None)
    if tree and _conditions(tree) > MAX_CONDITIONS:
        hint = "ask for one of many values with `in`: network_dim in (16, 32, 64)"
        message = f"there are more than {MAX_CONDITIONS} conditions"
        raise QueryError(message, text=whole, start=0, end=len(whole), hint=hint)
    return tree


def _conditions(tree: Node) -> int:
    return sum(len(node.parts) for node in walk(tree) if isinstance(node, And | Or))


def _is_piece(word: str) -> bool:
    try:
        found = tokens(word)[:-1]
    except QueryError:
        return False
    first, last = found[0], found[-1]
    alone = len(found) == 1 and first.mark in (Mark.NUMBER, Mark.TEXT)
    opened = sum((token.text == "(") - (token.text == ")") for token in found if is_sign(token))
    return (
        alone
        or opened != 0
        or (is_sign(first) and first.text in _JOINTS)
        or (is_sign(last) and last.text in {*_JOINTS, *SIGNS, "not"})
    )
