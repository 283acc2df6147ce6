"""A place in the tokens of one text."""

from crawler.errors import QueryError
from crawler.query.lexer import Mark, Token, tokens
from crawler.query.names import clipped


class Cursor:
    """Goes through a text once, from its first token to its END.

    Raises:
        QueryError: Something in the text is no token.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = tokens(text)
        self._at = 0

    @property
    def next(self) -> Token:
        """The token that has not been taken."""
        return self._tokens[self._at]

    @property
    def before_last(self) -> str:
        """The text of the token before the one that was taken last; empty at the beginning."""
        return self._tokens[self._at - 2].text if self._at > 1 else ""

    def take(self) -> Token:
        """The next token, of which there is always one: END stays."""
        token = self.next
        self._at += token.mark is not Mark.END
        return token

    def sees(self, *texts: str) -> bool:
        """Whether one of these operators or keywords comes next."""
        return is_sign(self.next) and self.next.text in texts

    def accept(self, *texts: str) -> Token | None:
        """Take one of these operators or keywords if it comes next."""
        return self.take() if self.sees(*texts) else None

    def expect(self, text: str) -> Token:
        """Take this operator or keyword.

        Raises:
            QueryError: Something else comes next.
        """
        if not self.sees(text):
            raise self.unexpected(text)
        return self.take()

    def unexpected(self, wanted: str, hint: str = "") -> QueryError:
        """The error for a next token that is not what is wanted."""
        token = self.next
        got = {
            Mark.END: "but the text ends here",
            Mark.TEXT: "got a text",
            Mark.SHORT: f"got {clipped(token.text)}:",
        }.get(token.mark, f"got {clipped(token.text)}")
        wanted = "a comma" if wanted == "," else wanted
        # The end has no width; its caret stands behind the text.
        end = max(token.end, token.start + 1)
        return QueryError(f"expected {wanted}, {got}", start=token.start, end=end, hint=hint)


def is_sign(token: Token) -> bool:
    """Whether it is an operator or a keyword, not a name or a value."""
    return token.mark in (Mark.OPERATOR, Mark.KEYWORD)
