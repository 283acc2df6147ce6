"""Decide whether a failure is the file's own or the site's.

Some failures may concern all files: no connection, a 403 or 404, an unknown storage host, a page in
place of the bytes, a login. Such a failure is stored at once, but provisionally: the file is `pending`,
with the reason. It becomes final when another file is read after it, or when the run ends in peace.
When too many files in a row fail like this, the run stops and they stay pending. So a kill loses
nothing, and nothing has to be undone.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from crawler.errors import QuotaError, SiteError, StoppedError, UnreachableError
from crawler.model import Outcome, Result, Target
from crawler.model.outcome import READ

#: Failed files in a row, each with all its tries used up, which mean that the site or its storage is
#: down.
FAILURES_IN_A_ROW = 10

#: Answers in a row by which the site refuses all our requests, such as the page of its firewall.
REFUSALS_IN_A_ROW = 3

#: Files that require a login before any file was read, which mean that a key is needed.
LOGIN_SAMPLE = 20

#: Tries after which a file has failed whatever happened to the others, those of four runs. If all
#: pending files are broken, nothing else would show that the site is up.
TRIES_IN_DOUBT = 12

#: Refusals of all our requests after which the file that always gets them is deferred.
REFUSED_TRIES = 3

#: How long such a file is deferred.
DEFERRED_FOR = timedelta(hours=1)


@dataclass(slots=True)
class Breaker:
    """Counts the failures since a file was last read, and stops the run.

    A file that failed in an earlier run and fails again has failed if another file could be read in
    this run, or after TRIES_IN_DOUBT tries. So a few broken files cannot stop every run.

    Attributes:
        origin: The site, for the message.
        read: A file was read in this run.
        standing: The files that failed since then, with the outcome that each gets if the failure is
            its own; `pending` for one to be tried again.
        settled: The outcomes that became final and are not stored yet.
        refusals: Refusals of all our requests since then.
        renewed: A link was renewed before any file was read.
        trouble: Why the run stops; None while the site counts as up.
    """

    origin: str
    read: bool = False
    standing: dict[Target, Outcome] = field(default_factory=dict)
    settled: dict[Target, Outcome] = field(default_factory=dict)
    refusals: int = 0
    renewed: bool = False
    trouble: StoppedError | None = None

    def judge(self, result: Result, now: datetime, error: SiteError | None = None) -> Result:
        """The result to store now: final, or provisional if the failure may be the site's.

        Args:
            result: Of one file.
            now: The current time.
            error: The answer by which the site refused all our requests, if it did.
        """
        # A header copied from a file with the same bytes says nothing about the site.
        if result.outcome in READ and result.attempts:
            self._file_was_read()
            return result
        if error is None and not self._is_doubtful(result):
            return result
        if self._has_failed_again(result, error):
            return result if error is None else replace(result, outcome=Outcome.FAILED)
        if error is None:
            self.standing[result.target] = result.outcome
        else:
            self.refusals += 1
        self._stop_if_too_many(result.reason, error)
        until = now if error is None else self._next_try(result, error, now)
        return replace(result, provisional=True, next_try_at=until)

    @property
    def undecided(self) -> set[int]:
        """The files that are `pending` in the database and must not be handed out again."""
        return {target.file_id for target in (*self.standing, *self.settled)}

    def forget(self, stored: Collection[Target]) -> None:
        """Forget the settled outcomes of files that are stored now."""
        for target in stored:
            del self.settled[target]

    def end_in_peace(self) -> None:
        """Make the failures that still stand final, at the end of a run without trouble."""
        self.settled |= self.standing
        self.standing.clear()

    def may_renew(self) -> bool:
        """Whether a link that storage refuses may be renewed: once in a run until a file was read."""
        first = not self.renewed
        self.renewed = True
        return first or self.read

    def _file_was_read(self) -> None:
        self.read = True
        if self.trouble is None:
            self.end_in_peace()
            self.refusals = 0

    def _is_doubtful(self, result: Result) -> bool:
        """Whether a failure may be the site's."""
        if result.outcome is Outcome.LOGIN_REQUIRED:
            return not self.read
        return result.transient

    def _has_failed_again(self, result: Result, error: SiteError | None) -> bool:
        """Whether the failure of a file that failed in an earlier run is its own."""
        if isinstance(error, QuotaError | UnreachableError):
            return False
        has_ended = result.outcome not in {Outcome.LOGIN_REQUIRED, Outcome.PENDING}
        sure = self.read or _tries(result) >= TRIES_IN_DOUBT
        return result.target.deferred and sure and (has_ended or error is not None)

    def _next_try(self, result: Result, error: SiteError, now: datetime) -> datetime | None:
        """When a file is due that the site refused with all others: in this run, or deferred."""
        deferred = result.target.deferred
        if self.trouble is not None or isinstance(error, UnreachableError):
            return now if deferred else None
        return now + DEFERRED_FOR if deferred or _tries(result) >= REFUSED_TRIES else None

    def _stop_if_too_many(self, reason: str, error: SiteError | None) -> None:
        logins = sum(outcome is Outcome.LOGIN_REQUIRED for outcome in self.standing.values())
        failures = len(self.standing) - logins + self.refusals
        if self.trouble is not None:
            return
        if isinstance(error, QuotaError) or self.refusals >= REFUSALS_IN_A_ROW:
            self.trouble = error
        elif failures >= FAILURES_IN_A_ROW:
            self.trouble = SiteError(
                self.origin,
                f"{FAILURES_IN_A_ROW} files in a row failed, so the site or its storage is down or"
                f" refuses us ({reason})",
                "These files stay pending. Run the same command again later; it continues there.",
            )
        elif logins >= LOGIN_SAMPLE:
            self.trouble = StoppedError(
                f"{logins} files require a login and none could be read; they stay pending.\n"
                "Run `lora-crawl login` with your own API key, then the same command again."
            )


def _tries(result: Result) -> int:
    return result.target.attempts + result.attempts
