"""A site on loopback that answers with recorded list bodies and recorded headers.

| name                                   | what it is                                              |
|----------------------------------------|---------------------------------------------------------|
| `*.safetensors`                        | a whole file                                            |
| `*.hdr`                                | its beginning; `full_size` stands in `*.hdr.json`       |
| `*.metadata.json`                      | `__metadata__`, bare or under `metadata`                |
| `*.paste.json`                         | the same under `parsed_pairs`                           |

The last two are put into a sound header.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.factories import TENSOR_BYTES, make_header_bytes

PAGE = 20


@dataclass(frozen=True, slots=True)
class Recording:
    """The bytes of one recorded header and the length of the file it came from."""

    name: str
    beginning: bytes
    size: int


def read_recordings(folder: Path) -> tuple[Recording, ...]:
    """Every header of a folder that is stored as bytes or as metadata, by name."""
    found = []
    for path in sorted(folder.iterdir()):
        kind = "".join(path.suffixes[-2:])
        if path.suffix in (".safetensors", ".hdr"):
            data, size = path.read_bytes(), path.stat().st_size
            if path.suffix == ".hdr":
                size = json.loads(path.with_name(f"{path.name}.json").read_bytes())["full_size"]
            found.append(Recording(path.name, data, size))
        elif kind in (".metadata.json", ".paste.json"):
            told = json.loads(path.read_bytes())
            told = told["parsed_pairs"] if kind == ".paste.json" else told.get("metadata", told)
            texts = {key: it if isinstance(it, str) else json.dumps(it) for key, it in told.items()}
            data = make_header_bytes(texts)
            found.append(Recording(path.name, data, len(data) + TENSOR_BYTES))
    return tuple(found)


@dataclass
class Replay:
    """Recorded models, each file of which holds one of the recorded headers.

    Attributes:
        url: Of the API.
        asked: The files that were asked for, by id.
    """

    items: Sequence[Mapping[str, Any]]
    recordings: Sequence[Recording]
    url: str = ""
    asked: list[int] = field(default_factory=list)

    def files(self) -> Iterator[Mapping[str, Any]]:
        """Every file of the list."""
        for item in self.items:
            for version in item["modelVersions"]:
                yield from version["files"]

    def recording(self, file_id: int) -> Recording:
        """Which recorded header a file got."""
        return self.recordings[file_id % len(self.recordings)]

    async def _list(self, request: Request) -> Response:
        first = int(request.query_params.get("cursor", "0"))
        items = self.items[first : first + PAGE]
        more = first + PAGE < len(self.items)
        metadata = {"nextCursor": str(first + PAGE)} if more else {}
        return JSONResponse({"items": items, "metadata": metadata})

    async def _download(self, request: Request) -> Response:
        file_id = int(request.query_params["fileId"])
        self.asked.append(file_id)
        return RedirectResponse(f"{self.url}/bytes/{file_id}", 307)

    async def _bytes(self, request: Request) -> Response:
        recording = self.recording(request.path_params["id"])
        first, _dash, last = request.headers["range"].removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last) + 1, recording.size)
        if start >= end:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{recording.size}"})
        body = recording.beginning[start:end]
        body += bytes(end - start - len(body))
        where = {"Content-Range": f"bytes {start}-{end - 1}/{recording.size}"}
        return Response(body, 206, where, "binary/octet-stream")

    @contextmanager
    def running(self) -> Iterator["Replay"]:
        """The site, answering at `url`."""
        routes = {
            "/api/v1/models": self._list,
            "/api/download/models/{id:int}": self._download,
            "/bytes/{id:int}": self._bytes,
        }
        application = Starlette(routes=[Route(path, it) for path, it in routes.items()])
        config = uvicorn.Config(
            application, port=0, lifespan="off", log_config=None, log_level="error", ws="none"
        )
        listener = config.bind_socket()
        host, port = listener.getsockname()
        self.url = f"http://{host}:{port}"
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.should_exit = True
            thread.join()
            listener.close()
