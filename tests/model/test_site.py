"""The ids in a URL of the site."""

import pytest

from crawler.model.site import UrlIds, ids_of_url, is_site_host, lacks_scheme


@pytest.mark.parametrize(
    ("url", "ids"),
    [
        ("https://civitai.com/models/12/some-name?modelVersionId=34", UrlIds(12, 34)),
        ("https://www.civitai.red/models/12", UrlIds(12)),
        ("https://civitai.red/models/12?modelVersionId=34&x=y#z", UrlIds(12, 34)),
        ("https://civitai.green/api/download/models/34?fileId=56", UrlIds(None, 34, 56)),
        ("http://127.0.0.1:9/api/download/models/34?type=Model&fileId=56", UrlIds(None, 34, 56)),
        ("https://civitai.com/api/v1/models/12", UrlIds(12)),
        ("https://civitai.com/api/v1/model-versions/34", UrlIds(None, 34)),
        ("https://civitai.com/model-versions/34/", UrlIds(None, 34)),
        ("https://civitai.com/images/3", UrlIds()),
        ("https://civitai.com/models/x", UrlIds()),
        ("https://civitai.com/models/12x", UrlIds()),
        ("https://civitai.com/models/" + "9" * 19, UrlIds()),
        ("https://civitai.com", UrlIds()),
        ("civitai.com/models/12", UrlIds()),
    ],
)
def test_the_ids_of_a_url(url: str, ids: UrlIds) -> None:
    assert ids_of_url(url) == ids


def test_the_hosts_of_the_site() -> None:
    assert is_site_host("www.Civitai.com")
    assert not is_site_host("civitai.com.example.org")
    assert lacks_scheme("civitai.green/models/20")
    assert not lacks_scheme("civitai.com")
    assert not lacks_scheme("https://civitai.com/models/20")
