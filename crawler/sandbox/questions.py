"""What a request to the list may ask, with the site's own idea of what is valid."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crawler.sandbox.entries import Sort

MOST_PER_PAGE = 100
_MOST_PAGED = 1000  # page * limit beyond it is refused
_DAYS = {"Day": 1, "Week": 7, "Month": 30, "Year": 365, "AllTime": None}
_TRUE = {"true", "1", "yes", "on", "y", "enabled"}
_FALSE = {"false", "0", "no", "off", "n", "disabled"}
_TYPES = frozenset((
    "Checkpoint", "TextualInversion", "Hypernetwork", "AestheticGradient", "LORA", "LoCon", "DoRA",
    "Controlnet", "Upscaler", "MotionModule", "VAE", "TextEncoder", "UNet", "CLIPVision", "Poses",
    "Wildcards", "Workflows", "ComfyWorkflows", "Detection", "VisionLanguage", "CLIP", "LLM",
    "Other",
))  # fmt: skip
# Declared as booleans and numbers without coercion: whatever a query string holds is wrong
_UNREACHABLE = (
    "allowNoCredit", "allowDerivatives", "allowDifferentLicense", "isFeatured", "disablePoi",
    "browsingLevel", "collectionId",
)  # fmt: skip
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


class RefusedError(Exception):
    """A request that the site answers with an error: a status and a JSON body.

    Args:
        status: Of HTTP.
        body: What is said.
        fault: The switch that wants it so, None when the request itself was wrong.
    """

    def __init__(self, status: int, body: Mapping[str, object], fault: str | None = None) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body
        self.fault = fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A valid request to the list.

    Attributes:
        tag: In lower case.
        username: In lower case.
        search: Text to look for in names; switches to cursors that count.
        days: Only models with a version so many days old; None for all.
    """

    limit: int
    page: int | None
    cursor: str | None
    sort: Sort
    types: tuple[str, ...]
    base_models: tuple[str, ...]
    tag: str | None
    username: str | None
    search: str | None
    ids: frozenset[int]
    version_ids: frozenset[int]
    days: int | None
    mature: bool
    archived: bool
    primary_only: bool


def read_question(pairs: Sequence[tuple[str, str]], *, logged_in: bool) -> Question:
    """The question that a query string asks.

    Raises:
        RefusedError: As the site would answer.
    """
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    for name in _UNREACHABLE:
        if name in given:
            raise _invalid(name, "Invalid input: expected another type, received string")
    if not logged_in and ("favorites" in given or "hidden" in given):
        raise RefusedError(401, {"error": "Unauthorized"})
    if given.get("availability", [""])[0] == "Private" and "username" not in given:
        message = "You are not authorized to perform this action"
        raise RefusedError(401, {"message": message})
    question = Question(
        limit=_whole(given, "limit", MOST_PER_PAGE, low=0, high=MOST_PER_PAGE),
        page=_whole(given, "page", 0, low=1) if "page" in given else None,
        cursor=_single(given, "cursor"),
        sort=Sort(_choice(given, "sort", Sort.HIGHEST_RATED, list(Sort))),
        types=_types(given),
        base_models=tuple(given.get("baseModels", ())),
        tag=_lower(_single(given, "tag") or _single(given, "tagname")),
        username=_lower(_single(given, "username") or _single(given, "user")),
        search=_single(given, "query") or None,
        ids=_numbers(given, "ids"),
        version_ids=_numbers(given, "modelVersionIds"),
        days=_days(given),
        mature=_truth(given, "nsfw"),
        archived=any(given.get("archived", ())),  # any text at all is true
        primary_only=_truth(given, "primaryFileOnly"),
    )
    _check_page(question)
    return question


def _check_page(question: Question) -> None:
    if question.page is None:
        return
    if question.search is not None:
        message = "Cannot use page param with query search. Use cursor-based pagination."
        raise RefusedError(400, {"error": message})
    if question.cursor is None and question.page * question.limit > _MOST_PAGED:
        message = "You've requested too many pages, please use cursors instead"
        raise RefusedError(429, {"error": message})


def _invalid(name: str, message: str) -> RefusedError:
    """A validation error as zod 4 serialises it: the issues are JSON inside of JSON."""
    issues = json.dumps([{"code": "custom", "path": [name], "message": message}], indent=2)
    return RefusedError(400, {"error": {"name": "ZodError", "message": issues}})


def _single(given: Mapping[str, list[str]], name: str) -> str | None:
    values = given.get(name)
    if values is None:
        return None
    if len(values) > 1:
        raise _invalid(name, "Invalid input: expected string, received array")
    return values[0]


def _lower(text: str | None) -> str | None:
    return text.strip().lower() or None if text is not None else None


def _whole(
    given: Mapping[str, list[str]], name: str, default: int, *, low: int, high: int | None = None
) -> int:
    text = _single(given, name)
    if text is None:
        return default
    if not _NUMBER.fullmatch(text):
        raise _invalid(name, "Invalid input: expected number, received NaN")
    value = float(text)
    if value < low:
        raise _invalid(name, f"Too small: expected number to be >={low}")
    if high is not None and value > high:
        raise _invalid(name, f"Too big: expected number to be <={high}")
    if value != int(value):
        raise _invalid(name, "Invalid input: expected int, received number")
    return int(value)


def _choice(given: Mapping[str, list[str]], name: str, default: str, allowed: Sequence[str]) -> str:
    text = _single(given, name)
    if text is not None and text not in allowed:
        options = "|".join(f'"{option}"' for option in allowed)
        raise _invalid(name, f"Invalid option: expected one of {options}")
    return default if text is None else text


def _types(given: Mapping[str, list[str]]) -> tuple[str, ...]:
    values = given.get("types", [])
    for value in values:
        if value not in _TYPES:
            raise _invalid("types", "Invalid option: expected one of the types of models")
    return tuple(values)


def _days(given: Mapping[str, list[str]]) -> int | None:
    days = _DAYS[_choice(given, "period", "AllTime", list(_DAYS))]
    mode = _choice(given, "periodMode", "published", ["published", "stats"])
    return None if mode == "stats" else days


def _truth(given: Mapping[str, list[str]], name: str) -> bool:
    text = _single(given, name)
    if text is None or text.lower() in _FALSE:
        return False
    if text.lower() in _TRUE:
        return True
    raise _invalid(name, "Invalid option: expected a word for true or false")


def _numbers(given: Mapping[str, list[str]], name: str) -> frozenset[int]:
    parts = [part for value in given.get(name, ()) for part in value.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise _invalid(name, "Invalid input: expected number, received NaN")
    return frozenset(map(int, parts))
