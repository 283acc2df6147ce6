"""Files at an address that a person names, from a server on loopback."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import anyio
import pytest

from crawler.http import HttpSettings, Secret
from crawler.model import Fetched, Outcome
from crawler.sources.urls import chosen_file, read_url
from tests.factories import make_file, make_header_bytes, make_model, make_version

HEADER = make_header_bytes()

#: A file that nobody should have to read whole.
CONTENT = HEADER + bytes(4_000_000)

MODEL = {
    "id": 5,
    "name": "Lantern",
    "type": "LORA",
    "modelVersions": [
        {
            "id": 7,
            "name": "v2",
            "publishedAt": "2025-06-01T00:00:00.000Z",
            "files": [
                {
                    "id": 70,
                    "name": "extra.safetensors",
                    "type": "Model",
                    "metadata": {"format": "SafeTensor", "size": "full", "fp": "fp32"},
                },
                {
                    "id": 71,
                    "name": "lantern.safetensors",
                    "type": "Model",
                    "metadata": {"format": "SafeTensor", "size": "full", "fp": "fp16"},
                    "primary": True,
                },
            ],
        },
        {
            "id": 6,
            "name": "v1",
            "publishedAt": "2025-01-01T00:00:00.000Z",
            "files": [{"id": 60, "name": "old.safetensors", "type": "Model", "primary": True}],
        },
    ],
}


@dataclass
class Site:
    """A server that knows one model, and what it was asked."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def do_GET(self) -> None:
        self.site.asked.append(self.path)
        self.site.keys.append(self.headers["Authorization"])
        match urlsplit(self.path).path.strip("/").split("/"):
            case ["api", "v1", "models", "5"]:
                self.reply(200, json.dumps(MODEL).encode(), "application/json")
            case ["api", "v1", "model-versions", "6" | "7"]:
                self.reply(200, b'{"modelId": 5}', "application/json")
            case ["api", "download", "models", _]:
                self.reply(302, b"", "text/plain", location="/stored/file")
            case ["stored", _]:
                self.send_range()
            case ["page"]:
                self.reply(200, b"<!doctype html><title>Log in</title>", "text/html")
            case _:
                self.reply(404, b'{"error": "No model"}', "application/json")

    def reply(self, status: int, body: bytes, kind: str, location: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if location:
            self.send_header("Location", self.site.url + location)
        self.end_headers()
        self.wfile.write(body)

    def send_range(self) -> None:
        first, last = self.headers["Range"].removeprefix("bytes=").split("-")
        part = CONTENT[int(first) : int(last) + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(part)))
        end = int(first) + len(part) - 1
        self.send_header("Content-Range", f"bytes {first}-{end}/{len(CONTENT)}")
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    log = Site()

    class Bound(Handler):
        site = log

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    log.url = f"http://127.0.0.1:{server.server_port}"
    yield log
    server.shutdown()
    server.server_close()
    thread.join()


def read(address: str, api_url: str, key: str | None = None) -> Fetched:
    settings = HttpSettings(api_url=api_url, rate=0, api_key=Secret(key) if key else None)
    return anyio.run(read_url, address, settings)


@pytest.mark.parametrize(
    ("path", "download"),
    [
        ("/models/5", "/api/download/models/7?fileId=71"),
        ("/models/5/lantern?modelVersionId=6", "/api/download/models/6?fileId=60"),
        ("/api/download/models/7", "/api/download/models/7?fileId=71"),
        ("/api/download/models/7?type=Model&fileId=70", "/api/download/models/7?fileId=70"),
        (
            "/api/download/models/7?type=Model&format=SafeTensor&size=full&fp=fp32",
            "/api/download/models/7?fileId=70",
        ),
        ("/api/download/models/7?type=model&format=SafeTensor", "/api/download/models/7?fileId=71"),
        ("/api/download/models/6?type=Model&token=abc", "/api/download/models/6?fileId=60"),
        ("/model-versions/6", "/api/download/models/6?fileId=60"),
    ],
)
def test_addresses_of_the_site(site: Site, path: str, download: str) -> None:
    got = read(site.url + path, site.url)
    assert (got.refusal, got.prefix, got.file_bytes) == (None, HEADER, len(CONTENT))
    assert got.counted_downloads == 1
    assert [asked for asked in site.asked if "download" in asked] == [download]


@pytest.mark.parametrize(
    "path",
    [
        "/models/404",
        "/models/5?modelVersionId=404",
        "/user/somebody",
        "/api/download/models/7?type=Training%20Data",
    ],
)
def test_what_the_site_does_not_have(site: Site, path: str) -> None:
    got = read(site.url + path, site.url)
    assert got.refusal in {Outcome.NOT_FOUND, Outcome.FAILED}
    assert got.reason
    assert not any("download" in asked for asked in site.asked)


def test_any_other_address_is_read_without_the_key(site: Site) -> None:
    got = read(f"{site.url}/stored/file", "https://civitai.com", key="a-key")
    assert (got.refusal, got.prefix, got.file_bytes) == (None, HEADER, len(CONTENT))
    assert site.asked == ["/stored/file"]
    assert site.keys == [None]


def test_a_page_in_place_of_a_file_is_handed_on(site: Site) -> None:
    got = read(f"{site.url}/page", "https://civitai.com")
    assert (got.refusal, got.prefix[:9]) == (None, b"<!doctype")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://example.org/a.safetensors", "only https"),
        ("https://user:secret@example.org/a", "a user or a password"),
        ("https://[::1/a", "not a URL"),
        ("https://", "not a URL"),
        ("https://10.0.0.1/a", "private address"),
    ],
)
def test_addresses_that_are_not_asked(address: str, reason: str) -> None:
    got = read(address, "https://civitai.com")
    assert got.refusal is Outcome.FAILED
    assert reason in got.reason
    assert "secret" not in got.reason


def test_a_url_of_another_site_is_not_read_as_one_of_the_site(site: Site) -> None:
    got = read(f"{site.url}/models/5", "https://civitai.com")
    assert (got.refusal, site.asked) == (Outcome.NOT_FOUND, ["/models/5"])


def test_the_newest_published_version_with_files_is_chosen() -> None:
    empty = make_version(9, files=())
    draft = make_version(8, published_at=None)
    first = make_file(30, is_primary=False)
    both = make_version(3, files=(first, make_file(31)))
    model = make_model(versions=(make_version(2, published_at=None), empty, draft, both))
    assert chosen_file(model, None) == (both, both.files[1])
    assert chosen_file(model, 8) == (draft, draft.files[0])
    assert chosen_file(model, 9) is None
