"""Decide whether failures are file errors or site-level errors, by how many come in a row.

Results that may be site-level errors are held back. If other results follow, they are stored as errors
of the files. If enough of them come in a row, the run stops and the files stay pending.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from crawler.errors import SiteError, StoppedError
from crawler.model import Outcome, Result

#: Failed files in a row, each with all its tries used up, which mean that the site or its storage is
#: down.
FAILURES_IN_A_ROW = 10

#: Tries after which a file has failed whatever happened to the others, those of four runs. If all
#: pending files are broken, nothing else would show that the site is up.
TRIES_IN_DOUBT = 12

#: The first files of a run that all require a login, which means that a key is needed.
LOGIN_SAMPLE = 20

#: How long a file with too many site-level errors is deferred.
DEFERRED_FOR = timedelta(hours=1)


def defer(result: Result, until: datetime) -> Result:
    """The result as `pending`, deferred until `then`, because the failure may be the site's."""
    return replace(result, outcome=Outcome.PENDING, next_try_at=until)


@dataclass(slots=True)
class Outage:
    """Holds back failures until it is clear whether the site is down.

    If it is, the files stay pending and are due at once, after new files. A file that was deferred
    like this before and fails again has failed if another file could be read in this run, or if it was
    tried TRIES_IN_DOUBT times. So a few broken files cannot stop every run.

    Attributes:
        origin: The site, for the message.
        held: The latest results, if all of them are such failures.
        up: A file was read in this run.
        down: The site counts as down.
    """

    origin: str
    held: list[Result] = field(default_factory=list)
    up: bool = False
    down: bool = False

    @property
    def trouble(self) -> SiteError | None:
        """Why the run stops; None while the site counts as up."""
        if not self.down:
            return None
        return SiteError(
            self.origin,
            f"{FAILURES_IN_A_ROW} files in a row failed, so the site or its storage is down"
            f" ({self.held[-1].reason})",
            "These files stay pending. Run the same command again later; it continues there.",
        )

    def release(self, batch: list[Result], now: datetime) -> list[Result]:
        """The results to store now, of a batch and of those held before."""
        released: list[Result] = []
        for result in batch:
            if not result.transient:
                # A header copied from a file with the same bytes says nothing about the site.
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
        """The results still held at the end of a run in which nothing else went wrong."""
        return [] if self.down else self.held


def _tries(result: Result) -> int:
    return result.target.attempts + result.attempts


@dataclass(slots=True)
class LoginSample:
    """Holds back `login_required` results until it is clear whether all files require a login.

    Attributes:
        settled: `login_required` is the file's own outcome: there is a key, or another file needed no login.
        held: The first results of the run, while all of them are `login_required`.
    """

    settled: bool = False
    held: list[Result] = field(default_factory=list)

    @property
    def trouble(self) -> StoppedError | None:
        """Why the run stops; None while the sample is not full."""
        if len(self.held) < LOGIN_SAMPLE:
            return None
        return StoppedError(
            f"the first {len(self.held)} files all require a login; they stay pending.\n"
            "Run `lora-crawl login` with your own API key, then the same command again."
        )

    def release(self, batch: list[Result]) -> list[Result]:
        """The results to store now, of a batch and of those held before."""
        if self.settled:
            return batch
        if self.trouble is not None:
            return [one for one in batch if one.outcome is not Outcome.LOGIN_REQUIRED]
        self.held += batch
        self.settled = any(one.outcome is not Outcome.LOGIN_REQUIRED for one in batch)
        return self.rest() if self.settled else []

    def rest(self) -> list[Result]:
        """The results still held at the end of a run that was too short for a sample."""
        if self.trouble is not None and not self.settled:
            return []
        held, self.held = self.held, []
        return held
