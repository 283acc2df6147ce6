from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.model import File, Page
from crawler.sources.civitai import payload


def page_of(*items: object, **metadata: object) -> Page:
    return payload.page({"items": list(items), "metadata": metadata})


def item(**changes: Any) -> dict[str, Any]:
    """A model as the site lists it today."""
    return {
        "id": 71,
        "name": "Paper Lantern",
        "type": "LORA",
        "nsfw": False,
        "nsfwLevel": 3,
        "tags": ["style", "lantern"],
        "creator": {"username": "mothwing", "image": None},
        "stats": {"downloadCount": 1200, "thumbsUpCount": 90, "tippedAmountCount": None},
        "allowCommercialUse": ["Image"],
        "modelVersions": [version()],
        **changes,
    }


def version(**changes: Any) -> dict[str, Any]:
    return {
        "id": 81,
        "index": 0,
        "name": "v1.0",
        "baseModel": "Pony",
        "publishedAt": "2026-02-03T04:05:06.789Z",
        "nsfwLevel": 1,
        "trainedWords": ["p4per lantern"],
        "paidAccess": None,
        "stats": {"downloadCount": 700, "thumbsUpCount": 50},
        "images": [{"url": "https://pictures.invalid/1.jpeg", "nsfwLevel": 1}],
        "files": [file()],
        **changes,
    }


def file(**changes: Any) -> dict[str, Any]:
    return {
        "id": 91,
        "sizeKB": 223123.4375,
        "name": "paper_lantern.safetensors",
        "type": "Model",
        "metadata": {"format": "SafeTensor", "fp": None},
        "scannedAt": "2025-05-19T02:43:46.31",
        "hashes": {"SHA256": "AB" * 32, "AutoV2": "ABABABABAB", "AutoV3": "0123456789AB"},
        "primary": True,
        **changes,
    }


def only_file(**changes: Any) -> File:
    return (
        page_of(item(modelVersions=[version(files=[file(**changes)])]))
        .models[0]
        .versions[0]
        .files[0]
    )


def test_a_model_of_today_is_read_whole() -> None:
    page = page_of(item(), nextCursor="2026-02-03 04:05:06.789|71", nextPage="https://x/?cursor=no")
    assert page.next_cursor == "2026-02-03 04:05:06.789|71"
    assert page.unreadable == ()
    model = page.models[0]
    assert (model.model_id, model.name, model.type, model.creator) == (
        71,
        "Paper Lantern",
        "LORA",
        "mothwing",
    )
    assert (model.tags, model.nsfw, model.nsfw_level) == (("style", "lantern"), False, 3)
    assert (model.downloads, model.likes, model.mode) == (1200, 90, None)
    assert "modelVersions" not in model.body
    assert model.body["allowCommercialUse"] == ["Image"]
    version = model.versions[0]
    assert (version.version_id, version.name, version.base_model) == (81, "v1.0", "Pony")
    assert version.published_at == datetime(2026, 2, 3, 4, 5, 6, 789_000, UTC)
    assert (version.downloads, version.likes, version.nsfw_level) == (700, 50, 1)
    assert version.trained_words == ("p4per lantern",)
    assert "images" not in version.body
    assert version.body["files"][0]["scannedAt"] == "2025-05-19T02:43:46.31"
    assert version.files == (
        File(
            file_id=91,
            name="paper_lantern.safetensors",
            type="Model",
            format="SafeTensor",
            size_bytes=228_478_400,
            sha256="AB" * 32,
            autov2="ABABABABAB",
            autov3="0123456789AB",
            is_primary=True,
        ),
    )


@pytest.mark.parametrize(
    ("metadata", "cursor"),
    [
        ({}, None),
        ({"nextCursor": None}, None),
        ({"nextCursor": ""}, None),
        ({"nextCursor": 100}, "100"),
        ({"nextCursor": 10**30}, str(10**30)),
        ({"nextCursor": "75363|932023|257749"}, "75363|932023|257749"),
        ({"nextPage": "https://other.example/api/v1/models?cursor=5"}, None),
    ],
)
def test_only_the_cursor_leads_on(metadata: dict[str, Any], cursor: str | None) -> None:
    assert page_of(**metadata).next_cursor == cursor
    assert payload.page({"items": []}).next_cursor is None


@pytest.mark.parametrize(
    "cursor", ["5\x00|7", "\ud83d|7", "7" * 1001, True, ["a"], {"page": 2}, float("nan"), 1e999]
)
def test_a_cursor_that_cannot_be_sent_back_is_not_the_end_of_the_list(cursor: object) -> None:
    with pytest.raises(payload.ShapeError, match="cursor"):
        page_of(nextCursor=cursor)


def test_base_models_that_cannot_be_asked_for_are_left_out() -> None:
    told = {"BaseModel": ["Pony", "SD\x00", "\ud800", "", None, 5, "Pony", "SDXL 1.0"]}
    assert payload.base_models(told) == ("Pony", "SDXL 1.0")


