"""Interpret Civitai's refusals: JSON of several shapes, plain text, or the HTML page of a firewall."""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from crawler.decode import clean
from crawler.errors import SiteError

#: Bytes read of a refusal at most: enough for its text or the start of a login page.
MAX_BYTES = 64 * 1024

#: Statuses by which the site usually refuses us and not the file.
BLOCKED = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS})

#: Longest quotation of the site in a message, in characters.
MAX_QUOTE_CHARS = 200

_SPACE = re.compile(r"\s+")
_TITLE = re.compile(r"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
_LOGIN = re.compile(
    r"<title[^>]*>[^<]*\b(?:log|sign)[ -]?in\b|type=[\"']?password|action=[\"']?[^\"'> ]*/login",
    re.IGNORECASE,
)
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|!--)", re.IGNORECASE)

LOGIN_ADVICE = (
    "`lora-crawl login` stores an API key; create one at https://civitai.com/user/account."
)
BLOCKED_ADVICE = "The site refuses this key, address or client. Wait, or try another network."
REGION_ADVICE = "The site does not serve the region of this network."
REACH_ADVICE = "Check the network and the URL of the API (--api-url)."
WRONG_ADVICE = "The server is there, but has no such page. Check the URL of the API (--api-url)."
SERVER_ADVICE = "The server has a problem. Run the same command again later."
LATER_ADVICE = "Run the same command again later; it continues where it stopped."
QUOTA_ADVICE = "The limit holds for a day. " + LATER_ADVICE

_ADVICE = {
    401: LOGIN_ADVICE,
    403: BLOCKED_ADVICE,
    404: WRONG_ADVICE,
    410: WRONG_ADVICE,
    429: LATER_ADVICE,
    451: REGION_ADVICE,
}


class RefusedError(SiteError):
    """A response that refuses us, or that makes no sense at this URL.

    Args:
        url: The request.
        status: The HTTP status.
        body: The start of the body.
        content_type: The header of this name.

    Attributes:
        text: What the response says, in one line; may be empty.
        is_page: Whether it is an HTML page.
        is_api: Whether it is a JSON object, as every error of the API is.
    """

    def __init__(self, url: str, status: int, body: bytes, content_type: str) -> None:
        self.status = status
        self.text = said(body)
        self.is_page = is_page(content_type, body)
        self.is_api = bool(fields(body))
        cause = f"answers {status}" + (f": {self.text}" if self.text else "")
        super().__init__(
            url,
            cause,
            _ADVICE.get(
                status,
                SERVER_ADVICE if status >= HTTPStatus.INTERNAL_SERVER_ERROR else REACH_ADVICE,
            ),
        )


def is_page(content_type: str, body: bytes) -> bool:
    """Whether a response is an HTML page, by its Content-Type or its first bytes."""
    return "html" in content_type.lower() or _PAGE.match(body) is not None


def is_login_page(body: bytes) -> bool:
    """Whether an HTML page asks for a login."""
    return _LOGIN.search(body.decode("utf-8", "replace")) is not None


def is_quota(refused: RefusedError) -> bool:
    """Whether a response means that today's downloads are used up."""
    busy = refused.status == HTTPStatus.TOO_MANY_REQUESTS
    return busy and "unusual amount of downloading" in refused.text.lower()


def fields(body: bytes) -> Mapping[str, Any]:
    """The JSON object of an error; empty for any other body."""
    value = _parsed(body.decode("utf-8", "replace"))
    return value if isinstance(value, dict) else {}


def said(body: bytes) -> str:
    """The text of an error in one line of at most MAX_QUOTE_CHARS; may be empty."""
    value = fields(body)
    texts = (_sentence(value.get("message")), _sentence(value.get("error")))
    text = ": ".join(dict.fromkeys(filter(None, texts)))
    if not text:
        text = body.decode("utf-8", "replace")
        if _PAGE.match(body):
            title = _TITLE.search(text)
            text = f"an HTML page, “{title[1].strip()}”" if title else "an HTML page"
    line = _SPACE.sub(" ", clean.text(text)).strip()
    return line if len(line) <= MAX_QUOTE_CHARS else line[: MAX_QUOTE_CHARS - 1] + "…"


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _sentence(value: Any) -> str:
    """The text of an error value: a string, or the issues of a validation error."""
    if isinstance(value, str):
        return _issues(_parsed(value)) or value
    if isinstance(value, dict):
        return _issues(value.get("issues")) or _sentence(value.get("message"))
    return ""


def _issues(value: Any) -> str:
    """`types: Invalid option; limit: Too big`, from a list of validation issues."""
    found = []
    for issue in value if isinstance(value, list) else ():
        if isinstance(issue, dict) and isinstance(issue.get("message"), str):
            path = issue.get("path")
            place = ".".join(str(part) for part in path) if isinstance(path, list) else ""
            found.append(f"{place}: {issue['message']}" if place else issue["message"])
    return "; ".join(found)
