"""The command line: every command, and how an error becomes a message and an exit code."""

import shlex
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from crawler.cli.commands.authors import authors
from crawler.cli.commands.db import db_app
from crawler.cli.commands.diff import diff
from crawler.cli.commands.fields import fields
from crawler.cli.commands.header import header
from crawler.cli.commands.inspect import inspect
from crawler.cli.commands.login import login, logout
from crawler.cli.commands.query import query
from crawler.cli.commands.recipe import recipe
from crawler.cli.commands.redecode import redecode
from crawler.cli.commands.sandbox import sandbox
from crawler.cli.commands.scan import scan
from crawler.cli.commands.show import show
from crawler.cli.commands.sql import sql
from crawler.cli.commands.stats import stats
from crawler.cli.commands.status import status
from crawler.cli.commands.suggest import suggest
from crawler.cli.commands.sync import sync
from crawler.cli.options import Quiet, Verbose
from crawler.cli.output.console import BROKEN_PIPE_EXIT, print_error
from crawler.errors import LoraCrawlError, QueryError
from crawler.settings import default_database

#: The exit code of an interrupted command, as shells report it: 128 + SIGINT.
INTERRUPTED_EXIT = 130

_EPILOG = (
    "Exit codes: 0 done · 1 unexpected error, or an input was not sound · 2 wrong usage or query · "
    "3 the database is missing or needs work · 4 stopped with work left: run the same command "
    "again to continue."
)


class _Commands(TyperGroup):
    """The commands, and what happens when one fails."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; turn an error into a message on stderr and an exit code."""
        try:
            return super().invoke(ctx)
        except (typer.TyperException, typer.Exit, typer.Abort):
            raise
        except BaseException as error:  # noqa: BLE001 - every defect is reported
            raise typer.Exit(_reported(error)) from None


def _reported(error: BaseException) -> int:
    """Print the message of an error; returns the exit code."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]  # of tasks that ran together: the others followed from it
    match error:
        case LoraCrawlError():
            print_error(_message(error))
            return error.exit_code
        case BrokenPipeError():
            return BROKEN_PIPE_EXIT
        case KeyboardInterrupt():
            return INTERRUPTED_EXIT
        case Exception():
            print_error(f"error: unexpected {type(error).__name__}: {error}")
            if {"-v", "--verbose", "-vv"} & set(sys.argv[1:]):
                print_error("".join(traceback.format_exception(error)))
            else:
                print_error("Run the command with -v to see where, and please report it.")
            return 1
    raise error


def _message(error: LoraCrawlError) -> str:
    # The store does not know the default database, so the command that it suggests names it.
    default = f" --db {shlex.quote(str(default_database()))}"
    lines = [f"error: {str(error).removesuffix(default)}"]
    if isinstance(error, QueryError):
        from crawler.query.caret import caret

        lines += filter(None, (caret(error), error.hint))
    return "\n".join(lines)


app = typer.Typer(
    name="lora-crawl",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog=_EPILOG,
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 -- Typer hands over the option's value
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"lora-crawl {version('lora-crawl')}")
        except PackageNotFoundError:
            typer.echo("lora-crawl, run from a checkout that is not installed")
        raise typer.Exit


@app.callback()
def _options(
    *,
    quiet: Quiet = False,
    verbose: Verbose = 0,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Collect how LoRAs were trained, from the headers of their files."""


_COMMANDS: tuple[Callable[..., None], ...] = (
    *(sync, scan, query, show, diff, recipe, header, inspect, fields, sql, status),
    *(stats, authors, suggest),
    *(redecode, sandbox, login, logout),
)
for _command in _COMMANDS:
    app.command()(_command)
app.add_typer(db_app, name="db")
