"""Parse the words of a query into a checked tree.

Parser is a recursive-descent parser with a method for each rule of the grammar, the loosest operator
first: or, and, not, comparison, sum, product, sign. It looks up the fields; `types` checks and builds
each node. `parse` decides which words are conditions of their own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from crawler.errors import QueryError
from crawler.query import shorthand, types
from crawler.query.caret import WIDTH
from crawler.query.fields import TAGS, Field, Kind, clipped, named, unknown
from crawler.query.lexer import Mark, Token, TokenStream, is_sign, tokens
from crawler.query.near import nearest, offer
from crawler.query.tree import And, Node, Or, walk
from crawler.query.types import MAX_DEPTH, Part, column, constant, joined, mistake, number

#: As written -> as the tree spells it.
COMPARISONS = {sign: sign for sign in ("=", "!=", "<", "<=", ">", ">=")} | {"==": "=", "<>": "!="}
SIGNS = ("+", "-")

#: How SQL statements begin.
_STATEMENTS = frozenset({"select", "with", "insert", "update", "delete", "drop", "where"})

#: What may follow a complete condition, in words.
_AFTER = "and, or, or the end"
_COMPARING = frozenset({*COMPARISONS, "is", "in", "like", "between", "not"})

#: A name after one of these may be a text whose quotes the shell removed.
_BEFORE_VALUES = frozenset({*COMPARISONS, "like", "(", ","})


class Parser(TokenStream):
    """Parses one text."""

    def __init__(self, text: str, fields: Mapping[str, Field]) -> None:
        self._fields = {**fields, TAGS.name: TAGS}
        super().__init__(text)
        self._depth = 0

    def parse(self) -> Part:
        """The condition of the whole text.

        Raises:
            QueryError: The text is not a condition; the error has a place but not the text.
        """
        result = types.condition(self._disjunction())
        if self.next.mark is not Mark.END:
            hint = "comparisons cannot be chained; write e.g. x between 1 and 3"
            raise self.unexpected(_AFTER, hint if self.sees(*_COMPARING) else "")
        return result

    def _deeper(self, rule: Callable[[], Part]) -> Part:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise mistake(self.next, f"this is nested deeper than {MAX_DEPTH} levels")
        result = rule()
        self._depth -= 1
        return result

    def _disjunction(self) -> Part:
        return self._chain("or", self._conjunction, Or)

    def _conjunction(self) -> Part:
        return self._chain("and", self._negation, And)

    def _chain(self, word: str, rule: Callable[[], Part], kind: type[And] | type[Or]) -> Part:
        parts = [rule()]
        while self.accept(word):
            parts.append(rule())
        if len(parts) == 1:
            return parts[0]
        parts = [types.condition(part) for part in parts]
        return joined(kind(tuple(part.node for part in parts)), parts)

    def _negation(self) -> Part:
        if sign := self.accept("not"):
            return types.negation(self._deeper(self._negation), sign.start)
        return self._predicate()

    def _predicate(self) -> Part:
        left = self._sum()
        if self.accept("is"):
            negated = self.accept("not")
            if not self.sees("null", "true", "false"):
                raise self.unexpected("null, true or false")
            word = self.take()
            value = None if word.text == "null" else word.text == "true"
            result = types.is_(left, value, word.end)
            return types.negation(result, left.start) if negated else result
        if self.sees(*COMPARISONS):
            operator = COMPARISONS[self.take().text]
            return types.comparison(operator, left, self._value_after(operator))
        negated = self.accept("not")
        if self.accept("in"):
            result = types.membership(left, *self._arguments())
        elif self.accept("like"):
            result = types.like(left, self._factor())
        elif self.accept("between"):
            low = self._sum()
            self.expect("and")
            result = types.between(left, low, self._sum())
        elif negated:
            raise self.unexpected("in, like or between")
        else:
            return left
        return types.negation(result, left.start) if negated else result

    def _value_after(self, operator: str) -> Part:
        if self.next.mark is Mark.END:
            raise self.unexpected(f"a value after {operator}")
        return self._sum()

    def _sum(self) -> Part:
        return self._operations(SIGNS, self._product)

    def _product(self) -> Part:
        return self._operations(("*", "/", "%"), self._factor)

    def _operations(self, operators: tuple[str, ...], rule: Callable[[], Part]) -> Part:
        result = rule()
        while sign := self.accept(*operators):
            result = types.arithmetic(sign.text, result, rule(), self.text)
        return result

    def _factor(self) -> Part:
        if sign := self.accept(*SIGNS):
            if self.next.mark is Mark.NUMBER:
                # The smallest integer has no positive counterpart, so the sign belongs to it.
                digits = self.take()
                minus = sign.text.replace("+", "")
                return number(minus + digits.text, sign.start, digits.end)
            operand = self._deeper(self._factor)
            return types.signed(sign.text, operand, sign.start)
        return self._atom()

    def _atom(self) -> Part:
        token = self.take()
        match token.mark, token.text:
            case Mark.NUMBER, text:
                return number(text, token.start, token.end)
            case Mark.TEXT, text:
                return constant(text, Kind.TEXT, token.start, token.end)
            case Mark.KEYWORD, "true" | "false":
                return constant(token.text == "true", Kind.BOOLEAN, token.start, token.end)
            case Mark.SHORT, _:
                end = token.alternatives[0].start - 1
                field = self._field(token, end)
                subject = column(field, token.start, end)
                return shorthand.condition(field, subject, token.alternatives)
            case Mark.OPERATOR, "(":
                inner = self._deeper(self._disjunction)
                return replace(inner, start=token.start, end=self.expect(")").end)
            case Mark.NAME, _:
                return self._call(token) if self.sees("(") else self._column(token)
            case Mark.KEYWORD, "null":
                raise mistake(token, "nothing is equal to null", "write x is null or x is not null")
        raise self.unexpected("a field or a value", token=token)

    def _column(self, token: Token) -> Part:
        field = self._field(token, token.end)
        if field == TAGS:
            hint = "write has(tags, '1girl') or tags:1girl"
            raise mistake(token, "tags is not a column", hint)
        return column(field, token.start, token.end)

    def _field(self, token: Token, end: int) -> Field:
        if field := named(token.text, self._fields):
            return field
        if token.text in _STATEMENTS:
            hint = "give only what follows WHERE; `lora-crawl sql` runs statements"
            raise QueryError(
                "this is a statement, not a condition", start=token.start, end=end, hint=hint
            )
        written = self.text[token.start : end]
        error = unknown(written, self._fields, token.start, end)
        if self.before_last in _BEFORE_VALUES:
            error.hint += (
                f"; for a text write '{clipped(written)}', and double quotes around the whole "
                "condition"
            )
        elif written == self.text.strip():
            error.hint += "; a condition has a field and a value, e.g. base_model:Pony"
        raise error

    def _call(self, name: Token) -> Part:
        if name.text == "has":
            return self._has(name)
        if name.text not in types.FUNCTIONS:
            known = (*types.FUNCTIONS, "has")
            near = nearest(name.text, known)
            hint = offer(near) or f"the functions are {', '.join(known)}"
            raise mistake(name, f"there is no function named {clipped(name.text)}", hint)
        arguments, end = self._arguments()
        return types.call(name.text, arguments, name.start, end)

    def _has(self, name: Token) -> Part:
        self.expect("(")
        if self.next.mark is not Mark.NAME:
            raise self.unexpected("the name of a list")
        token = self.take()
        field = self._field(token, token.end)
        self.expect(",")
        member = self._factor()
        end = self.expect(")").end
        subject = column(field, token.start, token.end)
        return replace(types.has(field, subject, member, end), start=name.start)

    def _arguments(self) -> tuple[list[Part], int]:
        """Values in brackets, at least one, and the index after the closing bracket."""
        self.expect("(")
        values = [self._deeper(self._sum)]
        while self.accept(","):
            values.append(self._deeper(self._sum))
        return values, self.expect(")").end


#: Longest text of all words together, in characters. Its UTF-8 is shorter than the 50,000 bytes that
#: SQLite allows for the pattern of a LIKE.
MAX_LENGTH = 12_000

#: Most conditions in one query; each alternative of a short condition counts. SQLite nests a chain of
#: `or` as deep as it is long, and allows 1,000 levels.
MAX_CONDITIONS = 500

#: Tokens between two operands: a word that begins or ends with one is a fragment of a condition.
_JOINTS = frozenset({*COMPARISONS, "*", "/", "%", ",", "and", "or", "in", "like", "between", "is"})


def parse(words: Sequence[str], fields: Mapping[str, Field]) -> Node | None:
    """The condition that all words form together; None without words.

    Each word is a condition of its own, and all must hold. If a word is only a fragment of one, as in
    `network_dim '>' 64`, the shell has split a condition at its blanks: then all words are parsed as
    one text.

    Raises:
        QueryError: A word is not a condition; the error has the text and the place in it.
    """
    words = [word for word in words if word.strip()]
    whole = " ".join(words)
    if len(whole) > MAX_LENGTH:
        raise QueryError(
            f"the condition has {len(whole):,} characters; {MAX_LENGTH:,} are allowed",
            # Only as much as is drawn, so that a text of any length is refused at once.
            text=whole[: MAX_LENGTH + WIDTH],
            start=MAX_LENGTH,
            end=len(whole),
            hint="put a long list of values into a table and use SQL",
        )
    if len(words) > 1 and any(_is_fragment(word) for word in words):
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
        hint = "test for one of many values with `in`: network_dim in (16, 32, 64)"
        message = f"there are more than {MAX_CONDITIONS} conditions"
        raise QueryError(message, text=whole, start=0, end=len(whole), hint=hint)
    return tree


def _conditions(tree: Node) -> int:
    return sum(len(node.parts) for node in walk(tree) if isinstance(node, And | Or))


def _is_fragment(word: str) -> bool:
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
