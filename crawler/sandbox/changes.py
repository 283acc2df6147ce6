"""What becomes of a catalogue between two looks at it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """How much of a catalogue is another a week later; by default nothing.

    Every number is a share from 0 to 1 of the models that were there before. Which models they are
    follows from the catalogue's seed, so the same changes of the same catalogue are the same.

    Attributes:
        new_models: Models that nobody had seen yet.
        new_versions: Models with one more version; they move to the end of `Oldest`.
        new_files: Models one version of which has one more file, which moves nothing.
        edited: Models with another name and other tags.
        stats: Models with more downloads and thumbs up.
        replaced_files: Models one file of which has other bytes under the same id: another hash,
            another size, another header, and perhaps another outcome.
        gone_models: Models that are not there any more, neither in a list nor by their id.
        gone_versions: Models whose first version is not there any more, where they have several.
    """

    new_models: float = 0.0
    new_versions: float = 0.0
    new_files: float = 0.0
    edited: float = 0.0
    stats: float = 0.0
    replaced_files: float = 0.0
    gone_models: float = 0.0
    gone_versions: float = 0.0
