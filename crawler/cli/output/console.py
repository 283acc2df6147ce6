"""The two outputs: results on stdout, everything else on stderr."""

import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

import typer

from crawler.cli.output.cells import count
from crawler.cli.output.safe import visible
from crawler.errors import OutputError

if TYPE_CHECKING:
    from rich.console import Console

#: The exit code of a command that wrote to a closed pipe, as shells report it: 128 + SIGPIPE.
BROKEN_PIPE_EXIT = 141


@dataclass(frozen=True, slots=True)
class Voice:
    """How much to print on stderr.

    Attributes:
        quiet: Only errors.
        verbose: How often `-v` was given.
    """

    quiet: bool = False
    verbose: int = 0

    def notice(self, text: str) -> None:
        """Print a remark on stderr, unless `-q` is given."""
        if not self.quiet:
            print_error(text)

    def detail(self, text: str) -> None:
        """Print a remark on stderr if `-v` is given."""
        if self.verbose and not self.quiet:
            print_error(text)

    def some(self, sentences: Sequence[str], total: int, noun: str) -> None:
        """Print the sentences, and how many of the total are left out: `and 3 more problems`."""
        for sentence in sentences:
            self.notice(visible(sentence))  # a file name may have a line break
        if (more := total - len(sentences)) > 0:
            self.notice(f"and {count(more, noun)}")


def print_error(text: str) -> None:
    """Print lines on stderr, with control characters escaped.

    Nothing happens when nobody reads them any more, as after `2>&1 | head`: the work goes on.
    """
    shown = "\n".join(visible(line) for line in text.split("\n"))
    with suppress(OSError, ValueError):  # ValueError: a closed file
        typer.echo(shown, err=True)


def open_console(stream: TextIO) -> "Console":
    """A rich console on `stream` that prints every text as it is: no markup, no emoji codes.

    It is as wide as the terminal (80 columns when unknown) and honours `NO_COLOR` and `TERM=dumb`.
    """
    from rich.console import Console

    class PlainConsole(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return PlainConsole(file=stream, markup=False, emoji=False, highlight=False)


@contextmanager
def answers(*, machine: bool = False) -> Iterator[TextIO]:
    """Open stdout for a result.

    The command ends quietly when the reader closes the pipe (`| head`). A character that the output
    cannot encode is escaped.

    Args:
        machine: The format is for programs: always UTF-8, line ends as written.

    Raises:
        typer.Exit: The pipe is closed.
        OutputError: stdout cannot be written, as on a full disk.
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
        raise OutputError(f"cannot write the result: {error.strerror}") from error


def _discard_stdout() -> None:
    """Keep the interpreter's last flush from failing again."""
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
