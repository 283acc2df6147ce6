"""Faults as a person writes them: `NAME=VALUE`."""

from collections.abc import Iterable
from dataclasses import asdict
from difflib import get_close_matches
from typing import Any

import msgspec

from crawler.errors import UsageError
from crawler.sandbox.faults import Faults

_NO_END = "none"  # how a person writes None


def switched(faults: Faults, settings: Iterable[str]) -> Faults:
    """The faults with some switches set otherwise.

    Args:
        faults: What holds where nothing is said.
        settings: `NAME=VALUE`: a share from 0 to 1, a count, seconds, `true` or `false`; `none` for
            a count without end.

    Raises:
        UsageError: A name or a value makes no sense.
    """
    values: dict[str, Any] = asdict(faults)
    for setting in settings:
        name, equals, text = (part.strip() for part in setting.partition("="))
        name = name.replace("-", "_")
        if name not in values:
            near = get_close_matches(name, values, n=1)
            hint = f": did you mean {near[0]}?" if near else ""
            raise UsageError(f"there is no fault {name!r}{hint}")
        if not equals:
            raise UsageError(f"fault {name} needs a value, e.g. {name}=0.1")
        values[name] = None if text.lower() == _NO_END else text
        try:
            faults = msgspec.convert(values, Faults, strict=False)
        except msgspec.ValidationError as error:
            what = str(error).partition(" - at ")[0]
            raise UsageError(f"fault {name} cannot be {text!r}: {what}") from None
    return faults
