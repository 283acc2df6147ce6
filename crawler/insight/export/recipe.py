"""A recipe for sd-scripts, made of what a file says of its training.

What the metadata holds is written as it was, what can be told otherwise is written and noted as
assumed, what cannot be told is a placeholder or is left out, and noted as missing.

Sources: sd-scripts `train_network.py` (what it records, and its options), `library/train_util.py`
(options, `read_config_from_file`), `library/config_util.py` (the schema of a dataset config).
"""

from collections.abc import Iterable

from crawler.decode.problems import CONTRADICTED
from crawler.errors import UsageError
from crawler.insight.export.config import config
from crawler.insight.export.dataset import datasets
from crawler.insight.export.missing import missing
from crawler.insight.export.parts import Export, Kind, Note
from crawler.insight.export.scripts import choose
from crawler.model import Decoded, Problem

#: Problems of the header that the report names; `inspect` names all of them.
MAX_PROBLEMS = 20


def export(decoded: Decoded) -> Export:
    """The recipe of a file that was read.

    Raises:
        UsageError: Neither the network module nor a learning rate is known: nothing would be left
            but defaults.
    """
    recipe = decoded.recipe
    rates = (recipe.learning_rate, recipe.unet_lr, recipe.text_encoder_lr)
    if recipe.network_module is None and all(rate is None for rate in rates):
        raise UsageError(
            "there is no recipe to be made of this file: it names neither a network module nor a"
            " learning rate\n`lora-crawl inspect` or `show` tell what it does say"
        )
    notes: list[Note] = []
    script = choose(decoded, notes)
    sections = config(decoded, script, notes)
    tables = datasets(decoded, script, notes)
    written = {option.name for section in sections for option in section.options}
    left_out = {note.subject for note in notes if note.kind is Kind.CONFLICT}
    notes += missing(decoded, script, written | left_out)
    notes += _problems(decoded.problems)
    order = list(Kind)
    return Export(
        script=script.file,
        config=sections,
        datasets=tables,
        notes=tuple(sorted(notes, key=lambda note: order.index(note.kind))),
    )


def _problems(problems: Iterable[Problem]) -> list[Note]:
    """What is wrong with the header, so that the recipe lacks it or should be looked at.

    A base that the tensors contradict has been told when the script was chosen.
    """
    told = (CONTRADICTED, "base_model_version")
    listed = [one for one in problems if (one.code, one.field) != told]
    notes = [Note(Kind.CONFLICT, one.field, one.detail) for one in listed[:MAX_PROBLEMS]]
    if more := listed[MAX_PROBLEMS:]:
        text = f"{len(more):,} more problems; `inspect` names them"
        notes.append(Note(Kind.CONFLICT, "metadata", text))
    return notes
