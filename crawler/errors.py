"""Every error this project raises on purpose.

LoraCrawlError
├── UsageError          options or arguments that make no sense together      exit 2
│   └── QueryError      a query text that cannot be understood, with a caret  exit 2
├── DatabaseError       the database is missing, old, newer or foreign        exit 3
├── StoppedError        work is left, the same command goes on with it        exit 4
│   └── SiteError       the site is unreachable, answers nonsense, refuses us
│       ├── QuotaError  no more downloads today
│       ├── UnreachableError  no connection at all
│       └── CursorError the place in a list is not known any more
├── OutputError         the answer cannot be written where it shall go        exit 1
└── HeaderError         bytes that the safetensors format does not allow      exit 1

A message says what happened, with the value, and then what to do about it.
Text from the net may stand in a message: whoever prints it escapes it.
"""


class LoraCrawlError(Exception):
    """The base of all of them; `exit_code` is what the command ends with."""

    exit_code = 1


class UsageError(LoraCrawlError):
    """What was asked makes no sense; nothing was done."""

    exit_code = 2


class QueryError(UsageError):
    """A query that cannot be understood.

    Args:
        message: What is wrong, in one sentence.
        text: The query as it was typed.
        start: Index of the first offending character in `text`, None when no place can be named.
        end: Index behind the last offending character.
        hint: What to do instead, may be empty.
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


class DatabaseError(LoraCrawlError):
    """The database cannot be used as it is; the message names the command that mends it."""

    exit_code = 3


class StoppedError(LoraCrawlError):
    """The work ended before it was done; what is stored stays, the same command goes on."""

    exit_code = 4


class SiteError(StoppedError):
    """The site, not one file, is in trouble or refuses us.

    Args:
        url: What was asked, without key or signature.
        cause: What came back or went wrong, in words.
        advice: What to do, may be empty.

    Attributes:
        counted_downloads: Downloads that the site counted before it came to this.
    """

    def __init__(self, url: str, cause: str, advice: str = "") -> None:
        super().__init__(f"{url}: {cause}" + (f"\n{advice}" if advice else ""))
        self.url = url
        self.cause = cause
        self.advice = advice
        self.counted_downloads = 0


class QuotaError(SiteError):
    """The site's download quota is used up: no file can be fetched until it is renewed."""


class UnreachableError(SiteError):
    """No connection to the site: whatever was asked for, the network answered."""


class CursorError(SiteError):
    """A cursor leads nowhere: the site does not take it any more, or it comes back to where it was.

    That is about the list alone; files can be had all the same.
    """


class OutputError(LoraCrawlError):
    """An answer found no room: a full disk behind stdout."""


class HeaderError(LoraCrawlError):
    """Bytes that are no sound safetensors header.

    Args:
        code: A short stable word, e.g. `invalid_json`; the codes are listed in docs/.
        detail: The reason in words, with the value that was met.
        other_format: The name of another format that the first bytes show (`HTML page`), else None.
    """

    def __init__(self, code: str, detail: str, *, other_format: str | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.other_format = other_format
