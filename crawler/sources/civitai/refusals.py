"""What Civitai's refusals say: JSON of several shapes, plain text, or the HTML page of a firewall."""

import json
import re
from collections.abc import Mapping
from typing import Any

from crawler.decode import clean
from crawler.errors import SiteError

#: Longest quotation of the site in a message, in characters.
MAX_QUOTE_CHARS = 200

_SPACE = re.compile(r"\s+")
_TITLE = re.compile(r"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
_LOGIN = re.compile(
    r"<title[^>]*>[^<]*\b(?:log|sign)[ -]?in\b|type=[\"']?password|action=[\"']?[^\"'> ]*/login",
    re.IGNORECASE,
)
_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|!--)", re.IGNORECASE)
_QUOTA = re.compile(r"unusual amount of downloading", re.IGNORECASE)
_PAGE_CAP = re.compile(r"too many pages", re.IGNORECASE)
_CURSOR = re.compile(r"\bcursor\b", re.IGNORECASE)

LOGIN_ADVICE = (
    "`lora-crawl login` stores an API key; create one at https://civitai.com/user/account."
)
BLOCKED_ADVICE = "The site refuses this key, address or client. Wait, or try another network."
REGION_ADVICE = "The site does not serve the region of this network."
REACH_ADVICE = "Check the network and the URL of the API (--api-url)."
LATER_ADVICE = "Run the same command again later; it continues where it stopped."
QUOTA_ADVICE = "The limit holds for a day. " + LATER_ADVICE

_ADVICE = {401: LOGIN_ADVICE, 403: BLOCKED_ADVICE, 429: LATER_ADVICE, 451: REGION_ADVICE}


def blocked(url: str, status: int, text: str) -> SiteError:
    """The SiteError for a response that refuses us, or that makes no sense at this URL."""
    advice = _ADVICE.get(status, REACH_ADVICE)
    return SiteError(url, f"answers {status}" + (f": {text}" if text else ""), advice)


def is_page(content_type: str, body: bytes) -> bool:
    """Whether a response is an HTML page, by its Content-Type or its first bytes."""
    return "html" in content_type.lower() or _PAGE.match(body) is not None


def is_login_page(body: bytes) -> bool:
    """Whether an HTML page asks for a login."""
    return _LOGIN.search(body.decode("utf-8", "replace")) is not None


def is_quota(text: str) -> bool:
    """Whether the text of a 429 means that today's downloads are used up."""
    return _QUOTA.search(text) is not None


def is_page_cap(text: str) -> bool:
    """Whether the text of a 429 means that a list cannot be read this far by pages."""
    return _PAGE_CAP.search(text) is not None


def is_about_cursor(text: str) -> bool:
    """Whether the text of a 400 is about the cursor."""
    return _CURSOR.search(text) is not None


def fields(body: bytes) -> Mapping[str, Any]:
    """The JSON object of an error; empty for any other body."""
    try:
        value = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def said(body: bytes) -> str:
    """The text of an error in one line of at most MAX_QUOTE_CHARS; may be empty."""
    value = fields(body)
    text = _sentence(value.get("message")) or _sentence(value.get("error"))
    if not text and not value:
        text = body.decode("utf-8", "replace")
        if _PAGE.match(body):
            title = _TITLE.search(text)
            text = f"an HTML page, “{title[1].strip()}”" if title else "an HTML page"
    line = _SPACE.sub(" ", clean.text(text)).strip()
    return line if len(line) <= MAX_QUOTE_CHARS else line[: MAX_QUOTE_CHARS - 1] + "…"


def _sentence(value: Any) -> str:
    """The text of an error value: a string, or the issues of a validation error."""
    if isinstance(value, str):
        try:
            issues = json.loads(value) if value.lstrip().startswith("[") else None
        except (ValueError, RecursionError):
            issues = None
        return _issues(issues) or value
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
