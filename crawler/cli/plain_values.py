"""Plain values of options, converted without pydantic.

Typer has pydantic convert the value of every option, even of those that are not given. To import it and
to build a validator for each option takes 0.1 s, a quarter of the start of a command.
"""

import re
from typing import Any

#: Numbers that are plain, by their kind; all of them fit 64 bits.
_NUMBERS = {int: re.compile(r"[0-9]{1,18}"), float: re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")}


def take_plain_values(command: Any, context: Any) -> None:
    """Convert defaults, texts and numbers without pydantic, for a command or a group of them.

    All other values go to Typer, which converts or refuses them.
    """
    for one in getattr(command, "commands", {}).values():
        take_plain_values(one, context)
    for param in command.get_params(context):
        _take_plain_values(param)


def _take_plain_values(param: Any) -> None:
    by_typer, kind = param.process_value, param.type_descriptor.annotation

    def process_value(ctx: Any, value: Any) -> Any:
        if value is None:
            if param.required:
                return by_typer(ctx, value)
            plain = None
        elif value is param.default or type(value) is kind or _are_texts(value, kind):
            plain = value
        elif kind in _NUMBERS and _is_number(value, param):
            plain = kind(value)
        else:
            return by_typer(ctx, value)
        return plain if param.callback is None else param.callback(ctx, param, plain)

    param.process_value = process_value


def _are_texts(value: Any, kind: Any) -> bool:
    return kind == list[str] and isinstance(value, tuple) and bool(value)


def _is_number(value: Any, param: Any) -> bool:
    """Whether a value is the text of a number from 0 that the parameter allows."""
    kind, of = param.type_descriptor.annotation, param.type_descriptor.parameter_info
    form = _NUMBERS[kind]
    return (
        isinstance(value, str)
        and form.fullmatch(value) is not None
        and (of.min is None or of.min <= kind(value))
        and (of.max is None or kind(value) <= of.max)
    )
