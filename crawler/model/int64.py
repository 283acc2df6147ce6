"""The integers that both databases can hold: 64 bits with a sign.

This is a limit of the databases. The safetensors format has its own, larger one: 64 bits without a
sign.
"""

from typing import Final

MIN_INT64: Final = -(2**63)
MAX_INT64: Final = 2**63 - 1

#: Use `in` with an int only: with any other type a range compares number by number.
INT64: Final = range(MIN_INT64, MAX_INT64 + 1)
