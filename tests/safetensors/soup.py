"""Headers for Hypothesis: sound ones in every spelling, nearly sound ones, and JSON-like text."""

import json
from math import prod

from hypothesis import strategies as st

from crawler.safetensors.layout import DTYPE_BITS

_BLANKS = st.sampled_from(["", "", "", "", "", "", " ", "\n", "\t\r  "])

#: Pieces of texts as they are written, sound and not.
_PIECES = st.sampled_from(
    [
        *("a", "b", "-", ".", " ", "{", "]", ":", ",", "\x7f", "é", "猫", "😀", "\u2028"),
        *("\\n", '\\"', "\\\\", "\\/", "\\u0000", "\\u00e9", "\\u002D", "\\ud83d\\ude00"),
        *("__metadata__", "dtype", "shape", "data_offsets", "\\\\ud800"),
    ]
)
_UNSOUND_PIECES = st.sampled_from(
    ["\\ud800", "\\uDC00", "\\ud83d\\u0041", "\\u12", "\\x", "\x00", "\n", "\ud800"]
)
_NUMBERS = st.sampled_from(
    [
        *("0", "1", "-1", "-0", "1.0", "1e0", "1E+2", "-0.0", "0e0", "01", "1.", ".5", "1e", "+1"),
        *("18446744073709551615", "18446744073709551616", "-9223372036854775809", "1e308", "1e309"),
        *("NaN", "Infinity", "0x1", "1_0"),
    ]
)
_WORDS = st.sampled_from(["null", "true", "false", "nul", "True", ""])


def _rarely(
    ordinary: st.SearchStrategy[str], odd: st.SearchStrategy[str]
) -> st.SearchStrategy[str]:
    return st.integers(0, 19).flatmap(lambda number: odd if number == 7 else ordinary)


def texts() -> st.SearchStrategy[str]:
    """A JSON string as it is written, with its quotation marks."""
    pieces = st.lists(_rarely(_PIECES, _UNSOUND_PIECES), max_size=4)
    return pieces.map(lambda parts: f'"{"".join(parts)}"')


def numbers() -> st.SearchStrategy[str]:
    digits = st.text("0123456789", min_size=1, max_size=25)
    return _NUMBERS | st.builds(
        "{}{}{}".format,
        digits,
        st.just("") | digits.map(lambda text: f".{text}"),
        st.just("") | st.integers(-400, 400).map(lambda power: f"e{power}"),
    )


def near_the_largest_float() -> st.SearchStrategy[str]:
    """A decimal about 1.7976931348623157e308, with its point anywhere."""
    significand = st.integers(10**17 * 17976931348623150, 10**17 * 17976931348623165)
    digits = significand.map(str) | significand.map(lambda number: str(number)[:17])

    def pointed(text: str, point: int, tens: int) -> str:
        whole, fraction = (text[:point], text[point:]) if point > 0 else ("0", "0" * -point + text)
        return f"{whole}{'.' if fraction else ''}{fraction}e{tens - min(point, len(text))}"

    return st.builds(pointed, digits, st.integers(-30, 40), st.sampled_from([308, 309, 309, 310]))


def _listed(parts: list[str], blank: str) -> str:
    return f"{blank},{blank}".join(parts)


@st.composite
def _object(draw: st.DrawFn, members: list[tuple[str, str]]) -> str:
    blank = draw(_BLANKS)
    return (
        f"{{{blank}{_listed([f'{key}{blank}:{blank}{value}' for key, value in members], blank)}}}"
    )


def json_like() -> st.SearchStrategy[str]:
    """A JSON value, valid or nearly so."""
    leaves = _rarely(texts() | numbers(), _WORDS) | st.sampled_from(["null", "true", "[]", "{}"])

    def containers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        arrays = st.tuples(st.lists(inner, max_size=4), _BLANKS).map(
            lambda found: f"[{found[1]}{_listed(*found)}{found[1]}]"
        )
        deep = st.tuples(inner, st.integers(1, 130)).map(
            lambda found: "[" * found[1] + found[0] + "]" * found[1]
        )
        objects = st.lists(st.tuples(texts(), inner), max_size=3).flatmap(_object)
        return arrays | objects | deep

    return st.recursive(leaves, containers, max_leaves=12)


