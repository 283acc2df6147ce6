"""Text from the internet, escaped so that it cannot control a terminal.

A model's name can contain escape sequences that move the cursor or set the title of a window, and
bidirectional controls that change how a line reads.
"""

import re

#: Never printed raw: C0 and C1 controls with DEL; line and paragraph separators, which end a line in
#: some readers; every control of writing direction; characters without width that hide text (zero
#: width space, word joiner, byte order mark, annotation and tag characters); and halves of surrogate
#: pairs, which no output can encode. The zero width joiner and non-joiner stay, since emoji and
#: several scripts need them.
_UNPRINTABLE = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"
    "\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff"
    "\U000e0000-\U000e007f"
    "]"
)

_SHORT = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}

#: The last code point that `\\uNNNN` can write.
_LAST_PLANE_0 = 0xFFFF


def visible(text: str) -> str:
    r"""One line of text with every unprintable character shown like `\x1b`, `\u202e` or `\n`.

    The result is for people: backslashes of the text stay single, so it cannot always be reversed.
    """
    return _UNPRINTABLE.sub(_shown, text)


def visible_json(text: str) -> str:
    r"""JSON text in which every unprintable character is escaped as JSON does, like `\u001b`.

    Args:
        text: One line that a JSON encoder wrote, so that such characters only occur in strings.
    """
    return _UNPRINTABLE.sub(_json_escaped, text)


def _shown(match: re.Match[str]) -> str:
    if short := _SHORT.get(match[0]):
        return short
    return f"\\x{ord(match[0]):02x}" if match[0] <= "\xff" else _toml_escaped(match)


def _toml_escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\u{code:04x}" if code <= _LAST_PLANE_0 else f"\\U{code:08x}"


def _json_escaped(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def cut(text: str, most: int) -> str:
    """One visible line of at most `most` characters and the length of the text, if it is longer.

    `abc… (1,000,000 characters)`.
    """
    if len(text) <= most:
        return visible(text)
    return f"{visible(text[:most])}… ({len(text):,} characters)"
