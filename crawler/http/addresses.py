"""The URLs that may be requested: the API, known storage hosts, and no private network.

A host is checked twice: by its name in the URL, and by the addresses that the name resolves to.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Collection, Sequence
from contextlib import suppress
from threading import Thread

import yarl
from aiohttp.abc import AbstractResolver, ResolveResult

from crawler.errors import UsageError
from crawler.http.retry import RequestError
from crawler.model.site import SITE_URL

#: Civitai's storage: its own host in front of Backblaze, and its account at Cloudflare R2 (others have
#: other accounts under the same domain).
_R2_HOST = "5ac0637cfd0766c97916cefa3764fbdf.r2.cloudflarestorage.com"
STORAGE_RULES = ("b2.civitai.com", _R2_HOST, "." + _R2_HOST)

# Civitai's buckets at Backblaze itself, which others use too. The bucket is in the path or in the host.
_BUCKET = r"civitai-[a-z0-9-]+"
_BUCKET_IN_PATH = {
    "s3.us-west-004.backblazeb2.com": re.compile(rf"/{_BUCKET}/"),
    "f004.backblazeb2.com": re.compile(rf"/file/{_BUCKET}/"),
}
_BUCKET_IN_HOST = re.compile(rf"{_BUCKET}\.(?:s3\.us-west-004|f004)\.backblazeb2\.com")

#: Longest URL that is followed, in characters; signed ones have under a thousand.
MAX_URL_CHARS = 16_384

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_HOST_RULE = re.compile(r"\*|\.?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")
_DOT_SEGMENT = re.compile(r"(?:^|/)(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_UNSENDABLE = re.compile(rb"[ \x80-\xff]")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def api_address(text: str) -> yarl.URL:
    """The API's URL without `/api/v1` and without a slash at the end.

    Raises:
        UsageError: It is not an http or https URL, or it contains a user, a password or a query.
    """
    text = text.strip()
    try:
        url = yarl.URL(text)
        port = url.port
    except ValueError as error:
        raise UsageError(f"{text!r} is not the URL of an API: {error}") from None
    if url.scheme not in ("http", "https") or not url.raw_host or not port:
        raise UsageError(f"{text!r} is not the URL of an API; write it like {SITE_URL}")
    if "@" in url.raw_authority or url.raw_query_string or url.raw_fragment:
        raise UsageError("the URL of the API must not contain a user, password, query or fragment")
    path = url.raw_path.rstrip("/").removesuffix("/api/v1").rstrip("/")
    return yarl.URL(f"{str(url.origin()).lower()}{path}", encoded=True)


def storage_rule(text: str) -> str:
    """A value of `--storage-host`, in lower case.

    Raises:
        UsageError: It is not a host name (a URL, for example), or it has a port.
    """
    if not _HOST_RULE.fullmatch(text):
        raise UsageError(
            f"{text!r} is not a host name; write files.example.org, or .example.org for all hosts"
            " below it"
        )
    return text.lower()


def followed(location: bytes, base: yarl.URL) -> str:
    """The URL of a `Location`, with its spelling kept; a relative one starts from `base`.

    Spaces and bytes beyond ASCII are percent-encoded, as in browsers: a request line cannot contain them.

    Raises:
        RequestError: It is empty, too long or contains control characters.
    """
    raw = location.strip(b" \t")
    if not raw or len(raw) > MAX_URL_CHARS or _CONTROL.search(raw):
        raise RequestError("it redirects to a URL that cannot be read", again=False)
    encoded = _UNSENDABLE.sub(lambda found: b"%%%02X" % found[0][0], raw)
    text = encoded.decode("ascii").partition("#")[0]
    if _SCHEME.match(text):
        return text
    if text.startswith("//"):
        return f"{base.scheme}:{text}"
    folder = "" if text.startswith("/") else base.raw_path.rpartition("/")[0] + "/"
    return f"{base.origin()}{folder}{text}"


def storage_address(raw: str, *, api: yarl.URL, rules: tuple[str, ...]) -> yarl.URL:
    """The URL of a stored file, byte for byte, if it may be requested.

    An API on loopback may redirect to any loopback address and port. The rules are results of
    `storage_rule`.

    Raises:
        RequestError: It may not be requested; the text says why.
    """
    try:
        url = yarl.URL(raw, encoded=True)
        usable = url.scheme in ("http", "https") and bool(url.raw_host) and bool(url.port)
    except ValueError:
        usable = False
    if not usable or not raw.isascii() or not raw.isprintable() or " " in raw:
        raise RequestError("the download leads to a URL that cannot be read", again=False)
    if "@" in url.raw_authority:
        raise RequestError("the download leads to a URL with a user name in it", again=False)
    host = (url.raw_host or "").lower()
    literal = _literal(host)
    local = is_loopback_host(api.raw_host)
    if local and is_loopback_host(host):
        return url
    if url.scheme != "https" and not (local and api.scheme == "http"):
        raise RequestError(f"the download leads to {host} without encryption", again=False)
    if literal is not None and not is_public(literal):
        raise RequestError(f"the download leads to the private address {host}", again=False)
    if not (_is_known(url, host) or _matches(host, rules)):
        raise RequestError(
            f"the download leads to {host}, which is not a known storage host of the site;"
            f" `--storage-host {host}` allows it",
            again=False,
        )
    return url


def is_loopback_host(host: str | None) -> bool:
    """Whether a host is this machine, by its spelling; no name is looked up."""
    if host is None:
        return False
    address = _literal(host)
    return host == "localhost" if address is None else address.is_loopback


def is_public(address: Address) -> bool:
    """Whether an address is on the internet, also when it is embedded in another one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


