"""docs/training.md: each answer is what Python finds in the rows."""

import csv
import io
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median, quantiles
from typing import Any

import pytest
import sqlalchemy as sa

from crawler.store.schema.fields import FIELDS
from crawler.store.schema.tables import file_tags, loras, tags
from crawler.store.stats.field_stats import refresh_statistics
from tests.docs.conftest import run
from tests.docs.examples import ROOT, questions

Row = Mapping[str, Any]

QUESTIONS = questions(ROOT / "docs" / "training.md")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked, and what is known.

    Attributes:
        answers: The rows of each command of a question.
        rows: Every row of `loras`.
        tags: Caption tag -> the files that have it.
    """

    answers: Sequence[list[dict[str, Any]]]
    rows: Sequence[Row]
    tags: Mapping[str, set[int]]

    @property
    def answer(self) -> list[dict[str, Any]]:
        """The rows of the only command."""
        (answer,) = self.answers
        return answer


Check = Callable[[Asked], None]


def having(rows: Iterable[Row], *names: str) -> list[Row]:
    return [row for row in rows if all(row[name] is not None for name in names)]


def by(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    groups = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def month(row: Row) -> str | None:
    return row["published_at"] and f"{row['published_at']:%Y-%m}"


def grouped(*names: str, where: Callable[[Row], bool]) -> Check:
    """The answer has the most frequent combinations of values, with their share and median likes."""

    def check(asked: Asked) -> None:
        groups = by(filter(where, asked.rows), lambda row: tuple(row[name] for name in names))
        total = sum(map(len, groups.values()))
        for one in asked.answer:
            rows = groups[tuple(one[name] for name in names)]
            likes = [row["likes"] for row in having(rows, "likes")]
            assert (one["count"], one["share"]) == (len(rows), pytest.approx(len(rows) / total))
            assert one["median_likes"] == median(likes)
        counts = [one["count"] for one in asked.answer]
        assert counts == sorted(map(len, groups.values()), reverse=True)[: len(counts)]
        assert len(counts) == min(len(groups), 10)

    return check


def listed(
    where: Callable[[Row], bool], order: str, *, most: int, ascending: bool = False
) -> Check:
    """The answer has the values of the rows that match, in order."""

    def check(asked: Asked) -> None:
        matching = having(filter(where, asked.rows), order)
        matching.sort(key=lambda row: row["file_id"])
        matching.sort(key=lambda row: row[order], reverse=not ascending)
        assert matching
        names = [name for name in asked.answer[0] if name != "published_at"]
        shown = [{name: row[name] for name in names} for row in matching[:most]]
        assert [{name: row[name] for name in names} for row in asked.answer] == shown

    return check


def spread(
    *names: str,
    where: Callable[[Row], bool] = lambda _: True,
    key: Callable[[Row], Any] = lambda _: None,
    group: str = "",
) -> Check:
    """The answer has the count and the quartiles of each number in each group."""

    def check(asked: Asked) -> None:
        groups = by(filter(where, asked.rows), key)
        assert len(asked.answer) == len(names) * len(groups)
        for one in asked.answer:
            rows = groups[one[group] if group else None]
            values = sorted(row[one["field"]] for row in having(rows, one["field"]))
            assert (one["files"], one["count"]) == (len(rows), len(values))
            told = [
                one["minimum"],
                one["quartile1"],
                one["median"],
                one["quartile3"],
                one["maximum"],
            ]
            assert told == pytest.approx(five_numbers(values))
        assert {one["field"] for one in asked.answer} == set(names)
        assert any(one["count"] for one in asked.answer)

    return check


def five_numbers(values: Sequence[float]) -> list[Any]:
    if not values:
        return [None] * 5
    middle = quantiles(values, n=4, method="inclusive") if len(values) > 1 else [*values] * 3
    return [values[0], *middle, values[-1]]


def frequent(
    name: str,
    *,
    where: Callable[[Row], bool] = lambda _: True,
    key: Callable[[Row], Any] = lambda _: None,
    group: str = "",
) -> Check:
    """The answer has the most frequent texts of each group."""

    def check(asked: Asked) -> None:
        groups = by(filter(where, asked.rows), key)
        assert len(asked.answer) == len(groups)
        for one in asked.answer:
            counts = Counter(
                row[name] for row in having(groups[one[group] if group else None], name)
            )
            told = {bar["value"]: bar["count"] for bar in one["histogram"]}
            assert one["count"] == counts.total()
            assert told == dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:10])
        assert any(one["histogram"] for one in asked.answer)

    return check


def is_decoded(row: Row) -> bool:
    return bool(row["outcome"] == "decoded")


def has_prodigy(row: Row) -> bool:
    return bool(row["optimizer"] == "Prodigy")


def both(first: Check, second: Check) -> Check:
    """A check for each of two commands."""

    def check(asked: Asked) -> None:
        for one, answer in zip((first, second), asked.answers, strict=True):
            one(Asked([answer], asked.rows, asked.tags))

    return check


def arguments(asked: Asked) -> None:
    counts: Counter[str] = Counter()
    for row in filter(has_prodigy, asked.rows):
        counts.update(json.dumps({key: one}) for key, one in (row["optimizer_args"] or {}).items())
    (one,) = asked.answer
    told = {json.dumps(bar["value"]): bar["count"] for bar in one["histogram"]}
    assert told == dict(counts.most_common(10))
    assert told


def min_snr_by_likes(asked: Asked) -> None:
    rows = [row for row in asked.rows if is_decoded(row)]
    for one in asked.answer:
        low, high = one["likes"]["from"] or 0, one["likes"]["below"] or math.inf
        among = [row for row in rows if low <= row["likes"] < high]
        assert (one["files"], one["count"]) == (len(among), len(having(among, "min_snr_gamma")))
    assert sum(one["files"] for one in asked.answer) == len(rows)


def effort(asked: Asked) -> None:
    runs: dict[str, dict[Any, float]] = defaultdict(dict)
    for row in having(asked.rows, "creator", "megapixels_seen"):
        run_id = row["session_id"] or row["version_id"]
        before = runs[row["creator"]].get(run_id, 0)
        runs[row["creator"]][run_id] = max(before, row["megapixels_seen"])
    work = {creator: sum(done.values()) for creator, done in runs.items()}
    first = sorted(work.values(), reverse=True)[:20]
    assert [one["megapixels_seen"] for one in asked.answer if one["megapixels_seen"]] == (
        pytest.approx(first, abs=1e-3)
    )
    for one in asked.answer[:3]:
        assert work[one["creator"]] == pytest.approx(one["megapixels_seen"], abs=1e-3)


def whole_rows(asked: Asked) -> None:
    own = {row["file_id"]: row for row in asked.rows if row["creator"] == "pixelfox10"}
    assert {int(one["file_id"]) for one in asked.answer} == set(own)
    for one in asked.answer:
        assert list(one) == [field.name for field in FIELDS]
        row = own[int(one["file_id"])]
        assert (one["model_name"], one["sha256"]) == (row["model_name"], row["sha256"])
        assert one["network_dim"] == ("" if row["network_dim"] is None else str(row["network_dim"]))


def changes(asked: Asked) -> None:
    own = [row for row in asked.rows if row["model_id"] == 6282]
    own.sort(key=lambda row: row["published_at"])
    assert [one["file_id"] for one in asked.answer] == [row["file_id"] for row in own]
    assert asked.answer[0]["changed"] is None
    for before, now, one in zip(own, own[1:], asked.answer[1:], strict=False):
        for name in ("network_dim", "optimizer", "lr_scheduler", "steps", "batch_size"):
            told = one["changed"].get(name)
            assert told == (None if before[name] == now[name] else [before[name], now[name]])


def weights() -> dict[str, int]:
    """The settings that docs/insight.md says are compared, and how often each counts."""
    page = (ROOT / "docs" / "insight.md").read_text(encoding="utf-8")
    (counting,) = re.findall(r"count twice: (.+?)\. These count once: (.+?)\.\n", page)
    names = [re.findall(r"`(\w+)`", part) for part in counting]
    return dict.fromkeys(names[0], 2) | dict.fromkeys(names[1], 1)


def similarity(own: Row, other: Row) -> float:
    total = distance = 0.0
    for name, weight in weights().items():
        mine, theirs = own[name], other[name]
        if mine is theirs is None:
            continue
        total += weight
        if mine is None or theirs is None:
            distance += weight
        elif isinstance(mine, int | float) and not isinstance(mine, bool):
            size = abs(mine) + abs(theirs)
            distance += weight * abs(mine - theirs) / size if size else 0
        else:
            distance += weight * (mine != theirs)
    return 1 - distance / total


def alike(asked: Asked) -> None:
    (own,) = (row for row in asked.rows if row["file_id"] == 726304)
    best: dict[int, float] = {}
    for row in filter(is_decoded, asked.rows):
        if row["base_model"] == own["base_model"] and row["model_id"] != own["model_id"]:
            best[row["model_id"]] = max(best.get(row["model_id"], 0), similarity(own, row))
    assert [one["similarity"] for one in asked.answer] == pytest.approx(
        sorted(best.values(), reverse=True)[:10], abs=1e-4
    )


def tagged(asked: Asked) -> None:
    files = asked.tags["1girl"] & asked.tags["upper body"]
    listed(lambda row: row["file_id"] in files, "likes", most=50)(asked)


def compared(asked: Asked) -> None:
    (one,) = asked.answer
    assert one["network_dim"] == 16
    others = [row for row in asked.rows if row["base_model"] == one["compared_with"]]
    for name in ("network_dim", "steps", "image_count"):
        values = sorted(row[name] for row in having(others, name))
        told = one["medians"][name]
        quartiles = [told["quartile1"], told["median"], told["quartile3"]]
        assert (told["count"], quartiles) == (len(values), five_numbers(values)[1:4])


#: What each question means, in Python.
MEANT: dict[str, Check] = {
    "Which optimizer do the best-liked Illustrious characters use?": grouped(
        "optimizer",
        where=lambda row: (
            row["base_model"] == "Illustrious"
            and "character" in row["model_tags"]
            and row["likes"] >= 50
        ),
    ),
    "Which learning rate is usual for each rank, Prodigy apart?": both(
        spread(
            "unet_lr",
            where=lambda row: row["optimizer"] is not None and not has_prodigy(row),
            key=lambda row: row["network_dim"],
            group="network_dim",
        ),
        spread(
            "unet_lr",
            where=has_prodigy,
            key=lambda row: row["network_dim"],
            group="network_dim",
        ),
    ),
    "Which pair of rank and alpha is the most common?": grouped(
        "network_dim", "network_alpha", where=lambda row: row["network_dim"] is not None
    ),
    "Which scheduler goes with which optimizer?": frequent(
        "lr_scheduler", key=lambda row: row["optimizer"], group="optimizer"
    ),
    "Which arguments are used with Prodigy?": arguments,
    "Is the text encoder trained, and at what rate?": spread(
        "text_encoder_lr",
        where=is_decoded,
        key=lambda row: row["trains_text_encoder"],
        group="trains_text_encoder",
    ),
    "How common is network_dropout?": spread("network_dropout", where=is_decoded),
    "Do liked LoRAs use min-SNR weighting?": both(
        min_snr_by_likes,
        spread(
            "likes",
            where=is_decoded,
            key=lambda row: row["min_snr_gamma"],
            group="min_snr_gamma",
        ),
    ),
    "Which checkpoints are used for Illustrious?": grouped(
        "sd_model_name", where=lambda row: row["base_model"] == "Illustrious"
    ),
    "Which LoRAs were trained on the checkpoint with this hash?": listed(
        lambda row: row["sd_model_hash"] == "F9DFE362", "likes", most=10
    ),
    "How many images does a Pony character take?": spread(
        "image_count",
        where=lambda row: row["base_model"] == "Pony" and "character" in row["model_tags"],
    ),
    "Which repeats and epochs go with 12 to 18 images?": spread(
        "mean_repeats", "num_epochs", where=lambda row: 12 <= (row["image_count"] or 0) <= 18
    ),
    "How long does training take, by base model?": spread(
        "training_seconds", key=lambda row: row["base_model"], group="base_model"
    ),
    "How did the rank change over the months?": spread("network_dim", key=month, group="month"),
    "How did the optimizer change over the months?": frequent(
        "optimizer", key=month, group="month"
    ),
    "What was published in the last 30 days?": listed(
        lambda row: row["published_at"] >= datetime.now(UTC) - timedelta(days=30),
        "published_at",
        most=50,
    ),
    "Which LoRAs are the most liked for their age?": listed(
        lambda row: row["is_primary"], "likes_per_month", most=20
    ),
    "Who trains with the most effort?": effort,
    "How did a creator's LoRAs change over time?": listed(
        lambda row: row["creator"] == "pixelfox10", "published_at", most=50, ascending=True
    ),
    "All LoRAs of a creator as CSV": whole_rows,
    "What changed between the versions of a model?": changes,
    "Which LoRAs were trained like this one?": alike,
    "Which LoRAs have both of two caption tags?": tagged,
    "Which small Flux LoRAs are liked all the same?": listed(
        lambda row: row["base_model"].startswith("Flux") and row["size_bytes"] <= 60_000_000,
        "likes",
        most=50,
    ),
    "How does my own file compare with the others?": compared,
}


def answered(words: Sequence[str]) -> list[dict[str, Any]]:
    """The rows that a command writes."""
    given = [word.replace("my-lora", "mine/lantern") for word in words]
    if "csv" in given:
        return list(csv.DictReader(io.StringIO(run(*given).stdout)))
    result = run(*given, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    return found if isinstance(found, list) else [found]


def test_there_are_twenty_five_questions_of_one_or_two_commands() -> None:
    assert len(QUESTIONS) == 25
    assert set(QUESTIONS) == set(MEANT)
    assert {heading for heading, lines in QUESTIONS.items() if len(lines) not in (1, 2)} == set()


def test_the_answers_are_those_that_python_finds(filled: sa.Engine) -> None:
    with filled.begin() as connection:
        # The sandbox's newest model is as old as the sandbox.
        newest = connection.scalars(sa.select(sa.func.max(loras.c.published_at))).one()
        later = datetime.now(UTC) - timedelta(days=2) - newest
        dates = sa.select(loras.c.file_id, loras.c.published_at)
        moved = [{"at": one, "later": date + later} for one, date in connection.execute(dates)]
        change = sa.update(loras).where(loras.c.file_id == sa.bindparam("at"))
        connection.execute(change.values(published_at=sa.bindparam("later")), moved)
        refresh_statistics(connection, datetime.now(UTC))
        rows = [dict(row) for row in connection.execute(sa.select(loras)).mappings()]
        pairs = sa.select(tags.c.name, file_tags.c.file_id).join(file_tags)
        files = defaultdict(set)
        for name, file_id in connection.execute(pairs):
            files[name].add(file_id)

    for heading, lines in QUESTIONS.items():
        asked = Asked([answered(line.words) for line in lines], rows, files)
        assert all(asked.answers), heading
        try:
            MEANT[heading](asked)
        except AssertionError as error:
            error.add_note(heading)
            raise
