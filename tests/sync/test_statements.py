"""What a statement on the path of each page or batch costs does not depend on what is stored."""

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import crawler.redecode
import crawler.scan
import tests.sync.site
from crawler.model import Fetched, Outcome
from crawler.redecode import redecode
from crawler.scan import ScanPlan, scan
from crawler.sync.pipeline import FEED_BATCH
from crawler.sync.progress import RedecodeTally, ScanTally
from tests.conftest import Prepared
from tests.factories import TENSOR_BYTES, make_header_bytes, make_model
from tests.sync.site import Site, run, sound

#: Rows of `loras` that are stored before: enough for PostgreSQL to prefer an index.
STORED = 20_000

#: A statement that is sent less often belongs to the run.
OFTEN = 3

Sent = dict[str, list[Any]]


def _store_rows(engine: sa.Engine) -> None:
    """Store many files that were read, and nothing else."""
    numbers = (
        f"SELECT n FROM generate_series(-{STORED}, -1) AS n"
        if engine.dialect.name == "postgresql"
        else f"WITH RECURSIVE numbers(n) AS (SELECT -{STORED} UNION ALL"
        " SELECT n + 1 FROM numbers WHERE n < -1) SELECT n FROM numbers"
    )
    columns = "file_id, version_id, model_id, site, outcome, attempts, sha256, size_bytes"
    with engine.begin() as connection:
        seen = "'2026-01-01 00:00:00', '2026-01-01 00:00:00'"
        for parent, key in (("models", "model_id, site"), ("versions", "version_id, model_id")):
            value = "'x'" if parent == "models" else "n"
            connection.exec_driver_sql(
                f"INSERT INTO {parent} ({key}, first_seen_at, last_seen_at)"
                f" SELECT n, {value}, {seen} FROM ({numbers}) AS numbers"
            )
        connection.exec_driver_sql(
            f"INSERT INTO loras ({columns})"
            f" SELECT n, n, n, 'x', 'decoded', 1, CAST(n AS TEXT), n FROM ({numbers}) AS numbers"
        )
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("ANALYZE")


@pytest.fixture
def full(prepared: Prepared) -> sa.Engine:
    return prepared("many_rows", _store_rows)


@contextmanager
def sent_often(engine: sa.Engine) -> Iterator[Sent]:
    """The statements that are sent OFTEN or more, each with its last parameters."""
    sent: Sent = defaultdict(list)

    def note(*given: Any) -> None:
        _, _, statement, parameters, _, executemany = given
        if statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
            # One IN list is as good as another.
            alike = re.sub(r"\((?:[^ ()]*[?%][^ ]*, )*[^ ()]*[?%][^ ]*\)", "(…)", statement)
            last = parameters[-1] if executemany else parameters
            sent[alike].append((statement, last))

    often: Sent = {}
    sa.event.listen(engine, "before_cursor_execute", note)
    yield often
    sa.event.remove(engine, "before_cursor_execute", note)
    often |= {alike: uses[-1] for alike, uses in sent.items() if len(uses) >= OFTEN}


def steps(engine: sa.Engine, sent: Sent) -> Iterator[tuple[str, str]]:
    """Each step of the plan of each statement, with the statement."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            # Small tables too are read by an index if there is one.
            connection.exec_driver_sql("SET enable_seqscan = off")
        explain = "EXPLAIN" if engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        for statement, parameters in sent.values():
            for row in connection.exec_driver_sql(f"{explain} {statement}", parameters):
                yield str(row[-1]).strip(), statement


def walks(step: str) -> bool:
    """Whether a step of a plan reads a whole table, or all rows of an outcome."""
    if re.match(r"SCAN (?!CONSTANT ROW|\(subquery|\S+ VIRTUAL TABLE)", step):
        return True
    if "Seq Scan on" in step:
        return True
    return bool(re.search(r"\(outcome=\?\)$|Cond: \(+outcome = [^)]*\)$", step))


#: The look for pending files reads those that are left, up to a limit.
PENDING = re.compile("loras.attempts = .* LIMIT ", re.DOTALL)


def test_a_sync_reads_no_whole_table_for_a_page_or_a_batch(
    full: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Three whole batches of files: a plan may depend on the length of an IN list.
    monkeypatch.setattr(tests.sync.site, "PAGE", FEED_BATCH)
    site = Site(models=tuple(make_model(number) for number in range(1, OFTEN * FEED_BATCH + 1)))
    site.answer = lambda target, _: (
        sound(target)
        if target.file_id % 32 == 0
        else Fetched(target=target, refusal=Outcome.FORBIDDEN, reason="no")
    )

    with sent_often(full) as sent:
        tally = run(full, site, concurrency=8)

    assert tally.files == OFTEN * FEED_BATCH
    tables = {
        name for name in sa.inspect(full).get_table_names() if any(name in one for one in sent)
    }
    assert tables >= {"models", "versions", "loras", "headers", "file_tags", "tags", "cursors"}
    found = [step for step in steps(full, sent) if walks(step[0]) and not PENDING.search(step[1])]
    assert found == []


def test_neither_does_a_scan_or_a_redecode(
    full: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crawler.scan, "BATCH_FILES", 1)
    monkeypatch.setattr(crawler.redecode, "BATCH", 1)
    for number in range(OFTEN):
        place = tmp_path / f"{number}.safetensors"
        place.write_bytes(make_header_bytes() + bytes(TENSOR_BYTES))

    with sent_often(full) as sent:
        scan(full, ScanPlan(roots=(str(tmp_path),)), tally=ScanTally(), going=lambda: True)
    with sent_often(full) as sent_again:
        redecode(full, tally=RedecodeTally(), going=lambda: True, everything=True)

    assert {"local_files", "headers"} <= {
        word for one in sent for word in re.findall("[a-z_]+", one)
    }
    assert any("decoder_version" in one for one in sent_again)
    assert [step for step in steps(full, sent | sent_again) if walks(step[0])] == []
