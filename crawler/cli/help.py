"""The help: commands in groups, their first lines and examples, and the manual page that is made of them."""

from typing import Any

from typer.core import TyperCommand, TyperGroup

#: The commands in the order of the help, with their first line there. A command is imported when it is
#: used: all of them would take longer than everything else that the help needs.
GROUPS = {
    "Crawl": {
        "sync": "List LoRAs, read the header of each file, and store both.",
        "worker": "Read the headers of files that `sync --enqueue` put on the queue.",
        "scan": "Read the headers of local LoRAs and store them.",
        "status": "Show the outcomes of all files and the cost of all runs.",
        "login": "Check an API key with the site and store it.",
        "logout": "Remove the stored API key.",
    },
    "Ask": {
        "query": "List LoRAs that match a condition, one row for each file.",
        "fields": "List the fields that queries can use.",
        "stats": "Show counts, quartiles and histograms of fields.",
        "authors": "List creators by the work in their LoRAs.",
        "suggest": "Suggest settings from well-liked LoRAs.",
        "report": "Write a report with charts and a table as one HTML file.",
        "sql": "Run one read-only SQL statement.",
        "serve": "Serve the database as a page in the browser and as a JSON API.",
        "mcp": "Answer an assistant, over the Model Context Protocol.",
    },
    "One LoRA": {
        "show": "Show one LoRA: its training, compared with others.",
        "versions": "Show the versions of a model, and which settings changed.",
        "similar": "List the LoRAs that are most like one, and how they differ.",
        "diff": "Compare the settings of two or more LoRAs.",
        "recipe": "Make a trainer's files to train a LoRA with the same settings.",
        "inspect": "Show how a LoRA file or URL was trained, without a database.",
        "header": "Write the header of a LoRA as it was read, byte for byte.",
    },
    "Database": {
        "db": "Show, check, upgrade and copy the database.",
        "export": "Write the database as Parquet files, one for each table.",
        "import": "Take in what another crawl has read.",
        "redecode": "Decode stored headers again after an upgrade.",
    },
    "More": {
        "sandbox": "Serve a made-up catalogue on this machine.",
        "help": "Show the help of a command.",
    },
}

#: Examples of each command. They are run by the tests.
EXAMPLES = {
    "": (
        "lora-crawl login",
        "lora-crawl sync --limit 50",
        "lora-crawl query \"base_model = 'Pony'\" --sort -likes",
    ),
    "sync": (
        "lora-crawl sync --limit 50",
        "lora-crawl sync --base-model Pony --nsfw --max-downloads 1000",
        "lora-crawl sync --limit 50 --sandbox",
        "lora-crawl sync --nsfw --enqueue --db postgresql://loras@db.example/loras",
    ),
    "worker": (
        "lora-crawl worker --db postgresql://loras@db.example/loras",
        "lora-crawl worker --rate 1 --concurrency 4",
    ),
    "scan": ("lora-crawl scan ~/loras", "lora-crawl scan --hash ~/loras"),
    "status": ("lora-crawl status", "lora-crawl status --json"),
    "login": ("lora-crawl login", "lora-crawl login < key.txt"),
    "logout": ("lora-crawl logout",),
    "query": (
        "lora-crawl query network_dim:64.. optimizer:Prodigy",
        "lora-crawl query \"has(tags, '1girl') and image_count < 40\" --sort -likes",
        "lora-crawl query \"published_at >= '-30d'\" --columns model_name,lr,rank",
        "lora-crawl query base_model:Pony --limit 0 --format csv > pony.csv",
    ),
    "fields": ("lora-crawl fields", "lora-crawl fields learning"),
    "stats": (
        "lora-crawl stats",
        "lora-crawl stats optimizer network_dim --where base_model:Pony",
        "lora-crawl stats images_seen --by base_model",
        "lora-crawl stats learning_rate --by rank",
    ),
    "authors": (
        "lora-crawl authors",
        "lora-crawl authors --where base_model:Pony --sort training_hours",
    ),
    "suggest": (
        "lora-crawl suggest --base-model Pony",
        "lora-crawl suggest --base-model Pony --images 30 --tag character -o pony",
        "lora-crawl suggest --base-model Pony --format onetrainer -o pony",
    ),
    "report": (
        "lora-crawl report report.html",
        "lora-crawl report pony.html --where base_model:Pony --title 'LoRAs for Pony'",
    ),
    "sql": (
        'lora-crawl sql "select optimizer, count(*) from loras group by optimizer"',
        'lora-crawl sql "select * from problems limit 10" --json',
        "lora-crawl sql - < question.sql",
    ),
    "serve": ("lora-crawl serve", "lora-crawl serve --open", "lora-crawl serve --port 0"),
    "mcp": (
        "lora-crawl mcp",
        "lora-crawl mcp --db sandbox.db",
        "claude mcp add lora-crawl -- lora-crawl mcp",
    ),
    "show": (
        "lora-crawl show 726304",
        "lora-crawl show https://civitai.com/models/3653",
        "lora-crawl show my-lora.safetensors",
    ),
    "versions": (
        "lora-crawl versions model:3653",
        "lora-crawl versions https://civitai.com/models/3653",
    ),
    "similar": ("lora-crawl similar 726304", "lora-crawl similar my-lora.safetensors --by tags"),
    "diff": (
        "lora-crawl diff 726304 my-lora.safetensors",
        "lora-crawl diff 726304 model:3764 --all",
    ),
    "recipe": (
        "lora-crawl recipe 726304",
        "lora-crawl recipe my-lora.safetensors -o like-mine",
        "lora-crawl recipe 726304 --format ai-toolkit",
    ),
    "inspect": (
        "lora-crawl inspect my-lora.safetensors",
        "lora-crawl inspect https://civitai.com/models/3653",
        "lora-crawl inspect --raw my-lora.safetensors",
    ),
    "header": (
        "lora-crawl header 726304 -o 726304.header",
        "lora-crawl header 726304 | tail -c +9 | head -c 1000",
    ),
    "db": ("lora-crawl db info", 'sqlite3 "$(lora-crawl db path)"'),
    "db path": (
        "lora-crawl db path",
        'psql "$(lora-crawl db path --with-password)"',
    ),
    "db check": ("lora-crawl db check",),
    "db copy": (
        "lora-crawl db copy loras.db postgresql://me@host/loras",
        "lora-crawl db copy postgresql://me@host/loras copy.db",
    ),
    "db datasette": (
        "lora-crawl db datasette > datasette.yaml",
        'datasette "$(lora-crawl db path)" --metadata datasette.yaml',
    ),
    "db upgrade": ("lora-crawl db upgrade",),
    "db info": ("lora-crawl db info",),
    "export": (
        "lora-crawl export catalogue",
        "lora-crawl export pony-catalogue --where base_model:Pony",
    ),
    "import": (
        "lora-crawl import catalogue",
        "lora-crawl import hf://datasets/someone/loras",
        "lora-crawl import other.db",
    ),
    "redecode": ("lora-crawl redecode",),
    "sandbox": (
        "lora-crawl sandbox",
        "lora-crawl sandbox --size 100 --faults full --fault quota=20",
    ),
    "help": (
        "lora-crawl help query",
        "lora-crawl help db path",
        "lora-crawl help --man | man -l -",
    ),
}

