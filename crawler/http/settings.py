"""What the client is told before it opens: frozen values, checked where they are made."""

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

from crawler.errors import UsageError


def _version() -> str:
    try:
        return version("lora-crawl")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"


#: Names us to the API. It must hold no browser's name: Civitai answers browsers with HTML pages and
#: with redirects to them where it answers programs with JSON.
API_USER_AGENT = f"lora-crawl/{_version()} (+https://pypi.org/project/lora-crawl/)"

#: Names us to storage, whose firewall refuses agents it does not know and knows curl.
STORAGE_USER_AGENT = f"curl/8.5.0 lora-crawl/{_version()}"


class Secret:
    """An API key that no text, repr or log shows; only `reveal` gives it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        value = value.strip()
        if not value or not value.isascii() or not value.isprintable() or " " in value:
            raise UsageError("the API key is empty or holds characters that no key has")
        self._value = value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not written anywhere")

    def reveal(self) -> str:
        """The key itself, for a request header."""
        return self._value


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long one request may take, in seconds.

    Attributes:
        connect: Until the connection stands, TLS included.
        stall: Between two pieces of a reply; slow links still move within it.
        total: For one reply, whatever trickles in; 32 MiB at 200 KB/s fit into it.
        slowest: Bytes a second at which a range must come at least, beyond one stall: whoever lets
            a small one trickle is not given the time of a large one.
    """

    connect: float = 15.0
    stall: float = 30.0
    total: float = 180.0
    slowest: float = 16 * 1024

    def of(self, span: tuple[int, int] | None) -> float:
        """Seconds for the reply to a request for the bytes from the first to the last, or for all."""
        if span is None:
            return self.total
        return min(self.total, self.stall + (span[1] - span[0] + 1) / self.slowest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long to wait before another try, in seconds.

    Attributes:
        shortest: After the first failure; it doubles with each further one, jittered.
        longest: Where the doubling ends.
        longest_asked: The longest `Retry-After` that is obeyed to the full; more is cut to it, so
            that no server can put a crawl to sleep for a day.
    """

    shortest: float = 1.0
    longest: float = 30.0
    longest_asked: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Everything the client needs to know.

    Attributes:
        api_url: As a person writes it, with or without `/api/v1`.
        api_key: Sent to the API's own scheme, host and port, and nowhere else.
        rate: Requests a second to the API, evenly spaced, retries included; 0 = no limit.
        storage_hosts: Further hosts that a download may lead to: `name`, `.suffix`, or `*` for every
            public host. Private addresses stay refused.
        use_proxies: Whether HTTPS_PROXY, HTTP_PROXY and NO_PROXY are honoured.
    """

    api_url: str = "https://civitai.com"
    api_key: Secret | None = None
    rate: float = 2.0
    storage_hosts: tuple[str, ...] = ()
    use_proxies: bool = True
    user_agent: str = API_USER_AGENT
    storage_user_agent: str = STORAGE_USER_AGENT
    timeouts: Timeouts = field(default_factory=Timeouts)
    waits: Waits = field(default_factory=Waits)
