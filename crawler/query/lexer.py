"""Split the text of a condition into tokens, each with its place in the text.

A token is a number, a quoted text, a name, a keyword, an operator, or a whole short condition such as
`optimizer:Lion,Prodigy`. TokenStream is the base of the parser: it steps through the tokens and builds the
errors about an unexpected one.
"""

import re
from dataclasses import dataclass
from enum import Enum

from crawler.errors import QueryError
from crawler.query.dates import is_length
from crawler.query.fields import clipped

#: Words of the language; no field may have one of these names.
KEYWORDS = frozenset({"and", "or", "not", "in", "like", "between", "is", "null", "true", "false"})


class Mark(Enum):
    """The kinds of tokens.

    SHORT is a whole short condition, WORD an unquoted value in it, END the end of the text.
    """

    NUMBER, TEXT, NAME, KEYWORD, OPERATOR, SHORT, WORD, END = range(8)


@dataclass(frozen=True, slots=True)
class Token:
    """The smallest unit of a condition.

    Attributes:
        text: A name or keyword in lower case and its key as written, a text without its quotes, the
            field of a short condition; anything else as written.
        start: Index of its first character.
        end: Index after its last character.
        alternatives: Of a short condition, `Lion` and `Prodigy` in `optimizer:Lion,Prodigy`: a TEXT
            where it is quoted, else a WORD.
    """

    mark: Mark
    text: str
    start: int
    end: int
    alternatives: tuple["Token", ...] = ()


