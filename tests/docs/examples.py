"""The command lines that README.md and docs/ show, ready to be run."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: Their lines are run by this package, but for those of docs/sql.md, which need other programs.
PAGES = (
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name != "sql.md"),
)

_FENCE = re.compile(r"^```\w*\n(.*?)^```$", re.DOTALL | re.MULTILINE)

#: A line of a block; what stands before the command (a prompt, a virtual environment, uvx) is left
#: out.
_LINE = re.compile(r"^(?:\$ |.*\.venv/bin/|uvx .* )?(lora-crawl .+)$", re.MULTILINE)

#: What the shell does with the output.
_SHELL = re.compile(r" (?:> [\w.]+|\| man .+)$")

_SPAN = re.compile(r"`(lora-crawl [^`\n]+)`")


@dataclass(frozen=True, slots=True)
class Example:
    """A command line on a page.

    Attributes:
        words: What the shell hands to the program, without its name.
        is_name: A command that is only named in a sentence, without a word behind it.
    """

    page: str
    line: str
    words: tuple[str, ...]
    is_name: bool = False


def examples(page: Path) -> Iterator[Example]:
    """The command lines of a page: those of its blocks, then those within its sentences."""
    text = page.read_text(encoding="utf-8")
    for block in _FENCE.findall(text):
        for line in _LINE.findall(block):
            yield _example(page, line)
    for line in _SPAN.findall(_FENCE.sub("", text)):
        example = _example(page, line)
        is_name = len(example.words) == 1 and not example.words[0].startswith("-")
        yield Example(example.page, line, example.words, is_name)


def questions(page: Path) -> dict[str, tuple[Example, ...]]:
    """The questions of docs/questions.md and the lines that answer each."""
    parts = re.split(r"^### ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    found = {}
    for part in parts:
        heading, _, text = part.partition("\n")
        blocks = _FENCE.findall(text)
        lines = [line for block in blocks for line in _LINE.findall(block)]
        found[heading] = tuple(_example(page, line) for line in lines)
    return found


def _example(page: Path, line: str) -> Example:
    words = shlex.split(_SHELL.sub("", line), comments=True)[1:]
    return Example(page.name, line, tuple(words))