def check_public(url: str, *, base: str) -> None:
    """Make sure that a URL does not lead into a private network, for clients that are not ours.

    Args:
        url: What is requested.
        base: The URL that the user gave or trusts; it may lead anywhere, and on loopback to loopback.

    Raises:
        RequestError: It does.
    """
    target, trusted = yarl.URL(url, encoded=True), yarl.URL(base, encoded=True)
    host = (target.raw_host or "").lower()
    local = is_loopback_host(trusted.raw_host)
    if target.origin() == trusted.origin() or (local and is_loopback_host(host)):
        return
    if target.scheme != "https":
        raise RequestError(f"a redirect leads to {host} without encryption", again=False)
    try:
        found = socket.getaddrinfo(host, target.port, type=socket.SOCK_STREAM)
    except OSError:
        return  # a proxy may know the name; without one there is no connection
    addresses = [_literal(str(address[0])) for *_, address in found]
    if not all(address and is_public(address) for address in addresses):
        raise RequestError(f"a redirect leads to the private address {host}", again=False)


class PrivateAddressError(OSError):
    """A host name that resolves only to private addresses."""


class CheckedResolver(AbstractResolver):
    """Looks up names and returns only addresses that may be connected to.

    The connection uses the addresses that were checked, so a second lookup cannot change them.

    Args:
        trusted: Names that the user gave (the API, a proxy); they may resolve to any address.
        loopback: Whether other names may resolve to this machine.
    """

    def __init__(self, *, trusted: Collection[str], loopback: bool) -> None:
        self._trusted = trusted
        self._loopback = loopback

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The allowed addresses of a host.

        Raises:
            PrivateAddressError: There are none.
            OSError: The lookup failed.
        """
        found = [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in await _looked_up(host, port, family)
        ]
        if host.lower() in self._trusted:
            return found
        allowed = []
        for one in found:
            address = _literal(one["host"])
            if address and (is_public(address) or (self._loopback and address.is_loopback)):
                allowed.append(one)
        if not allowed:
            raise PrivateAddressError(f"{host} leads to a private address")
        return allowed

    async def close(self) -> None:
        """Nothing is open."""


#: What the system says about a name.
_Found = Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[object, ...]]]


async def _looked_up(host: str, port: int, family: socket.AddressFamily) -> _Found:
    """The addresses of a name, from the system.

    Where no name server answers, the system takes up to half a minute, and nothing can interrupt it.
    The event loop's own threads would keep a command from ending for so long; a daemon does not.

    Raises:
        OSError: The lookup failed.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_Found] = loop.create_future()

    def settle(found: _Found | OSError) -> None:
        if answer.done():
            return
        if isinstance(found, OSError):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def look_up() -> None:
        found: _Found | OSError
        try:
            # Only kinds of addresses that this machine has; but Windows would not find `localhost`.
            flags = 0 if host == "localhost" else socket.AI_ADDRCONFIG
            found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=flags)
        except OSError as error:
            found = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits for it any more
            loop.call_soon_threadsafe(settle, found)

    Thread(target=look_up, daemon=True).start()
    return await answer


def _is_known(url: yarl.URL, host: str) -> bool:
    if url.scheme != "https" or not url.is_default_port():
        return False
    if bucket := _BUCKET_IN_PATH.get(host):
        return bucket.match(url.raw_path) is not None and not _DOT_SEGMENT.search(url.raw_path)
    return _BUCKET_IN_HOST.fullmatch(host) is not None or _matches(host, STORAGE_RULES)


def _matches(host: str, rules: tuple[str, ...]) -> bool:
    return any(
        rule in ("*", host) or (rule.startswith(".") and host.endswith(rule)) for rule in rules
    )


def _literal(host: str) -> Address | None:
    """The address that a host is, also in the old spellings like 127.1, 0x7f000001 or 2130706433."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host.rstrip(".")))
    except (OSError, ValueError):
        return None
