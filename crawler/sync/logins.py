"""Whether a crawl without a key makes sense: the first files of a run tell."""

from dataclasses import dataclass, field

from crawler.errors import StoppedError
from crawler.model import Outcome, Result

#: So many files, the first of a run, all wanting a login mean that a key is needed.
LOGIN_SAMPLE = 20


@dataclass(slots=True)
class LoginSample:
    """Wanted logins, held back until it is clear whether every file wants one.

    Attributes:
        held: The first results of the run, as long as all of them want a login.
        settled: Something else came, or there is a key: a wanted login is the file's own business.
    """

    settled: bool = False
    held: list[Result] = field(default_factory=list)

    @property
    def trouble(self) -> StoppedError | None:
        """Why the run stops, once the sample is full."""
        if len(self.held) < LOGIN_SAMPLE:
            return None
        return StoppedError(
            f"the first {len(self.held)} files all want a login; they stay pending.\n"
            "Run `lora-crawl login` with your own API key, then the same command again."
        )

    def release(self, batch: list[Result]) -> list[Result]:
        """What of a batch, and of what was held before, is to be stored."""
        if self.settled:
            return batch
        if self.trouble is not None:
            return [one for one in batch if one.outcome is not Outcome.LOGIN_REQUIRED]
        self.held += batch
        self.settled = any(one.outcome is not Outcome.LOGIN_REQUIRED for one in batch)
        return self.rest() if self.settled else []

    def rest(self) -> list[Result]:
        """What is held, given out: at the end of a run that was too short for a sample."""
        if self.trouble is not None and not self.settled:
            return []
        held, self.held = self.held, []
        return held
