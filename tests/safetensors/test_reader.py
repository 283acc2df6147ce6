"""Promises beyond the library's verdict: headers that are cut, extended, large or another format."""

import hashlib
import time
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import HeaderError
from crawler.model import Header, Tensor, TensorList
from crawler.safetensors.reader import MAX_HEADER_BYTES, needed_bytes, parse_header
from tests.safetensors.library import with_length

TEXT = (
    b'{"__metadata__":{"format":"pt"},"a":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},'
    b'"b":{"dtype":"F32","shape":[],"data_offsets":[12,16]}}  '
)
WHOLE = with_length(TEXT) + bytes(16)
HEADER = Header(
    len(TEXT),
    {"a": Tensor("F16", (2, 3), (0, 12)), "b": Tensor("F32", (), (12, 16))},
    {"format": "pt"},
    16,
    TensorList(8 + 32, 109, hashlib.sha256(TEXT[32:-3]).digest()),
)


def refused(data: bytes, file_bytes: int | None = None) -> HeaderError:
    with pytest.raises(HeaderError) as caught:
        parse_header(data, file_bytes=file_bytes)
    return caught.value


def error_of(
    judge: Callable[..., object], data: bytes, file_bytes: int | None = None
) -> HeaderError | None:
    try:
        judge(data, file_bytes=file_bytes)
    except HeaderError as error:
        return error
    return None


# --- whole, cut, with more behind it -----------------------------------------------------------


def test_a_whole_file() -> None:
    assert parse_header(WHOLE, file_bytes=len(WHOLE)) == HEADER


def test_a_file_cut_anywhere() -> None:
    for length in range(len(WHOLE)):
        start = WHOLE[:length]
        if length < 8 + len(TEXT):
            assert refused(start).code in {"header_too_small", "invalid_length"}
        else:
            assert parse_header(start) == parse_header(start, file_bytes=len(WHOLE)) == HEADER
        if length >= 8:
            assert needed_bytes(start) == 8 + len(TEXT)
            assert needed_bytes(start, file_bytes=len(WHOLE)) == 8 + len(TEXT)


@given(st.binary(max_size=50))
def test_what_stands_behind_the_header_is_not_looked_at(more: bytes) -> None:
    assert parse_header(with_length(TEXT) + more, file_bytes=len(WHOLE)) == HEADER
    assert parse_header(WHOLE + more) == HEADER


def test_a_file_of_another_length_is_refused_when_the_length_is_known() -> None:
    start = with_length(TEXT)
    assert refused(start, len(WHOLE) - 1).code == "incomplete"
    assert refused(start, len(WHOLE) + 1).code == "incomplete"
    assert refused(start, len(start) - 1).code == "invalid_length"


def test_a_body_that_no_file_system_holds_is_refused_without_a_length() -> None:
    step = 2**60
    text = ",".join(
        f'"{n}":{{"dtype":"U8","shape":[{step}],"data_offsets":[{n * step},{(n + 1) * step}]}}'
        for n in range(8)
    )
    assert refused(with_length(f"{{{text}}}".encode())).code == "overflow"


# --- how many bytes are needed -----------------------------------------------------------------


def test_the_longest_header() -> None:
    start = MAX_HEADER_BYTES.to_bytes(8, "little")
    assert needed_bytes(start) == 8 + MAX_HEADER_BYTES
    assert needed_bytes(start + b" \n{") == 8 + MAX_HEADER_BYTES
    longer = (MAX_HEADER_BYTES + 1).to_bytes(8, "little")
    with pytest.raises(HeaderError, match="100,000,001 bytes") as caught:
        needed_bytes(longer)
    assert caught.value.code == "header_too_large"


def test_a_header_beyond_the_file_is_not_asked_for() -> None:
    start = (100).to_bytes(8, "little")
    assert needed_bytes(start, file_bytes=108) == 108
    with pytest.raises(HeaderError) as caught:
        needed_bytes(start, file_bytes=107)
    assert caught.value.code == "invalid_length"
    assert caught.value.other_format is None