_BLANK = re.compile(r"[ \t\r\n\f\v]+")
#: A name, and the key of an object after a dot; a key with other characters stands in quotes.
_NAME = re.compile(
    r"([A-Za-z_][A-Za-z0-9_]*)(?:\.(?:([A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*)|'((?:[^']|'')+)'))?"
)
_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_TEXT = re.compile(r"'(?:[^']|'')*'")
_OPERATOR = re.compile(r"<=|>=|<>|!=|==|[=<>+\-*/%(),]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

#: Unsupported syntax of other languages: how it begins, the message and the hint.
_FOREIGN: tuple[tuple[str, str, str], ...] = (
    ("--", "comments are not part of a condition", "write - (-x) for a double minus"),
    ("/*", "comments are not part of a condition", ""),
    (";", "this is more than one condition", "leave the ; out; `lora-crawl sql` runs statements"),
    ("||", "joining texts is not supported", "use `or` for a choice"),
    ("&&", "write `and` instead", ""),
    (":", "a colon must follow the name of a field", "write network_dim:64, without spaces"),
    (".", "a dot must follow the name of a field", "write a key like optimizer_args.weight_decay"),
    ("`", "names are written without quotes", ""),
    ("[", "names are written without brackets", ""),
    ("“", "this is not a straight quote", "put text in single quotes: 'Prodigy'"),
    ("”", "this is not a straight quote", "put text in single quotes: 'Prodigy'"),
    ("‘", "this is not a straight quote", "put text in single quotes: 'Prodigy'"),  # noqa: RUF001 - the character itself
    ("’", "this is not a straight quote", "put text in single quotes: 'Prodigy'"),  # noqa: RUF001 - the character itself
)


def tokens(text: str) -> tuple[Token, ...]:
    """The tokens of `text`, and an END.

    Raises:
        QueryError: Some of the text is not a token.
    """
    if found := _UNSTORABLE.search(text):
        message = f"a condition cannot contain the character {ord(found[0]):#06x}"
        raise QueryError(message, start=found.start(), end=found.end())
    result = []
    at = 0
    while True:
        if blank := _BLANK.match(text, at):
            at = blank.end()
        if at == len(text):
            result.append(Token(Mark.END, "", at, at))
            return tuple(result)
        token = _token(text, at)
        result.append(token)
        at = token.end


def _token(text: str, at: int) -> Token:
    for start, message, hint in _FOREIGN:
        if text.startswith(start, at) and not _NUMBER.match(text, at):
            raise QueryError(message, start=at, end=at + len(start), hint=hint)
    if found := _NAME.match(text, at):
        name = found[1].lower()
        if key := found[2] or (found[3] or "").replace("''", "'"):
            name += f".{key}"
        if text.startswith(":", found.end()) and name not in KEYWORDS:
            found_after = _alternatives(text, found.end() + 1)
            return Token(Mark.SHORT, name, at, found_after[-1].end, found_after)
        return Token(Mark.KEYWORD if name in KEYWORDS else Mark.NAME, name, at, found.end())
    if found := _NUMBER.match(text, at):
        if rest := re.compile(r"[A-Za-z0-9_.]+").match(text, found.end()):
            whole = found[0] + rest[0]
            # The minus of a time that counts back from now is a token of its own.
            sign = "-" if text[:at].endswith("-") else ""
            told = f"put a length of time in single quotes: '{sign}{whole}'"
            hint = told if is_length(whole) else ""
            raise QueryError("this is not a number", start=at, end=rest.end(), hint=hint)
        return Token(Mark.NUMBER, found[0], at, found.end())
    if found := _TEXT.match(text, at):
        return Token(Mark.TEXT, found[0][1:-1].replace("''", "'"), at, found.end())
    if found := _OPERATOR.match(text, at):
        return Token(Mark.OPERATOR, found[0], at, found.end())
    raise _unknown(text, at)


def _unknown(text: str, at: int) -> QueryError:
    if text[at] == "'":
        hint = "close it with '; write a ' inside a text twice: 'it''s'"
        return QueryError("this text is not closed", start=at, end=len(text), hint=hint)
    if text[at] == '"':
        value, closed, _ = text[at + 1 :].partition('"')
        shown = value.replace("'", "''") if closed else "Prodigy"
        hint = f"put text in single quotes: '{shown}'"
        end = at + 1 + len(value) + len(closed)
        return QueryError("double quotes are not used here", start=at, end=end, hint=hint)
    return QueryError(f"{text[at]} has no meaning here", start=at, end=at + 1)


def _alternatives(text: str, at: int) -> tuple[Token, ...]:
    """The alternatives after a colon, up to a blank or an unmatched closing bracket."""
    result = []
    while True:
        token = _quoted(text, at) if text[at : at + 1] in ("'", '"') else _word(text, at)
        result.append(token)
        if text[token.end : token.end + 1] != ",":
            return tuple(result)
        at = token.end + 1


def _quoted(text: str, start: int) -> Token:
    quote = text[start]
    found = re.compile(f"{quote}((?:[^{quote}]|{quote}{quote})*){quote}").match(text, start)
    if found is None:
        raise QueryError(
            "this text is not closed", start=start, end=len(text), hint=f"close it with {quote}"
        )
    if not re.compile(r"[\s,)]|$").match(text, found.end()):
        message = "only a comma may follow a closing quote"
        raise QueryError(message, start=found.end(), end=found.end() + 1)
    return Token(Mark.TEXT, found[1].replace(quote * 2, quote), start, found.end())


def _word(text: str, start: int) -> Token:
    opened = 0
    end = start
    while end < len(text) and text[end] != "," and not text[end].isspace():
        opened += (text[end] == "(") - (text[end] == ")")
        if opened < 0:
            break
        end += 1
    return Token(Mark.WORD, text[start:end], start, end)


class TokenStream:
    """Steps through a text once, from its first token to its END.

    Raises:
        QueryError: Some of the text is not a token.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = tokens(text)
        self._at = 0

    @property
    def next(self) -> Token:
        """The token that is taken next."""
        return self._tokens[self._at]

    @property
    def before_last(self) -> str:
        """The text of the token before the last one taken; empty at the beginning."""
        return self._tokens[self._at - 2].text if self._at > 1 else ""

    def take(self) -> Token:
        """Take the next token; END can be taken again and again."""
        token = self.next
        self._at += token.mark is not Mark.END
        return token

    def sees(self, *texts: str) -> bool:
        """Whether one of these operators or keywords comes next."""
        return is_sign(self.next) and self.next.text in texts

    def accept(self, *texts: str) -> Token | None:
        """Take the next token if it is one of these operators or keywords; else None."""
        return self.take() if self.sees(*texts) else None

    def expect(self, text: str) -> Token:
        """Take this operator or keyword.

        Raises:
            QueryError: The next token is another one.
        """
        if not self.sees(text):
            raise self.unexpected(text)
        return self.take()

    def unexpected(self, wanted: str, hint: str = "", token: Token | None = None) -> QueryError:
        """The error for an unexpected token, by default the next one."""
        token = token or self.next
        got = {
            Mark.END: "but the text ends here",
            Mark.TEXT: "got a text",
            Mark.SHORT: f"got {clipped(token.text)}:",
        }.get(token.mark, f"got {clipped(token.text)}")
        wanted = "a comma" if wanted == "," else wanted
        # END has no width; its caret is drawn after the text.
        end = max(token.end, token.start + 1)
        return QueryError(f"expected {wanted}, {got}", start=token.start, end=end, hint=hint)


def is_sign(token: Token) -> bool:
    """Whether it is an operator or a keyword, not a name or a value."""
    return token.mark in (Mark.OPERATOR, Mark.KEYWORD)
