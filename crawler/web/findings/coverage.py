"""What was crawled, and how many of the files state how they were trained."""

from collections.abc import Mapping

from crawler.answers.outcomes import spoken
from crawler.answers.text import count, number, share
from crawler.insight.distribution import Groups, groups
from crawler.model import Outcome
from crawler.store.connect.database import Connection
from crawler.store.schema.fields import BY_NAME
from crawler.web.charts import COLOURS, GREY, Chart, Series, bars
from crawler.web.figure import Axis
from crawler.web.findings.section import Among, Section, behind
from crawler.web.findings.told import Told

#: Most bars of a chart.
_MOST_BARS = 12


def coverage(connection: Connection, among: Among, _: Told) -> Section:
    """Files by base model, trainer and outcome."""
    title = "What was crawled"
    outcomes = groups(connection, among.tree, BY_NAME["outcome"])
    files = sum(one.files for one in outcomes.among)
    if not files:
        return Section(key="coverage", title=title, paragraphs=("No file matches.",))
    read = sum(one.read for one in outcomes.among)
    decoded = read - sum(one.no_metadata for one in outcomes.among)
    told = f"The headers of {number(read)} of {count(files, 'file')} ({share(read / files)}) were read."
    if read:
        told += (
            f" {number(decoded)} of them ({share(decoded / read)}) state how the LoRA was trained."
            " The others contain no training metadata; only their tensors say something."
        )
    refused = {
        Outcome(one.group): one.files
        for one in outcomes.among
        if not one.read and one.group is not None
    }
    bases = groups(connection, among.tree, BY_NAME["base_model"], most=_MOST_BARS)
    trainers = groups(connection, among.tree, BY_NAME["trainer"], most=_MOST_BARS)
    charts = [
        _by_base_model(bases, files=files, read=read, decoded=decoded),
        _by_trainer(trainers),
        _refusals(refused),
    ]
    return Section(
        key="coverage",
        title=title,
        paragraphs=(told,),
        tiles=(
            ("files", number(files)),
            ("headers read", number(read)),
            ("with training metadata", number(decoded)),
            ("of the headers have it", share(decoded / read) if read else "-"),
        ),
        charts=tuple(chart for chart in charts if chart is not None),
        commands=(
            among.command("stats", "base_model", "trainer", "outcome"),
            among.command("stats", "file_id", "--by", "base_model"),
        ),
    )


def _by_base_model(bases: Groups, *, files: int, read: int, decoded: int) -> Chart:
    rows = [
        (str(one.group), one.files, one.read, one.read - one.no_metadata)
        for one in bases.among
        if one.group is not None
    ]
    rest = (
        files - sum(row[1] for row in rows),
        read - sum(row[2] for row in rows),
        decoded - sum(row[3] for row in rows),
    )
    if rest[0]:
        name = f"{number(bases.left_out)} more, or none" if bases.left_out else "none"
        rows.append((name, *rest))
    return bars(
        "coverage-base-model",
        "Files by base model, and what their headers say",
        behind(files),
        [row[0] for row in rows],
        [
            Series("training metadata", [row[3] for row in rows], colour=COLOURS[0]),
            Series("no training metadata", [row[2] - row[3] for row in rows], colour=COLOURS[1]),
            Series("not read", [row[1] - row[2] for row in rows], colour=GREY),
        ],
        name="base model",
        x=Axis("files"),
        stacked=True,
        wide=True,
    )


def _by_trainer(trainers: Groups) -> Chart | None:
    named = [one for one in trainers.among if one.group is not None]
    if not named:
        return None
    return bars(
        "coverage-trainer",
        "Programs that the LoRAs were trained with",
        f"{behind(sum(one.files for one in named) + trainers.files)} whose trainer is known",
        [str(one.group) for one in named],
        [Series("files", [one.files for one in named])],
        name="trainer",
        x=Axis("files"),
    )


def _refusals(refused: Mapping[Outcome, int]) -> Chart | None:
    if not refused:
        return None
    ordered = sorted(refused.items(), key=lambda pair: (-pair[1], pair[0]))
    return bars(
        "coverage-refusals",
        "Why files were not read",
        behind(sum(refused.values())),
        [spoken(outcome) for outcome, _ in ordered],
        [Series("files", [files for _, files in ordered], colour=GREY)],
        name="outcome",
        x=Axis("files"),
    )
