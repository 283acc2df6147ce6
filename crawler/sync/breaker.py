"""Whether it is the files that fail, or the site: many failures in a row tell."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from crawler.errors import SiteError, StoppedError
from crawler.model import Outcome, Result

#: So many files in a row that no server gave, each tried until the tries were used up, mean that the
#: site or its storage is down.
FAILURES_IN_A_ROW = 10

#: A file that no server gave in so many tries, those of four runs, has failed whatever became of the
#: others: where all that is left is broken, nothing would ever show that the site is up.
TRIES_IN_DOUBT = 12

#: How long a file is put off that alone was refused as if it were us.
DEFERRED_FOR = timedelta(hours=1)


@dataclass(slots=True)
class Outage:
    """Failures, held back until it is clear whether they are the files' own.

    Every file gets the benefit of that doubt. It stays pending and is due at once, behind the files
    that are new: where those can be had and this one cannot, or when it has been tried too often, it
    has failed, so that a few broken files cannot stop every run.

    Attributes:
        origin: The site, for the message.
        held: The latest results, as long as all of them are such failures.
        up: Something was had in this run.
        down: The site is taken to be down.
    """

    origin: str
    held: list[Result] = field(default_factory=list)
    up: bool = False
    down: bool = False

    @property
    def trouble(self) -> SiteError | None:
        """Why the run stops, once it is clear that the site is down."""
        if not self.down:
            return None
        return SiteError(
            self.origin,
            f"{FAILURES_IN_A_ROW} files in a row could not be had, so the site or its storage is"
            f" down ({self.held[-1].reason})",
            "These files stay pending. Run the same command again later; it goes on where it stopped.",
        )

    def release(self, batch: list[Result], now: datetime) -> list[Result]:
        """What of a batch, and of what was held before, is to be stored."""
        released: list[Result] = []
        for result in batch:
            if not result.transient:
                # What was taken over from another file tells nothing of the site.
                if result.header and result.attempts and not self.down:
                    self.up = True
                    released += self.held
                    self.held.clear()
                released.append(result)
            elif self.down:
                released.append(defer(result, now))
            elif result.target.deferred and (self.up or _tries(result) >= TRIES_IN_DOUBT):
                released.append(result)
            else:
                self.held.append(result)
                if len(self.held) >= FAILURES_IN_A_ROW:
                    self.down = True
                    released += [defer(one, now) for one in self.held]
        return released

    def rest(self) -> list[Result]:
        """What is held, given out: at the end of a run in which nothing else went wrong."""
        return [] if self.down else self.held


def _tries(result: Result) -> int:
    return result.target.attempts + result.attempts


def defer(result: Result, until: datetime) -> Result:
    """A file that was not had, for reasons that need not be its own: it stays pending until then."""
    return replace(result, outcome=Outcome.PENDING, next_try_at=until)


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
