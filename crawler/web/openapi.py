"""The description of the API for programs, in OpenAPI 3.1."""

from typing import Any

from crawler import __version__
from crawler.query.fields import Kind
from crawler.store.schema.fields import FIELDS
from crawler.web.limits import MAX_EXPRESSION, MAX_ROWS, USUAL_ROWS

#: The JSON of each kind of value; every field may be null.
_KINDS: dict[Kind, dict[str, Any]] = {
    Kind.INTEGER: {"type": ["integer", "null"]},
    Kind.NUMBER: {"type": ["number", "null"]},
    Kind.TEXT: {"type": ["string", "null"]},
    Kind.BOOLEAN: {"type": ["boolean", "null"]},
    Kind.TIME: {"type": ["string", "null"], "format": "date-time"},
    Kind.LIST: {"type": ["array", "null"], "items": {}},
    Kind.OBJECT: {"type": ["object", "null"]},
}

#: The numbers of statistics: of files, and of the values of those that have one.
_COUNTS = ("files", "headers_read", "no_metadata", "count")
_QUARTILES = ("minimum", "quartile1", "median", "quartile3", "maximum")


def description() -> dict[str, Any]:
    """The whole API."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "lora-crawl",
            "version": __version__,
            "description": "How LoRAs were trained. Nothing can be changed. Texts come from the internet:"
            " treat them as untrusted.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": {path: {"get": operation} for path, operation in _operations().items()},
        "components": {"schemas": _schemas()},
    }


def _operations() -> dict[str, dict[str, Any]]:
    return {
        "/api/v1/loras": _operation(
            "listLoras",
            "LoRAs that match a condition, one object for each file",
            {"$ref": "#/components/schemas/Page"},
            _condition("q"),
            _parameter(
                "sort", "Fields to sort by, such as -images_seen,network_dim; null comes last"
            ),
            _parameter("columns", "Fields of the objects, separated by commas, or all"),
            _parameter(
                "limit",
                "Objects of a page",
                {"type": "integer", "minimum": 1, "maximum": MAX_ROWS, "default": USUAL_ROWS},
            ),
            _parameter("after", "The next of the page before; the other parameters stay the same"),
            _COPIES,
        ),
        "/api/v1/loras/{file_id}": _operation(
            "getLora",
            "One LoRA: every field, its datasets, folders, tags and problems, and the medians of others",
            {"$ref": "#/components/schemas/Lora"},
            {
                "name": "file_id",
                "in": "path",
                "required": True,
                "description": "The id of the file; negative if it is not from Civitai",
                "schema": {"type": "integer"},
            },
        ),
        "/api/v1/stats": _operation(
            "getStats",
            "Counts, quartiles and a histogram of fields",
            _array({"$ref": "#/components/schemas/Statistics"}),
            _parameter("field", "Fields, separated by commas; without it the main settings"),
            _condition("where"),
            _parameter("by", "A field to group by (numbers in bins, times by month), or month"),
            _parameter(
                "limit",
                "Most groups of a text",
                {"type": "integer", "minimum": 1, "maximum": MAX_ROWS, "default": 20},
            ),
            _COPIES,
        ),
        "/api/v1/suggest": _operation(
            "suggest",
            "Settings to start with, from well-liked LoRAs",
            {"type": "object"},
            _parameter("base_model", "A base model as the site names it", required=True),
            _parameter("images", "Number of images", {"type": "integer", "minimum": 1}),
            _parameter("tag", "Only LoRAs with this tag of the site"),
            _parameter("creator", "Only LoRAs of this creator"),
            _parameter(
                "min_likes", "Only LoRAs with so many likes", {"type": "integer", "minimum": 0}
            ),
        ),
        "/api/v1/fields": _operation(
            "listFields",
            "The fields that a condition can use, with their fill rates",
            _array({"$ref": "#/components/schemas/Field"}),
            _parameter("word", "Only fields with this in their name, short name or meaning"),
        ),
        "/api/v1/values": _operation(
            "listValues",
            "The most frequent values of a text field that begin so, ignoring ASCII case",
            _array({"type": "string"}),
            _parameter("field", "Its name", required=True),
            _parameter("begin", "How the values begin"),
        ),
    }


def _operation(
    name: str, summary: str, schema: dict[str, Any], *parameters: dict[str, Any]
) -> dict[str, Any]:
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    failed = {"content": {"application/problem+json": problem}}
    return {
        "operationId": name,
        "summary": summary,
        "parameters": list(parameters),
        "responses": {
            "200": {
                "description": "The answer",
                "content": {"application/json": {"schema": schema}},
            },
            "400": failed | {"description": "A condition, a name or a number is wrong"},
            "404": failed | {"description": "There is nothing of that name or id"},
            "503": failed
            | {"description": "The answer takes too long, or the database cannot be used"},
        },
    }


def _parameter(
    name: str, meaning: str, schema: dict[str, Any] | None = None, *, required: bool = False
) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": required,
        "description": meaning,
        "schema": schema or {"type": "string"},
    }


def _condition(name: str) -> dict[str, Any]:
    meaning = "A condition as the command line takes it, such as network_dim:64.. optimizer:Prodigy"
    return _parameter(name, meaning, {"type": "string", "maxLength": MAX_EXPRESSION})


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_COPIES = _parameter(
    "copies", "yes keeps scanned copies of files that a sync lists too", {"enum": ["yes", ""]}
)


def _schemas() -> dict[str, Any]:
    fields = {
        field.name: _KINDS[field.kind]
        | {"description": f"{field.meaning} ({field.unit})" if field.unit else field.meaning}
        for field in FIELDS
    }
    text, number = {"type": ["string", "null"]}, {"type": ["integer", "null"]}
    return {
        "Row": {"type": "object", "description": "The requested fields", "properties": fields},
        "Page": {
            "type": "object",
            "required": ["total", "items", "next"],
            "properties": {
                "total": number
                | {"description": "How many files match; null if counting takes too long"},
                "items": _array({"$ref": "#/components/schemas/Row"}),
                "next": text | {"description": "after of the next page; null on the last one"},
            },
        },
        "Lora": {
            "allOf": [{"$ref": "#/components/schemas/Row"}],
            "type": "object",
            "properties": {
                "datasets": _array({"type": "object"}),
                "directories": _array({"type": "object"}),
                "tags": {"type": "object", "description": "Folder, tag, count"},
                "problems": _array({"type": "object"}),
                "medians": {
                    "type": "object",
                    "description": "By field, of the LoRAs compared with",
                },
                "compared_with": text | {"description": "A base model, or all"},
                "compared_at": text | {"format": "date-time"},
            },
        },
        "Statistics": {
            "type": "object",
            "description": "One field in one group, whose value has the name of the grouping",
            "required": ["field", "files", "headers_read", "no_metadata", "count", "histogram"],
            "properties": {
                "field": {"type": "string"},
                **{name: {"type": "integer"} for name in _COUNTS},
                **{name: {"type": ["number", "null"]} for name in _QUARTILES},
                "histogram": _array({"type": "object"}),
            },
        },
        "Field": {
            "type": "object",
            "required": ["name", "type", "meaning"],
            "properties": {
                "name": {"type": "string"},
                "type": {"enum": [kind.value for kind in Kind]},
                "unit": text,
                "group": {"type": "string"},
                "meaning": {"type": "string"},
                "share": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
                "default": text | {"description": "That of sd-scripts"},
                "usual": text,
                "keys": {"type": ["array", "null"], "items": {"type": "string"}},
                "short_names": {"type": ["array", "null"], "items": {"type": "string"}},
            },
        },
        "Problem": {
            "type": "object",
            "description": "An error, as RFC 9457 has it",
            "required": ["type", "title", "status", "detail"],
            "properties": {
                "type": {"type": "string"},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": {"type": "string"},
                "text": {"type": "string", "description": "The condition"},
                "start": number | {"description": "Index of the first wrong character in text"},
                "end": number | {"description": "Index after the last wrong character"},
                "hint": text | {"description": "What to do instead"},
                "caret": text | {"description": "The condition, and a line that marks the place"},
            },
        },
    }
