"""The pages as data, for `--json`."""

from dataclasses import asdict
from typing import Any

from crawler.cli.inputs import Reading
from crawler.cli.pages.lora_view import Sheet, Usual, columns_of, sheet_of


def page_of(reading: Reading) -> Sheet:
    """The page of a file that was just read."""
    known = {"size_bytes": reading.file_bytes}
    return sheet_of(
        reading.input, reading.decoded, outcome=reading.outcome, reason=reading.reason, **known
    )


def inspected(reading: Reading) -> dict[str, Any]:
    """One input of `inspect`: the same keys whatever became of it."""
    sheet = page_of(reading)
    return {
        **_ending(reading),
        **columns_of(reading.decoded),
        **_parts(sheet),
        "metadata": metadata_of(reading),
    }


def inspected_raw(reading: Reading) -> dict[str, Any]:
    """One input of `inspect --raw`: only what the file says itself."""
    return {**_ending(reading), "metadata": metadata_of(reading)}


def shown(sheet: Sheet) -> dict[str, Any]:
    """A page of `show`: every column of `loras` by its name, what belongs to it, what others have."""
    return {
        **sheet.row,
        **_parts(sheet),
        "compared_with": sheet.compared_with or None,
        "medians": {name: _beside(sheet[name], usual) for name, usual in sheet.usual.items()},
    }


def _beside(value: float | None, usual: Usual) -> dict[str, float | None]:
    return {
        "count": usual.count,
        "quartile1": usual.quartile1,
        "median": usual.median,
        "quartile3": usual.quartile3,
        "percentile": None if value is None else usual.rank(value),
    }


def metadata_of(reading: Reading) -> dict[str, str] | None:
    """The metadata as stored, sorted by key; None when there is none."""
    if reading.decoded is None or reading.decoded.header.metadata is None:
        return None
    return dict(sorted(reading.decoded.header.metadata.items()))


def _ending(reading: Reading) -> dict[str, str | None]:
    """What became of it; without a reason that is null, as in `loras`."""
    return {
        "input": reading.input,
        "outcome": reading.outcome.value,
        "reason": reading.reason or None,
    }


def _parts(sheet: Sheet) -> dict[str, Any]:
    return {
        "datasets": [dict(each) for each in sheet.datasets],
        "directories": [dict(each) for each in sheet.directories],
        "tags": {name: dict(counts) for name, counts in sheet.tags.items()},
        "problems": [asdict(problem) for problem in sheet.problems],
    }
