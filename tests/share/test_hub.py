"""An import from the Hugging Face Hub, with a stand-in of it on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from crawler.errors import ExportError, LoraCrawlError, StoppedError, UsageError
from crawler.share.form import file_of
from crawler.share.importing import open_source
from crawler.share.source import Column
from crawler.store.schema import tables
from tests.conftest import ON_SQLITE
from tests.share.exports import import_into
from tests.share.hub import COMMIT, NAME, Hub, running
from tests.stored import rows_of

pytestmark = ON_SQLITE

PLACE = f"hf://datasets/{NAME}"


@pytest.fixture
def hub(exported: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with running(exported) as found:
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        # Its client wants certificates even for http.
        for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "SSL_CERT_FILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HF_HOME", str(exported.parent / "hf"))
        yield found


def test_only_what_is_needed_is_read_from_the_hub(
    hub: Hub, theirs: sa.Engine, engine: sa.Engine
) -> None:
    tally = import_into(engine, PLACE)

    assert (tally.sentences, tally.headers) == ([], 5)
    assert len(rows_of(engine, tables.headers)) == len(rows_of(theirs, tables.headers))
    for unused in ("tags", "file_tags", "problems", "datasets", "directories", "field_notes"):
        assert hub.sent[file_of(unused)] == 0
    # All files are those of one commit.
    resolved = [path for path in hub.asked if "/resolve/" in path]
    assert all(f"/resolve/{COMMIT}/" in path for path in resolved)

    # The files may be at another host.
    hub.sent.clear()
    hub.redirect = f"{hub.url}/storage"
    assert import_into(engine, f"{PLACE}@main").headers == 0
    assert hub.sent[file_of("models")] > 0
    assert hub.sent[file_of("headers")] == hub.sent[file_of("tensor_lists")] == 0


def test_a_redirect_into_a_private_network_is_not_followed(hub: Hub, engine: sa.Engine) -> None:
    hub.redirect = "http://10.0.0.1/storage"
    with pytest.raises(LoraCrawlError, match=r"10\.0\.0\.1"):
        import_into(engine, PLACE)


def test_a_host_that_sends_more_than_was_asked_for(hub: Hub, engine: sa.Engine) -> None:
    hub.whole = True
    with pytest.raises(ExportError, match="the Hub sent"):
        import_into(engine, PLACE)


def test_a_hub_that_does_not_end_its_answers(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_source(PLACE) as source:
        monkeypatch.setattr("crawler.share.export_source.MOST_SECONDS", 0.2)
        hub.is_slow = True
        with pytest.raises(StoppedError, match=r"models\.parquet: .* more than 0\.2 seconds"):
            list(source.rows("models", {"model_id": Column("integer")}))


def test_a_data_set_that_is_not_there(
    hub: Hub, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="someone/else"):
        import_into(engine, "hf://datasets/someone/else")
    (hub.folder / file_of("models")).unlink()
    with pytest.raises(ExportError, match=r"models\.parquet: there is no such file"):
        import_into(engine, PLACE)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(StoppedError, match=r"hf://datasets/someone/loras"):
        import_into(engine, PLACE)


def test_a_missing_package_is_named(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from crawler.share import export_source  # noqa: PLC0415 - before it is changed

    hidden = "import sys; sys.modules['huggingface_hub'] = None; " + export_source._CHILD
    monkeypatch.setattr("crawler.share.export_source._CHILD", hidden)
    with pytest.raises(UsageError, match=r"pip install 'lora-crawl\[share\]'"):
        import_into(engine, PLACE)
