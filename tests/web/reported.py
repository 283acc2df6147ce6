"""Files for a report, and a report's tables read back."""

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import sqlalchemy as sa

from crawler.store.stats.field_stats import refresh_statistics
from tests.factories import NOW
from tests.stored import insert_loras

#: Texts that would run, link, hide or reverse, were they not shown as text.
HOSTILE = (
    "<script>document.title = 'run'</script>",
    '"><img src=x onerror="document.title=\'run\'">',
    "{{ 7 * 7 }} </script><script>document.title='run'</script>",
    "\x1b[31mred\u202edlrow",
    "<a href='javascript:document.title=`run`'>here</a>",
    "long " * 200_000,
)

#: Number of files: 40 a month for six months.
FILES = 240

_OUTCOMES = ("decoded", "decoded", "decoded", "no_metadata", "decoded", "login_required")


def row(number: int) -> dict[str, Any]:
    """One file; the values vary with different periods, so that no two charts are alike."""
    model = number // 2
    outcome = _OUTCOMES[number % 6]
    steps = 300 + number * 37 % 2_900
    known = {
        "trainer": ("kohya", "onetrainer", "ai-toolkit")[number % 7 % 3],
        "session_id": f"run {model % 50}",
        "network_dim": (8, 16, 32, 64, 128)[number % 11 % 5],
        "alpha_ratio": (0.5, 1.0, 1.0)[number % 3],
        "effective_unet_lr": (1e-4, 3e-4, 5e-4, 1.0)[number % 13 % 4],
        "optimizer": ("AdamW8bit", "Prodigy", "AdamW8bit", HOSTILE[0])[number % 5 % 4],
        "image_count": 10 + number * 7 % 90,
        "mean_repeats": float(1 + number % 10),
        "resolution": (512.0, 768.0, 1024.0)[number % 4 % 3],
        "steps": steps,
        "images_seen": steps * 2,
        "megapixels_seen": steps * 0.5,
        "training_seconds": steps * 1.5,
    }
    decoded = outcome == "decoded"
    return {
        "file_id": number,
        "version_id": number,
        "model_id": model,
        "site": "civitai",
        "page_url": "javascript:document.title='run'"
        if number % 40 == 1
        else f"https://civitai.com/models/{model}?modelVersionId={number}",
        "model_name": HOSTILE[number // 8 % 6] if number % 8 == 0 else f"Marble {model}",
        "creator": HOSTILE[1] if number % 31 == 0 else f"stonecutter{model % 30}",
        "base_model": ("Pony", "Pony", "SDXL 1.0", HOSTILE[2], None)[model % 5],
        "published_at": datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=number * 3 // 4),
        "likes": model * 7 % 500,
        "likes_per_month": model * 7 % 500 / 4,
        "attempts": 1,
        "outcome": outcome,
        "reason": "the creator requires users to log in" if outcome == "login_required" else None,
        **(known if decoded else dict.fromkeys(known)),
    }


def fill(engine: sa.Engine) -> None:
    """Store all files."""
    with engine.begin() as connection:
        insert_loras(connection, [row(number) for number in range(1, FILES + 1)])
        refresh_statistics(connection, NOW)


class _Tables(HTMLParser):
    """Collects the tables, by the id of the table or of the figure around it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[list[str]]] = {}
        self._name = ""
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in {"figure", "table"} and (name := given.get("id")):
            self._name = name
            self.found[name] = []
        elif tag == "tr":
            self.found[self._name].append([])
        elif tag in {"td", "th"}:
            self.found[self._name][-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th"}:
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.found[self._name][-1][-1] += data


def tables(html: str) -> dict[str, list[list[str]]]:
    """The cells of each table of a report, with the heads as the first row, by the id of its chart."""
    reader = _Tables()
    reader.feed(html)
    return reader.found


def by_first(table: list[list[str]]) -> dict[str, dict[str, str]]:
    """The rows by their first cell, as head -> cell."""
    head, *rows = table
    return {cells[0]: dict(zip(head, cells, strict=True)) for cells in rows}
