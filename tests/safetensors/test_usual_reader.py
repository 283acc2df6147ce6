"""Headers as the safetensors library writes them, read in columns: the same as read one by one."""

import json
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.decode.tensors.facts import read_weights
from crawler.errors import HeaderError
from crawler.model import Header
from crawler.safetensors.exact_reader import read_exactly
from crawler.safetensors.layout import DTYPE_BITS, body_bytes
from crawler.safetensors.reader import parse_header
from crawler.safetensors.usual_reader import read_usual
from tests.decode.tensors import base_models
from tests.decode.tensors import tensor_lists as lists
from tests.safetensors import soup
from tests.safetensors.library import with_length

COMPACT, SPACED = (",", ":"), (", ", ": ")
SHAPES = {
    "lora_unet_mid_block_attentions_0_proj_in.alpha": (),
    "lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": (4, 1280, 1, 1),
    "lora_unet_mid_block_attentions_0_proj_in.lora_up.weight": (1280, 4, 1, 1),
    "lora_unet_mid_block_attentions_0_proj_out.alpha": (),
    "lora_unet_mid_block_attentions_0_proj_out.lora_down.weight": (4, 1280, 1, 1),
    "lora_unet_mid_block_attentions_0_proj_out.lora_up.weight": (1280, 4, 1, 1),
}
METADATA = {"ss_tag_frequency": '{"10_thing": {"a tag": 3}}', "ss_output_name": "étude"}


def written(
    shapes: lists.Shapes,
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


def assert_read_alike(raw: bytes) -> None:
    """The fast reader, where it reads, agrees with the slower ones and with the rules of the layout."""
    read = read_usual(raw)
    if read is not None:
        table, metadata = read
        tensors, expected = read_exactly(raw)
        assert (dict(table), metadata) == (tensors, expected)
        assert table.bounds[-1] == body_bytes(tensors)
        assert len(table) == len(tensors)
        assert list(table) == list(tensors)


@pytest.mark.parametrize("separators", [COMPACT, SPACED], ids=["library", "Python"])
@pytest.mark.parametrize("metadata", [METADATA, {}, None], ids=["metadata", "empty", "none"])
@pytest.mark.parametrize(
    "shapes",
    [
        SHAPES,
        lists.spelled(
            "unet.", [base_models.Module("mid_block.attentions.0.proj_in", 4, 8)], lists.peft
        ),
        {"unet:0:down": (4, 320), "unet:0:up": (320, 4), "unet:10:down": (4, 320)},
        {"a": (), "b.alpha": (3,), "": (0,), "a-b": (1, 2, 3)},
    ],
    ids=["in step", "dotted", "counted", "any names"],
)
def test_what_libraries_write_is_read_in_columns(
    shapes: lists.Shapes, metadata: dict[str, str] | None, separators: tuple[str, str]
) -> None:
    raw = written(shapes, metadata, separators=separators, dtypes=("F32", "BF16", "F16"))
    assert read_usual(raw) is not None
    assert_read_alike(raw)


def test_the_columns_of_layers_in_step() -> None:
    read = read_usual(written(SHAPES))
    assert read is not None
    table, _ = read
    assert table.stems == [
        "lora_unet_mid_block_attentions_0_proj_in",
        "lora_unet_mid_block_attentions_0_proj_out",
    ]
    assert table.ends == [".alpha", ".lora_down.weight", ".lora_up.weight"]
    assert len(table.forms) == 3
    assert table.bounds == [0, 2, 10242, 20482, 20484, 30724, 40964]


@pytest.mark.parametrize(
    "header",
    [
        '{"a":{"shape":[],"dtype":"U8","data_offsets":[0,1]}}',
        '{"a":{"dtype":"U8","shape":[ ],"data_offsets":[0,1]}}',
        '{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"__metadata__":{}}',
        '{"é":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}\n',
        '{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1],"x":0}}',
        '{"a{":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}',
        '{"a]":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}',
        '{"\\u0061":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}',
        '{"__metadata__":null,"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}',
        (
            '{"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]},'
            '"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}'
        ),
    ],
)
def test_a_sound_header_that_is_unusual_is_left_to_the_others(header: str) -> None:
    assert read_usual(header.encode()) is None
    assert parse_header(with_length(header.encode())).tensors


#: What can turn one header into another when it takes the place of a byte, or comes before it.
_BYTES = [b"", *(bytes([byte]) for byte in b'"\\{}[],: 01-.aF\n\x00\x7f\xff')]


@pytest.mark.parametrize("separators", [COMPACT, SPACED], ids=["library", "Python"])
def test_no_change_of_a_byte_is_missed(separators: tuple[str, str]) -> None:
    shapes = {"x.alpha": (), "x.lora_up.weight": (1, 10), "y.alpha": (), "y.lora_up.weight": (0,)}
    sound = written(shapes, {"a": "b"}, separators=separators)
    read = 0
    for at in range(len(sound)):
        for byte in _BYTES:
            for changed in (sound[:at] + byte + sound[at + 1 :], sound[:at] + byte + sound[at:]):
                assert_law(changed)
                read += read_usual(changed) is not None
    assert read > 100  # names, metadata and the padding may differ


def assert_law(raw: bytes) -> None:
    """What is read in columns the slower readers accept, and read as the same."""
    try:
        tensors, _ = read_exactly(raw)
        body_bytes(tensors)
    except HeaderError:
        assert read_usual(raw) is None, raw
    else:
        assert_read_alike(raw)


_NAMES = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=6),
    st.tuples(
        st.sampled_from(["lora_unet_a", "unet.a.b", "a.lora_A", "lora_te_x", "a\nb", ""]),
        st.sampled_from([".alpha", ".lora_A.weight", "_lora.down.weight", ".weight", ":up"]),
    ).map("".join),
)
_SHAPES = st.dictionaries(
    _NAMES, st.lists(st.integers(0, 40), max_size=5).map(tuple), min_size=1, max_size=9
)


@given(
    _SHAPES,
    st.none() | st.dictionaries(st.text(st.characters(codec="utf-8")), st.just("x"), max_size=3),
    st.sampled_from([COMPACT, SPACED]),
    st.lists(st.sampled_from(["F16", "F32", "F8_E4M3", "F99"]), min_size=1, max_size=2),
)
def test_any_names_and_shapes(
    shapes: dict[str, tuple[int, ...]],
    metadata: dict[str, str] | None,
    separators: tuple[str, str],
    dtypes: list[str],
) -> None:
    known = tuple(dtype if dtype in DTYPE_BITS else "U8" for dtype in dtypes)
    raw = written(shapes, metadata, separators=separators, dtypes=known)
    assert_law(raw.replace(b'"U8"', b'"F99"') if "F99" in dtypes else raw)


@given(soup.headers() | soup.damaged(soup.headers()))
def test_any_header(raw: bytes) -> None:
    assert_law(raw)


@given(_SHAPES)
def test_weights_are_the_same_from_columns_and_from_a_plain_mapping(
    shapes: dict[str, tuple[int, ...]],
) -> None:
    read = read_usual(written(shapes))
    if read is not None:
        table, _ = read
        columns = read_weights(Header(1, table, None))
        assert columns == read_weights(Header(1, dict(table), None))
