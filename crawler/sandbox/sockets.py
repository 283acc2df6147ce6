"""Where a sandbox listens: on addresses that nothing but this machine can reach."""

import ipaddress
import socket

from crawler.errors import UsageError

# Another origin than the API's, so that a client's care with its key is put to the test. All of
# 127.0.0.0/8 is loopback on Linux; elsewhere another port has to do.
_STORAGE_HOST = "127.0.0.2"
_BACKLOG = 1024  # connections that wait to be taken
# What waits in the kernel counts as sent, read or not: so no more than a chunk waits there
_SEND_BYTES = 64 * 1024


def listen(host: str, port: int) -> socket.socket:
    """A listener for the API.

    Args:
        host: A loopback address, or `localhost`.
        port: 0 takes a free one.

    Raises:
        UsageError: The host is no loopback address, or the port cannot be had.
    """
    address = _loopback(host)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise UsageError(f"cannot listen on {address} port {port}: {error}") from error


def listen_for_storage() -> socket.socket:
    """A listener for the storage, on any free port.

    Raises:
        OSError: There is none.
    """
    try:
        listener = socket.create_server((_STORAGE_HOST, 0), backlog=_BACKLOG)
    except OSError:
        listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)
    return listener


def url_of(listener: socket.socket) -> str:
    """The address by which a listener is asked."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _loopback(host: str) -> str:
    """The address, if nothing but this machine can reach it."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise UsageError(
            f"{host} is no loopback address\nA sandbox has no protection against strangers: "
            "use 127.0.0.1."
        )
    return str(address)