@st.composite
def _shape_and_end(draw: st.DrawFn, begin: int, dtype: str) -> tuple[list[int], int]:
    shape = draw(st.lists(st.sampled_from([0, 1, 1, 2, 4, 8, 640]), max_size=4))
    if draw(st.integers(0, 9)) == 0:
        large = [0, 1, 2**31, 2**32, 2**61, 2**63, 2**64 - 1, 2**64]
        shape = draw(st.lists(st.sampled_from(large), max_size=12))
    return shape, begin + prod(shape) * DTYPE_BITS[dtype] // 8


@st.composite
def _entry(draw: st.DrawFn, begin: int) -> tuple[str, int]:
    """A tensor that begins there, and where it ends; every other time with something wrong or odd."""
    dtype = draw(st.sampled_from(sorted(DTYPE_BITS)))
    shape, end = draw(_shape_and_end(begin, dtype))
    sizes = [str(size) for size in shape]
    oddity = draw(st.integers(0, 23))
    offsets = {1: [end, begin], 2: [begin + 1, end], 3: [begin, end + 1], 4: [begin]}.get(
        oddity, [begin, end]
    )
    if oddity == 5:
        sizes.append(draw(numbers()))
    blank = draw(_BLANKS)
    fields = {
        '"dtype"': f'"{dtype}"',
        '"shape"': f"[{blank}{_listed(sizes, blank)}]",
        '"data_offsets"': f"[{_listed([str(offset) for offset in offsets], blank)}{blank}]",
    }
    if oddity == 6:
        fields[draw(st.sampled_from(sorted(fields)))] = draw(json_like())
    elif oddity == 7:
        fields['"dtype"'] = f'{{"{dtype}":{draw(st.sampled_from(["null", "{}", "0"]))}}}'
    elif oddity == 8:
        return f"[{_listed(list(fields.values()), blank)}]", end
    members = list(fields.items())
    if oddity == 9:
        members.remove(draw(st.sampled_from(members)))
    elif oddity == 10:
        members.append(draw(st.sampled_from(members)))
    elif oddity in {11, 12, 13}:
        members.insert(draw(st.integers(0, 3)), (draw(texts()), draw(json_like())))
    if draw(st.booleans()):
        members = draw(st.permutations(members))
    return draw(_object(members)), end


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    """A header; sound in most cases, in every way to write one."""
    members = []
    end = 0
    for number in range(draw(st.integers(0, 4))):
        entry, end = draw(_entry(end))
        name = draw(_rarely(st.just(json.dumps(f"blocks.{number}-a")), texts()))
        members.append((name, entry))
    if members and draw(st.integers(0, 19)) == 0:
        name = draw(st.sampled_from(members))[0]
        members.append(
            (name, draw(st.sampled_from(["0", "null", *(entry for _, entry in members)])))
        )
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 1, 2]))):
        pairs = draw(st.lists(st.tuples(texts(), _rarely(texts(), json_like())), max_size=3))
        metadata = draw(_rarely(_object(pairs), st.just("null") | json_like()))
        place = draw(st.sampled_from([0, 0, 0, len(members)]))
        members.insert(place, ('"__metadata__"', metadata))
    text = draw(_BLANKS) + draw(_object(members)) + draw(_BLANKS)
    return text.encode("utf-8", "surrogatepass")


def damaged(sound: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Some bytes replaced, left out or put in."""
    inserted = st.binary(max_size=2) | st.sampled_from(
        [b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"-", b"0", b".", b"e9", b" ", b"\x00"]
    )
    damage = st.tuples(st.floats(0, 1), st.integers(0, 5), inserted)

    def done(header: bytes, damages: list[tuple[float, int, bytes]]) -> bytes:
        for place, removed, put in damages:
            at = int(place * len(header))
            header = header[:at] + put + header[at + removed :]
        return header

    return st.builds(done, sound, st.lists(damage, min_size=1, max_size=3))
