"""One LoRA: what `show`, `versions`, `similar` and `recipe` say of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from crawler.answers.conditions import equal_to
from crawler.answers.diff import shown
from crawler.answers.lora import LoraView, caption_tags, folders, image_sizes
from crawler.answers.prose import folder, gone, origin, refusal, training, words
from crawler.answers.recipe import Files, recipe_files, stored_decoded
from crawler.answers.settings import comparison, in_groups, spoken_value, usual_of
from crawler.answers.similar import By, in_words, similar
from crawler.answers.text import count, figure, is_number, number, share
from crawler.answers.versions import MAIN, Version, versions
from crawler.decode.problems import CONTRADICTED
from crawler.errors import UsageError
from crawler.insight.export import Format
from crawler.model.outcome import READ
from crawler.query.fields import Field
from crawler.store.schema.fields import BY_NAME
from crawler.web.html import page_link
from crawler.web.page import Asked, Download, Html, NotFoundError

#: Entries of each list; the API has all.
_MOST_TAGS, _MOST_SIZES, _MOST_FOLDERS, _MOST_PROBLEMS, _MOST_OTHERS = 30, 16, 16, 20, 100

#: Versions that are shown, the newest ones, and changes of each.
_MOST_VERSIONS, _MOST_CHANGES = 20, 20

#: Similar LoRAs.
_MOST_SIMILAR = 10

#: Characters of a file that a page shows; recipes of many folders are longer.
_MOST_CHARACTERS = 40_000


def page(asked: Asked) -> Html:
    """What is known of one file."""
    view = asked.lora()
    is_read = view["outcome"] in READ
    file_id = view["file_id"]
    counted = caption_tags(view)
    tags, sizes = _bars(counted), _bars(image_sizes(view))
    named = _folders(view)
    problems = [one for one in view.problems if one.code != CONTRADICTED]
    others = view["other_settings"] if isinstance(view["other_settings"], dict) else {}
    listed = sorted((str(name), str(value)) for name, value in others.items())
    every = versions(asked.connection, f"file:{file_id}")
    return Html(
        "lora.html",
        view.title,
        {
            "file_id": file_id,
            "title": view.title,
            "origin": origin(view.row),
            "words": words(view.row),
            "gone": gone(view.row),
            "site": page_link(view["page_url"]),
            "links": _links(view),
            "refusal": [] if is_read else refusal(view.row),
            "training": training(view.row) if is_read else [],
            "contradictions": [one.detail for one in view.problems if one.code == CONTRADICTED],
            "comparison": comparison(view),
            "groups": list(_groups(view)) if is_read else [],
            "versions": [*_versions(every[-_MOST_VERSIONS:], file_id)] if len(every) > 1 else [],
            "more_versions": _more(len(every) - _MOST_VERSIONS, "earlier version"),
            "forms": list(Format),
            "tags": tags[:_MOST_TAGS],
            "tags_caption": f"Images with each of {count(len(tags), 'tag')}",
            "more_tags": _more(len(tags) - _MOST_TAGS, "more tag"),
            "sizes": sizes[:_MOST_SIZES],
            "more_sizes": _more(len(sizes) - _MOST_SIZES, "more size"),
            "folders": named[:_MOST_FOLDERS],
            "more_folders": _more(len(named) - _MOST_FOLDERS, "more folder"),
            "problems": problems[:_MOST_PROBLEMS],
            "more_problems": _more(len(problems) - _MOST_PROBLEMS, "more problem"),
            "others": listed[:_MOST_OTHERS],
            "more_others": _more(len(listed) - _MOST_OTHERS, "more key"),
        },
    )


def alike(asked: Asked) -> Html:
    """The LoRAs that are most like one; a part of it is shown on the page of that one too."""
    view = asked.lora()
    by = asked.text("by", "settings")
    if by not in {"settings", "tags"}:
        raise UsageError(f"by takes settings or tags, not {by!r}")
    ref, is_by_tags = f"file {view['file_id']}", by == "tags"

    kind: By = "tags" if is_by_tags else "settings"
    made = similar(asked.connection, ref, view, by=kind, limit=_MOST_SIMILAR)
    what = "caption tags in common, rare ones counting more" if is_by_tags else "similar settings"
    return Html(
        "similar.html",
        f"Most like {view.title}",
        {
            "file_id": view["file_id"],
            "name": view.title,
            "what": f"Sorted by {what}; one file of each model.",
            "remarks": [f"{one[0].upper()}{one[1:]}." for one in made.remarks()],
            "found": [
                {
                    "file_id": one.row["file_id"],
                    "name": one.row["model_name"] or one.row["file_name"],
                    "similarity": share(one.similarity),
                    "about": _about(one.row),
                    "words": in_words(view, one),
                }
                for one in made.found
            ],
        },
    )


def recipe(asked: Asked) -> Html:
    """The files to train a LoRA with the same settings."""
    form, title, made = _recipe(asked)
    address = f"/loras/{asked.request.path_params['file_id']}"
    return recipe_page(
        form, made, f"the metadata of {title}", back=address, address=f"{address}/recipe/{{}}"
    )


def recipe_file(asked: Asked) -> Download:
    """One of these files."""
    form, _, made = _recipe(asked)
    return file_of(asked, form, made)


def _recipe(asked: Asked) -> tuple[Format, str, Files]:
    """The trainer, the title of the LoRA and the files.

    Raises:
        NotFoundError: There is no such trainer or file.
        UsageError: The header was not read.
    """
    form = form_of(asked)
    view = asked.lora()
    title, decoded = stored_decoded(asked.connection, f"file:{view['file_id']}")
    return form, title, recipe_files(title, decoded, form)


def recipe_page(form: Format, made: Files, source: str, *, back: str, address: str) -> Html:
    """The files of a recipe to look at and to download.

    Args:
        form: The trainer that they are for.
        made: The files.
        source: Where the settings are from, in words.
        back: The page that leads here.
        address: Of this page for a format, or of a file of it, in place of `{}`.
    """
    return Html(
        "recipe.html",
        f"Recipe for {form} from {source}",
        {
            "form": form.value,
            "source": source,
            "back": back,
            "remarks": [f"{one[0].upper()}{one[1:]}." for one in made.remarks],
            "forms": [{"name": one.value, "address": address.format(one)} for one in Format],
            "files": [
                {
                    "name": name,
                    "text": _beginning(text),
                    "address": address.format(f"{form}/{name}"),
                }
                for name, text in made.texts.items()
            ],
        },
    )


def file_of(asked: Asked, form: Format, made: Files) -> Download:
    """The file of a recipe that the address names; raises NotFoundError if there is none."""
    name = str(asked.request.path_params["name"])
    if name not in made.texts:
        some = ", ".join(made.texts)
        raise NotFoundError(f"the recipe for {form} has no such file; it has {some}")
    return Download(name, made.texts[name], "text/plain; charset=utf-8")


def form_of(asked: Asked) -> Format:
    """The trainer that the address names; raises NotFoundError if there is none."""
    text = str(asked.request.path_params["form"])
    try:
        return Format(text)
    except ValueError:
        raise NotFoundError(f"there is no format {text!r}; there are {', '.join(Format)}") from None


def _beginning(text: str) -> str:
    """As much of a file as a page shows."""
    if len(text) <= _MOST_CHARACTERS:
        return text
    whole, _, _ = text[:_MOST_CHARACTERS].rpartition("\n")
    return f"{whole}\n\n… {number(len(text) - len(whole))} more characters are in the download\n"


def _links(view: LoraView) -> Iterator[dict[str, str]]:
    for name, text in (("creator", "More by {}"), ("base_model", "More for {}")):
        if value := view[name]:
            query = urlencode({"q": equal_to(name, value)})
            yield {"text": text.format(value), "address": f"/?{query}"}
    yield {"text": "As JSON", "address": f"/api/v1/loras/{view['file_id']}"}


def _groups(view: LoraView) -> Iterator[dict[str, Any]]:
    for heading, fields in in_groups(view):
        yield {"heading": heading, "rows": [_setting(each, view) for each in fields]}


def _setting(each: Field, view: LoraView) -> dict[str, Any]:
    value, usual = view[each.name], usual_of(each, view)
    text = spoken_value(each, value)
    row = {
        "name": each.name,
        "value": text,
        "meaning": each.meaning,
        "long": usual is None,
        "rank": None,
        "median": "",
        "iqr": "",
    }
    if usual is None:
        return row
    low, median, high = (
        figure(end, each, is_statistic=True)
        for end in (usual.quartile1, usual.median, usual.quartile3)
    )
    rank = usual.rank(value) if is_number(value) else None
    return row | {"rank": rank, "median": median, "iqr": low if low == high else f"{low} to {high}"}


def _versions(some: Sequence[Version], file_id: int) -> Iterator[dict[str, Any]]:
    for one in some:
        row, changes = one.row, one.changes or ()
        remark = ""
        if row["outcome"] not in READ:
            remark = refusal(row)[0]
        elif one.changes is None:
            known = (name for name in MAIN if row[name] is not None)
            remark = ", ".join(f"{name} {spoken_value(BY_NAME[name], row[name])}" for name in known)
        elif not changes:
            remark = "no setting changed"
        elif len(changes) > _MOST_CHANGES:
            remark = f"{number(len(changes))} settings changed, among them"
        yield {
            "title": one.title,
            "file_id": row["file_id"],
            "is_this": row["file_id"] == file_id,
            "remark": remark,
            "changes": [
                {
                    "name": change.name,
                    "before": shown(change, change.values[0]) or "unset",
                    "now": shown(change, change.values[1]) or "unset",
                }
                for change in changes[:_MOST_CHANGES]
            ],
        }


def _about(row: Mapping[str, Any]) -> str:
    likes = row["likes"]
    parts = (
        row["creator"] and f"by {row['creator']}",
        row["base_model"],
        None if likes is None else count(likes, "like"),
    )
    return " · ".join(filter(None, parts))


def _folders(view: LoraView) -> list[dict[str, Any]]:
    named = folders(view)
    largest = max((each.get("image_count") or 0 for _, each in named), default=0) or 1
    return [
        {"name": name, "text": folder(each), "width": bar_width(each.get("image_count"), largest)}
        for name, each in named
    ]


def _bars(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """The largest first, with the width of its bar in percent."""
    ordered = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    largest = ordered[0][1] if ordered else 1
    return [
        {"name": name, "text": number(amount), "width": bar_width(amount, largest)}
        for name, amount in ordered
    ]


def bar_width(amount: int | None, largest: int) -> int:
    """The width of a bar in percent, at least 1 for what is not 0."""
    return max(round(100 * (amount or 0) / max(largest, 1)), 1 if amount else 0)


def _more(amount: int, noun: str) -> str:
    """What a list leaves out; empty if nothing."""
    return f"{count(amount, noun)} not shown; the JSON has all." if amount > 0 else ""
