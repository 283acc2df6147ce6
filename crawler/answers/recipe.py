"""A trainer's files to train a LoRA with the same settings, or with suggested ones."""

from collections.abc import Mapping
from dataclasses import dataclass

from crawler.answers.lora import view_of_row
from crawler.answers.suggest import Suggestion, evidence
from crawler.answers.text import count
from crawler.answers.visible import visible
from crawler.decode.verdict import verdict_of
from crawler.errors import UsageError
from crawler.insight.export import Format
from crawler.insight.export.draft import Kind, Note, report_text
from crawler.insight.export.formats import write
from crawler.insight.export.recipe import export
from crawler.insight.suggest.advice import recipe_of
from crawler.model import Decoded, Outcome
from crawler.model.outcome import READ
from crawler.store.connect.database import Connection
from crawler.store.read.headers import stored_header
from crawler.store.read.loras import find_file, lora

#: The file that lists what could not be recovered or carried over.
REPORT = "report.txt"


@dataclass(frozen=True, slots=True)
class Files:
    """A recipe as files.

    Attributes:
        texts: The contents by file name.
        notes: The lines of the report.
        remarks: What to know before using the files.
    """

    texts: Mapping[str, str]
    notes: tuple[Note, ...]
    remarks: tuple[str, ...]


def stored_decoded(connection: Connection, ref: str) -> tuple[str, Decoded]:
    """The title of the stored LoRA that a reference names, and its header, decoded now.

    Raises:
        UsageError: The reference matches nothing, or the header was not read or is not sound.
        DatabaseError: The stored copy of the header is damaged.
    """
    file_id = find_file(connection, ref)
    view = view_of_row(lora(connection, file_id))
    outcome, reason = Outcome(view["outcome"]), view["reason"] or ""
    if outcome in READ:
        found = verdict_of(stored_header(connection, file_id), None)
        if found.decoded is not None:
            return view.title, found.decoded
        outcome, reason = found.outcome, found.reason
    said = f"{outcome}: {reason}" if reason else str(outcome)
    raise UsageError(f"{ref}: the header of this file was not read: {said}")


def recipe_files(title: str, decoded: Decoded, form: Format) -> Files:
    """The files to train a LoRA like this one, with the report.

    Args:
        title: What the LoRA is called.
        decoded: Its header.
        form: The trainer's format.

    Raises:
        UsageError: The header tells neither a network module nor a learning rate.
    """
    made = export(decoded)
    written = write(made, f"the metadata of {title}", form)
    report = "".join(f"{visible(line)}\n" for line in report_text(written.notes).split("\n")[:-1])
    remarks = []
    if form is Format.SD_SCRIPTS and not made.script:
        remarks.append("sd-scripts has no script for this base model; see the report")
    remarks += [
        note.text
        for note in written.notes
        if note.subject == "trainer" and note.kind is Kind.CONFLICT
    ]
    return Files({**dict(written.files), REPORT: report}, written.notes, tuple(remarks))


def suggested_files(made: Suggestion, images: int | None, form: Format) -> Files:
    """The files to train a LoRA with the suggested settings; some LoRAs must be behind them.

    Args:
        made: The suggestion.
        images: How many images it is trained on; None if that is not known.
        form: The trainer's format.
    """
    advice = made.advice
    recipe = recipe_of(advice, images, evidence)
    loras = count(advice.loras, "LoRA") + ("" if advice.is_enough else " (too few to rely on)")
    written = write(recipe, f"the settings of {loras}: {made.title}", form)
    remarks = []
    for note in written.notes:
        if note.kind is Kind.NOT_CARRIED:
            remarks.append(f"{note.kind.value}: {note.subject}: {note.text}")
        elif note.kind is Kind.CONFLICT:
            remarks.append(f"{note.subject}: {note.text}")
    return Files(dict(written.files), written.notes, tuple(remarks))
