"""Which request a fault of the network strikes."""

from collections import Counter
from collections.abc import Callable
from urllib.parse import parse_qs
from zlib import crc32

from crawler.sandbox.chance import unit

_DOWNLOADS = "/api/download/models/"


def subject_of_file(file_id: int) -> str:
    """What requests for a file, on either host, are about."""
    return f"file {file_id}"


def subject_of(path: str, query: str) -> str:
    """What a request to the API host is about: a file asked for by its id, else the address."""
    file_id = parse_qs(query).get("fileId", [""])[0] if path.startswith(_DOWNLOADS) else ""
    return subject_of_file(int(file_id)) if file_id.isdecimal() else f"{path}?{query}"


class Luck:
    """Repeatable bad luck: it depends on the seed, on what is asked for, and on how often it was.

    So the same requests meet the same faults in whatever order they come, and a retry has a
    chance of its own.

    Args:
        seed: Decides who is struck.
        most: How many failures at most one subject meets; None for no end.
        tell: Called with the name of each fault that strikes.
    """

    def __init__(self, seed: int, most: int | None, tell: Callable[[str], None]) -> None:
        self._seed = seed
        self._most = most
        self._tell = tell
        self._tries: Counter[tuple[str, str]] = Counter()
        self._failures: Counter[str] = Counter()
        self._lost_links: set[str] = set()
        self._answered: set[str] = set()

    def happens(self, share: float, what: str, subject: str) -> bool:
        """Whether what befalls a share of requests befalls this one; no failure for who can read.

        Args:
            share: From 0 to 1.
            what: The fault, by its name among the switches.
            subject: What is asked for.
        """
        if share <= 0:
            return False
        self._tries[what, subject] += 1
        tries = self._tries[what, subject]
        struck = unit(self._seed, crc32(what.encode()), crc32(subject.encode()), tries) < share
        if struck:
            self._tell(what)
        return struck

    def strikes(self, share: float, what: str, subject: str) -> bool:
        """The same for a failure that another try may mend: `most` of them, then it succeeds."""
        if self._most is not None and (
            subject in self._answered or self._failures[subject] >= self._most
        ):
            return False
        struck = self.happens(share, what, subject)
        self._failures[subject] += struck
        return struck

    def answered(self, subject: str) -> None:
        """The subject got the refusal that it deserves: with `most` it keeps it from then on.

        Whoever asks again after a 404 would else end with the failure of the last try.
        """
        self._answered.add(subject)

    def spoils_link(self, share: float, what: str, subject: str) -> bool:
        """The same for a failure that only a new link mends: once for each subject."""
        if subject in self._lost_links or not self.strikes(share, what, subject):
            return False
        self._lost_links.add(subject)
        return True