def test_fewer_than_eight_bytes() -> None:
    for length in range(8):
        with pytest.raises(HeaderError) as caught:
            needed_bytes(bytes(length))
        assert caught.value.code == "header_too_small"


def test_what_cannot_begin_a_header_is_not_asked_for() -> None:
    with pytest.raises(HeaderError) as caught:
        needed_bytes((60_000_000).to_bytes(8, "little") + b"  \x00")
    assert caught.value.code == "invalid_json"


# --- any bytes ---------------------------------------------------------------------------------


def _only_header_errors(data: bytes, file_bytes: int | None) -> None:
    for judge in (needed_bytes, parse_header):
        error = error_of(judge, data, file_bytes)
        if error:
            assert error.code
            assert error.detail.isascii()
            assert error.detail.isprintable()
            assert len(error.detail) < 1000


lengths = st.none() | st.integers(0, 200)


@given(st.binary(max_size=200), lengths)
def test_any_bytes(data: bytes, file_bytes: int | None) -> None:
    _only_header_errors(data, file_bytes)


@given(st.binary(max_size=200), lengths)
def test_any_bytes_behind_a_length(data: bytes, file_bytes: int | None) -> None:
    _only_header_errors(with_length(data), file_bytes)


@given(st.text('{}[]",:\\ud8x-019.eE+nulltrefas \x00\n\u202e\U0001f600', max_size=80), lengths)
def test_any_text_behind_a_length(text: str, file_bytes: int | None) -> None:
    _only_header_errors(with_length(b"{" + text.encode()), file_bytes)


def test_a_message_quotes_the_file_escaped_and_cut() -> None:
    name = "\x1b[31m\u202e" + "x" * 500
    entry = '{"dtype":"\x85F99","shape":[],"data_offsets":[0,0]}'
    error = refused(with_length(f'{{"{name[5:]}":{entry}}}'.encode()))
    assert error.code == "invalid_tensor"
    assert "'\\u202exxx" in error.detail
    assert "'\\x85F99'" in error.detail
    assert "x" * 80 not in error.detail
    raw = refused(with_length(f'{{"{name}":{entry}}}'.encode()))
    assert raw.code == "invalid_json"
    assert "'\"\\x1b[31m" in raw.detail


# --- other formats -----------------------------------------------------------------------------

FOREIGN = {
    "HTML": (b"<!DOCTYPE html>\n<html><head>", "HTML page"),
    "HTML behind blanks": (b"\xef\xbb\xbf\r\n  <HTML lang=en>", "HTML page"),
    "HTML behind a comment": (b"<!-- cached --><html>", "HTML page"),
    "XML": (b'<?xml version="1.0" encoding="UTF-8"?><Error>', "XML text"),
    "JSON": (b'{"error":"Unauthorized","message":"log in"}', "JSON text"),
    "JSON array": (b'[\n  {"id": 1}\n]', "JSON text"),
    "LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "Git LFS pointer"),
    "zip": (b"PK\x03\x04\x00\x00\x08\x08\x00\x00data.pkl", "zip archive"),
    "zip without flags": (b"PK\x03\x04\x00\x00\x00\x00\x00\x00\x00\x00", "zip archive"),
    "pickle 2": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "pickle"),
    "pickle 4": (b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00}", "pickle"),
    "gzip": (b"\x1f\x8b\x08\x08\x9a\x11\x22\x33\x00\x03a.bin\x00", "gzip archive"),
    "gzip without a time": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\x4b\x04", "gzip archive"),
    "7z": (b"7z\xbc\xaf\x27\x1c\x00\x04\x00\x00", "7z archive"),
    "RAR": (b"Rar!\x1a\x07\x01\x00\x00\x00", "RAR archive"),
    "PNG": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "PNG image"),
    "JPEG": (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "JPEG image"),
    "GGUF": (b"GGUF\x03\x00\x00\x00\x23\x01\x00\x00", "GGUF model"),
    "text": (b"Too many requests, try again later.\n", "plain text"),
    "text cut within a character": ("déjà vu é".encode()[:-1], "plain text"),
}


