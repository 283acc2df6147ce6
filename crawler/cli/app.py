"""The command line: every command, and how an error becomes a message and an exit code."""

import re
import sys
import traceback
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import Annotated, Any, cast

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from crawler import __version__
from crawler.cli.help import GROUPS, Explained, write_examples, write_notes, write_overview
from crawler.cli.options import Quiet, Verbose
from crawler.cli.output.console import BROKEN_PIPE_EXIT, FAILED, print_error
from crawler.cli.plain_values import take_plain_values
from crawler.errors import DatabaseError, LoraCrawlError
from crawler.settings import usual_database

#: The exit code of an interrupted command, as shells report it: 128 + SIGINT.
INTERRUPTED_EXIT = 130

#: Modules of `crawler.cli.commands` that are not named like their command.
_MODULES = {"logout": "login", "import": "import_"}

#: Commands with a name that Python has already; theirs ends with a line.
_UNDERLINED = frozenset({"help", "import"})

_NEGATIVE = re.compile("-[0-9]+")

#: Typer's options that look for the shell from which the command was started.
_ASK_SHELL = frozenset({"--install-completion", "--show-completion"})

#: The shells that Typer knows.
_SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")


class _Commands(TyperGroup):
    """The commands, and what happens when one fails. `load` imports one of them."""

    def __init__(self, **settings: Any) -> None:
        lines = [pair for group in GROUPS.values() for pair in group.items()]
        named = {name: TyperCommand(name, help=line) for name, line in lines}
        super().__init__(**settings | {"commands": named})

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options before the command; return the other words."""
        take_plain_values(self, ctx)
        if _ASK_SHELL.intersection(args):
            _check_shell(ctx)
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
        if ctx.resilient_parsing and (option := _awaits_value(command, rest)) is not None:
            # Of completions: a value may begin with a minus, like that of --sort.
            command.shell_complete = option.shell_complete
        return name, command, rest

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands in groups, then the options."""
        write_overview(formatter)
        TyperCommand.format_options(cast("Any", self), ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write examples, exit codes and where to read more."""
        write_examples(ctx, formatter)
        write_notes(formatter)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; turn an error into a message on stderr and an exit code."""
        try:
            return super().invoke(ctx)
        except (typer.TyperException, typer.Exit, typer.Abort):
            raise
        except BaseException as error:  # noqa: BLE001 - every defect is reported
            raise typer.Exit(_reported(error)) from None


def _check_shell(ctx: Any) -> None:
    """Fail with an explanation if Typer has no completion for the shell that started the command."""
    import shellingham  # it comes with Typer

    try:
        shell = str(shellingham.detect_shell()[0])
    except shellingham.ShellDetectionFailure:
        shell = ""
    if shell not in _SHELLS:
        why = f"there is no completion for {shell}" if shell else "your shell could not be found"
        ctx.fail(
            f"{why}. This prints the one for bash (or zsh, fish, pwsh):\n"
            "_LORA_CRAWL_COMPLETE=source_bash lora-crawl"
        )


def _awaits_value(command: Any, words: list[str]) -> Any:
    """The option of the command whose value comes after the words; None if there is none."""
    last = next((word for word in reversed(words) if word != "="), None)
    options = (param for param in command.params if param.param_type_name == "option")
    return next(
        (one for one in options if last in one.opts and not one.is_flag and not one.count), None
    )


def load(name: str) -> Any:
    """The command of that name, or the group of commands, with its options."""
    module = import_module(f"crawler.cli.commands.{_MODULES.get(name, name)}")
    found = getattr(module, f"{name}_" if name in _UNDERLINED else name)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(name, cls=Explained)(found)
        found = alone
    command = typer.main.get_command(found)
    params: list[Any] = command.params
    for param in params:
        if param.param_type_name == "argument":
            param.display_type_rich = _no_type
        if (offers := param.type_descriptor.parameter_info.autocompletion) is not None:
            param.shell_complete = partial(_completions, offers)
    return command


def _completions(offers: Any, ctx: Any, incomplete: str) -> list[SimpleNamespace]:
    """All that is offered. Typer drops what does not begin as typed: other case, or behind a colon."""
    pairs = (one if isinstance(one, tuple) else (one, None) for one in offers(ctx, incomplete))
    return [SimpleNamespace(type="plain", value=value, help=told) for value, told in pairs]


def _no_type(ctx: Any) -> None:
    """In place of the type of an argument, like `<list[str]>`: its help says what it takes."""


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
    from crawler.query.caret import explained

    text = explained(error)
    if isinstance(error, DatabaseError):
        from crawler.store.connect.url import db_option

        # The store does not know the usual database, so the command that it suggests names it.
        usual = db_option(usual_database())
        text = "\n".join(line.removesuffix(usual) for line in text.split("\n"))
    return f"{FAILED}{text}"


app = typer.Typer(
    name="lora-crawl",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
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
