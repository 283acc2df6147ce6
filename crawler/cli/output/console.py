"""The two outputs: results on stdout, everything else on stderr."""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO, cast

import typer

from crawler import settings
from crawler.answers.text import count
from crawler.answers.visible import visible
from crawler.errors import OutputError

if TYPE_CHECKING:
    from rich.console import Console

#: The exit code of a command that wrote to a closed pipe, as shells report it: 128 + SIGPIPE.
BROKEN_PIPE_EXIT = 141

#: The beginning of the message of a failure, as the parser of options writes it too.
FAILED = "Error: "


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


class _Paged(io.TextIOBase):
    """Text for a terminal, handed to a pager as soon as it is longer than the screen."""

    def __init__(self, terminal: TextIO, pager: tuple[list[str], dict[str, str]]) -> None:
        self._terminal = terminal
        self._pager = pager
        self._held: list[str] = []
        self._free = shutil.get_terminal_size().lines - 1
        self.process: subprocess.Popen[str] | None = None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the terminal."""
        return self._terminal.encoding

    def isatty(self) -> bool:
        """The pager shows colours as the terminal does."""
        return True

    def write(self, text: str) -> int:
        if self.process is None:
            self._held.append(text)
            self._free -= text.count("\n")
            if self._free < 0:
                words, environment = self._pager
                self.process = subprocess.Popen(  # noqa: S603 - the user's own choice
                    words,
                    stdin=subprocess.PIPE,
                    encoding=self.encoding,
                    errors="backslashreplace",
                    env=environment,
                )
                text = "".join(self._held)
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.write(text)
        return len(text)

    def finish(self) -> None:
        """Print what is short, or wait until the reader closes the pager."""
        if self.process is None:
            self._terminal.write("".join(self._held))
            return
        with suppress(BrokenPipeError):
            if self.process.stdin is not None:
                self.process.stdin.close()
        while self.process.returncode is None:
            with suppress(KeyboardInterrupt):  # which the pager handles
                self.process.wait()


@contextmanager
def answers(*, machine: bool = False, pager: bool = False) -> Iterator[TextIO]:
    """Open stdout for a result.

    The command ends quietly when the reader closes the pipe (`| head`). A character that the output
    cannot encode is escaped.

    Args:
        machine: The format is for programs: always UTF-8, line ends as written.
        pager: Page what is longer than the terminal.

    Raises:
        typer.Exit: The pipe is closed.
        OutputError: stdout cannot be written, as on a full disk.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        if machine:
            sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="")
        else:
            sys.stdout.reconfigure(errors="backslashreplace")
    found = settings.pager() if pager and not machine and sys.stdout.isatty() else None
    paged = None if found is None else _Paged(sys.stdout, found)
    try:
        if paged is None:
            yield sys.stdout
        else:
            try:
                yield cast("TextIO", paged)
            finally:
                paged.finish()
        sys.stdout.flush()
    except BrokenPipeError:
        if paged is not None and paged.process is not None:
            raise typer.Exit from None  # the reader closed the pager
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
