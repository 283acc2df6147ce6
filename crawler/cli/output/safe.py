"""Text from the net made fit to be printed: what could steer a terminal is shown, not sent.

A model's name may hold escape sequences that move the cursor or change the title of a window, and
bidirectional controls that make a line read otherwise than it is.
"""

import re

#: What is never printed raw: the C0 and C1 controls with DEL; line and paragraph separators, which
#: end a line in some readers; every control of writing direction; characters without a width that
#: hide text (zero width space, word joiner and the like, byte order mark, annotation and tag
#: characters); and halves of surrogate pairs, which no output can encode. The zero width joiner and
#: non-joiner stay: emoji and several scripts are written with them.
_UNPRINTABLE = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"
    "\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff"
    "\U000e0000-\U000e007f"
    "]"
)

_SHORT = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}

#: Last code point that `\\xNN` can name, and that `\\uNNNN` can name.
_LAST_BYTE, _LAST_PLANE_0 = 0xFF, 0xFFFF


def visible(text: str) -> str:
    r"""One line of text with every unprintable character shown like `\x1b`, `\u202e` or `\n`.

    The result is for eyes: a backslash that was there before stays single, so the way back is not
    always known. JSON is exact.
    """
    return _UNPRINTABLE.sub(_shown, text)


def visible_json(text: str) -> str:
    r"""JSON text in which every unprintable character is escaped as JSON does, like `\u001b`.

    Args:
        text: What a JSON encoder wrote, so that such characters can only stand inside strings; line
            feeds between values must not be there.
    """
    return _UNPRINTABLE.sub(_json_escaped, text)


def visible_toml(line: str) -> str:
    r"""One line of TOML in which every unprintable character is escaped as TOML does, like `\u202e`.

    Args:
        line: Such characters can only stand inside basic strings (`"…"`) and comments; without the
            line feed at its end.
    """
    return _UNPRINTABLE.sub(_toml_escaped, line)


def _shown(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if short := _SHORT.get(character):
        return short
    if code <= _LAST_BYTE:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= _LAST_PLANE_0 else f"\\U{code:08x}"


def _toml_escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\u{code:04x}" if code <= _LAST_PLANE_0 else f"\\U{code:08x}"


def _json_escaped(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
