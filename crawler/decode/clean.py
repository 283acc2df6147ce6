"""Every value made storable on both databases, so that the databases never have to.

PostgreSQL refuses NUL and lone surrogates in text, and NaN in JSON; SQLite would hold them.
"""

import math
import re
from typing import Any

#: Deepest nesting of a JSON value that is kept; what lies deeper becomes None. Real metadata nests 6 deep.
MAX_DEPTH = 32

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def text(raw: str) -> str:
    """The same text with U+FFFD in the place of NUL and of lone surrogates."""
    return _UNSTORABLE.sub("�", raw)


def json_value(value: Any, depth: int = MAX_DEPTH) -> Any:
    """The same JSON value with every text cleaned and None in the place of what is not finite."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict | list) and depth == 0:
        return None
    if isinstance(value, dict):
        return {text(key): json_value(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [json_value(item, depth - 1) for item in value]
    return value
