"""The files that pages load: styles, scripts, and Plotly's script from its package."""

import hashlib
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

#: Plotly's script is not ours; its package has it.
_PLOTLY = "plotly.min.js"

#: Hexadecimal digits that tell versions of a file apart.
_DIGITS = 12


def address(name: str) -> str:
    """The address of a file, another one for each content: browsers keep it for ever."""
    return f"/static/{name}?{hashlib.sha256(_content(name)).hexdigest()[:_DIGITS]}"


async def _file(request: Request) -> Response:
    name = request.path_params["name"]
    try:
        content = _content(name)
    except FileNotFoundError as error:
        raise HTTPException(404) from error
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(content, headers=headers, media_type=_TYPES[Path(name).suffix])


@cache
def _content(name: str) -> bytes:
    """Raises FileNotFoundError for what is no such file."""
    folder = files("crawler.web").joinpath("static")
    if name == _PLOTLY:
        # Importing Plotly takes longer than to answer.
        found = find_spec("plotly")
        if found is not None and found.origin:
            return (Path(found.origin).parent / "package_data" / _PLOTLY).read_bytes()
    if name in {one.name for one in folder.iterdir()} and Path(name).suffix in _TYPES:
        return folder.joinpath(name).read_bytes()
    raise FileNotFoundError(name)


ROUTE = Route("/static/{name}", _file)
