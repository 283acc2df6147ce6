"""Decide whether a failure is the file's own or the site's.

Some failures may concern all files: no connection, a 403 or 404, an unknown storage host, a page in
place of the bytes, a login before any file was read. Such a failure is stored at once, but
provisionally: the file is `pending`, with the reason, and its failure stands.

- A file that is read settles the failures of its own host and those of the site itself: they are the
  files' own and become final. Failures of another storage host stand on, since that host may be down.
- Ten standing failures stop the run, whatever their kinds and hosts; twenty if all are required
  logins. All of them stay pending.
- Failures that stand at the end of a run without trouble become final: they are too few.

So a kill loses nothing, and nothing has to be undone.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from crawler.errors import (
    LoginError,
    QuotaError,
    SiteError,
    StoppedError,
    UnreachableError,
)
from crawler.model import Outcome, Result, Target
from crawler.model.outcome import READ

#: Standing failures, each with all its tries used up, which mean that the site or its storage is down.
FAILURES_IN_A_ROW = 10

#: Answers in a row by which the site refuses all our requests, such as the page of its firewall.
REFUSALS_IN_A_ROW = 3

#: Standing failures, all of them required logins, which mean that a key is needed.
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
    """Knows the failures that stand, and stops the run.

    A file that failed in an earlier run and fails again has failed if its host gave another file in
    this run, or after TRIES_IN_DOUBT tries. So a few broken files cannot stop every run.

    Attributes:
        origin: The site, for the message.
        up: The hosts that gave a file in this run, and "" for the site itself.
        standing: The failures that stand, without bytes, each with the outcome that its file gets if
            the failure is its own; `pending` for one to be tried again.
        settled: The outcomes that became final and are not stored yet.
        refusals: Refusals of all our requests since a file was last read.
        renewed: A link was renewed before any file was read.
        trouble: Why the run stops; None while the site counts as up.
    """

    origin: str
    up: set[str] = field(default_factory=set)
    standing: dict[Target, Result] = field(default_factory=dict)
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
            self._file_was_read(result.host)
            return result
        if error is None and not self._is_doubtful(result):
            return result
        if self._has_failed_again(result, error):
            return result if error is None else replace(result, outcome=Outcome.FAILED)
        if error is None:
            self.standing[result.target] = replace(result, header=b"")
        else:
            self.refusals += 1
        self._stop_if_too_many(error)
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

    def end_in_peace(self, elsewhere: int = 0) -> None:
        """Make the failures that still stand final, at the end of a run without trouble.

        Args:
            elsewhere: How many stand in other processes that fetch from the site now. Too many together
                are trouble.
        """
        if elsewhere and self.standing and len(self.standing) + elsewhere >= FAILURES_IN_A_ROW:
            self.trouble = self._too_many(len(self.standing) + elsewhere, None)
            return
        self._settle(list(self.standing.values()))

    def may_renew(self) -> bool:
        """Whether a link that storage refuses may be renewed: once in a run until a file was read."""
        first = not self.renewed
        self.renewed = True
        return first or bool(self.up)

    def _file_was_read(self, host: str) -> None:
        up = {host, ""}
        self.up |= up
        if self.trouble is None:
            self._settle([one for one in self.standing.values() if one.host in up])
            self.refusals = 0

    def _settle(self, own: Collection[Result]) -> None:
        for result in own:
            self.settled[result.target] = result.outcome
            del self.standing[result.target]

    def _is_doubtful(self, result: Result) -> bool:
        """Whether a failure may be the site's."""
        if result.outcome is Outcome.LOGIN_REQUIRED:
            return not self.up
        return result.transient

    def _has_failed_again(self, result: Result, error: SiteError | None) -> bool:
        """Whether the failure of a file that failed in an earlier run is its own."""
        if isinstance(error, QuotaError | UnreachableError):
            return False
        has_ended = result.outcome not in {Outcome.LOGIN_REQUIRED, Outcome.PENDING}
        sure = result.host in self.up or _tries(result) >= TRIES_IN_DOUBT
        return result.target.deferred and sure and (has_ended or error is not None)

    def _next_try(self, result: Result, error: SiteError, now: datetime) -> datetime | None:
        """When a file is due that the site refused with all others: in this run, or deferred."""
        deferred = result.target.deferred
        if self.trouble is not None or isinstance(error, UnreachableError):
            return now if deferred else None
        return now + DEFERRED_FOR if deferred or _tries(result) >= REFUSED_TRIES else None

    def _stop_if_too_many(self, error: SiteError | None) -> None:
        if self.trouble is not None:
            return
        failures = len(self.standing) + self.refusals
        enough = LOGIN_SAMPLE if self._logins() == failures else FAILURES_IN_A_ROW
        if isinstance(error, QuotaError) or self.refusals >= REFUSALS_IN_A_ROW:
            self.trouble = error
        elif failures >= enough:
            self.trouble = self._too_many(failures, error)

    def _logins(self) -> int:
        outcomes = Counter(one.outcome for one in self.standing.values())
        return outcomes[Outcome.LOGIN_REQUIRED]

    def _too_many(self, failures: int, error: SiteError | None) -> SiteError:
        """The error that names each host, and each kind of answer with one of its reasons."""
        kinds = Counter((one.host, one.outcome) for one in self.standing.values())
        reasons = {(one.host, one.outcome): one.reason for one in self.standing.values()}
        told = []
        for (host, outcome), n in kinds.most_common():
            reason = reasons[host, outcome]
            told.append(f"{n}: {reason}" if host in reason else f"{n} from {host}: {reason}")
        if error is not None:
            told.append(f"{self.refusals}: {error.cause}")
        kind: type[SiteError] = SiteError
        again = "Run the same command again later; it continues there."
        if logins := self._logins():
            kind = LoginError if logins == len(self.standing) else SiteError
            again = (
                "Run `lora-crawl login` with your own API key, and the same command again later."
            )
        return kind(
            self.origin,
            f"{failures} files in a row failed, so the site or its storage is down or refuses us"
            f" ({'; '.join(told)})",
            f"These files stay pending. {again}",
        )


def _tries(result: Result) -> int:
    return result.target.attempts + result.attempts
