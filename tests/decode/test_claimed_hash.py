"""Which hashes of weights a header may claim."""

import hashlib

import pytest

from crawler.decode.modelspec import claimed_weights

DIGITS = "0a" * 32


def test_a_sha256_is_taken_in_upper_case() -> None:
    assert claimed_weights({"sshs_model_hash": DIGITS}) == DIGITS.upper()


@pytest.mark.parametrize(
    "claimed",
    [
        "",
        "0x" + DIGITS,
        DIGITS[:32],
        DIGITS + "0",
        DIGITS[:-1] + "g",
        DIGITS + "\n",
        "\uff10" * 64,
        hashlib.sha256(b"").hexdigest(),
        hashlib.sha256(b"").hexdigest().upper(),
    ],
)
def test_what_identifies_nothing_is_no_claim(claimed: str) -> None:
    assert claimed_weights({"sshs_model_hash": claimed}) is None


@pytest.mark.parametrize("metadata", [None, {}, {"sshs_legacy_hash": "0a0a0a0a"}])
def test_no_claim(metadata: dict[str, str] | None) -> None:
    assert claimed_weights(metadata) is None