@pytest.mark.parametrize("metadata", ["more", [1], 5, "", [], 0, False])
def test_metadata_that_hides_the_cursor_is_not_the_end_of_the_list(metadata: object) -> None:
    with pytest.raises(payload.ShapeError, match="metadata"):
        payload.page({"items": [], "metadata": metadata})


@pytest.mark.parametrize(
    "value", [None, [], "items", {}, {"items": None}, {"items": {"a": 1}}, {"error": "no"}, 5]
)
def test_json_without_items_is_of_another_shape(value: object) -> None:
    with pytest.raises(payload.ShapeError):
        payload.page(value)


@pytest.mark.parametrize(
    "bad", [None, True, False, 0, -5, 2**63, 1.5, "", "x", "1e3", [], {}, "9" * 40]
)
def test_what_has_no_usable_id_is_passed_over_with_a_sentence(bad: object) -> None:
    page = page_of(
        item(id=bad),
        item(
            id=1, modelVersions=[version(id=bad), version(id=2, files=[file(id=bad), file(id=3)])]
        ),
    )
    assert [model.model_id for model in page.models] == [1]
    assert [entry.version_id for entry in page.models[0].versions] == [2]
    assert [entry.file_id for entry in page.models[0].versions[0].files] == [3]
    assert len(page.unreadable) == 3
    assert "a file of version 2 of model 1" in page.unreadable[2]


def test_what_is_no_model_at_all_is_passed_over_too() -> None:
    page = page_of(None, "text", 7, [], item())
    assert len(page.models) == 1
    assert len(page.unreadable) == 4


def test_numbers_may_be_written_as_text() -> None:
    model = page_of(item(id="71", stats={"downloadCount": "12", "thumbsUpCount": 3.0})).models[0]
    assert (model.model_id, model.downloads, model.likes) == (71, 12, 3)


@pytest.mark.parametrize("value", [None, "many", True, -1, 2**64, 1.5, float("nan"), [], {}])
def test_counts_that_cannot_be_held_are_unknown(value: object) -> None:
    stats = {"downloadCount": value, "thumbsUpCount": value}
    model = page_of(item(nsfwLevel=value, stats=stats)).models[0]
    assert (model.nsfw_level, model.downloads, model.likes) == (None, None, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"stats": None, "creator": None, "tags": None, "modelVersions": None, "nsfw": None},
        {"stats": [], "creator": "moth", "tags": "style", "modelVersions": {}, "nsfw": "Soft"},
        {
            "creator": {"username": None},
            "tags": [None, True, {}],
            "modelVersions": [None, 5],
            "mode": [1],
        },
    ],
)
def test_missing_and_mistyped_parts_are_unknown(changes: dict[str, Any]) -> None:
    model = page_of(item(**changes)).models[0]
    assert (model.creator, model.tags, model.versions) == (None, (), ())
    assert model.nsfw in (None, False)


def test_a_model_with_nothing_but_an_id_is_a_model() -> None:
    model = page_of({"id": 5, "modelVersions": [{"id": 6, "files": [{"id": 7}]}]}).models[0]
    assert model.name == ""
    assert model.versions[0].published_at is None
    assert model.versions[0].files[0] == File(file_id=7, name="")


def test_tags_may_be_objects_and_stand_once() -> None:
    tags = [{"name": "style"}, "style", "moth\x00", {"id": 4}]
    assert page_of(item(tags=tags)).models[0].tags == ("style", "moth\ufffd")


def test_doubled_versions_and_files_count_once() -> None:
    versions = [version(name="first", files=[file(), file(name="again")]), version(name="second")]
    found = page_of(item(modelVersions=versions)).models[0].versions
    assert [entry.name for entry in found] == ["first"]
    assert [entry.name for entry in found[0].files] == ["paper_lantern.safetensors"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"earlyAccessDeadline": "2026-09-01T00:00:00.000Z"}, datetime(2026, 9, 1, tzinfo=UTC)),
        (
            {"paidAccess": {"permanent": False, "endsAt": "2026-09-02T00:00:00Z"}},
            datetime(2026, 9, 2, tzinfo=UTC),
        ),
        ({"earlyAccessEndsAt": "2025-01-01"}, datetime(2025, 1, 1, tzinfo=UTC)),
        ({"paidAccess": {"permanent": True, "endsAt": None}}, None),
        ({"earlyAccessDeadline": "soon"}, None),
    ],
)
def test_early_access_ends_when_one_of_three_fields_says(
    changes: dict[str, Any], expected: datetime | None
) -> None:
    found = page_of(item(modelVersions=[version(**changes)])).models[0].versions[0]
    assert found.early_access_until == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-05-19T02:43:46.31", datetime(2025, 5, 19, 2, 43, 46, 310_000, UTC)),
        ("2025-05-19T04:43:46+02:00", datetime(2025, 5, 19, 2, 43, 46, tzinfo=UTC)),
        ("0001-01-01T00:00:00+23:00", None),
        ("2025-13-45", None),
        ("", None),
        (1_700_000_000, None),
        (None, None),
    ],
)
def test_times_are_utc_or_unknown(text: object, expected: datetime | None) -> None:
    assert payload.moment(text) == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (1, 1024),
        (0.3408203125, 349),
        ("2.5", 2560),
        (0, 0),
        (None, None),
        (-1, None),
        (True, None),
        ("big", None),
        (1e300, None),
        (float("nan"), None),
    ],
)
def test_sizes_are_bytes_rounded_from_kib(size: object, expected: int | None) -> None:
    assert only_file(sizeKB=size).size_bytes == expected


