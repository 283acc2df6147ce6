"""The result of reading the header of one input. It stands apart from the database and its imports."""

from collections.abc import Mapping
from dataclasses import dataclass

from crawler.model import Decoded, Outcome


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of reading the header of one input.

    Attributes:
        input: As given.
        reason: Why the outcome is not `decoded`; else empty.
        decoded: None unless the header is sound.
        file_bytes: The length of the file, None when unknown.
    """

    input: str
    outcome: Outcome
    reason: str
    decoded: Decoded | None = None
    file_bytes: int | None = None

    @property
    def metadata(self) -> Mapping[str, str] | None:
        """The metadata as stored, sorted by key; None when there is none."""
        if self.decoded is None or self.decoded.header.metadata is None:
            return None
        return dict(sorted(self.decoded.header.metadata.items()))
