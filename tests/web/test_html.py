import pytest

from crawler.web.html import embedded, environment, page_link


def _rendered(template: str, **values: object) -> str:
    return environment().from_string(template).render(values)


def test_text_is_escaped_and_controls_are_shown() -> None:
    text = _rendered("{{ text }}", text="<script>\x1b[31m\u202e'\"&")

    assert text == "&lt;script&gt;\\x1b[31m\\u202e&#39;&#34;&amp;"


def test_a_long_text_is_cut_with_its_length() -> None:
    text = _rendered("{{ text }}", text="x" * 1_000_000)

    assert text.endswith("x… (1,000,000 characters)")
    assert len(text) < 3_000


def test_json_has_no_sign_that_html_reads() -> None:
    text = embedded({"a": "</script><!--&\u2028\u2029"})

    assert text == ('{"a":"\\u003c/script\\u003e\\u003c!--\\u0026\\u2028\\u2029"}')


@pytest.mark.parametrize(
    "address",
    [
        "https://civitai.com/models/3653?modelVersionId=4000",
        "http://127.0.0.1:8421/models/12",
    ],
)
def test_the_page_of_a_model_is_a_link(address: str) -> None:
    assert page_link(address) == address


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "javascript:alert(1)//https://civitai.com/models/1",
        "https://civitai.com/models/1\njavascript:alert(1)",
        "https://civitai.com@example.com/models/1",
        "https://civitai.com/models/1?modelVersionId=1&x=<script>",
        "data:text/html,models/1",
        "https://civitai.com/user/x",
    ],
)
def test_nothing_else_is_a_link(address: str | None) -> None:
    assert page_link(address) == ""
