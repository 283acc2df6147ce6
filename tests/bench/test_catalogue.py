"""The catalogue of the benchmarks is what lora-crawl reads: list pages and files."""

from pathlib import Path

from bench.catalogue import TAGS, file_name, write_files, write_pages
from bench.nginx import NUMBER_DIGITS
from crawler.decode.verdict import verdict_of
from crawler.model import Model, Outcome
from crawler.sources.civitai import payload


def test_the_pages_lead_to_files_that_are_decoded(tmp_path: Path) -> None:
    sizes = write_files(tmp_path / "files", 2)
    write_pages(tmp_path / "pages", 120, sizes)
    models: list[Model] = []
    number: str | None = "1"
    while number:
        page = payload.page(payload.parse((tmp_path / "pages" / f"{number}.json").read_bytes()))
        models += page.models
        number = page.next_cursor and page.next_cursor.rpartition("|")[2]
    assert [model.model_id for model in models] == list(range(1, 121))
    found = [model.versions[0].files[0] for model in models[:2]]
    contents = set()
    for file in found:
        path = tmp_path / "files" / file_name(file.file_id % 10**NUMBER_DIGITS)
        with path.open("rb") as opened:
            beginning = opened.read(1024 * 1024)
        assert file.size_bytes == path.stat().st_size
        verdict = verdict_of(beginning, file.size_bytes)
        assert verdict.outcome is Outcome.DECODED
        assert verdict.decoded is not None
        assert sum(map(len, verdict.decoded.tags.values())) >= TAGS
        contents.add(verdict.decoded.recipe.output_name)
    assert len(contents) == len(found)
