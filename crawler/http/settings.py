"""Settings of the client: frozen values, checked when they are created."""

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

from crawler.errors import UsageError
from crawler.model.site import SITE_URL


def _version() -> str:
    try:
        return version("lora-crawl")
    except PackageNotFoundError:  # a checkout that is not installed
        return "0"


#: The User-Agent for the API. It must not contain a browser's name: Civitai answers browsers with HTML
#: pages, and programs with JSON.
API_USER_AGENT = f"lora-crawl/{_version()} (+https://pypi.org/project/lora-crawl/)"

#: The User-Agent for storage, whose firewall refuses unknown ones and accepts curl.
STORAGE_USER_AGENT = f"curl/8.5.0 lora-crawl/{_version()}"


class Secret:
    """An API key that no text, repr or log shows; only `reveal` returns it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        value = value.strip()
        if not value or not value.isascii() or not value.isprintable() or " " in value:
            raise UsageError("the API key is empty or has invalid characters")
        self._value = value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> str:
        raise TypeError("a Secret cannot be pickled")

    def reveal(self) -> str:
        """The key itself, for a request header."""
        return self._value


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Limits of the duration of one request, in seconds.

    Attributes:
        connect: Until the connection is open, TLS included.
        stall: Between two pieces of a response.
        total: For one response; enough for 32 MiB at 200 KB/s.
        slowest: Least bytes a second of a range, beyond one stall, so that a small range cannot take
            the time of a large one.
    """

    connect: float = 15.0
    stall: float = 30.0
    total: float = 180.0
    slowest: float = 16 * 1024

    def of(self, span: tuple[int, int] | None) -> float:
        """Seconds for the response to a request for a range, first and last byte, or for everything."""
        if span is None:
            return self.total
        return min(self.total, self.stall + (span[1] - span[0] + 1) / self.slowest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Waits before a retry, in seconds.

    Attributes:
        shortest: After the first failure; it doubles with every further one, with jitter.
        longest: The limit of the doubling.
        longest_asked: The limit of a `Retry-After`, so that no server can stop a crawl for a day.
    """

    shortest: float = 1.0
    longest: float = 30.0
    longest_asked: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Settings of the client.

    Attributes:
        api_url: As the user writes it, with or without `/api/v1`.
        api_key: Sent to the API's own scheme, host and port, and nowhere else.
        rate: Requests a second to the API, evenly spaced, retries included; 0 = no limit.
        storage_hosts: Further hosts that a download may redirect to: `name`, `.suffix`, or `*` for
            every public host. Private addresses are always refused.
        use_proxies: Whether HTTPS_PROXY, HTTP_PROXY and NO_PROXY apply.
    """

    api_url: str = SITE_URL
    api_key: Secret | None = None
    rate: float = 2.0
    storage_hosts: tuple[str, ...] = ()
    use_proxies: bool = True
    timeouts: Timeouts = field(default_factory=Timeouts)
    waits: Waits = field(default_factory=Waits)