@pytest.mark.parametrize(("data", "name"), FOREIGN.values(), ids=FOREIGN)
def test_another_format_is_named(data: bytes, name: str) -> None:
    error = refused(data)
    assert error.other_format
    assert error.other_format.startswith(name)
    assert error.other_format in error.detail
    with pytest.raises(HeaderError) as caught:
        needed_bytes(data)
    assert caught.value.other_format == error.other_format
    assert refused(data, len(data)).other_format == error.other_format


@pytest.mark.parametrize("length", [0x0280, 0x0380, 0x8B1F, 0x4B50, 0x7B20, 0x3C3C])
def test_a_sound_header_wins_over_the_marks_of_other_formats(length: int) -> None:
    data = with_length(b"{}".ljust(length))
    assert parse_header(data, file_bytes=len(data)).tensors == {}


@pytest.mark.parametrize("length", [0x0280, 0x0380, 0x8B1F, 0x4B50, 0x7B20, 0x3C3C])
def test_an_unsound_header_is_not_taken_for_another_format(length: int) -> None:
    error = refused(with_length(b'{"a":}'.ljust(length)))
    assert (error.code, error.other_format) == ("invalid_json", None)
    cut = refused(with_length(b"{}".ljust(length))[:100])
    assert (cut.code, cut.other_format) == ("invalid_length", None)


@pytest.mark.parametrize("data", [b"", b"\x00", b"\r\n", bytes(8), b"\xff" * 100])
def test_nothing_is_named_by_guessing(data: bytes) -> None:
    assert refused(data).other_format is None


# --- memory ------------------------------------------------------------------------------------

#: Large enough to show the multiple, and small enough to trace quickly.
LARGE_BYTES = 300_000
SOUND = b'"dtype":"F32","shape":[],"data_offsets":[0,4]'


