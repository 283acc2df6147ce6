"""The two outputs: answers to stdout, everything else to stderr."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

import typer

from crawler.cli.output.safe import visible
from crawler.errors import OutputError

if TYPE_CHECKING:
    from rich.console import Console

#: What a shell reports of a command that wrote into a closed pipe: 128 and the number of SIGPIPE.
BROKEN_PIPE_EXIT = 141


@dataclass(frozen=True, slots=True)
class Voice:
    """How much is said on stderr.

    Attributes:
        quiet: Only errors.
        verbose: 0, or how often `-v` was given.
    """

    quiet: bool = False
    verbose: int = 0

    def notice(self, text: str) -> None:
        """Print something worth knowing beside the answer."""
        if not self.quiet:
            tell(text)

    def detail(self, text: str) -> None:
        """Print what only `-v` asks for."""
        if self.verbose and not self.quiet:
            tell(text)


def tell(text: str) -> None:
    """Print lines on stderr; what could steer a terminal is shown escaped."""
    shown = "\n".join(visible(line) for line in text.split("\n"))
    typer.echo(shown, err=True)


def open_console(stream: TextIO | None = None) -> "Console":
    """A rich console on stdout that takes every text as it is: no markup, no emoji codes.

    It has the terminal's width (80 columns when unknown) and honours `NO_COLOR` and `TERM=dumb`.

    Args:
        stream: Another place to print to.
    """
    from rich.console import Console

    class PlainConsole(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return PlainConsole(file=stream, markup=False, emoji=False, highlight=False)


@contextmanager
def answers(*, machine: bool = False) -> Iterator[TextIO]:
    """Stdout for the time of an answer.

    When the reader has seen enough and is gone (`| head`), the command ends quietly; a character
    that the output cannot encode is shown escaped.

    Args:
        machine: For a format that programs read: always UTF-8, lines end as they are written.

    Raises:
        typer.Exit: The pipe is closed.
        OutputError: It cannot be written, as on a full disk.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        if machine:
            sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="")
        else:
            sys.stdout.reconfigure(errors="backslashreplace")
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_stdout()
        raise typer.Exit(BROKEN_PIPE_EXIT) from None
    except OSError as error:
        _discard_stdout()
        raise OutputError(f"the answer cannot be written: {error.strerror}") from error


def _discard_stdout() -> None:
    """Keep the interpreter's last flush from failing in the same way again."""
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
