"""Who gets which file: the order of checks of `/api/download/models/{id}`."""

from collections.abc import Mapping, Sequence

from crawler.model import Outcome
from crawler.sandbox.entries import Stock, Upload
from crawler.sandbox.questions import RefusedError

_MOST_DIGITS = 18  # of an id
_BROWSERS = ("mozilla", "chrome", "safari", "firefox", "opera", "edge")
_NOT_FOUND = {"error": "File not found"}
_LOGIN = "The creator of this asset requires you to be logged in to download it"
_DISABLED = "The creator of this asset has disabled downloads on this file"
_REFUSALS: Mapping[Outcome, tuple[int, dict[str, object]]] = {
    Outcome.ARCHIVED: (410, {"error": "Model archived, not available for download"}),
    Outcome.DOWNLOADS_DISABLED: (401, {"error": "Unauthorized", "message": _DISABLED}),
    Outcome.LOGIN_REQUIRED: (401, {"error": "Unauthorized", "message": _LOGIN}),
    Outcome.FORBIDDEN: (403, {"error": "You do not have access to download this file"}),
}
_SWITCHES: Mapping[Outcome, str] = {  # where a switch is not named like its outcome
    Outcome.NOT_FOUND: "gone",
    Outcome.ARCHIVED: "archived_late",
}
_PAGES: Mapping[Outcome, str] = {
    Outcome.LOGIN_REQUIRED: "/login?returnUrl=%2Fmodel-versions%2F{}&reason=download-auth",
    Outcome.EARLY_ACCESS: "/model-versions/{}",
}
QUOTA = (
    "We've noticed an unusual amount of downloading from your account. "
    "Contact support@civitai.com or come back later."
)


class RedirectedError(Exception):
    """A refusal that a browser sees as a page of HTML; `fault` is the switch that wants it so."""

    def __init__(self, location: str, fault: str) -> None:
        super().__init__(location)
        self.location = location
        self.fault = fault


def is_browser(agent: str) -> bool:
    """Whether the site takes a User-Agent for a person's browser, and answers with pages."""
    return any(word in agent.lower() for word in _BROWSERS)


def granted(
    stock: Stock, version: str, wanted: Mapping[str, str], *, logged_in: bool, browser: bool
) -> Upload:
    """The file that a request leads to.

    Args:
        stock: The catalogue.
        version: The last part of the path.
        wanted: The query string.
        logged_in: Whether the key is valid.
        browser: Whether refusals are for a person's eyes.

    Raises:
        RefusedError: With status and JSON.
        RedirectedError: To a page instead of the file.
    """
    version_id = _id(version)
    uploads = stock.uploads(version_id)
    if not uploads:
        raise RefusedError(404, _NOT_FOUND)
    _check(uploads[0], version_id, logged_in=logged_in, browser=browser)
    upload = _chosen(uploads, wanted)
    if upload is None:
        raise RefusedError(404, _NOT_FOUND, "wrong_link" if uploads[0].wrong_link else None)
    return upload


def _check(upload: Upload, version_id: int, *, logged_in: bool, browser: bool) -> None:
    """All files of a version share its refusal."""
    refusal = upload.refusal
    if refusal is Outcome.FORBIDDEN and not logged_in:
        refusal = Outcome.LOGIN_REQUIRED
    elif refusal is Outcome.LOGIN_REQUIRED and logged_in:
        refusal = None
    if refusal is None:
        return
    fault = _SWITCHES.get(refusal, str(refusal))
    if browser and refusal in _PAGES:
        raise RedirectedError(_PAGES[refusal].format(version_id), fault)
    if refusal is Outcome.EARLY_ACCESS:
        raise RefusedError(403, _early_access(upload), fault)
    status, body = _REFUSALS.get(refusal, (404, _NOT_FOUND))
    raise RefusedError(status, body, fault)


def _early_access(upload: Upload) -> dict[str, object]:
    until = upload.early_access_until
    return {
        "error": "Early Access",
        "deadline": None if until is None else until.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "message": "This asset is in Early Access. You can use Buzz access it now!",
    }


def _chosen(uploads: Sequence[Upload], wanted: Mapping[str, str]) -> Upload | None:
    if "fileId" in wanted:
        file_id = _id(wanted["fileId"])
        return next((upload for upload in uploads if upload.file_id == file_id), None)
    if uploads[0].wrong_link:
        return None
    matching = [
        upload
        for upload in uploads
        if wanted.get("type", upload.type) == upload.type
        and wanted.get("format", upload.format) == upload.format
        and wanted.get("fp", upload.fp) == upload.fp
    ]
    if not wanted:
        matching.sort(key=lambda upload: not upload.primary)
    # of two files alike the first one always wins
    return next(iter(matching), None)


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise RefusedError(400, {"error": "✖ Invalid input: expected number, received NaN"})
    return int(text)
