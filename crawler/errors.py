"""The errors that this project raises on purpose.

LoraCrawlError
├── UsageError          wrong options or arguments                         exit 2
│   ├── QueryError      a query that cannot be parsed, with a caret        exit 2
│   └── SlowError       a question that takes too long                     exit 2
├── DatabaseError       the database is missing, old, newer or foreign     exit 3
│   └── NoServerError   the server of the database cannot be reached
├── StoppedError        work is left; the same command continues           exit 4
│   ├── BudgetError     the downloads that all workers share are used up
│   ├── ConflictError   another program wrote the same rows at that moment
│   ├── LostConnectionError  the connection to the database was lost
│   └── SiteError       the site is unreachable, broken, or refuses us
│       ├── LoginError  the site wants an API key, or does not know ours
│       ├── QuotaError  the download quota is used up
│       ├── UnreachableError  no connection at all
│       ├── ReplyError  no usable reply to one request
│       └── CursorError the position in a list is no longer valid
├── OutputError         the result cannot be written                       exit 1
├── ExportError         the folder of an export cannot be used             exit 3
└── HeaderError         bytes that are no valid safetensors header         exit 1

A message says what happened, with the value, and then what to do about it. It may contain text from
the internet, which the command line escapes.
"""


class LoraCrawlError(Exception):
    """The base of all these errors; a command that raises one ends with `exit_code`."""

    exit_code = 1


class UsageError(LoraCrawlError):
    """The options or arguments are wrong; nothing was done."""

    exit_code = 2


class QueryError(UsageError):
    """A query that cannot be parsed.

    Args:
        message: What is wrong, in one sentence.
        text: The query as typed.
        start: Index of the first wrong character in `text`, None when unknown.
        end: Index after the last wrong character.
        hint: What to do instead; may be empty.
    """

    def __init__(
        self,
        message: str,
        *,
        text: str = "",
        start: int | None = None,
        end: int | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.text = text
        self.start = start
        self.end = end
        self.hint = hint


class SlowError(UsageError):
    """A question that the database does not answer in the time it has."""


class DatabaseError(LoraCrawlError):
    """The database cannot be used; the message names the command that repairs it."""

    exit_code = 3


class NoServerError(DatabaseError):
    """The server of the database cannot be reached."""


class StoppedError(LoraCrawlError):
    """The work stopped early; all stored data is kept, and the same command continues."""

    exit_code = 4


class BudgetError(StoppedError):
    """The budget of downloads that all workers share is used up; only another one lets them continue."""


class ConflictError(StoppedError):
    """Another program wrote the same rows at that moment; nothing was stored, and a retry may help."""


class LostConnectionError(StoppedError):
    """The connection to the database was lost. What was being stored may be stored or not."""


class SiteError(StoppedError):
    """A site-level error: the site, not one file, fails or refuses us.

    Args:
        url: The URL of the request, without key or signature.
        cause: The answer or failure in words.
        advice: What to do; may be empty.

    Attributes:
        counted_downloads: Downloads that the site counted before the error.
    """

    def __init__(self, url: str, cause: str, advice: str = "") -> None:
        super().__init__(f"{url}: {cause}" + (f"\n{advice}" if advice else ""))
        self.url = url
        self.cause = cause
        self.advice = advice
        self.counted_downloads = 0


class LoginError(SiteError):
    """The site wants an API key, or does not know ours."""


class QuotaError(SiteError):
    """The download quota is used up; no file can be fetched until the site renews it."""


class UnreachableError(SiteError):
    """There is no connection to the site; the failure is the network's."""


class ReplyError(SiteError):
    """The site fails whenever it is asked this; it may well answer another request."""


class CursorError(SiteError):
    """The site refuses a cursor, or the cursor leads back to itself; files can still be fetched."""


class OutputError(LoraCrawlError):
    """The result cannot be written, for example to a full disk."""


class ExportError(LoraCrawlError):
    """The folder of an export cannot be written or read; what is whole in it is kept."""

    exit_code = 3


class HeaderError(LoraCrawlError):
    """Bytes that are not a valid safetensors header.

    Args:
        code: A short stable word, e.g. `invalid_json`; docs/ lists the codes.
        detail: The reason in words, with the wrong value.
        other_format: The format that the first bytes show (`HTML page`), None when unknown.
    """

    def __init__(self, code: str, detail: str, *, other_format: str | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.other_format = other_format
