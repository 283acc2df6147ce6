from hypothesis import given
from hypothesis import strategies as st

from crawler.sandbox.dates import iso, milliseconds, postgres
from crawler.sandbox.ranges import Span, span


def test_ranges() -> None:
    assert span(None, 10) == Span(0, 10, partial=False)
    assert span("bytes=0-3", 10) == Span(0, 4, partial=True)
    assert span("bytes=4-", 10) == Span(4, 10, partial=True)
    assert span("bytes=-3", 10) == Span(7, 10, partial=True)
    assert span("bytes=-30", 10) == Span(0, 10, partial=True)
    assert span("bytes=9-99", 10) == Span(9, 10, partial=True)
    assert span("bytes=10-", 10) is None
    assert span("bytes=-0", 10) is None
    assert span("bytes=0-0", 0) is None


@given(st.text(max_size=20), st.integers(0, 100))
def test_no_text_is_too_odd(text: str, size: int) -> None:
    found = span(f"bytes={text}", size)
    assert found is None or 0 <= found.start <= found.end <= size
    assert span(f"bits={text}", size) == Span(0, size, partial=False)


def test_what_cannot_be_meant_is_the_whole_body() -> None:
    for asked in ("", "bytes=", "bytes=-", "bytes=5-3", "bytes=0-1,3-4", "bytes=a-b"):
        assert span(asked, 10) == Span(0, 10, partial=False)


@given(st.integers(0, 4_000_000_000_000))
def test_times_come_back_from_both_spellings(time: int) -> None:
    assert milliseconds(iso(time)) == milliseconds(postgres(time)) == time
