"""Repeatable chance: the same seed and place always draw the same.

Python's own `hash` differs between processes, and a `random.Random` costs microseconds to seed;
these few integer steps (the finaliser of SplitMix64) do neither.
"""

from collections.abc import Iterator
from hashlib import blake2b
from random import Random

_WORD = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_HASH_BYTES = 32  # of the longest hash that the site tells of


def mix(seed: int, *places: int) -> int:
    """64 well-mixed bits for a seed and a place, each place a number of its own."""
    bits = seed & _WORD
    for place in places:
        bits = (bits ^ ((place + 1) * _GOLDEN)) & _WORD
        bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _WORD
        bits ^= bits >> 31
    return bits


def unit(seed: int, *places: int) -> float:
    """A number from 0 up to, not including, 1."""
    return (mix(seed, *places) >> 11) / (1 << 53)


def hexadecimal(digits: int, seed: int, *places: int) -> str:
    """So many made-up lower-case hexadecimal digits, at most 64."""
    bits = mix(seed, *places).to_bytes(8, "little")
    return blake2b(bits, digest_size=_HASH_BYTES).hexdigest()[:digits]


def happens(dice: Random, share: float) -> bool:
    """Whether something comes to pass that does so in `share` of all cases."""
    return dice.random() < share


def dice_for(seed: int, *places: int) -> Random:
    """A generator of its own for a place, where many draws are needed."""
    return Random(mix(seed, *places))  # noqa: S311 - nothing here is a secret


def chosen(index: int, size: int, share: float, seed: int, *places: int) -> bool:
    """Whether a position is one of those that `chosen_ones` names."""
    count = round(size * share)
    if count == 0 or not 0 <= index < size:
        return False
    return _pick(((index + 1) * count - 1) // size, count, size, seed, places) == index


def chosen_ones(size: int, share: float, seed: int, *places: int) -> Iterator[int]:
    """A share of the positions below `size`, ascending: one out of each stretch of equal length.

    So neither the members nor a membership cost a look at all the others.
    """
    count = round(size * share)
    for stretch in range(count):
        yield _pick(stretch, count, size, seed, places)


def _pick(stretch: int, count: int, size: int, seed: int, places: tuple[int, ...]) -> int:
    low, high = stretch * size // count, (stretch + 1) * size // count
    return low + mix(seed, *places, stretch) % (high - low)
