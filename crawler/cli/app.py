"""The command line: every command, and how an error becomes a message and an exit code."""

import re
import sys
import traceback
from importlib import import_module
from typing import Annotated, Any

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from crawler import __version__
from crawler.cli.options import Quiet, Verbose
from crawler.cli.output.console import BROKEN_PIPE_EXIT, FAILED, print_error
from crawler.cli.plain_values import take_plain_values
from crawler.errors import DatabaseError, LoraCrawlError, QueryError
from crawler.settings import usual_database

#: The exit code of an interrupted command, as shells report it: 128 + SIGINT.
INTERRUPTED_EXIT = 130

_EPILOG = (
    "Exit codes: 0 done · 1 unexpected error, or an input was not sound · 2 wrong usage or query · "
    "3 the database is missing or needs work · 4 stopped with work left: run the same command "
    "again to continue."
)


#: The commands in the order of the help, with their first line there. A command is imported when it is
#: used: all of them would take longer than everything else that the help needs.
_SUMMARIES = {
    "sync": "List LoRAs, read the header of each file, and store both.",
    "scan": "Read the headers of local LoRAs and store them.",
    "query": "List LoRAs that match a condition, one row for each file.",
    "show": "Show one LoRA: its training, compared with others.",
    "diff": "Compare the settings of two or more LoRAs.",
    "versions": "Show the versions of a model, and which settings changed.",
    "similar": "List the LoRAs that are most like one, and how they differ.",
    "recipe": "Make sd-scripts files to train a LoRA with the same settings.",
    "header": "Write the header of a LoRA as it was read, byte for byte.",
    "inspect": "Show how a LoRA file or URL was trained, without a database.",
    "fields": "List the fields that queries can use.",
    "sql": "Run one read-only SQL statement.",
    "status": "Show the outcomes of all files and the cost of all runs.",
    "stats": "Show counts, quartiles and histograms of fields.",
    "authors": "List creators by the work in their LoRAs.",
    "suggest": "Suggest settings from well-liked LoRAs.",
    "redecode": "Decode stored headers again after an upgrade.",
    "sandbox": "Serve a made-up catalogue on this machine.",
    "login": "Check an API key with the site and store it.",
    "logout": "Remove the stored API key.",
    "db": "Show, check and upgrade the database.",
}

#: Modules of `crawler.cli.commands` that are not named like their command.
_MODULES = {"logout": "login"}


_NEGATIVE = re.compile("-[0-9]+")


class _Commands(TyperGroup):
    """The commands, and what happens when one fails. `load` imports one of them."""

    def __init__(self, **settings: Any) -> None:
        named = {name: TyperCommand(name, help=line) for name, line in _SUMMARIES.items()}
        super().__init__(**settings | {"commands": named})

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options before the command; return the other words."""
        take_plain_values(self, ctx)
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The name of the command that is used, the command itself, and the rest of the words."""
        name, _named, rest = super().resolve_command(ctx, args)
        if name is None:
            return None, None, rest
        command = load(name)
        take_plain_values(command, ctx)
        if any(param.metavar == "REF" for param in command.params):
            # The id of a local file is negative, and would be read as an option.
            rest = [f"file:{word}" if _NEGATIVE.fullmatch(word) else word for word in rest]
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; turn an error into a message on stderr and an exit code."""
        try:
            return super().invoke(ctx)
        except (typer.TyperException, typer.Exit, typer.Abort):
            raise
        except BaseException as error:  # noqa: BLE001 - every defect is reported
            raise typer.Exit(_reported(error)) from None


def load(name: str) -> Any:
    """The command of that name, or the group of commands, with its options."""
    found = getattr(import_module(f"crawler.cli.commands.{_MODULES.get(name, name)}"), name)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(name)(found)
        found = alone
    return typer.main.get_command(found)


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
            print_error(f"{FAILED}unexpected {type(error).__name__}: {error}")
            if {"-v", "--verbose", "-vv"} & set(sys.argv[1:]):
                print_error("".join(traceback.format_exception(error)))
            else:
                print_error("Run the command with -v to see where, and please report it.")
            return 1
    raise error


def _message(error: LoraCrawlError) -> str:
    text = str(error)
    if isinstance(error, DatabaseError):
        from crawler.store.connect.url import db_option

        # The store does not know the usual database, so the command that it suggests names it.
        usual = db_option(usual_database())
        text = "\n".join(line.removesuffix(usual) for line in text.split("\n"))
    lines = [f"{FAILED}{text}"]
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
        typer.echo(f"lora-crawl {__version__}")
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
