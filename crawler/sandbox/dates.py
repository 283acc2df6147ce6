"""Times in the spellings of the API."""

from datetime import UTC, datetime

DAY = 86_400_000  # milliseconds


def moment(milliseconds: int) -> datetime:
    """Milliseconds of Unix time as an aware time in UTC, exactly."""
    seconds, rest = divmod(milliseconds, 1000)
    return datetime.fromtimestamp(seconds, tz=UTC).replace(microsecond=rest * 1000)


def iso(milliseconds: int) -> str:
    """`2026-08-11T21:25:04.626Z`, as JavaScript prints it."""
    return moment(milliseconds).strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03d}Z"


def milliseconds(text: str) -> int:
    """The inverse of `iso` and of `postgres`; a time without zone is taken for UTC.

    Raises:
        ValueError: The text is no time.
    """
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    whole = time.replace(microsecond=0)
    return int(whole.timestamp()) * 1000 + time.microsecond // 1000


def postgres(milliseconds: int) -> str:
    """`2026-08-11 21:25:04.6`: PostgreSQL's text form leaves trailing zeros out."""
    text = moment(milliseconds).strftime("%Y-%m-%d %H:%M:%S")
    fraction = f"{milliseconds % 1000:03d}".rstrip("0")
    return f"{text}.{fraction}" if fraction else text
