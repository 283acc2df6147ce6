"""The hash of its weights that a header claims, where that can be one."""

import hashlib
import re
from collections.abc import Mapping

#: Under which sd-scripts and those who follow it keep the SHA-256 of all that follows the header.
_KEY = "sshs_model_hash"

#: Exactly SHA-256: LyCORIS and OneTrainer hash the tensors one by one and write `0x` in front, and
#: 32 digits are another algorithm's.
_SHA256 = re.compile("[0-9a-fA-F]{64}")

#: The hash of no bytes at all, which ai-toolkit 0.1 wrote into every file.
_OF_NOTHING = hashlib.sha256(b"").hexdigest()


def claimed_weights(metadata: Mapping[str, str] | None) -> str | None:
    """SHA-256 of the weights as the metadata claims it, in upper-case digits; None when it does not.

    A claim: whoever changed the weights and kept the metadata left the hash of the old ones in it.
    """
    claimed = (metadata or {}).get(_KEY, "")
    if not _SHA256.fullmatch(claimed) or claimed.lower() == _OF_NOTHING:
        return None
    return claimed.upper()
