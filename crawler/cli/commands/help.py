"""`lora-crawl help`: the same as `--help`, in the order in which people try it."""

from typing import Annotated

import typer

from crawler.cli.options import Quiet, Verbose


def _complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The commands that begin so, at the place after those that are typed."""
    from crawler.cli.app import load
    from crawler.cli.help import GROUPS

    summaries = {name: line for group in GROUPS.values() for name, line in group.items()}
    if typed := ctx.params.get("command"):
        inner = getattr(load(typed[0]), "commands", {}) if typed[0] in summaries else {}
        summaries = {name: one.get_short_help_str() for name, one in inner.items()}
    return [(name, line) for name, line in summaries.items() if name.startswith(incomplete)]


def help_(
    ctx: typer.Context,
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COMMAND",
            help="The command, e.g. query or db path.",
            show_default=False,
            autocompletion=_complete,
        ),
    ] = None,
    *,
    man: Annotated[
        bool, typer.Option("--man", help="Print the manual page of all commands, for man.")
    ] = False,
    quiet: Quiet = False,  # noqa: ARG001 - every command takes it
    verbose: Verbose = 0,  # noqa: ARG001
) -> None:
    """Show the help of a command."""
    root = ctx.find_root()
    if man:
        from crawler.cli.help import manual
        from crawler.cli.output.console import answers

        with answers(machine=True) as out:
            out.write(manual(root))
        return
    root.command.main([*(command or ()), "--help"], prog_name=root.info_name)
