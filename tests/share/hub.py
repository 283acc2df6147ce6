"""A stand-in for the Hugging Face Hub on loopback: what its file system asks for, and no more."""

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAME = "someone/loras"


@dataclass(slots=True)
class Hub:
    """A running stand-in.

    Attributes:
        folder: The files of the only data set.
        url: What `HF_ENDPOINT` takes.
        sent: Bytes of each file that were sent.
        redirect: Where files are instead, if anywhere: a URL before the name of the file.
        whole: Answer a Range with the whole file.
        status: Answer requests for files with this error.
        is_slow: Answer them byte by byte, and never to the end.
        ended: The stand-in is being stopped.
    """

    folder: Path
    url: str = ""
    sent: Counter[str] = field(default_factory=Counter)
    asked: list[str] = field(default_factory=list)
    redirect: str = ""
    whole: bool = False
    status: int = 0
    is_slow: bool = False
    ended: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Hub]:
    """Serve the files of a folder as the data set NAME."""
    hub = Hub(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _answer(self, hub)

        def do_HEAD(self) -> None:
            _answer(self, hub)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            _answer(self, hub)

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield hub
        hub.ended.set()
        server.shutdown()
        thread.join()


def _answer(handler: BaseHTTPRequestHandler, hub: Hub) -> None:
    path = unquote(urlsplit(handler.path).path)
    hub.asked.append(path)
    about = f"/api/datasets/{NAME}"
    if path in {about, f"{about}/revision/main", f"{about}/revision/{COMMIT}"}:
        _send_json(handler, {"_id": "1", "id": NAME, "sha": COMMIT, "siblings": []})
    elif path in {f"{about}/tree/{COMMIT}", f"{about}/paths-info/{COMMIT}"}:
        names = sorted(hub.folder.iterdir())
        files = [
            {"type": "file", "oid": "0" * 40, "path": one.name, "size": one.stat().st_size}
            for one in names
        ]
        _send_json(handler, files)
    elif path.startswith(f"/datasets/{NAME}/resolve/{COMMIT}/") and hub.redirect:
        _send(handler, 302, b"", Location=f"{hub.redirect}/{path.rpartition('/')[2]}")
    elif path.startswith((f"/datasets/{NAME}/resolve/{COMMIT}/", "/storage/")):
        _send_file(handler, hub, path.rpartition("/")[2])
    else:
        code = {"X-Error-Code": "RepoNotFound"} if path.startswith("/api/") else {}
        _send(handler, 404, b"{}", **code)


def _send_file(handler: BaseHTTPRequestHandler, hub: Hub, name: str) -> None:
    if hub.status:
        _send(handler, hub.status, b"no")
        return
    data = (hub.folder / name).read_bytes()
    if hub.is_slow:
        handler.send_response(206)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        with contextlib.suppress(OSError):
            while not hub.ended.wait(0.02):
                handler.wfile.write(data[:1])
        handler.close_connection = True
        return
    asked = handler.headers.get("Range")
    if asked is None or hub.whole:
        hub.sent[name] += len(data)
        _send(handler, 200, data)
        return
    first, _, last = asked.removeprefix("bytes=").partition("-")
    part = data[int(first) : int(last or len(data)) + 1]
    hub.sent[name] += len(part)
    _send(handler, 206, part, **{"Content-Range": f"bytes {first}-{last}/{len(data)}"})


def _send_json(handler: BaseHTTPRequestHandler, value: object) -> None:
    _send(handler, 200, json.dumps(value).encode(), **{"Content-Type": "application/json"})


def _send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)
