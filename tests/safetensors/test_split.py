"""Headers cut into what is a file's own and the tensor list: the same as read whole."""

import json
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.decode.tensors.facts import KnownLists
from crawler.errors import HeaderError
from crawler.model import Header
from crawler.safetensors.exact_reader import read_exactly
from crawler.safetensors.layout import DTYPE_BITS, body_bytes
from crawler.safetensors.reader import parse_header
from crawler.safetensors.split import cut, find_list, joined
from tests.safetensors import soup
from tests.safetensors.library import with_length

Shapes = dict[str, tuple[int, ...]]

COMPACT, SPACED = (",", ":"), (", ", ": ")
SHAPES: Shapes = {
    "lora_unet_mid_block_attentions_0_proj_in.alpha": (),
    "lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": (4, 1280, 1, 1),
    "lora_unet_mid_block_attentions_0_proj_in.lora_up.weight": (1280, 4, 1, 1),
}
METADATA = {"ss_tag_frequency": '{"10_thing": {"a tag": 3}}', "ss_output_name": "étude"}


def written(
    shapes: Shapes,
    metadata: dict[str, str] | None = None,
    *,
    separators: tuple[str, str] = COMPACT,
    dtypes: tuple[str, ...] = ("F16",),
) -> bytes:
    """A header as the library writes it, or with other separators as Python's `json` does."""
    entries: dict[str, object] = {} if metadata is None else {"__metadata__": metadata}
    at = 0
    for number, (name, shape) in enumerate(shapes.items()):
        dtype = dtypes[number % len(dtypes)]
        end = at + prod(shape) * DTYPE_BITS[dtype] // 8
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(entries, separators=separators, ensure_ascii=False).encode()
    return text + b" " * (-len(text) % 8)


def parsed(raw: bytes) -> Header | None:
    """The header as the fast way reads it; None when it does not."""
    try:
        header = parse_header(with_length(raw), max_unusual=-1)
    except HeaderError:
        return None
    return header if header.tensor_list else None


def assert_law(raw: bytes) -> None:
    """What is cut and read the exact reader accepts, and reads as the same."""
    header = parsed(raw)
    if header is None:
        return
    tensors, metadata = read_exactly(raw)
    assert (header.tensors, header.metadata) == (tensors, metadata)
    assert header.body_bytes == body_bytes(tensors)
    # The second time, the list is known.
    lists = KnownLists()
    lists.facts(header)
    again = parse_header(with_length(raw), known=lists.body_bytes)
    assert (again.tensors, again.metadata) == ({}, metadata)
    assert (again.body_bytes, again.tensor_list) == (header.body_bytes, header.tensor_list)


@pytest.mark.parametrize("separators", [COMPACT, SPACED], ids=["library", "Python"])
@pytest.mark.parametrize("metadata", [METADATA, {}, None], ids=["metadata", "empty", "none"])
@pytest.mark.parametrize(
    "shapes",
    [
        SHAPES,
        {"unet:0:down": (4, 320), "unet:0:up": (320, 4), "unet:10:down": (4, 320)},
        {"a": (), "b.alpha": (3,), "": (0,), "a-b": (1, 2, 3)},
    ],
    ids=["kohya", "counted", "any names"],
)
def test_what_libraries_write_is_cut(
    shapes: Shapes, metadata: dict[str, str] | None, separators: tuple[str, str]
) -> None:
    raw = written(shapes, metadata, separators=separators, dtypes=("F32", "BF16", "F16"))
    assert parsed(raw) is not None
    assert_law(raw)


def test_what_is_cut() -> None:
    raw = b'{"__metadata__":{"a":"b"},"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}   '
    data = with_length(raw)
    found = find_list(data, len(raw))
    assert found is not None
    own, tensors = cut(data, found)
    assert own[8:] == b'{"__metadata__":{"a":"b"},}   '
    assert tensors == b'"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}'
    assert joined(own, found.start, tensors) == data


def test_the_list_is_the_same_whatever_else_the_headers_contain() -> None:
    found = [
        find_list(with_length(raw + padding), len(raw + padding))
        for raw in (written(SHAPES).rstrip(), written(SHAPES, METADATA).rstrip())
        for padding in (b"", b"    ")
    ]
    assert len({one.digest for one in found if one}) == 1
    assert None not in found


ONE = '"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}'

#: Sound headers that are kept whole.
WHOLE = {
    "metadata last": f'{{{ONE},"__metadata__":{{}}}}',
    "null metadata": f'{{"__metadata__":null,{ONE}}}',
    "no tensors": '{"__metadata__":{"a":"b"}}',
    "another field": '{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1],"x":0}}',
    "a name with an escape": '{"\\u0061":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}',
    "a name with braces": f'{{"__metadata__":{{}},"}},b{{":{ONE[4:]}}}',
    "a key of the metadata like a field": f'{{"__metadata__":{{"data_offsets":"x"}},{ONE}}}',
    "a tensor as an array": '{"a":["U8",[],[0,1]]}',
}


@pytest.mark.parametrize("header", WHOLE.values(), ids=WHOLE)
def test_a_sound_header_that_is_unusual_is_kept_whole(header: str) -> None:
    assert parsed(header.encode()) is None
    parse_header(with_length(header.encode()))