def _filled(head: bytes, unit: bytes, tail: bytes) -> bytes:
    return head + unit * ((LARGE_BYTES - len(head) - len(tail)) // len(unit)) + tail


def _ordinary() -> bytes:
    entry = (
        b'"lora_unet_input_blocks_%d_attn1_to_k.lora_down.weight":'
        b'{"dtype":"F16","shape":[32,640],"data_offsets":[%d,%d]}'
    )
    count = LARGE_BYTES // len(entry)
    entries = (entry % (n, 40_960 * n, 40_960 * (n + 1)) for n in range(count))
    metadata = b'"__metadata__":{"tags":"' + b"x" * 10_000 + b'"}'
    return b"{" + b",".join([metadata, *entries]) + b"}"


def _many(head: bytes, unit: bytes, tail: bytes) -> bytes:
    count = LARGE_BYTES // (len(unit) + 4)
    return head + b",".join(unit % number for number in range(count)) + tail


# Peak memory as a multiple of the header's size: measured, plus a third. Values that become Python
# objects cost what objects cost; ignored ones cost a copy or two.
LARGE = {
    "ordinary": (_ordinary, 8),
    "small tensors": (lambda: _many(b"{", b'"%x":["F4",[0],[0,0]]', b"}"), 21),
    "small metadata": (lambda: _many(b'{"__metadata__":{', b'"%x":""', b"}}"), 14),
    "one long text": (lambda: _filled(b'{"__metadata__":{"a":"', b'\\"a', b'"}}'), 6),
    "one long text with an emoji": (
        lambda: _filled(b'{"__metadata__":{"a":"\xf0\x9f\x98\x80', b"a", b'"}}'),
        11,
    ),
    "one long shape": (
        lambda: _filled(b'{"a":{"dtype":"F4","shape":[0', b",257", b'],"data_offsets":[0,0]}}'),
        16,
    ),
    "one long shape that overflows": (
        lambda: _filled(b'{"a":{"dtype":"F4","shape":[9', b",999", b'],"data_offsets":[0,0]}}'),
        16,
    ),
    "ignored lists": (lambda: _filled(b'{"a":{' + SOUND + b',"x":[0', b",[]", b"]}}"), 3),
    "ignored nested lists": (
        lambda: _filled(b'{"a":{' + SOUND + b',"x":[0', b"," + b"[" * 99 + b"]" * 99, b"]}}"),
        3,
    ),
    "ignored texts": (lambda: _filled(b'{"a":{' + SOUND + b',"x":[0', b',""', b"]}}"), 3),
    "ignored fields": (lambda: _filled(b'{"a":{' + SOUND, b',"":0', b"}}"), 3),
    "one long number": (lambda: _filled(b'{"a":{' + SOUND + b',"x":', b"1", b"}}"), 4),
    "one long offset": (
        lambda: _filled(b'{"a":{"dtype":"F4","shape":[],"data_offsets":[0,', b"9", b"]}}"),
        4,
    ),
    "same tensor": (
        lambda: _filled(b"{", b'"a":{' + SOUND + b"},", b'"a":{' + SOUND + b"}}"),
        12,
    ),
    "opened and not closed": (lambda: b'{"a":' * (LARGE_BYTES // 5), 3),
    "NUL": (lambda: b"{}" + bytes(LARGE_BYTES), 3),
}


@pytest.mark.parametrize(("make", "times"), LARGE.values(), ids=LARGE)
def test_a_large_header_takes_a_small_multiple_of_its_size(
    make: Callable[[], bytes], times: int
) -> None:
    data = with_length(make())
    tracemalloc.start()
    try:
        error = error_of(parse_header, data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert error is None or error.code in {"invalid_json", "overflow"}
    assert peak < times * len(data)


def test_half_a_million_sizes_are_not_multiplied_out() -> None:
    text = b'{"a":{"dtype":"F4","shape":[9' + b",999" * 500_000 + b'],"data_offsets":[0,1]}}'
    begin = time.process_time()
    assert refused(with_length(text)).code == "overflow"
    assert time.process_time() - begin < 15


#: What only the reader of every token reads, some 20 KB of each.
UNUSUAL = {
    "equal names": b"{" + b",".join([b'"a":{' + SOUND + b"}"] * 400) + b"}",
    "arrays": b"{" + b",".join(b'"%d":["F4",[0],[0,0]]' % n for n in range(900)) + b"}",
    "dtypes as variants": b"{"
    + b",".join(
        b'"%d":{"dtype":{"U8":null},"shape":[0],"data_offsets":[0,0]}' % n for n in range(300)
    )
    + b"}",
    "nested lists": b'{"a":{' + SOUND + b',"x":[' + b",".join([b"[[1]]"] * 3000) + b"]}}",
    "keys with escapes": b'{"a":{' + SOUND + b',"\\u0041":0' * 1500 + b"}}",
    "names with escapes": b"{"
    + b",".join(b'"\\u0041%d":{%s}' % (n, SOUND) for n in range(300))
    + b"}",
    "one long shape": b'{"a":{"dtype":"F4","shape":[0' + b",1" * 9000 + b'],"data_offsets":[0,0]}}',
    "many long shapes": b"{"
    + b",".join(
        b'"%d":{"dtype":"U8","shape":[0%s],"data_offsets":[0,0]}' % (n, b",1" * 99)
        for n in range(80)
    )
    + b"}",
}


@pytest.mark.parametrize("text", UNUSUAL.values(), ids=UNUSUAL)
def test_a_long_header_that_is_not_written_as_usual_is_not_read(text: bytes) -> None:
    data = with_length(text)
    judged = error_of(parse_header, data)
    assert judged is None or judged.code != "too_unusual"
    with pytest.raises(HeaderError, match=f"read up to {len(text) - 1:,} bytes") as caught:
        parse_header(data, max_unusual=len(text) - 1)
    assert caught.value.code == "too_unusual"


def test_a_long_header_that_is_plain_is_read() -> None:
    assert parse_header(WHOLE, max_unusual=0) == HEADER
    spaced = TEXT.replace(b":", b" : ").replace(b",", b" , ")
    assert parse_header(with_length(spaced), max_unusual=0).tensors == HEADER.tensors
