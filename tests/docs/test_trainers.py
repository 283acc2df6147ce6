"""docs/trainers.md lists every trainer that a dialect names."""

import re
from pathlib import Path

from crawler.decode.recipe import DIALECTS

PAGE = (Path(__file__).parents[2] / "docs" / "trainers.md").read_text(encoding="utf-8")


def test_every_trainer_is_documented() -> None:
    listed = re.findall(r"^\| `([\w-]+)` \|", PAGE, flags=re.MULTILINE)
    named = {getattr(dialect, "TRAINER", None) for dialect in DIALECTS} - {None}

    assert set(listed) == named
    assert len(listed) == len(named)
