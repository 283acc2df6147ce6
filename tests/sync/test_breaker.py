"""Whose fault a failure is: by counting alone, and with a site and its storage on loopback."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
import sqlalchemy as sa

from crawler.errors import QuotaError, SiteError, StoppedError
from crawler.http import HttpSettings, Waits
from crawler.model import Fetched, Outcome, Result, Target
from crawler.safetensors.reader import parse_header
from crawler.sources.civitai.client import Civitai
from crawler.store.schema.tables import headers, loras
from crawler.sync.breaker import FAILURES_IN_A_ROW, LOGIN_SAMPLE, TRIES_IN_DOUBT, Breaker
from crawler.sync.progress import SyncTally
from crawler.sync.run import crawl
from crawler.sync.state import Plan, WriterThread
from tests.conftest import ON_SQLITE
from tests.factories import (
    NOW,
    make_file,
    make_header_bytes,
    make_model,
    make_result,
    make_target,
    make_version,
)
from tests.http.asking import PATIENT
from tests.http.raw_server import RawServer, Request, json_answer, part, response
from tests.sync.site import WALK, Site, run, sound

# --- counting -----------------------------------------------------------------------------------


def failure(file_id: int, **changes: Any) -> Result:
    return make_result(file_id, b"", **{"transient": True, "attempts": 3} | changes)


def login(file_id: int) -> Result:
    return make_result(file_id, b"", outcome=Outcome.LOGIN_REQUIRED)


def judged(breaker: Breaker, *results: Result) -> list[Result]:
    return [breaker.judge(result, NOW) for result in results]


def test_nine_failures_in_a_row_are_the_files_own_once_another_is_read() -> None:
    breaker = Breaker("http://site.invalid")
    kinds = [Outcome.FAILED, Outcome.NOT_FOUND, Outcome.BAD_HEADER] * 3
    failures = [failure(n, outcome=kind) for n, kind in enumerate(kinds, start=1)]

    assert all(one.provisional and one.next_try_at for one in judged(breaker, *failures))
    assert (breaker.undecided, breaker.settled) == (set(range(1, 10)), {})
    assert not judged(breaker, make_result(20))[0].provisional

    # Until their outcomes are stored, they are still pending in the database.
    assert breaker.undecided == set(range(1, 10))
    assert breaker.settled == {make_target(n): kind for n, kind in enumerate(kinds, start=1)}
    breaker.forget([make_target(n) for n in range(1, 10)])
    assert (breaker.undecided, breaker.settled, breaker.trouble) == (set(), {}, None)


def test_three_refusals_of_all_requests_stop_the_run() -> None:
    breaker = Breaker("http://site.invalid")
    refusal = SiteError("http://site.invalid", "back in a few minutes")
    for number in (1, 2, 3):
        assert breaker.trouble is None
        # As the pipeline makes it: nothing else marks it as doubtful.
        result = make_result(number, b"", outcome=Outcome.PENDING)
        assert breaker.judge(result, NOW, refusal).provisional
    assert breaker.trouble is refusal


def test_ten_failures_in_a_row_are_the_sites_whatever_their_kinds_and_what_came_between() -> None:
    breaker = Breaker("http://site.invalid")
    kinds = [Outcome.NOT_FOUND, Outcome.FAILED] * 5
    for number, kind in enumerate(kinds, start=1):
        assert breaker.trouble is None
        judged(breaker, failure(number, outcome=kind, reason=f"answer {number}"))
        # Neither the refusal of one file nor a copied header says anything about the others.
        judged(breaker, make_result(number + 100, b"", outcome=Outcome.EARLY_ACCESS))
        judged(breaker, make_result(number + 200, attempts=0))

    assert isinstance(breaker.trouble, SiteError)
    assert "10 files in a row" in str(breaker.trouble)
    assert "answer 10" in str(breaker.trouble)
    # What comes later changes nothing.
    assert not judged(breaker, make_result(20))[0].provisional
    assert judged(breaker, failure(21))[0].provisional
    assert breaker.settled == {}


def test_a_login_is_wanted_of_a_file_alone_once_another_was_read() -> None:
    breaker = Breaker("http://site.invalid")
    sample = [login(number) for number in range(1, LOGIN_SAMPLE)]
    assert all(one.provisional for one in judged(breaker, *sample))
    judged(breaker, make_result(50, b"", outcome=Outcome.DOWNLOADS_DISABLED), make_result(51))

    assert set(breaker.settled.values()) == {Outcome.LOGIN_REQUIRED}
    more = judged(breaker, *(login(number) for number in range(100, 150)))
    assert not any(one.provisional for one in more)
    assert breaker.trouble is None


def test_twenty_wanted_logins_stop_the_run_though_the_site_gave_other_answers() -> None:
    breaker = Breaker("http://site.invalid")
    judged(breaker, *(login(number) for number in range(1, LOGIN_SAMPLE)))
    judged(breaker, make_result(50, b"", outcome=Outcome.DOWNLOADS_DISABLED))
    before: StoppedError | None = breaker.trouble
    assert before is None

    judged(breaker, login(60))

    assert "lora-crawl login" in str(breaker.trouble)
    assert "stay pending" in str(breaker.trouble)


@pytest.mark.parametrize("kinds", ["F" * 9 + "L" * 19, "L" * 9 + "F", "FL" * 5, "L" * 12 + "F"])
def test_required_logins_and_other_failures_are_one_row(kinds: str) -> None:
    breaker = Breaker("http://site.invalid")
    for number, kind in enumerate(kinds, start=1):
        judged(breaker, login(number) if kind == "L" else failure(number))
        row = kinds[:number]
        assert (breaker.trouble is None) is (len(row) < FAILURES_IN_A_ROW or set(row) == {"L"})

    assert breaker.trouble is not None
    assert breaker.settled == {}


def test_a_read_file_settles_what_its_own_host_and_the_site_refused() -> None:
    breaker = Breaker("http://site.invalid")
    judged(breaker, failure(1, host="a"), failure(2, host="b"), failure(3), login(4))

    judged(breaker, make_result(10, host="b"))

    assert [target.file_id for target in breaker.settled] == [2, 3, 4]
    assert [target.file_id for target in breaker.standing] == [1]


def test_files_of_a_host_that_is_down_stop_the_run_though_others_are_read() -> None:
    breaker = Breaker("http://site.invalid")
    for number in range(1, 11):
        assert breaker.trouble is None
        judged(breaker, make_result(100 + number, host="up.example"))
        # What failed in an earlier run is no more its own than what is new.
        before = make_target(number, deferred=number % 2 == 0, attempts=3)
        results = failure(number, target=before, host="down.example", reason="answers 503")
        assert judged(breaker, results)[0].provisional

    assert "(10 from down.example: answers 503)" in str(breaker.trouble)
    assert breaker.settled == {}


def test_the_message_names_each_host_and_kind_and_what_may_help() -> None:
    breaker = Breaker("http://site.invalid")
    unknown = "the download leads to new.example; `--storage-host new.example` allows it"
    refusal = SiteError("http://site.invalid", "answers 403: Forbidden")
    judged(breaker, *(failure(n, host="new.example", reason=unknown) for n in (1, 2, 3)))
    judged(breaker, *(failure(n, host="old.example", reason="answers 503") for n in (4, 5)))
    judged(breaker, failure(6, outcome=Outcome.NOT_FOUND, reason="the site answers 404"))
    judged(breaker, login(7), login(8))
    for number in (9, 10):
        breaker.judge(make_result(number, b"", outcome=Outcome.PENDING), NOW, refusal)

    told = str(breaker.trouble)
    assert f"(3: {unknown}; 2 from old.example: answers 503; 2: " in told
    assert "; 1: the site answers 404; 2: answers 403: Forbidden)\n" in told
    assert "`lora-crawl login`" in told


@pytest.mark.parametrize(
    ("read", "attempts", "final"),
    [(True, 3, True), (False, 3, False), (False, TRIES_IN_DOUBT - 3, True)],
)
def test_a_file_that_fails_in_a_second_run_has_failed_where_others_are_read(
    *, read: bool, attempts: int, final: bool
) -> None:
    breaker = Breaker("http://site.invalid", up={""} if read else set())
    again = make_target(1, deferred=True, attempts=attempts)

    (ending,) = judged(breaker, failure(1, target=again))

    assert ending.provisional is not final


def test_a_spent_quota_stops_at_once() -> None:
    breaker = Breaker("http://site.invalid")
    spent = QuotaError("http://site.invalid", "too many downloads")

    breaker.judge(failure(1, outcome=Outcome.PENDING), NOW, spent)

    assert breaker.trouble is spent


def test_a_link_is_renewed_once_until_a_file_was_read() -> None:
    breaker = Breaker("http://site.invalid")
    assert [breaker.may_renew() for _ in range(3)] == [True, False, False]
    judged(breaker, make_result(1))
    assert breaker.may_renew()


# --- a site and its storage ---------------------------------------------------------------------

FILES = 14
HEADER = make_header_bytes()
FILE = HEADER + bytes(max(t.data_offsets[1] for t in parse_header(HEADER).tensors.values()))
ONE = 1_000_000  # the id of the first file

Answer = Callable[["World", int, Request], bytes | None]


@dataclass
class World:
    """A site that lists FILES files of one size; `download` and `storage` may answer in its place."""

    download: Answer = lambda _world, _number, _request: None
    storage: Answer = lambda _world, _number, _request: None
    host: str = ""
    same_bytes: bool = False
    counted: int = 0

    def item(self, number: int) -> dict[str, Any]:
        sha256 = f"{1 if self.same_bytes else number:064X}"
        file = {
            "id": ONE + number,
            "name": f"marble_{number}.safetensors",
            "sizeKB": len(FILE) / 1024,
            "type": "Model",
            "metadata": {"format": "SafeTensor"},
            "hashes": {"SHA256": sha256},
            "primary": True,
        }
        version = {"id": 1000 + number, "name": "v1", "baseModel": "Pony", "files": [file]}
        return {"id": number, "name": "Marble", "type": "LORA", "modelVersions": [version]}

    async def api(self, request: Request, _writer: object) -> bytes:
        if request.target.startswith("/api/v1/models"):
            return json_answer({"items": list(map(self.item, range(1, FILES + 1))), "metadata": {}})
        number = int(request.target.rpartition("fileId=")[2]) - ONE
        if (answer := self.download(self, number, request)) is not None:
            return answer
        self.counted += 1
        return response(307, headers={"Location": f"{self.host}/file?number={number}"})

    async def stored(self, request: Request, _writer: object) -> bytes:
        number = int(request.target.rpartition("=")[2])
        answer = self.storage(self, number, request)
        return part(FILE, *request.span) if answer is None else answer

    def crawl_into(self, engine: sa.Engine, **plan: Any) -> SyncTally:
        tally = SyncTally()
        given: dict[str, Any] = {"walk": WALK, "concurrency": 4} | plan

        async def go() -> None:
            async with RawServer(self.api) as api, RawServer(self.stored, "127.0.0.2") as storage:
                self.host = self.host or storage.url
                waits = Waits(shortest=0, longest=0, longest_asked=0)
                settings = HttpSettings(api_url=api.url, rate=0, timeouts=PATIENT, waits=waits)
                async with Civitai(settings) as source:
                    await crawl(
                        source,
                        WriterThread(engine),
                        Plan(origin="http://site.invalid", **given),
                        tally=tally,
                        stop=anyio.Event(),
                    )

        try:
            anyio.run(go)
        finally:
            self.host = ""
        return tally


PAGE = b"<!doctype html><html><head><title>Just a moment</title></head></html>"
NOT_NOW = {"Cache-Control": "private, no-store"}


def stored(answer: bytes) -> dict[str, Answer]:
    return {"storage": lambda _world, _number, _request: answer}


def zeros(_world: World, _number: int, request: Request) -> bytes:
    return part(bytes(len(FILE)), *request.span)


def short(_world: World, _number: int, request: Request) -> bytes:
    return part(FILE[:-10], *request.span)


def by_turns(world: World, number: int, request: Request) -> bytes:
    """Four kinds of the same trouble, by turns."""
    kinds = (
        response(403),
        response(404),
        response(200, PAGE, {"Content-Type": "text/html"}),
        zeros(world, number, request),
    )
    return kinds[number % 4]


#: What goes wrong for many files, words of the reason, and how a file alone with it ends.
KINDS: dict[str, tuple[dict[str, Any], str, Outcome]] = {
    "storage answers 403": (stored(response(403, PAGE)), "127.0.0.2 answers 403", Outcome.FAILED),
    "storage answers 404": (stored(response(404)), "127.0.0.2 answers 404", Outcome.NOT_FOUND),
    "storage answers 451": (stored(response(451)), "127.0.0.2 answers 451", Outcome.FAILED),
    "storage answers 503": (stored(response(503)), "127.0.0.2 answers 503", Outcome.FAILED),
    "a page in place of bytes": (
        stored(response(200, PAGE, {"Content-Type": "text/html"})),
        r"HTML page.* \(sent by 127.0.0.2\)",
        Outcome.NOT_SAFETENSORS,
    ),
    "a text in place of bytes": (
        stored(response(200, b"upstream connect error, try again")),
        r"plain text.* \(sent by 127.0.0.2\)",
        Outcome.NOT_SAFETENSORS,
    ),
    "nothing": (stored(response(200)), "sent by 127.0.0.2", Outcome.BAD_HEADER),
    "a range of nothing": (
        stored(response(416, headers={"Content-Range": "bytes */0"})),
        "sent by 127.0.0.2",
        Outcome.BAD_HEADER,
    ),
    "zeros": ({"storage": zeros}, "sent by 127.0.0.2", Outcome.BAD_HEADER),
    "less than listed": ({"storage": short}, "sent by 127.0.0.2", Outcome.BAD_HEADER),
    "the site finds no file": (
        {"download": lambda *_: json_answer({"error": "File not found"}, 404, NOT_NOW)},
        "the site answers 404: File not found",
        Outcome.NOT_FOUND,
    ),
    "a 404 that says nothing": (
        {"download": lambda *_: response(404)},
        "the site answers 404",
        Outcome.NOT_FOUND,
    ),
    "an unknown host": (
        {"download": lambda *_: response(307, headers={"Location": "https://shelf.example/x"})},
        "`--storage-host shelf.example`",
        Outcome.FAILED,
    ),
}


def told(engine: sa.Engine) -> dict[int, tuple[str, str | None]]:
    """Outcome and reason, by the number of the file."""
    with engine.connect() as connection:
        rows = connection.execute(sa.select(loras.c.file_id, loras.c.outcome, loras.c.reason))
        return {row.file_id - ONE: (row.outcome, row.reason) for row in rows}


@contextmanager
def stopping(words: str) -> Iterator[None]:
    with pytest.raises(SiteError) as stopped:
        yield
    assert re.search(words, str(stopped.value))
    assert stopped.value.exit_code == 4


@ON_SQLITE
@pytest.mark.parametrize("kind", [*KINDS, "four kinds by turns"])
def test_what_all_files_get_is_the_sites_and_is_over_when_the_site_is_well(
    engine: sa.Engine, kind: str
) -> None:
    ill, words, _ = KINDS.get(kind, ({"storage": by_turns}, "in a row", Outcome.FAILED))
    world = World(**ill)

    with stopping(words):
        world.crawl_into(engine)

    found = told(engine)
    assert {outcome for outcome, _ in found.values()} == {Outcome.PENDING}
    assert sum(reason is not None for _, reason in found.values()) >= FAILURES_IN_A_ROW
    assert world.counted <= FILES

    well = World().crawl_into(engine)
    assert (well.outcomes, well.pending) == ({Outcome.DECODED: FILES}, 0)
    assert {reason for _, reason in told(engine).values()} == {None}


@ON_SQLITE
@pytest.mark.parametrize("kind", KINDS)
def test_what_one_file_gets_is_its_own_and_can_be_retried(engine: sa.Engine, kind: str) -> None:
    ill, words, outcome = KINDS[kind]
    only_third: dict[str, Any] = {
        name: lambda world, number, request, answer=answer: (
            answer(world, number, request) if number == 3 else None
        )
        for name, answer in ill.items()
    }

    tally = World(**only_third).crawl_into(engine)

    assert (tally.outcomes, tally.pending) == ({outcome: 1, Outcome.DECODED: FILES - 1}, 0)
    ending, reason = told(engine)[3]
    assert ending == outcome
    assert reason is not None
    assert re.search(words, reason)

    again = World().crawl_into(engine, retry_failed=True)
    assert again.outcomes == {Outcome.DECODED: 1}


@ON_SQLITE
def test_a_new_storage_host_is_the_sites_though_files_of_another_are_read(
    engine: sa.Engine,
) -> None:
    def moved(_world: World, number: int, _request: Request) -> bytes | None:
        elsewhere = {"Location": "https://shelf.example/x"}
        return response(307, headers=elsewhere) if number % 5 else None

    # Files that failed before are no more final: others are read in each run.
    for _ in range(2):
        with stopping("`--storage-host shelf.example`"):
            World(download=moved).crawl_into(engine)
        assert {outcome for outcome, _ in told(engine).values()} <= {"pending", "decoded"}

    assert World().crawl_into(engine).pending == 0
    assert {outcome for outcome, _ in told(engine).values()} == {"decoded"}


@ON_SQLITE
def test_a_run_without_budget_for_more_files_leaves_its_failures_pending(
    engine: sa.Engine,
) -> None:
    ill = World(storage=stored(response(404))["storage"])
    for _ in range(2):
        assert ill.crawl_into(engine, max_downloads=3).outcomes == {}

    assert World().crawl_into(engine).outcomes == {Outcome.DECODED: FILES}


@ON_SQLITE
def test_bytes_in_doubt_are_shared_with_no_other_file(engine: sa.Engine) -> None:
    """All files have one SHA-256; storage has zeros for the first two of them that are asked for."""
    world = World(storage=lambda world, n, asked: zeros(world, n, asked) if n < 3 else None)
    world.same_bytes = True

    tally = world.crawl_into(engine)

    assert tally.outcomes == {Outcome.BAD_HEADER: 2, Outcome.DECODED: FILES - 2}
    assert (tally.same_content, world.counted) == (FILES - 3, 3)


@ON_SQLITE
def test_bytes_of_the_listed_length_are_shared(engine: sa.Engine) -> None:
    broken = b"{" * len(FILE)
    world = World(storage=lambda _world, _number, asked: part(broken, *asked.span))
    world.same_bytes = True

    tally = world.crawl_into(engine)

    assert (sum(tally.outcomes.values()), world.counted) == (FILES, 1)
    assert not set(tally.outcomes) & {Outcome.DECODED, Outcome.PENDING}
    assert World(same_bytes=True).crawl_into(engine, retry_failed=True).files == 0


@ON_SQLITE
def test_files_that_the_site_does_not_have_stop_nothing(engine: sa.Engine) -> None:
    definite = {"Cache-Control": "no-store, max-age=0"}
    gone = World(download=lambda *_: json_answer({"error": "File not found"}, 404, definite))

    assert gone.crawl_into(engine).outcomes == {Outcome.NOT_FOUND: FILES}


@ON_SQLITE
def test_the_bytes_of_a_broken_file_are_kept(engine: sa.Engine) -> None:
    World(storage=lambda *given: short(*given) if given[1] == 3 else None).crawl_into(engine)

    with engine.connect() as connection:
        kept = sa.select(headers.c.file_bytes).where(headers.c.file_id == ONE + 3)
        assert connection.execute(kept).scalar_one() == len(FILE) - 10


class Moving(Site):
    """Model 5, on the second page, takes the file of model 1 while that is being fetched."""

    async def fetch(self, target: Target, *, renew: Callable[[], bool]) -> Fetched:
        if target.version_id == 1:
            while len(self.asked) < 3:  # the second page is stored
                await anyio.lowlevel.checkpoint()
        return await super().fetch(target, renew=renew)


def test_what_is_not_found_in_a_version_is_asked_for_in_the_one_that_lists_it_now(
    engine: sa.Engine,
) -> None:
    moved = make_version(5, files=(make_file(5), make_file(1, version_id=5)))

    def answer(target: Target, _renew: Callable[[], bool]) -> Fetched:
        if target.version_id == 1:
            return Fetched(target=target, refusal=Outcome.NOT_FOUND, reason="no such file")
        return sound(target)

    site = Moving(answer=answer)
    site.models = [make_model(5, versions=(moved,)) if m.model_id == 5 else m for m in site.models]
    tally = run(engine, site)

    assert (tally.outcomes, tally.pending) == ({Outcome.DECODED: 12}, 0)
    assert site.fetched.count(1) == 2


@ON_SQLITE
@pytest.mark.parametrize("quota", [True, False])
def test_a_run_that_stops_for_the_site_does_not_wait_for_what_is_in_flight(
    engine: sa.Engine, *, quota: bool
) -> None:
    """Without the quota, listing continues and needs the time that it takes."""
    kind = QuotaError if quota else SiteError
    site = Site(trouble=lambda _: kind("http://site.invalid", "no"))

    with pytest.raises(kind):
        run(engine, site)

    assert site.hurried is not quota


def test_a_run_that_is_killed_within_a_row_leaves_nothing_to_undo(engine: sa.Engine) -> None:
    """What the torn run stored is pending; the next run tries it last and reads it."""

    def torn(number: int) -> Exception | None:
        return ZeroDivisionError("killed") if number == 6 else None

    def ill(target: Any, _renew: Callable[[], bool]) -> Any:
        return sound(target, prefix=bytes(8), file_bytes=8)

    with pytest.raises(ZeroDivisionError):
        run(engine, Site(trouble=torn, answer=ill))

    with engine.connect() as connection:
        columns = sa.select(loras.c.outcome, loras.c.reason, loras.c.next_try_at)
        rows = connection.execute(columns.order_by(loras.c.file_id)).all()
    assert {row.outcome for row in rows} == {Outcome.PENDING}
    assert sum(row.reason is not None for row in rows) >= 4
    # What was requested is marked, whether its result was stored or not.
    assert [row.next_try_at is not None for row in rows] == [True] * 6 + [False] * 6

    well = Site()
    tally = run(engine, well)
    assert (tally.outcomes, tally.pending) == ({Outcome.DECODED: 12}, 0)
    assert well.fetched[:6] == [*range(7, 13)]


def test_failures_of_many_at_the_end_of_all_workers_are_the_sites() -> None:
    """No worker has ten of them alone."""
    for elsewhere, settled in ((0, 5), (4, 5), (5, 0)):
        breaker = Breaker("http://site.invalid")
        for number in range(5):
            result = make_result(number, outcome=Outcome.FORBIDDEN, transient=True, header=b"")
            breaker.judge(result, NOW)

        breaker.end_in_peace(elsewhere)

        assert len(breaker.settled) == settled
        assert (breaker.trouble is None) == (settled > 0)
