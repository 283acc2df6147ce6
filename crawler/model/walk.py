"""Where a walk through a catalogue stands."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorState:
    """One maturity pass of a walk, between two runs.

    Attributes:
        cursor: Where the pass goes on; None at its beginning. At an ended pass: its last page.
        lap: How often the walk began anew, from 1.
        ended: The pass saw the end of the list in this lap.
    """

    cursor: str | None
    lap: int
    ended: bool
