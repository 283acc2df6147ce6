"""The LoRAs that are most like one, and how they differ."""

from dataclasses import dataclass
from typing import Any, Literal

from crawler.answers.lora import LoraView, caption_tags
from crawler.answers.settings import spoken_value
from crawler.answers.text import count
from crawler.errors import UsageError
from crawler.store.connect.database import Connection
from crawler.store.schema.fields import BY_NAME
from crawler.store.stats.similar import (
    Similar,
    by_settings,
    by_tags,
    differing,
    likely_base_model,
)

#: What is compared.
By = Literal["settings", "tags"]

#: The columns that describe a LoRA, before `differs` or `shared_tags`.
_COLUMNS = ("file_id", "similarity", "model_name", "creator", "base_model", "likes")

#: Shared tags that are named in a sentence.
_MOST_TAGS = 12


@dataclass(frozen=True, slots=True)
class Likeness:
    """The LoRAs that are most like one.

    Attributes:
        view: That one.
        by: What is compared.
        found: The most similar first.
        guess: Its likely base model, and the field that tells it; None where the site tells it.
    """

    view: LoraView
    by: By
    found: list[Similar]
    guess: tuple[str, str] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the cells of `rows`."""
        return (*_COLUMNS, "shared_tags" if self.by == "tags" else "differs")

    def rows(self) -> list[tuple[Any, ...]]:
        """The cells of each LoRA; `differs` is setting -> the value of `view` and its own."""
        return [tuple(self._values(one)[name] for name in self.columns) for one in self.found]

    def remarks(self) -> list[str]:
        """What is compared where the site does not tell it, and that nothing is found."""
        remarks = []
        if self.guess is not None:
            base_model, told_by = self.guess
            remarks.append(f"compared with {base_model}, to judge by its {told_by}")
        if not self.found:
            alike = "tags" if self.by == "tags" else "base model and training settings"
            remarks.append(f"no other LoRA of this database has such {alike}")
        return remarks

    def _values(self, one: Similar) -> dict[str, Any]:
        view = self.view
        return {
            **one.row,
            "similarity": round(one.similarity, 4),
            "shared_tags": list(one.shared),
            "differs": {name: [view[name], one.row[name]] for name in differing(view.row, one.row)},
        }


def similar(connection: Connection, ref: str, view: LoraView, *, by: By, limit: int) -> Likeness:
    """The LoRAs that are most like one.

    Args:
        connection: To read from.
        ref: What names the LoRA, for errors.
        view: The LoRA.
        by: What is compared: the settings within the base model, or the caption tags.
        limit: Most LoRAs.

    Raises:
        UsageError: The LoRA has nothing to compare.
    """
    if by == "tags":
        if not (counts := caption_tags(view)):
            raise UsageError(f"{ref} has no caption tags")
        return Likeness(view, by, by_tags(connection, view.row, counts, limit))
    base = view["base_model"]
    guess = likely_base_model(connection, view.row) if base is None else None
    if guess is not None:
        base = guess[0]
    if base is None:
        raise UsageError(f"{ref}: its base model is not known, so there is nothing to compare")
    return Likeness(view, by, by_settings(connection, view.row, base, limit), guess)


def in_words(view: LoraView, one: Similar) -> str:
    """How the settings of a LoRA differ from those of `view`, or which tags both have."""
    if one.shared:
        some = ", ".join(one.shared[:_MOST_TAGS])
        more = len(one.shared) - _MOST_TAGS
        return f"both have {some}" + (f" and {count(more, 'more tag')}" if more > 0 else "")
    texts = (
        f"{name} {'unset' if (theirs := one.row[name]) is None else spoken_value(BY_NAME[name], theirs)}"
        for name in differing(view.row, one.row)
    )
    return ", ".join(texts) or "the same settings"
