"""From references to files; on both databases."""

import pytest
import sqlalchemy as sa

from crawler.errors import UsageError
from crawler.store.read.loras import find_file

SHA = "ABCD" + "0" * 59


FILES = {
    "2": 2,
    " 2 ": 2,
    "-5": -5,
    "file:-5": -5,
    "FILE:4": 4,
    "model:10": 3,
    "model:20": 5,
    "model:30": 7,
    "model:-1": -5,
    "version:100": 1,
    "version:101": 3,
    "version:201": 6,
    "version:-2": -5,
    "https://civitai.com/models/10": 3,
    "https://www.civitai.com/models/10/marble-and-more?modelVersionId=100": 1,
    "https://civitai.red/models/10?modelVersionId=101&x=y#z": 3,
    "civitai.green/models/20": 5,
    "https://civitai.com/model-versions/201": 6,
    "https://civitai.com/api/download/models/101": 3,
    "https://civitai.com/api/download/models/101?type=Model&fileId=2": 2,
    "http://127.0.0.1:9000/models/10?modelVersionId=100": 1,
    f"sha256:{SHA}1": 3,
    f"sha256:{SHA.lower()}2": 5,
    "autov2:abcd": 3,
    "autov3:FEDCBA": 3,
    f"{SHA}1": 3,
    f"{SHA.lower()}2": 5,
}


def test_references_find_their_file(shelf: sa.Engine) -> None:
    with shelf.connect() as connection:
        assert {ref: find_file(connection, ref) for ref in FILES} == FILES


NO_FILES = {
    "99": "no file 99",
    "9" * 19: "too large",
    "9" * 5000: "is not a reference",
    "٣": "is not a reference",
    "file:99": "no file 99",
    "model:99": "no model 99",
    "version:99": "no version 99",
    "model:x": "is not a reference",
    "": "is not a reference",
    "marble": "is not a reference",
    "abcdef012": "is not a reference",
    "abcdef0123": "no file whose hash",
    "a" * 65: "is not a reference",
    "name:": "needs words",
    "name:no such": "no model whose name",
    "name:it's": "no model whose name",
    "name:%' or 'a' = 'a": "no model whose name",
    "sha256:12": "no file whose sha256",
    "sha256:": "is not a hash",
    "sha256:xyz": "is not a hash",
    f"autov2:{SHA}": "is not a hash",
    "https://civitai.com/models/99": "no model 99",
    "https://civitai.com/models/x": "neither",
    "https://civitai.com/": "neither",
    "https://example.org/models/10": "is not a URL of the site",
    "https://civitai.com.example.org/models/10": "is not a URL of the site",
    "https://[/models/10": "is not a URL",
    "https://civitai.com/api/download/models/101?fileId=99": "no file 99",
}


def test_other_references_are_errors(shelf: sa.Engine) -> None:
    with shelf.connect() as connection:
        for ref, words in NO_FILES.items():
            with pytest.raises(UsageError, match=words):
                find_file(connection, ref)


def test_an_ambiguous_hash_names_the_files(shelf: sa.Engine) -> None:
    with shelf.connect() as connection:
        with pytest.raises(UsageError) as two:
            find_file(connection, "sha256:abcd")
        with pytest.raises(UsageError) as many:
            find_file(connection, "sha256:0")

    assert [line.split()[0] for line in str(two.value).splitlines()[1:]] == ["3", "5"]
    assert len(str(many.value).splitlines()) == 7
    assert str(many.value).endswith("…")
