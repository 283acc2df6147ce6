"""Whether it is the files that fail, or the site: many failures in a row tell."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from crawler.errors import SiteError
from crawler.model import Outcome, Result

#: So many files in a row that no server gave, each tried until the tries were used up, mean that the
#: site or its storage is down.
FAILURES_IN_A_ROW = 10

#: How long files are put off that were not had while the site seemed to be down.
PUT_OFF = timedelta(hours=1)


@dataclass(slots=True)
class Outage:
    """Failures, held back until it is clear whether they are the files' own.

    Every file gets the benefit of that doubt once: one that fails again after it was put off has
    failed, so that a few broken files cannot stop every run.

    Attributes:
        origin: The site, for the message.
        held: The latest results, as long as all of them are such failures.
        down: The site is taken to be down.
    """

    origin: str
    held: list[Result] = field(default_factory=list)
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
            "These files stay pending. Run the same command again in an hour; it goes on where it"
            " stopped.",
        )

    def release(self, batch: list[Result], now: datetime) -> list[Result]:
        """What of a batch, and of what was held before, is to be stored."""
        released: list[Result] = []
        for result in batch:
            doubtful = result.transient and not result.target.put_off
            if doubtful and self.down:
                released.append(put_off(result, now))
            elif doubtful:
                self.held.append(result)
                if len(self.held) >= FAILURES_IN_A_ROW:
                    self.down = True
                    released += [put_off(one, now) for one in self.held]
            else:
                # What was taken over from another file tells nothing of the site.
                if result.header and result.attempts and not self.down:
                    released += self.held
                    self.held.clear()
                released.append(result)
        return released

    def rest(self) -> list[Result]:
        """What is held, given out: at the end of a run in which nothing else went wrong."""
        return [] if self.down else self.held


def put_off(result: Result, now: datetime) -> Result:
    """A file that was not had, for reasons that need not be its own, stays pending for a while."""
    return replace(result, outcome=Outcome.PENDING, next_try_at=now + PUT_OFF)
