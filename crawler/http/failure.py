"""Why a request came to nothing."""

from crawler.errors import LoraCrawlError


class RequestError(LoraCrawlError):
    """One request that brought no usable answer. A source turns it into a SiteError or an outcome.

    Its text names hosts and causes, never a query, a signature or a key.

    Args:
        cause: What went wrong, in words.
        again: Whether the same request may succeed later.
        after: Seconds that the server asks to wait, None when it does not say.
        status: The HTTP status, None when there was none.
        unreachable: No connection could be made at all.
    """

    def __init__(
        self,
        cause: str,
        *,
        again: bool = True,
        after: float | None = None,
        status: int | None = None,
        unreachable: bool = False,
    ) -> None:
        super().__init__(cause)
        self.cause = cause
        self.again = again
        self.after = after
        self.status = status
        self.unreachable = unreachable
