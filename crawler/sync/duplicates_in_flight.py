"""Files that the site offers under several ids: the same bytes are fetched once."""

from dataclasses import dataclass, field

from crawler.model import Target

_Content = tuple[str, int]


@dataclass(slots=True)
class SameContent:
    """Which content is being fetched, and which files wait for that.

    Attributes:
        fetched: The file that is being fetched, by content.
        waiting: The files that wait for it, by content.
    """

    fetched: dict[_Content, int] = field(default_factory=dict)
    waiting: dict[_Content, set[int]] = field(default_factory=dict)

    @property
    def held(self) -> set[int]:
        """Every file that waits."""
        return set().union(*self.waiting.values())

    def must_wait(self, target: Target) -> bool:
        """Whether a file has to wait for another one; if not, others wait for it from now on."""
        content = _content(target)
        if content is None:
            return False
        if self.fetched.setdefault(content, target.file_id) == target.file_id:
            return False
        self.waiting.setdefault(content, set()).add(target.file_id)
        return True

    def end(self, target: Target) -> None:
        """A file is stored, or given back: whoever waited for it may go on."""
        content = _content(target)
        if content is not None and self.fetched.get(content) == target.file_id:
            del self.fetched[content]
            self.waiting.pop(content, None)


def _content(target: Target) -> _Content | None:
    if target.sha256 is None or target.size_bytes is None:
        return None
    return target.sha256, target.size_bytes