@pytest.mark.parametrize(
    "hashes", [None, {}, [], {"SHA256": None}, {"SHA256": "not hex"}, {"SHA256": 5}]
)
def test_hashes_may_be_missing(hashes: object) -> None:
    found = only_file(hashes=hashes)
    assert (found.sha256, found.autov2, found.autov3) == (None, None, None)
    assert only_file(hashes={"SHA256": "ab" * 32}).sha256 == "AB" * 32


@pytest.mark.parametrize("primary", [None, False, 1, "true"])
def test_only_true_makes_a_file_the_primary_one(primary: object) -> None:
    assert not only_file(primary=primary).is_primary


def test_text_and_json_are_made_storable() -> None:
    body = b'{"items": [{"id": 1, "name": "cut \\ud83d\\u0000", "x": [NaN, 1e999, %d, "\\udc00"]}]}'
    model = payload.page(payload.parse(body % 10**30)).models[0]
    assert model.name == "cut \ufffd\ufffd"
    assert model.body["x"] == [None, None, None, "\ufffd"]


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{", b"[" * 100_000, b"\xff\xfe", b'{"a": }', b"\x00"]
)
def test_what_is_no_json_is_of_another_shape(body: bytes) -> None:
    with pytest.raises(payload.ShapeError):
        payload.parse(body)


def test_json_is_read_as_it_comes() -> None:
    body = (
        b'\xef\xbb\xbf{"items": [{"id": " 71 ", "name": 2026, "type": "LORA", "tags": ["a\tb", 1980],'
        b' "creator": {"username": 7.5}, "description": "one\r\ntwo\x01", "modelVersions":'
        b' [{"id": "81", "name": false, "baseModel": 1.5, "trainedWords": [99, null], "files":'
        b' [{"id": 91.0, "name": 12, "sizeKB": "1.5"}]}]}], "metadata": {"nextCursor": 20.0}}'
    )
    page = payload.page(payload.parse(body))
    model = page.models[0]
    version = model.versions[0]
    assert (model.model_id, model.name, model.creator) == (71, "2026", "7.5")
    assert (model.tags, model.body["description"]) == (("a\tb", "1980"), "one\r\ntwo\x01")
    assert (version.version_id, version.name, version.base_model) == (81, "", "1.5")
    assert version.trained_words == ("99",)
    assert (version.files[0].file_id, version.files[0].name) == (91, "12")
    assert (page.next_cursor, page.unreadable) == ("20.0", ())


def test_what_is_too_long_to_be_real_is_left_out() -> None:
    numbers = list(range(300_000))
    model = page_of(item(name="x" * 70_000, description="<p>short</p>", extra=numbers)).models[0]
    assert model.name == ""
    assert model.body["description"] == "<p>short</p>"
    assert "extra" not in model.body


@pytest.mark.parametrize(
    ("url", "version_id"),
    [
        ("https://site.example/api/download/models/77?type=VAE&format=SafeTensor", 77),
        ("https://site.example/somewhere/else", None),
        (None, None),
    ],
)
def test_a_file_belongs_to_the_version_that_its_download_url_names(
    url: str | None, version_id: int | None
) -> None:
    assert only_file(downloadUrl=url).version_id == version_id


def test_a_number_of_thousands_of_digits_does_not_spoil_the_page() -> None:
    body = b'{"items": [{"id": 1, "nsfwLevel": ' + b"9" * 50_000 + b"}]}"
    assert payload.page(payload.parse(body)).models[0].nsfw_level is None


KEYS = st.sampled_from(
    ["id", "name", "modelVersions", "files", "hashes", "stats", "creator", "tags", "sizeKB", "nsfw"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(), inner, max_size=6)
    ),
    max_leaves=30,
)


def test_a_reply_of_very_many_values_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload, "MAX_VALUES", 1000)
    for value in ("[]", "0", "{}", '{"a":1}'):
        assert payload.parse(f"[{','.join([value] * 300)}]".encode())
        with pytest.raises(payload.ShapeError, match="more than 1,000 values"):
            payload.parse(f"[{','.join([value] * 1001)}]".encode())


@given(st.lists(JSON))
def test_no_json_raises_and_every_body_can_be_written_as_json(items: list[Any]) -> None:
    page = payload.page({"items": items, "metadata": {}})
    for model in page.models:
        msgspec.json.encode([model.body, *(version.body for version in model.versions)])
