"""HTML from templates. All text from the internet stays text."""

import re
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from crawler.answers.text import json_text, number
from crawler.answers.visible import cut

#: Characters of any text on a page. Longer ones are cut, with their length.
LONGEST_TEXT = 2_000

#: Characters of the name of a field; a key of the metadata can have any length.
_LONGEST_NAME = 80

#: The addresses that become links: pages of models, as `loras.page_url` has them.
_PAGE = re.compile(
    r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?/models/-?[0-9]+(?:\?modelVersionId=-?[0-9]+)?", re.ASCII
)

#: Plotly asks for the elements whose styles it would add: those of maps have a hash for a name.
_STYLE_ID = re.compile(r'getElementById\("([0-9a-f]{64})"\)')


def embedded(value: object) -> Markup:
    r"""A value as JSON inside a script element: `<`, `>` and `&` are written like `\u003c`."""
    text = json_text(value, compact=True)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 - no sign is left that HTML reads


def page_link(address: str | None) -> str:
    """The address of a model's page, if it is one; else empty."""
    return address if address is not None and _PAGE.fullmatch(address) else ""


def breakable(text: str) -> Markup:
    """The name of a field, which a narrow column breaks after an underscore or a dot."""
    name = escape(cut(text, _LONGEST_NAME))
    for sign in "_.":
        name = name.replace(sign, Markup(f"{sign}<wbr>"))  # noqa: S704 - one of two signs
    return name


def lines(text: str) -> Markup:
    """A text of several lines as it is, for an element that keeps them. Each line is shown as other texts."""
    return Markup("\n").join(cut(line, LONGEST_TEXT) for line in text.split("\n"))


def asset(name: str) -> str:
    """The text of a file in static/."""
    return files("crawler.web").joinpath("static", name).read_text(encoding="utf-8")


def plotly_script() -> str:
    """Plotly's script, as the installed package has it. Importing the package would take longer."""
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("plotly")
    script = Path(spec.origin).parent / "package_data" / "plotly.min.js"
    return script.read_text(encoding="utf-8")


def plotly_styles(script: str) -> tuple[str, ...]:
    """The ids of the style elements that Plotly adds, unless there are elements with these ids.

    A strict Content-Security-Policy forbids it to add them. The rules that charts need are in style.css.
    """
    return ("plotly.js-style-global", *dict.fromkeys(_STYLE_ID.findall(script)))


@cache
def chart_styles() -> tuple[str, ...]:
    """These ids for the script that is installed."""
    return plotly_styles(plotly_script())


@cache
def environment() -> jinja2.Environment:
    r"""The templates. A text is escaped, shows control characters like `\x1b`, and is cut.

    A name that a template uses and does not get is an error. The filters are `breakable`, `cut`,
    `lines`, `number` and `page_link`.
    """
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("crawler.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"breakable": breakable}
    made.filters |= {"lines": lines, "cut": cut, "number": number, "page_link": page_link}
    return made


def _shown(value: object) -> object:
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return cut(value, LONGEST_TEXT)
