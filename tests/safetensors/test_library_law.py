"""We accept exactly the files that the safetensors library accepts, and read the same from them."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crawler.errors import HeaderError
from crawler.safetensors.exact_reader import read_exactly
from crawler.safetensors.reader import parse_header
from tests.safetensors import hostile, soup
from tests.safetensors.library import assert_same_verdict, library_reads, we_read, with_length

CORPUS = Path(
    os.environ.get("LORA_CRAWL_CORPUS")
    or Path(__file__).parents[2].parent.joinpath("shared", "corpus")
)
FILES = sorted(CORPUS.glob("headers/*.safetensors")) + sorted(CORPUS.glob("headers/*.hdr"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("law") / "file.safetensors"


@pytest.mark.skipif(not FILES, reason=f"no collection of real headers in {CORPUS}")
def test_real_headers(place: Path) -> None:
    for file in FILES:
        data = file.read_bytes()
        file_bytes = len(data)
        if file.suffix == ".hdr":
            described = json.loads(file.with_suffix(".hdr.json").read_text(encoding="utf-8"))
            file_bytes = described["full_size"]
        ours = we_read(data, file_bytes)
        assert ours == library_reads(place, data, file_bytes), file.name
        if ours:
            header = data[8 : 8 + int.from_bytes(data[:8], "little")]
            tensors, metadata = read_exactly(header)
            parsed = parse_header(data)
            assert (tensors, metadata) == (parsed.tensors, parsed.metadata), file.name


@pytest.mark.parametrize(
    ("header", "body_bytes", "expected"), hostile.CASES.values(), ids=hostile.CASES
)
def test_a_hostile_header(
    header: bytes, body_bytes: int, expected: str | None, place: Path
) -> None:
    data = with_length(header)
    file_bytes = len(data) + body_bytes
    try:
        parse_header(data, file_bytes=file_bytes)
        code = None
    except HeaderError as error:
        code = error.code
    assert code == expected
    assert we_read(data, file_bytes) == library_reads(place, data, file_bytes)


@given(soup.headers())
def test_sound_headers_and_what_is_nearly_one(place: Path, header: bytes) -> None:
    assert_same_verdict(place, header)


@given(soup.damaged(soup.headers()))
def test_damaged_headers(place: Path, header: bytes) -> None:
    assert_same_verdict(place, header)


@given(soup.json_like())
def test_an_ignored_value(place: Path, value: str) -> None:
    header = f'{{"a":{{"x":{value},"dtype":"U8","shape":[],"data_offsets":[0,1]}}}}'
    assert_same_verdict(place, header.encode("utf-8", "surrogatepass"))


@given(soup.near_the_largest_float())
@example("1.7976931348623157e308")
@example("1.7976931348623158e308")
def test_a_number_near_the_largest_float(place: Path, number: str) -> None:
    header = f'{{"a":{{"x":{number},"dtype":"U8","shape":[],"data_offsets":[0,1]}}}}'
    assert_same_verdict(place, header.encode())


@given(st.integers(-20, 20))
def test_the_files_length(place: Path, off: int) -> None:
    header = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    assert_same_verdict(place, header, 8 + len(header) + 8 + off)


@given(st.binary(max_size=40), st.integers(0, 60))
def test_any_bytes(place: Path, data: bytes, more: int) -> None:
    assert we_read(data, len(data) + more) == library_reads(place, data, len(data) + more)


@given(soup.headers())
def test_the_fast_way_and_the_exact_one_agree(header: bytes) -> None:
    try:
        parsed = parse_header(with_length(header))
    except HeaderError:
        return
    assert read_exactly(header) == (parsed.tensors, parsed.metadata)
