"""The rows that the tests of the page look at."""

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from tests.stored import insert_loras

PORT = 8410
ADDRESS = f"http://127.0.0.1:{PORT}"

#: A name that would run, hide or reverse what is around it.
HOSTILE = '<script>document.title="run"</script>"><img src=x onerror=alert(1)>\x1b[31m\u202eLoRA'

#: Files, of which every fourth has no metadata.
FILES = 40


def row(number: int) -> dict[str, Any]:
    """One file. The values differ in many ways from file to file."""
    known: dict[str, Any] = {
        "trainer": "kohya" if number % 3 else "onetrainer",
        "optimizer": ("AdamW8bit", "Prodigy", "Ärger 'n' \\")[number % 3],
        "network_algo": "lora",
        "network_dim": (16, 32, 64, 128)[number % 4],
        "images_seen": number * 100,
        "learning_rate": number / 10_000,
        "optimizer_args": {"weight_decay": number % 5 / 10},
    }
    return {
        "file_id": number,
        "version_id": number,
        "model_id": number,
        "site": "civitai",
        "page_url": f"https://civitai.com/models/{number}?modelVersionId={number}",
        "model_name": HOSTILE if number == 7 else f"Marble {number}",
        "creator": f"stonecutter{number % 12}",
        "base_model": ("Pony", "SD 1.5", None)[number % 3],
        "published_at": datetime(2025, 1, 30, tzinfo=UTC) + timedelta(days=number),
        "likes": number % 7,
        "nsfw": bool(number % 2),
        "model_tags": ["style", f"tag{number}"],
        "attempts": 1,
        "outcome": "decoded" if number % 4 else "no_metadata",
        **(known if number % 4 else dict.fromkeys(known)),
    }


def loras(connection: sa.Connection) -> None:
    """Store all rows."""
    insert_loras(connection, [row(number) for number in range(1, FILES + 1)])
