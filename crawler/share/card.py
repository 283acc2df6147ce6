"""The dataset card of an export, as the Hugging Face Hub reads and shows it."""

from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit

from crawler.answers.outcomes import spoken
from crawler.answers.rows import markdown_line
from crawler.answers.text import count, day, instant, number, size
from crawler.model import Outcome
from crawler.model.site import is_site_host
from crawler.share.form import CARD_END, MANIFEST, Manifest, file_of
from crawler.store.read.shared import Coverage, Form, SharedTable

#: The terms of the site, under which its data may be used.
_TERMS = "https://civitai.com/content/tos"

#: The Hub's sizes of a dataset: up to 3 digits, up to 4, and so on.
_SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M")

#: The types of columns in a file.
_TYPES = {
    Form.INTEGER: "int64",
    Form.NUMBER: "double",
    Form.TEXT: "string",
    Form.BOOLEAN: "bool",
    Form.TIME: "timestamp (µs, UTC)",
    Form.JSON: "string with JSON",
    Form.BYTES: "binary",
}

#: The table that a person looks at first.
_FIRST = "loras"


def card_of(manifest: Manifest, tables: Sequence[SharedTable], coverage: Coverage) -> str:
    """The text of the card, to CARD_END."""
    parts = (
        _front_matter(manifest, tables),
        _introduction(manifest),
        _coverage(manifest, coverage),
        _use(),
        _files(manifest, tables),
        *map(_columns, tables),
        _rights(manifest),
    )
    return "\n".join([*("".join(f"{line}\n" for line in part) for part in parts), CARD_END])


def _is_the_site(manifest: Manifest) -> bool:
    return is_site_host(urlsplit(manifest.origin or "").hostname or "")


def _front_matter(manifest: Manifest, tables: Sequence[SharedTable]) -> Iterator[str]:
    yield "---"
    if _is_the_site(manifest):
        yield "license: other"
        yield "license_name: civitai-terms-of-service"
        yield f"license_link: {_TERMS}"
    else:
        yield "license: unknown"
    yield "pretty_name: How LoRAs were trained"
    yield "size_categories:"
    digits = len(str(manifest.tables[_FIRST].rows))
    yield f"- {_SIZES[min(max(digits - 3, 0), len(_SIZES) - 1)]}"
    yield "tags:"
    yield from (f"- {tag}" for tag in ("lora", "safetensors", "civitai", "metadata", "lora-crawl"))
    yield "configs:"
    for table in sorted(tables, key=lambda table: table.name != _FIRST):
        yield f"- config_name: {table.name}"
        if table.name == _FIRST:
            yield "  default: true"
        yield f"  data_files: {file_of(table.name)}"
    yield "---"


def _introduction(manifest: Manifest) -> Iterator[str]:
    yield "# How LoRAs were trained"
    yield ""
    yield (
        "The training settings of LoRA files, read from their headers by"
        f" lora-crawl {manifest.program}, with the headers themselves. No weights are in it."
    )
    yield ""
    rows = [
        ("source", manifest.origin or "none"),
        ("made", f"{instant(manifest.made_at)} UTC"),
        ("files", " and ".join(manifest.where) or "all"),
        ("form", f"{manifest.format}; tables of revision {manifest.revision}"),
    ]
    yield from _table(("", ""), rows)


def _coverage(manifest: Manifest, coverage: Coverage) -> Iterator[str]:
    rows = {name: file.rows for name, file in manifest.tables.items()}
    yield "## Coverage"
    yield ""
    nouns = {"models": "model", "versions": "version", "loras": "file", "headers": "header"}
    yield ", ".join(count(rows[name], noun) for name, noun in nouns.items()) + "."
    if coverage.first_published is not None and coverage.last_published is not None:
        first, last = day(coverage.first_published), day(coverage.last_published)
        yield f"Published from {first} to {last}."
    if coverage.gone:
        yield f"The site no longer lists {count(coverage.gone, 'file')} of them (`gone_at`)."
    yield ""
    outcomes = [(spoken(Outcome(name)), number(rows)) for name, rows in coverage.outcomes.items()]
    yield from _table(("outcome", "files"), outcomes)
    yield ""
    models = [(name or "unknown", number(rows)) for name, rows in coverage.base_models.items()]
    yield from _table(("base model", "files"), models)


def _use() -> Iterator[str]:
    yield "## Use"
    yield ""
    yield "```sql"
    yield "SELECT base_model, count(*) AS files, median(network_dim) AS rank"
    yield f"FROM '{file_of(_FIRST)}' GROUP BY ALL ORDER BY files DESC;  -- DuckDB"
    yield "```"
    yield ""
    yield (
        "`lora-crawl import` takes the folder into a database of its own, where `lora-crawl sync`"
        " continues with what is new."
    )
    yield (
        "`headers.data` is the beginning of a file without its list of tensors, compressed with zstd."
        " The list, at `list_start`, is that of `tensor_lists` with the digest `list_digest`."
    )


def _files(manifest: Manifest, tables: Sequence[SharedTable]) -> Iterator[str]:
    yield "## Files"
    yield ""
    rows = []
    for table in tables:
        file = manifest.tables[table.name]
        rows.append((file_of(table.name), table.meaning, number(file.rows), size(file.bytes)))
    yield from _table(("file", "a row is", "rows", "size"), rows)
    yield ""
    yield f"`{MANIFEST}` has the SHA-256 of each. The tables refer to each other by their ids."


def _columns(table: SharedTable) -> Iterator[str]:
    yield f"### {table.name}"
    yield ""
    rows = [(one.name, _TYPES[one.form], one.unit, one.meaning) for one in table.columns]
    yield from _table(("column", "type", "unit", "meaning"), rows)


def _rights(manifest: Manifest) -> Iterator[str]:
    yield "## Terms"
    yield ""
    yield (
        "The data is what creators wrote into public files and what the site lists about them; it"
        " remains theirs, and lora-crawl grants no rights to it."
    )
    if _is_the_site(manifest):
        yield (
            f"[Civitai's terms]({_TERMS}) apply: they allow reading through the public API with one's"
            " own key, and forbid selling what was read. Each model has a licence of its own on its page."
        )
    yield "Names of creators are personal data: remove rows on request."
    yield "Some texts, tags and names are for adults; `nsfw` and `nsfw_level` tell which models are."
    yield "Files of the machine that made this export (`lora-crawl scan`) are never part of it."


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield markdown_line(names).rstrip()
    yield f"|{' --- |' * len(names)}"
    for row in rows:
        yield markdown_line(row).rstrip()
