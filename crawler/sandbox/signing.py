"""Signed links to storage, in the two spellings the site hands out.

Both are full of percent signs on purpose: whoever rewrites a byte of one gets a 403.
"""

import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote, quote_plus
from zlib import crc32

from crawler.sandbox.entries import Stock, Upload
from crawler.sandbox.words import slug

_R2_SECONDS = 86_400  # how long a link of the one kind holds
_B2_SECONDS = 3_600  # and of the other
_R2_STAMP = "%Y%m%dT%H%M%SZ"
_B2_STAMP = "%Y%m%d%H%M%S"
_FILE = re.compile(rb"\.([0-9]{1,18})\.[a-z]+\?")
_ISSUED = re.compile(rb"(?:X-Amz-Date=([0-9]{8}T[0-9]{6}Z)|_004_([0-9]{14})_)")
_B2_PREFIX = "/file/civitai-modelfiles"


class BadLinkError(Exception):
    """A link that is not, or no longer, good; the text is a storage's error code."""


@dataclass(frozen=True, slots=True)
class Signer:
    """What signs and checks links.

    Attributes:
        lifetime: Seconds a link holds; None for each kind's own.
    """

    secret: bytes
    lifetime: int | None

    def link(self, upload: Upload, issued_at: int) -> str:
        """Path and query of a link that was issued at a Unix time."""
        stem, _dot, suffix = upload.name.rpartition(".")
        place = f"/model/{upload.user_id}/{quote(slug(stem))}.{upload.file_id}.{suffix}"
        stamp = datetime.fromtimestamp(issued_at, tz=UTC)
        name = f'attachment; filename="{upload.name}"'
        if _is_b2(upload):
            end = datetime.fromtimestamp(issued_at + self._seconds(upload), tz=UTC)
            begin = f"{stamp:{_B2_STAMP}}"
            disposition = f"b2ContentDisposition={quote_plus(name)}"
            proof = self._proof(f"{place}{begin}{end}{disposition}")
            token = f"3_{begin}_{proof[:24]}_{proof[24:]}_004_{begin}_{end:{_B2_STAMP}}_0042_dnld"
            return f"{_B2_PREFIX}{place}?Authorization={token}&{disposition}"
        unsigned = (
            f"{place}?X-Amz-Expires={self._seconds(upload)}"
            f"&response-content-disposition={quote(name, safe='')}"
            "&X-Amz-Algorithm=AWS4-HMAC-SHA256"
            f"&X-Amz-Credential=SANDBOX%2F{stamp:%Y%m%d}%2Fus-east-1%2Fs3%2Faws4_request"
            f"&X-Amz-Date={stamp:{_R2_STAMP}}&X-Amz-SignedHeaders=host"
        )
        return f"{unsigned}&X-Amz-Signature={self._proof(unsigned)}"

    def checked(self, stock: Stock, target: bytes, now: float) -> Upload:
        """The file that a link leads to.

        Args:
            stock: Where the file is.
            target: Path and query as they travelled, byte for byte.
            now: Unix time.

        Raises:
            BadLinkError: Something in the link was changed, or it is too old.
        """
        number, issued = _FILE.search(target), _ISSUED.search(target)
        upload = stock.find_file(int(number[1])) if number else None
        if upload is None or issued is None:
            raise BadLinkError("AccessDenied")
        issued_at = _unix_time(issued)
        if self.link(upload, issued_at).encode() != target:
            raise BadLinkError("SignatureDoesNotMatch")
        if now >= issued_at + self._seconds(upload):
            raise BadLinkError("ExpiredRequest")
        return upload

    def _seconds(self, upload: Upload) -> int:
        if self.lifetime is not None:
            return self.lifetime
        return _B2_SECONDS if _is_b2(upload) else _R2_SECONDS

    def _proof(self, text: str) -> str:
        return hmac.new(self.secret, text.encode(), sha256).hexdigest()


def is_b2_target(target: bytes) -> bool:
    """Whether a link is of the kind whose edge turns bare clients away."""
    return target.startswith(_B2_PREFIX.encode())


def _is_b2(upload: Upload) -> bool:
    return crc32(b"%d" % upload.file_id) % 2 == 1


def _unix_time(issued: re.Match[bytes]) -> int:
    digits = (issued[1] or issued[2]).decode()
    spelling = _R2_STAMP if issued[1] else _B2_STAMP
    try:
        stamp = datetime.strptime(digits, spelling).replace(tzinfo=UTC)
    except ValueError:
        raise BadLinkError("SignatureDoesNotMatch") from None
    return int(stamp.timestamp())
