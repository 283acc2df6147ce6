"""The page and its API as one application that only reads."""

import logging
import time
import traceback
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from crawler.answers.text import json_text
from crawler.answers.visible import visible
from crawler.errors import DatabaseError, LoraCrawlError, QueryError, SlowError, StoppedError
from crawler.query.caret import caret
from crawler.store.connect.database import Connection, Engine
from crawler.store.connect.db_errors import translated
from crawler.store.read.changes import Changes
from crawler.store.read.limited import end_statement, in_time
from crawler.web import api, browse, compare, creators, lora, static, stats, suggest
from crawler.web.counting import Counting
from crawler.web.html import environment
from crawler.web.kept import Kept
from crawler.web.limits import MAX_STATEMENTS, STATEMENT_SECONDS, STATISTICS_SECONDS
from crawler.web.page import Answer, Asked, Data, Download, Html, NotFoundError, Page
from crawler.web.security import Guard, Hosts

#: Every address, and the page that is there. Those under /api/ answer with JSON, errors too.
PAGES: tuple[tuple[str, Page], ...] = (
    ("/", browse.page),
    ("/loras.csv", browse.csv),
    ("/loras.json", browse.json),
    ("/loras/{file_id}", lora.page),
    ("/loras/{file_id}/similar", lora.alike),
    ("/loras/{file_id}/recipe/{form}", lora.recipe),
    ("/loras/{file_id}/recipe/{form}/{name}", lora.recipe_file),
    ("/compare", compare.page),
    ("/stats", stats.page),
    ("/suggest", suggest.page),
    ("/suggest/{form}", suggest.recipe),
    ("/suggest/{form}/{name}", suggest.recipe_file),
    ("/creators", creators.page),
    *api.PAGES,
)

#: The pages that may take long.
_STATISTICS = {"/stats", "/suggest", "/creators"}

#: The pages that every page leads to, by what they are called.
NAV = (
    ("/", "LoRAs"),
    ("/compare", "Compare"),
    ("/stats", "Statistics"),
    ("/suggest", "Suggest"),
    ("/creators", "Creators"),
)

#: Seconds in which all answers end when the server stops, and between two looks at them.
_END_SECONDS, _TICK_SECONDS = 2.0, 0.02

_LOG = logging.getLogger("lora-crawl")

#: The error that each status is for people.
_STATUSES: tuple[tuple[type[LoraCrawlError], HTTPStatus], ...] = (
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (SlowError, HTTPStatus.SERVICE_UNAVAILABLE),
    (DatabaseError, HTTPStatus.SERVICE_UNAVAILABLE),
    (StoppedError, HTTPStatus.SERVICE_UNAVAILABLE),
    (LoraCrawlError, HTTPStatus.BAD_REQUEST),
)


class Site:
    """The application over one database. To be closed before the engine."""

    def __init__(self, engine: Engine, hosts: Hosts) -> None:
        self._engine = engine
        self._changes = Changes(engine)
        self._kept = Kept(self._changes)
        self._counting = Counting(engine, self._kept)
        self._busy: set[Connection] = set()
        self._at_once = CapacityLimiter(MAX_STATEMENTS)
        routes = [Route(path, self._endpoint(page)) for path, page in PAGES]
        handlers = {HTTPException: self._refused, Exception: self._failed}
        inner = Starlette(routes=[*routes, static.ROUTE], exception_handlers=handlers)
        #: To be called as ASGI says.
        self.application = Guard(inner, hosts)

    def begin(self) -> None:
        """Prepare the first answers, in a thread."""
        self._counting.begin()

    def close(self) -> None:
        """Let go of the database, and end what is being asked of it."""
        until = time.monotonic() + _END_SECONDS
        while self._busy and time.monotonic() < until:
            for connection in tuple(self._busy):
                end_statement(connection)
            time.sleep(_TICK_SECONDS)  # an answer may have further statements
        self._counting.close()
        self._changes.close()

    def _endpoint(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            async with self._at_once:
                if (
                    await request.is_disconnected()
                ):  # nobody reads what was asked for while it waited
                    return Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE)
                answer = partial(self._answer, page, request)
                # A server that stops does not wait for the thread, whose statements are ended.
                return await to_thread.run_sync(answer, abandon_on_cancel=True)

        return endpoint

    def _answer(self, page: Page, request: Request) -> Response:
        seconds = STATISTICS_SECONDS if request.url.path in _STATISTICS else STATEMENT_SECONDS
        try:
            with (
                translated(),
                self._engine.connect() as connection,
                in_time(connection, seconds),
            ):
                self._busy.add(connection)
                try:
                    # Before anything is read: what is kept must not be older than its version.
                    self._changes.version(connection)
                    return _response(
                        page(Asked(connection, request, self._kept, self._counting)), request
                    )
                finally:
                    self._busy.discard(connection)
        except LoraCrawlError as error:
            status = next(status for kind, status in _STATUSES if isinstance(error, kind))
            return _error_response(request, status, error)

    async def _refused(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return _error_response(request, HTTPStatus(status), NotFoundError("there is no such page"))

    async def _failed(self, request: Request, error: Exception) -> Response:
        lines = "".join(traceback.format_exception(error)).splitlines()
        _LOG.error("%s", "\n".join(map(visible, lines)))
        message = LoraCrawlError("an unexpected error; the terminal of the server shows it")
        return _error_response(request, HTTPStatus.INTERNAL_SERVER_ERROR, message)


def _response(answer: Answer, request: Request) -> Response:
    match answer:
        case Html():
            return _page_response(answer, request)
        case Data():
            text = json_text(answer.value, indent=1) + "\n"
            return Response(text, answer.status, media_type=answer.media_type)
        case Download():
            name = f'attachment; filename="{answer.name}"'
            headers = {"content-disposition": name}
            return Response(answer.text, headers=headers, media_type=answer.media_type)


def _page_response(page: Html, request: Request) -> Response:
    values = {
        "title": page.title,
        "nonce": request.state.nonce,
        "here": request.url.path,
        "static": static.address,
        "nav": NAV,
    }
    text = environment().get_template(page.template).render(values | dict(page.values))
    return HTMLResponse(text, page.status)


def _error_response(request: Request, status: HTTPStatus, error: LoraCrawlError) -> Response:
    hint = error.hint if isinstance(error, QueryError) else ""
    if request.url.path.startswith("/api/"):
        return _response(api.problem(status, error), request)
    values = {
        "message": str(error),
        "place": caret(error) if isinstance(error, QueryError) else "",
        "hint": hint,
    }
    return _page_response(Html("error.html", status.phrase, values, status), request)
