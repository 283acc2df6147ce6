"""The outcome of a file."""

from enum import StrEnum


class Outcome(StrEnum):
    """Every file has one of these."""

    PENDING = "pending"
    DECODED = "decoded"
    NO_METADATA = "no_metadata"
    NOT_SAFETENSORS = "not_safetensors"
    BAD_HEADER = "bad_header"
    LOGIN_REQUIRED = "login_required"
    EARLY_ACCESS = "early_access"
    DOWNLOADS_DISABLED = "downloads_disabled"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    ARCHIVED = "archived"
    FAILED = "failed"


#: The file has a sound header, with or without training metadata.
READ = frozenset({Outcome.DECODED, Outcome.NO_METADATA})

#: The file's own bytes decided the outcome. The same bytes give the same outcome again.
FROM_BYTES = READ | {Outcome.BAD_HEADER, Outcome.NOT_SAFETENSORS}
