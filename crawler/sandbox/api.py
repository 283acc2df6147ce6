"""The API host: lists, models, versions, links to files, and its moods."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from crawler.sandbox.bodies import model_body, version_body
from crawler.sandbox.downloads import QUOTA, RedirectedError, granted, is_browser
from crawler.sandbox.faults import Faults
from crawler.sandbox.listing import answer
from crawler.sandbox.luck import Luck, subject_of, subject_of_file
from crawler.sandbox.questions import RefusedError, read_question
from crawler.sandbox.signing import Signer
from crawler.sandbox.tally import Tally
from crawler.sandbox.world import World

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_MOST_ID = 2**31 - 1
_SHARED = "public, s-maxage=300, stale-while-revalidate=150"
_PRIVATE = "max-age=0, private, no-cache"
_BREAK = "<html><body>We're adjusting a few things, be back in a few minutes...</body></html>"
_GATEWAY = "<html><head><title>{}</title></head><body>cloudflare</body></html>"
_BLOCKED = {
    "error": "Access to this service is not available in your region due to legal restrictions.",
    "code": "REGION_BLOCKED",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """What the API host needs to answer.

    Attributes:
        storage: Where links to files begin.
        key: The only valid API key.
    """

    world: World
    faults: Faults
    signer: Signer
    tally: Tally
    luck: Luck
    storage: str
    key: str

    def application(self) -> Starlette:
        """The host as an ASGI application."""
        endpoints = {
            "/api/v1/models": self._models,
            "/api/v1/models/{id}": self._model,
            "/api/v1/model-versions/{id}": self._version,
            "/api/v1/me": self._me,
            "/api/download/models/{id}": self._download,
            "/login": self._page,
            "/model-versions/{id}": self._page,
        }
        return Starlette(
            routes=[Route(path, end, methods=_METHODS) for path, end in endpoints.items()],
            exception_handlers={RefusedError: self._refused, RedirectedError: self._redirected},
        )

    def mood(self, agent: str, path: str, query: str) -> Response | None:
        """What stands between a client and the API, None when nothing does."""
        faults, subject = self.faults, subject_of(path, query)
        if faults.agent_rules and agent.startswith("Python-urllib"):
            self.tally.inject("agent_rules")
            return _edge_block(faults)
        if faults.region_blocked and path.startswith("/api/v1"):
            self.tally.inject("region_blocked")
            return _json(_BLOCKED, 451)
        for switch, reply in _MOODS.items():
            if self.luck.strikes(getattr(faults, switch), switch, subject):
                return reply(faults)
        return None

    async def _models(self, request: Request) -> Response:
        self.tally.count("lists")
        _get_only(request)
        logged_in = self._logged_in(request)
        pairs = request.query_params.multi_items()
        question = read_question(pairs, logged_in=logged_in)
        view = self.world.list_call(None if logged_in else str(request.url))
        if question.cursor is not None and self._deployed():
            message = "Invalid cursor: expected 3 value(s) for this sort, received 2"
            raise RefusedError(400, {"message": message}, "deploy_at")
        page = answer(view, question, pairs, _origin(request))
        self.tally.inject("unlisted", page.dropped)
        headers = {"Cache-Control": _PRIVATE if logged_in else _SHARED}
        if view.age:
            self.tally.inject("edge_cache")
            headers["Age"] = str(view.age)
        return _json(page.body, headers=headers)

    def _deployed(self) -> bool:
        """Whether a deploy made this list call's cursor worthless; it happens once."""
        due = self.faults.deploy_at is not None and self.tally.lists >= self.faults.deploy_at
        return due and not self.tally.injected("deploy_at")

    async def _model(self, request: Request) -> Response:
        self.tally.count("models")
        model_id = _id(request)
        stock = self.world.stock
        position = stock.find_model(model_id)
        if position is None:
            raise RefusedError(404, {"error": f"No model with id {model_id}"})
        item = stock.item(position, _origin(request), self.world.tick)
        return _json(model_body(item), headers={"Cache-Control": _SHARED})

    async def _version(self, request: Request) -> Response:
        self.tally.count("models")
        _get_only(request)
        version_id = _id(request)
        stock = self.world.stock
        position = stock.find_version(version_id)
        if position is None:
            raise RefusedError(404, {"error": "Model not found"})
        item = stock.item(position, _origin(request), self.world.tick)
        version = next((it for it in item["modelVersions"] if it["id"] == version_id), None)
        if version is None:  # not published yet
            raise RefusedError(404, {"error": "Model not found"})
        return _json(version_body(item, version), headers={"Cache-Control": _SHARED})

    async def _me(self, request: Request) -> Response:
        _get_only(request)
        if not self._logged_in(request):
            raise RefusedError(401, {"error": "Unauthorized"})
        account = {"id": 1, "username": "sandbox", "tier": "free", "status": "active"}
        return _json({**account, "isMember": False, "subscriptions": []})

    async def _download(self, request: Request) -> Response:
        self.tally.count("resolutions")
        if self.faults.blacklisted:
            raise RefusedError(403, {"error": "Forbidden"}, "blacklisted")
        limit = self.faults.quota
        if limit is not None and self.tally.downloads >= limit:
            raise RefusedError(429, {"error": QUOTA}, "quota")
        upload = granted(
            self.world.stock,
            request.path_params["id"],
            {name: value for name, value in request.query_params.items() if name != "token"},
            logged_in=self._logged_in(request),
            browser=is_browser(request.headers.get("user-agent", "")),
        )
        subject = subject_of_file(upload.file_id)
        if self.luck.strikes(self.faults.lost_file, "lost_file", subject):
            headers = {"Cache-Control": "private, no-store"}
            return _json({"error": "File not found"}, 404, headers)
        self.tally.download(upload.file_id)
        link = self.storage + self.signer.link(upload, int(time.time()))
        # set by hand: RedirectResponse would quote the link once more
        headers = {"Location": link, "Cache-Control": "no-store, max-age=0"}
        return Response(status_code=307, headers=headers)

    async def _page(self, request: Request) -> Response:
        return HTMLResponse(f"<!DOCTYPE html><title>Sandbox</title>{request.url.path}")

    def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusedError)  # noqa: S101 - Starlette types handlers loosely
        if error.fault is not None:
            self.tally.inject(error.fault)
            self.luck.answered(subject_of(request.url.path, request.url.query))
        browser = is_browser(request.headers.get("user-agent", ""))
        download = request.url.path.startswith("/api/download/")
        if browser and download and "message" not in error.body:  # a person gets plain text
            return PlainTextResponse(str(error.body["error"]), error.status)
        return _json(error.body, error.status)

    def _redirected(self, _request: Request, error: Exception) -> Response:
        assert isinstance(error, RedirectedError)  # noqa: S101 - Starlette types handlers loosely
        self.tally.inject(error.fault)
        return RedirectResponse(error.location)

    def _logged_in(self, request: Request) -> bool:
        words = request.headers.get("authorization", "").split()
        token = words[1] if len(words) > 1 else request.query_params.get("token")
        return token == self.key


