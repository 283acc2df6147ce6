"""What becomes of files that were not read, in words."""

from collections.abc import Mapping

from crawler.model import Outcome

#: By outcome; the others are final, or need nothing.
REMEDIES: Mapping[str, str] = {
    Outcome.PENDING: "sync goes on with them",
    Outcome.LOGIN_REQUIRED: "lora-crawl login, then sync again",
    Outcome.EARLY_ACCESS: "read once it is over",
    Outcome.DOWNLOADS_DISABLED: "not asked for again",
    Outcome.FORBIDDEN: "not asked for again",
    Outcome.NOT_FOUND: "sync --retry-failed asks again",
    Outcome.ARCHIVED: "not asked for again",
    Outcome.FAILED: "sync --retry-failed asks again",
}