#: What follows the examples of the help without a command.
NOTES = {
    "Exit codes": (
        "0  done",
        "1  unexpected error, or an input was not sound",
        "2  wrong usage or query",
        "3  the database is missing or needs work",
        "4  stopped with work left: run the same command again to continue",
    ),
    "Learn more": (
        "lora-crawl help COMMAND; man lora-crawl, or lora-crawl help --man | man -l -",
        "https://pypi.org/project/lora-crawl/  the start page, with links to these:",
        "docs/questions.md  thirty questions and their commands",
        "docs/query.md      how to write conditions",
        "docs/commands.md   every command and option",
    ),
}

#: Signs that roff would interpret, and one that a terminal may lack, as roff takes them.
_ROFF = str.maketrans({"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "…": "..."})


def path_of(ctx: Any) -> str:
    """The words of a command after the program's name, like `db path`; empty for the program."""
    return str(ctx.command_path).removeprefix(str(ctx.find_root().info_name)).strip()


def write_examples(ctx: Any, formatter: Any) -> None:
    """Write the examples of a command; they are not wrapped."""
    _write_lines(formatter, "Examples", EXAMPLES[path_of(ctx)])


def write_overview(formatter: Any) -> None:
    """Write all commands in their groups."""
    width = max(len(name) for group in GROUPS.values() for name in group)
    for title, group in GROUPS.items():
        with formatter.section(title):
            formatter.write_dl([(name.ljust(width), line) for name, line in group.items()])


def write_notes(formatter: Any) -> None:
    """Write NOTES."""
    for title, lines in NOTES.items():
        _write_lines(formatter, title, lines)


def _write_lines(formatter: Any, title: str, lines: tuple[str, ...]) -> None:
    with formatter.section(title):
        for line in lines:
            formatter.write(f"  {line}\n")


class Explained(TyperCommand):
    """A command whose help ends with its examples."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples."""
        write_examples(ctx, formatter)


class ExplainedGroup(TyperGroup):
    """Commands whose help ends with its examples."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples."""
        write_examples(ctx, formatter)


def manual(root: Any) -> str:
    """The manual page of the program in roff, made of the help of all commands.

    Args:
        root: The context of the program.
    """
    from crawler import __version__
    from crawler.cli.app import load

    named = {name: load(name) for group in GROUPS.values() for name in group}
    for name, group in tuple(named.items()):
        inner = getattr(group, "commands", {})
        named |= {f"{name} {one}": command for one, command in inner.items()}
    lines = [
        f'.TH LORA-CRAWL 1 "" "lora-crawl {_roff(__version__)}"',
        ".SH NAME",
        f"lora-crawl \\- {_roff(root.command.help)}",
        ".SH SYNOPSIS",
        ".B lora-crawl",
        "[OPTIONS] COMMAND [ARGS]...",
        ".SH OPTIONS",
        *_options_of(root.command, root),
        ".SH COMMANDS",
    ]
    for name, command in sorted(named.items(), key=lambda pair: [*named].index(pair[0].split()[0])):
        inside = command.make_context(name, [], parent=root, resilient_parsing=True)
        lines.append(f".SS lora-crawl {_roff(name)}")
        for number, part in enumerate(command.help.split("\n\n")):
            lines += [".PP"] * bool(number) + [_roff(" ".join(part.split()))]
        lines += _options_of(command, inside)
        lines += [".PP", "Examples:", ".PP", ".nf", *map(_roff, EXAMPLES[name]), ".fi"]
    for title, notes in NOTES.items():
        lines += [f".SH {title.upper()}", ".nf", *map(_roff, notes), ".fi"]
    return "\n".join(lines) + "\n"


def _options_of(command: Any, ctx: Any) -> list[str]:
    """The arguments and options of a command, a paragraph each."""
    records = filter(None, (param.get_help_record(ctx) for param in command.get_params(ctx)))
    return [line for name, told in records for line in (".TP", f".B {_roff(name)}", _roff(told))]


def _roff(text: str) -> str:
    """Text as roff takes it: no escapes, no requests."""
    escaped = text.translate(_ROFF)
    return f"\\&{escaped}" if escaped.startswith(".") else escaped