def _json(
    body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    response = Response(
        msgspec.json.encode(body), status, headers, media_type="application/json; charset=utf-8"
    )
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def _on_break(_faults: Faults) -> Response:
    return HTMLResponse(_BREAK)


def _edge_block(_faults: Faults) -> Response:
    return PlainTextResponse("error code: 1010", 403)


def _bad_gateway(_faults: Faults) -> Response:
    return HTMLResponse(_GATEWAY.format("502 Bad Gateway"), 502)


def _gateway_timeout(_faults: Faults) -> Response:
    return HTMLResponse(_GATEWAY.format("504 Gateway Timeout"), 504)


def _server_error(_faults: Faults) -> Response:
    message = "An unexpected error occurred"
    return _json({"message": message, "error": "made up by the sandbox"}, 500)


def _busy(faults: Faults) -> Response:
    body = {"error": "Model search is temporarily overloaded — please retry."}
    headers = {"Retry-After": str(faults.retry_after), "Cache-Control": "no-store"}
    return _json(body, 503, headers)


# By the name of the switch, in the order in which they are drawn
_MOODS: Mapping[str, Callable[[Faults], Response]] = {
    "html_reply": _on_break,
    "edge_block": _edge_block,
    "bad_gateway": _bad_gateway,
    "gateway_timeout": _gateway_timeout,
    "server_error": _server_error,
    "busy": _busy,
}


def _get_only(request: Request) -> None:
    if request.method != "GET":
        raise RefusedError(405, {"error": "Method not allowed"})


def _id(request: Request) -> int:
    text = request.path_params["id"]
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST_ID):
        raise RefusedError(400, {"error": "✖ Invalid input: expected a whole number\n  → at id"})
    return int(text)


def _origin(request: Request) -> str:
    """The address that the client used, for the links in the reply."""
    return f"{request.url.scheme}://{request.url.netloc}"
