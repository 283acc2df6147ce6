"""The page of a LoRA that is in the database."""

from collections.abc import Mapping

from crawler.cli.pages.lora_view import Sheet, Usual
from crawler.model import Problem
from crawler.store.read.loras import FieldStats, LoraPage

#: A median of fewer LoRAs than these says nothing about what is usual.
_FEWEST = 5


def sheet_of_page(page: LoraPage) -> Sheet:
    """What is stored of one file, ready to be shown.

    Its numbers are compared with those of its base model, or with all where that is too rare.
    """
    row = page.row
    names = [row["model_name"] or row["file_name"] or f"file {row['file_id']}"]
    if row["version_name"]:
        names.append(row["version_name"])
    stats, compared_with = page.base_model_stats, row["base_model"] or ""
    if not (usual := _usual(stats)):
        stats, compared_with = page.all_stats, "all"
        usual = _usual(stats)
    return Sheet(
        title=" · ".join(names),
        row=row,
        datasets=page.datasets,
        directories=page.directories,
        tags=_tags(page),
        problems=[
            Problem(problem["code"], problem["field"], problem["detail"])
            for problem in page.problems
        ],
        usual=usual,
        compared_with=compared_with if usual else "",
        compared_files=stats["file_id"].count if usual else 0,
    )


def _tags(page: LoraPage) -> dict[str, dict[str, int]]:
    """By the name of the directory; directories of one name are counted together."""
    names = {each["number"]: each["name"] for each in page.directories}
    tags: dict[str, dict[str, int]] = {}
    for number, counts in page.tags.items():
        of_directory = tags.setdefault(names.get(number, "(not listed)"), {})
        for tag, count in counts:
            of_directory[tag] = of_directory.get(tag, 0) + count
    return tags


def _usual(stats: Mapping[str, FieldStats]) -> dict[str, Usual]:
    usual = {}
    for name, found in stats.items():
        quartiles = (found.quartile1, found.median, found.quartile3)
        match quartiles:
            case (float() as low, float() as middle, float() as high) if found.count >= _FEWEST:
                usual[name] = Usual(found.count, low, middle, high, found.percentiles or ())
    return usual
