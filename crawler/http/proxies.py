"""Which proxy a request goes through, as HTTPS_PROXY, HTTP_PROXY and NO_PROXY say."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.request import getproxies, proxy_bypass

import yarl

from crawler.errors import UsageError


@dataclass(frozen=True, slots=True)
class Proxy:
    """One proxy, and the headers by which it knows us; its password is in no repr."""

    url: yarl.URL
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Proxies:
    """Proxies by the scheme of the request."""

    by_scheme: Mapping[str, Proxy]

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts of the proxies, in lower case."""
        return frozenset(proxy.url.raw_host or "" for proxy in self.by_scheme.values())

    def of(self, url: yarl.URL) -> Proxy | None:
        """The proxy for one address, None when it is asked directly."""
        proxy = self.by_scheme.get(url.scheme)
        if proxy is None or url.host is None or proxy_bypass(f"{url.host}:{url.port}"):
            return None
        return proxy


def system_proxies() -> Proxies:
    """What the environment (or the system's settings) names.

    aiohttp can read it too, but then it also sends what a .netrc file holds for a host.

    Raises:
        UsageError: A proxy's address cannot be read, or is of a kind that is not supported.
    """
    known = getproxies()
    return Proxies(
        {scheme: _read(known[scheme]) for scheme in ("http", "https") if known.get(scheme)}
    )


def _read(text: str) -> Proxy:
    try:
        url = yarl.URL(text if "://" in text else f"http://{text}")
        port = url.port
    except ValueError:
        port = None
        url = yarl.URL()
    if url.scheme not in ("http", "https") or not url.raw_host or not port:
        raise UsageError(
            "HTTP_PROXY or HTTPS_PROXY names no proxy that can be used; one looks like"
            " http://proxy.example.org:3128"
        )
    headers = {}
    if url.user:
        token = b64encode(f"{url.user}:{url.password or ''}".encode()).decode()
        headers["Proxy-Authorization"] = f"Basic {token}"
    return Proxy(url.with_user(None), headers)
