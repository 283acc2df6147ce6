"""Options that several commands share, spelled once."""

import re
from typing import Annotated

import typer

from crawler.cli.output.console import Voice
from crawler.settings import DEFAULT_API_URL, default_database
from crawler.store.schema.fields import FIELDS

_LAST_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*$")


def field_name(incomplete: str) -> list[tuple[str, str]]:
    """The fields that begin so, each with its meaning."""
    return _completed("", incomplete)


def field_list(incomplete: str) -> list[tuple[str, str]]:
    """The last name of a list like `file_id,mod`; each name of a sort may have a minus."""
    before, comma, last = incomplete.rpartition(",")
    minus = "-" if last.startswith("-") else ""
    return _completed(f"{before}{comma}{minus}", last.removeprefix("-"))


def condition(incomplete: str) -> list[tuple[str, str]]:
    """The name that a condition ends in, as in `network_dim>64 and opt`."""
    found = _LAST_WORD.search(incomplete)
    word = found[0] if found else ""
    if incomplete and not word:
        return []
    return _completed(incomplete[: len(incomplete) - len(word)], word)


def _completed(before: str, begin: str) -> list[tuple[str, str]]:
    return [
        (before + field.name, field.meaning) for field in FIELDS if field.name.startswith(begin)
    ]


Db = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="PATH_OR_URL",
        envvar="LORA_CRAWL_DB",
        help="The database: a path means SQLite, else postgresql://…  "
        "Default: loras.db in your data directory.",
        show_envvar=True,
    ),
]

ApiUrl = Annotated[
    str | None,
    typer.Option(
        "--api-url",
        metavar="URL",
        envvar="LORA_CRAWL_API_URL",
        help=f"The API, {DEFAULT_API_URL} unless another one is named.",
        show_envvar=True,
    ),
]

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="EXPR",
        help="Only files for which this holds, as in `query`; several are joined by and.",
        show_default=False,
        autocompletion=condition,
    ),
]

Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Say nothing but the answer and errors.")
]

Verbose = Annotated[
    int,
    typer.Option("--verbose", "-v", count=True, help="Say more on stderr.", show_default=False),
]


def place(db: str | None) -> str:
    """Where the database is: as named, else in the user's data directory."""
    return db or str(default_database())


def voice_of(ctx: typer.Context, *, quiet: bool, verbose: int) -> Voice:
    """What `-q` and `-v` ask for, given before the command, after it, or both."""
    before = ctx.find_root().params
    return Voice(
        quiet=quiet or bool(before.get("quiet")),
        verbose=max(verbose, int(before.get("verbose") or 0)),
    )
