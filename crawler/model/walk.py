"""Where a walk through a catalogue stands."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorState:
    """One maturity pass of a walk, between two runs.

    Attributes:
        cursor: Where the pass goes on; None at its beginning. At an ended pass: its last page.
        lap: How often the walk began anew, from 1.
        ended: The pass saw the end of the list in this lap.
        began_at: When this lap began; None when nobody noted it.
        refreshing: The lap was begun to meet again what is known.
    """

    cursor: str | None
    lap: int
    ended: bool
    began_at: datetime | None = None
    refreshing: bool = False
