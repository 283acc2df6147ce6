"""docs/trainers.md lists every trainer that a file can have."""

import re
from pathlib import Path

from crawler.model import Trainer

PAGE = (Path(__file__).parents[2] / "docs" / "trainers.md").read_text(encoding="utf-8")


def test_every_trainer_is_documented() -> None:
    listed = re.findall(r"^\| `([\w-]+)` \|", PAGE, flags=re.MULTILINE)
    expected = [trainer for trainer in Trainer if trainer != Trainer.DIFFUSION_PIPE]

    assert sorted(listed) == sorted(expected)
