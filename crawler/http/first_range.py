"""How many bytes to ask for at first, learnt from the headers seen so far."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping

#: Asked for until enough headers were seen: most LoRA headers are shorter.
DEFAULT_FIRST_BYTES = 288 * 1024

#: Fewer headers than these say little about the next one.
MIN_SEEN = 20

#: Headers remembered for each base model: enough for a percentile, few enough to follow a change.
MAX_SEEN = 1000

#: Base models remembered; the site has about a hundred, and its text is not trusted.
MAX_BASE_MODELS = 1000

#: The share of files that one request must do for; the others take a second one.
PERCENTILE = 98

#: Steps and bounds of the answer, in bytes.
STEP_BYTES = 16 * 1024
LEAST_BYTES = 32 * 1024
MOST_BYTES = 2 * 1024 * 1024


class FirstRange:
    """The size of the first range for each base model.

    Args:
        seen: Header lengths known from before, by base model, in bytes with the 8 of the length.
    """

    def __init__(self, seen: Mapping[str | None, Iterable[int]] | None = None) -> None:
        self._seen: dict[str | None, deque[int]] = defaultdict(lambda: deque(maxlen=MAX_SEEN))
        for base_model, lengths in (seen or {}).items():
            self._seen[base_model].extend(lengths)

    def learn(self, base_model: str | None, header_bytes: int) -> None:
        """Remember how long one header was."""
        if base_model in self._seen or len(self._seen) < MAX_BASE_MODELS:
            self._seen[base_model].append(header_bytes)

    def bytes_for(self, base_model: str | None) -> int:
        """How many bytes to ask for at first."""
        seen = self._seen.get(base_model, ())
        if len(seen) < MIN_SEEN:
            return DEFAULT_FIRST_BYTES
        rank = -(-len(seen) * PERCENTILE // 100)
        steps = -(-sorted(seen)[rank - 1] // STEP_BYTES)
        return min(max(steps * STEP_BYTES, LEAST_BYTES), MOST_BYTES)
