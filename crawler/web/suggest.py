"""Settings to start with: what `suggest` says, as a form with the evidence."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from crawler.answers.recipe import Files, suggested_files
from crawler.answers.settings import bin_label, spoken_value
from crawler.answers.suggest import (
    COMBINATION_HEADS,
    Suggestion,
    preface,
    shown_settings,
    suggested,
    suggestion,
    used_values,
    warning,
)
from crawler.answers.text import count, figure, number, rounded, share
from crawler.errors import UsageError
from crawler.insight.export import Format
from crawler.insight.suggest.settings import COMBINED, Advice, Finding
from crawler.model.int64 import MAX_INT64
from crawler.store.schema.fields import BY_NAME
from crawler.store.stats.examples import base_models
from crawler.web.lora import bar_width, file_of, form_of, recipe_page
from crawler.web.page import Asked, Download, Html

#: Base models to choose from, the most common ones; others can be written into the address.
_MOST_BASES = 150

#: Values in use that are shown of each setting.
_MOST_VALUES = 6

#: What the form asks for, beside the base model.
_INPUTS = ("images", "tag", "creator", "min_likes")


def asked_for(asked: Asked) -> Suggestion:
    """The suggestion that the parameters of an address ask for.

    Raises:
        UsageError: A parameter is wrong, or the base model is not known.
    """
    return suggestion(
        asked.connection,
        base_model=asked.text("base_model"),
        images=_images(asked),
        tag=asked.text("tag") or None,
        creator=asked.text("creator") or None,
        min_likes=asked.whole("min_likes", 0, least=0, most=MAX_INT64),
    )


def page(asked: Asked) -> Html:
    """A form, and if a base model is chosen the settings of LoRAs for it."""
    bases = asked.kept.get(
        asked.connection, "base models", lambda: dict(base_models(asked.connection))
    )
    chosen = asked.text("base_model")
    ordered = sorted(bases, key=lambda name: (-bases[name], name))[:_MOST_BASES]
    if chosen and chosen not in ordered:
        ordered.append(chosen)
    values: dict[str, Any] = {
        "bases": [
            {"name": name, "loras": number(bases.get(name, 0)), "is_on": name == chosen}
            for name in ordered
        ],
        "inputs": {name: asked.text(name) for name in _INPUTS},
        "title": "",
    }
    if not chosen:
        return Html("suggest.html", "Suggest settings", values)
    made = asked_for(asked)
    advice, query = made.advice, _query(asked)
    shown = [finding for _, some in shown_settings(advice) for finding in some]
    copies = count(made.left_out, "scanned copy", "scanned copies")
    return Html(
        "suggest.html",
        f"Settings for {made.title}",
        values
        | {
            "title": f"Settings for {made.title}",
            "paragraphs": preface(made.coverage, advice),
            "copies": f"{copies} left out." if made.left_out else "",
            "warning": warning(advice),
            "groups": list(_groups(advice)),
            "rates": [_rate(finding) for finding in shown if finding.histogram],
            "heads": COMBINATION_HEADS,
            "combinations": [
                [share(one.share), number(one.count), *map(_combined, COMBINED, one.value)]
                for one in advice.combinations
            ],
            "examples": [
                {
                    "file_id": one.file_id,
                    "name": one.model_name,
                    "creator": one.creator or "",
                    "likes": rounded(monthly),
                }
                for one, monthly in advice.examples
            ],
            "forms": [{"name": one.value, "address": f"/suggest/{one}?{query}"} for one in Format],
        },
    )


def recipe(asked: Asked) -> Html:
    """The files to train with these settings."""
    form, made, files = _recipe(asked)
    query = _query(asked)
    return recipe_page(
        form,
        files,
        f"the settings of {count(made.advice.loras, 'LoRA')}: {made.title}",
        back=f"/suggest?{query}",
        address=f"/suggest/{{}}?{query}",
    )


def recipe_file(asked: Asked) -> Download:
    """One of these files."""
    form, _, files = _recipe(asked)
    return file_of(asked, form, files)


def _recipe(asked: Asked) -> tuple[Format, Suggestion, Files]:
    form = form_of(asked)
    made = asked_for(asked)
    if not made.advice.loras:
        raise UsageError("no LoRA matches; ask for fewer things at once")
    return form, made, suggested_files(made, _images(asked), form)


def _images(asked: Asked) -> int | None:
    return asked.whole("images", 0, least=1, most=MAX_INT64) or None


def _query(asked: Asked) -> str:
    given = {name: asked.text(name) for name in ("base_model", *_INPUTS)}
    return urlencode({name: value for name, value in given.items() if value})


def _groups(advice: Advice) -> Iterator[dict[str, Any]]:
    for heading, findings in shown_settings(advice):
        yield {"heading": heading, "rows": [_row(finding) for finding in findings]}


def _row(finding: Finding) -> dict[str, Any]:
    field = BY_NAME[finding.setting.name]
    if finding.quartiles is None:
        used = used_values(finding)
        more = len(used) - _MOST_VALUES
        used[_MOST_VALUES:] = [f"{more} more"] if more > 0 else []
    else:
        low, high = (figure(end, field, is_statistic=True) for end in finding.quartiles[::2])
        used = [f"IQR {low}" if low == high else f"IQR {low} to {high}"]
    return {
        "name": field.name,
        "meaning": field.meaning,
        "suggested": suggested(finding),
        "loras": number(finding.count),
        "used": used,
        "given": _given(finding),
    }


def _given(finding: Finding) -> str:
    return ", ".join(
        f"{name} {spoken_value(BY_NAME[name], value)}" for name, value in finding.given
    )


def _rate(finding: Finding) -> dict[str, Any]:
    """The histogram of a rate, as bars."""
    field = BY_NAME[finding.setting.name]
    largest = max(one.count for one in finding.histogram)
    given = f", with {given}" if (given := _given(finding)) else ""
    return {
        "caption": f"LoRAs with each {field.name}{given}",
        "name": field.name,
        "bars": [
            {
                "name": bin_label(field, one),
                "text": number(one.count),
                "width": bar_width(one.count, largest),
            }
            for one in finding.histogram
        ],
    }


def _combined(name: str, value: Any) -> str:
    return "" if value is None else spoken_value(BY_NAME[name], value)
