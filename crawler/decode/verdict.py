"""From the first bytes of a file to its outcome: the one place where outcomes of bytes are decided."""

from dataclasses import dataclass
from datetime import datetime

from crawler.decode.recipe import decode
from crawler.decode.tensors.facts import KnownLists, ListFacts
from crawler.errors import HeaderError
from crawler.model import Decoded, Fetched, Header, Outcome, Result
from crawler.model.header import LENGTH_BYTES
from crawler.safetensors.reader import check_end, needed_bytes, parse_header, read_metadata

#: Bytes kept of a file in another format: enough to see later what it was.
KEPT_OTHER_FORMAT_BYTES = 512

#: Bytes kept of a file whose header has no usable length.
KEPT_BROKEN_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome that a file's first bytes lead to.

    Attributes:
        reason: Why the outcome is not `decoded`, in words; else empty.
        decoded: None unless the header is sound. The header in it lacks its tensors if their list was
            known.
    """

    outcome: Outcome
    reason: str
    decoded: Decoded | None = None


def verdict_of(prefix: bytes, file_bytes: int | None, lists: KnownLists | None = None) -> Verdict:
    """Decode a file by its first bytes. Never raises, whatever the bytes are.

    Args:
        prefix: The file's beginning, at least its whole header if it has one.
        file_bytes: The file's length, None when unknown: then the length of the body is not checked.
        lists: The tensor lists that were read before; the header's own is added.
    """
    lists = lists or KnownLists()
    try:
        header = parse_header(prefix, file_bytes=file_bytes, known=lists.body_bytes)
    except HeaderError as error:
        return _refused(error)
    return _decoded(header, lists.facts(header))


def verdict_again(own: bytes, start: int, facts: ListFacts, file_bytes: int | None) -> Verdict:
    """The verdict on a stored header, which was sound, whose tensor list is stored apart.

    Args:
        own: The header without its list.
        start: Where the list belongs.
        facts: What the list shows.
        file_bytes: As in `verdict_of`.

    Raises:
        ValueError: The metadata is damaged.
    """
    length = int.from_bytes(own[:LENGTH_BYTES], "little")
    try:
        check_end(length, facts.body_bytes, file_bytes)
    except HeaderError as error:
        return _refused(error)
    return _decoded(Header(length, {}, read_metadata(own, start), facts.body_bytes), facts)


def _refused(error: HeaderError) -> Verdict:
    outcome = Outcome.NOT_SAFETENSORS if error.other_format else Outcome.BAD_HEADER
    return Verdict(outcome, error.detail)


def _decoded(header: Header, facts: ListFacts) -> Verdict:
    decoded = decode(header, facts)
    trained = decoded.outcome is Outcome.DECODED
    reason = "" if trained else "the header contains no training metadata"
    return Verdict(decoded.outcome, reason, decoded)


def result_of(fetched: Fetched, now: datetime, lists: KnownLists | None = None) -> Result:
    """The result to store for a file that was fetched or refused. Never raises."""
    if fetched.refusal is not None:
        return Result(
            target=fetched.target,
            outcome=fetched.refusal,
            reason=fetched.reason,
            attempts=fetched.tries,
            transient=fetched.transient,
            host=fetched.host,
            fetched_at=now,
            early_access_until=fetched.early_access_until,
            file_bytes=fetched.file_bytes,
        )
    verdict = verdict_of(fetched.prefix, fetched.file_bytes, lists)
    doubtful = verdict.decoded is None and not _is_listed_file(fetched)
    sender = f" (sent by {fetched.host})" if doubtful and fetched.host else ""
    return Result(
        target=fetched.target,
        outcome=verdict.outcome,
        reason=verdict.reason + sender,
        attempts=fetched.tries,
        transient=doubtful,
        host=fetched.host,
        fetched_at=now,
        header=fetched.prefix[: _kept_bytes(fetched, verdict.outcome)],
        tensor_list=verdict.decoded.header.tensor_list if verdict.decoded else None,
        file_bytes=fetched.file_bytes,
        decoded=verdict.decoded,
    )


def _is_listed_file(fetched: Fetched) -> bool:
    """Whether unsound bytes are the file that the site lists, and not an answer of the storage host.

    Storage in trouble sends a page, a text, zeros or less than the file.
    """
    return fetched.file_bytes == fetched.target.size_bytes and any(fetched.prefix[:LENGTH_BYTES])


def _kept_bytes(fetched: Fetched, outcome: Outcome) -> int:
    """How many of the fetched bytes are stored."""
    if outcome is Outcome.NOT_SAFETENSORS:
        return KEPT_OTHER_FORMAT_BYTES
    try:
        return needed_bytes(fetched.prefix, file_bytes=fetched.file_bytes)
    except HeaderError:
        return KEPT_BROKEN_BYTES
