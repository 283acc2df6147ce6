"""The creators whose LoRAs took most training."""

from dataclasses import replace

from crawler.answers.text import count, number, short
from crawler.answers.visible import cut
from crawler.store.connect.database import Connection
from crawler.store.stats.creators import creators as creators_of
from crawler.web.charts import Series, bars
from crawler.web.figure import Axis
from crawler.web.findings.section import LONGEST_NAME, Among, Section, without_data
from crawler.web.findings.told import Told

#: Most creators of the chart.
_MOST = 15


def creators(connection: Connection, among: Among, _: Told) -> Section:
    """The creators by the megapixels that their training runs have seen."""
    title = "Who trains with most effort"
    found = creators_of(connection, among.tree, sort="megapixels_seen", limit=_MOST)
    most = [one for one in found.listed if one.megapixels_seen is not None]
    if not most:
        return without_data("creators", title)
    chart = bars(
        "creators-effort",
        "Megapixels seen in training, by creator",
        f"the {len(most)} creators with most, of {number(found.total)}",
        [one.creator for one in most],
        [Series("megapixels seen", [one.megapixels_seen for one in most])],
        name="creator",
        x=Axis("megapixels seen"),
        wide=True,
    )
    rows = tuple(
        (
            one.creator,
            number(one.loras),
            number(one.files),
            number(one.runs),
            "" if one.median_images_seen is None else number(round(one.median_images_seen)),
            number(round(one.megapixels_seen or 0)),
            "" if one.training_hours is None else f"{one.training_hours:,.1f}",
        )
        for one in most
    )
    head = ("creator", "LoRAs", "files", "runs", "median images", "megapixels", "hours")
    first = most[0]
    work = f"{short(first.megapixels_seen or 0)} megapixels seen in {count(first.runs, 'training run')}"
    name = cut(first.creator, LONGEST_NAME)
    told = (
        f"{count(found.total, 'creator')} made {count(found.files, 'file')}. The most work is in the LoRAs"
        f" of {name}: {work}. Megapixels seen are the images seen times their mean area; a training run"
        " counts once, by its latest file."
    )
    return Section(
        key="creators",
        title=title,
        paragraphs=(told,),
        charts=(replace(chart, head=head, rows=rows),),
        commands=(among.command("authors"),),
    )
