"""Which request a fault of the network strikes."""

from collections import Counter
from zlib import crc32

from crawler.sandbox.chance import unit


class Luck:
    """Repeatable bad luck: it depends on the seed, on what is asked for, and on how often it was.

    So the same requests meet the same faults in whatever order they come, and a retry has a
    chance of its own.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._tries: Counter[tuple[str, str]] = Counter()

    def strikes(self, share: float, what: str, subject: str) -> bool:
        """Whether a fault that strikes a share of requests strikes this one.

        Args:
            share: From 0 to 1.
            what: The fault.
            subject: What is asked for.
        """
        if share <= 0:
            return False
        self._tries[what, subject] += 1
        tries = self._tries[what, subject]
        return unit(self._seed, crc32(what.encode()), crc32(subject.encode()), tries) < share
