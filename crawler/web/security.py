"""What every request must have and every response says: against other sites and against hostile texts.

A page of another site can make a browser send requests to this machine, and by a DNS name that it changes
("rebinding") even read the answers. So the server answers only to its own names, and says to nobody
that others may read. Texts from the internet are escaped by the templates; the policy in the headers is
the second wall: no script runs that a template did not name, and nothing is loaded from elsewhere.
"""

import ipaddress
import secrets
from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: The names of this machine for itself.
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})

#: Bytes of randomness in the word that allows a script: it cannot be guessed.
_NONCE_BYTES = 16

#: What a browser asks for to show it in a window of its own.
_WINDOW = "document"

_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


@dataclass(frozen=True, slots=True)
class Hosts:
    """The values of the header Host that mean this server.

    Attributes:
        names: Without the port, in lower case; an IPv6 address in brackets.
        port: The port that it listens on.
        every_address: Any IP address is one: it listens on all of them, and no name can be changed to one.
    """

    names: frozenset[str]
    port: int
    every_address: bool = False

    def allow(self, host: str) -> bool:
        """Whether a request for this host is for this server."""
        name, colon, port = host.lower().rpartition(":")
        if not colon or port.endswith("]"):
            name, port = host.lower(), "80"
        if port != str(self.port):
            return False
        return name in self.names or (self.every_address and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def policy(nonce: str) -> str:
    """The value of Content-Security-Policy: only scripts with this word, and nothing from elsewhere."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'nonce-{nonce}'",
            f"style-src 'self' 'nonce-{nonce}'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


class Guard:
    """An application that refuses what is not for it, and adds the headers to what is answered.

    `request.state.nonce` is the word that a script of this response needs.
    """

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        nonce = secrets.token_urlsafe(_NONCE_BYTES)
        scope.setdefault("state", {})["nonce"] = nonce

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers["content-security-policy"] = policy(nonce)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if not self._hosts.allow(headers.get(b"host", "")):
            return PlainTextResponse("this server does not answer to that name\n", 421)
        if scope["method"] not in {"GET", "HEAD"}:
            return PlainTextResponse("this server only reads\n", 405, {"allow": "GET, HEAD"})
        # A link on another site may lead here; a picture, a script or a frame of it may not ask. A page on
        # another port of this machine is another site too.
        is_foreign = headers.get(b"sec-fetch-site", "none") not in {"none", "same-origin"}
        is_link = headers.get(b"sec-fetch-mode") == "navigate"
        if is_foreign and not (is_link and headers.get(b"sec-fetch-dest", _WINDOW) == _WINDOW):
            return PlainTextResponse("other sites may not ask this server\n", 403)
        return None