#: What is not sound, though its list is that of a sound header.
UNSOUND = {
    "a cut end": f'{{"__metadata__":{{"a":"b"}},{ONE}',
    "a second end": f"{{{ONE}}}}}",
    "metadata twice": f'{{"__metadata__":{{}},"__metadata__":{{}},{ONE}}}',
    "no comma": f'{{"__metadata__":{{}}{ONE}}}',
    "a number in the metadata": f'{{"__metadata__":{{"a":1}},{ONE}}}',
    "a lone surrogate in the metadata": f'{{"__metadata__":{{"a":"\\ud800"}},{ONE}}}',
    "nothing before a comma": f"{{,{ONE}}}",
}


@pytest.mark.parametrize("header", UNSOUND.values(), ids=UNSOUND)
def test_a_known_list_does_not_make_a_header_sound(header: str) -> None:
    lists = KnownLists()
    lists.facts(parse_header(with_length(f"{{{ONE}}}".encode())))
    with pytest.raises(HeaderError):
        parse_header(with_length(header.encode()), known=lists.body_bytes)


def test_the_files_length_is_checked_for_a_known_list_too() -> None:
    raw = written(SHAPES, METADATA)
    header = parse_header(with_length(raw))
    lists = KnownLists()
    lists.facts(header)
    end = 8 + len(raw) + header.body_bytes
    parse_header(with_length(raw), file_bytes=end, known=lists.body_bytes)
    with pytest.raises(HeaderError, match="the last tensor ends"):
        parse_header(with_length(raw), file_bytes=end + 1, known=lists.body_bytes)


#: What can turn one header into another when it takes the place of a byte, or comes before it.
_BYTES = [b"", *(bytes([byte]) for byte in b'"\\{}[],: 01-.aF\n\x00\x7f\xff')]


@pytest.mark.parametrize("separators", [COMPACT, SPACED], ids=["library", "Python"])
def test_no_change_of_a_byte_is_missed(separators: tuple[str, str]) -> None:
    shapes: Shapes = {"x.alpha": (), "x.lora_up.weight": (1, 10), "y.lora_up.weight": (0,)}
    sound = written(shapes, {"a": "b"}, separators=separators)
    read = 0
    for at in range(len(sound)):
        for byte in _BYTES:
            for changed in (sound[:at] + byte + sound[at + 1 :], sound[:at] + byte + sound[at:]):
                assert_law(changed)
                read += parsed(changed) is not None
    assert read > 100  # names, metadata, blanks and the padding may differ


_NAMES = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=6),
    st.sampled_from(["lora_unet_a.alpha", "a.lora_A", "__metadata__", "data_offsets", "a\nb", ""]),
)


@given(
    st.dictionaries(
        _NAMES, st.lists(st.integers(0, 40), max_size=5).map(tuple), min_size=1, max_size=9
    ),
    st.none() | st.dictionaries(_NAMES, _NAMES, max_size=3),
    st.sampled_from([COMPACT, SPACED]),
    st.sampled_from(["F16", "F8_E4M3", "F99"]),
)
def test_any_names_and_shapes(
    shapes: Shapes, metadata: dict[str, str] | None, separators: tuple[str, str], dtype: str
) -> None:
    known = dtype if dtype in DTYPE_BITS else "U8"
    raw = written(shapes, metadata, separators=separators, dtypes=(known,))
    assert_law(raw.replace(b'"U8"', f'"{dtype}"'.encode()))


@given(soup.headers() | soup.damaged(soup.headers()))
def test_any_header(raw: bytes) -> None:
    assert_law(raw)


#: Pieces of metadata that JSON readers judge differently.
_PIECES = [
    b'"k":"v"',
    b'"k":""',
    b'"__metadata__":"x"',
    b'"data_offsets":"x"',
    b"{",
    b"}",
    b",",
    b'"',
]
_PIECES += [
    b'"k":null',
    b'"k":1',
    b"\\ud800",
    b"\\ud83d\\ude00",
    b"\\u0000",
    b"\\u+123",
    b"\\/",
    b"\\x41",
]
_PIECES += [
    b"\x00",
    b"\x1f",
    b"\x7f",
    b"\x0c",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\xc0\xaf",
    b"\xff",
    b" ",
]
_PIECES += [ONE.encode(), f"}},{ONE},".encode()]


@given(st.lists(st.sampled_from(_PIECES), max_size=6).map(b"".join), st.sampled_from(["v", "{}"]))
def test_a_known_list_changes_nothing_of_what_is_accepted(piece: bytes, form: str) -> None:
    inside = b'"k":"' + piece + b'"' if form == "v" else piece
    raw = b'{"__metadata__":{' + inside + f"}},{ONE}}}".encode()
    lists = KnownLists()
    lists.facts(parse_header(with_length(f"{{{ONE}}}".encode())))
    try:
        exact = read_exactly(raw)
    except HeaderError:
        with pytest.raises(HeaderError):
            parse_header(with_length(raw), known=lists.body_bytes)
    else:
        header = parse_header(with_length(raw), known=lists.body_bytes)
        assert header.metadata == exact[1]
        assert header.tensors in ({}, exact[0])
