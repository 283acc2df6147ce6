"""Whose fault a failure is, what is tried again and when, and what costs nothing."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from crawler.errors import QuotaError, SiteError, UnreachableError
from crawler.model import Fetched, Outcome, Target
from crawler.store.read.headers import stored_header, unpacked
from crawler.store.read.status import status
from crawler.store.schema.tables import crawls, headers, loras, old_headers
from crawler.sync.breaker import FAILURES_IN_A_ROW
from tests.factories import NOW, make_file, make_header_bytes, make_model, make_version
from tests.sync.site import Site, run, sound

HOUR = timedelta(hours=1)

DOWN = "storage.invalid answers 503 (tried 3 times)"


def rows(engine: sa.Engine, *columns: sa.Column[Any]) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        found = connection.execute(sa.select(*columns).order_by(loras.c.file_id))
        return [tuple(row) for row in found]


def outcomes(engine: sa.Engine) -> dict[int, str]:
    return dict(rows(engine, loras.c.file_id, loras.c.outcome))


def failed(target: Target, **changes: Any) -> Fetched:
    given: dict[str, Any] = {"reason": DOWN, "transient": True, "tries": 3, "counted_downloads": 1}
    return Fetched(target=target, refusal=Outcome.FAILED, **given | changes)


def refused(outcome: Outcome, **changes: Any) -> Callable[..., Fetched]:
    return lambda target, _: Fetched(target=target, refusal=outcome, reason="no", **changes)


def at(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment


# --- the site is down ---------------------------------------------------------------------------


def test_failures_in_a_row_are_the_sites_and_the_files_stay_pending(engine: sa.Engine) -> None:
    site = Site(answer=lambda target, _: failed(target))

    with pytest.raises(SiteError, match="is down") as stopped:
        run(engine, site, clock=at(NOW))

    assert DOWN in str(stopped.value)
    assert len(site.fetched) == FAILURES_IN_A_ROW
    assert set(outcomes(engine).values()) == {Outcome.PENDING}
    attempts = [row[0] for row in rows(engine, loras.c.attempts)]
    assert attempts == [3] * FAILURES_IN_A_ROW + [0] * (12 - FAILURES_IN_A_ROW)
    with engine.connect() as connection:
        found = status(connection, NOW)
    assert (found.waiting, found.due) == (0, 12)
    assert found.closed_until is None


def test_a_site_that_is_up_again_gives_at_once_what_was_not_had(engine: sa.Engine) -> None:
    down = Site(answer=lambda target, _: failed(target))
    for _ in range(3):
        with pytest.raises(SiteError):
            run(engine, down, clock=at(NOW))

    up = Site()
    again = run(engine, up, clock=at(NOW))

    assert (again.outcomes, again.pending) == ({Outcome.DECODED: 12}, 0)


def test_files_that_fail_for_good_cannot_stop_every_run(engine: sa.Engine) -> None:
    broken = Site(answer=lambda target, _: (failed if target.file_id <= 11 else sound)(target))
    with pytest.raises(SiteError):
        run(engine, broken, clock=at(NOW))

    again = run(engine, broken, clock=at(NOW))

    assert broken.fetched[10:] == [11, 12, *range(1, 11)]
    assert again.outcomes == {Outcome.FAILED: 11, Outcome.DECODED: 1}
    assert again.pending == 0


def test_files_that_fail_for_good_come_to_an_end_with_nothing_else_left(
    engine: sa.Engine,
) -> None:
    broken = Site(answer=lambda target, _: failed(target))
    for _ in range(3):
        with pytest.raises(SiteError):
            run(engine, broken, clock=at(NOW))

    last = run(engine, broken, clock=at(NOW))

    assert (last.outcomes, last.pending) == ({Outcome.FAILED: 12}, 0)


def test_a_few_failures_among_sound_files_are_the_files_own(engine: sa.Engine) -> None:
    site = Site(answer=lambda target, _: (sound if target.file_id % 3 else failed)(target))

    tally = run(engine, site)

    assert tally.outcomes == {Outcome.DECODED: 8, Outcome.FAILED: 4}
    assert {file_id for file_id, outcome in outcomes(engine).items() if outcome == "failed"} == {
        *(3, 6, 9, 12)
    }


def test_failures_that_are_the_files_own_stop_nothing(engine: sa.Engine) -> None:
    site = Site(answer=lambda target, _: failed(target, transient=False))

    assert run(engine, site).outcomes == {Outcome.FAILED: 12}


def test_a_file_that_alone_meets_a_trouble_of_the_site_is_put_off_once(engine: sa.Engine) -> None:
    odd = SiteError("http://site.invalid", "answers 403: Forbidden")

    def answer(target: Target, _: Callable[[], bool]) -> Fetched:
        if target.file_id == 5:
            raise odd
        return sound(target)

    site = Site(answer=answer)
    tally = run(engine, site, concurrency=2, clock=at(NOW))

    assert (tally.outcomes, tally.pending) == ({Outcome.DECODED: 11}, 1)
    assert site.fetched.count(5) == 3
    assert outcomes(engine)[5] == Outcome.PENDING
    with engine.connect() as connection:
        assert status(connection, NOW).go_on_at == NOW + HOUR

    alone = run(engine, Site(answer=answer), clock=at(NOW + HOUR), refresh=True)
    assert (alone.models, alone.files, alone.pending) == (12, 0, 1)

    with engine.begin() as connection:
        connection.execute(sa.update(loras).values(outcome=Outcome.PENDING))
    again = run(engine, Site(answer=answer), concurrency=2, clock=at(NOW + 2 * HOUR))

    assert again.outcomes == {Outcome.DECODED: 11, Outcome.FAILED: 1}
    assert again.pending == 0


def test_no_connection_to_the_site_is_never_a_files_own(engine: sa.Engine) -> None:
    broken = UnreachableError("http://site.invalid", "no connection")
    with pytest.raises(SiteError, match="no connection"):
        run(engine, Site(trouble=lambda _: broken), clock=at(NOW))

    assert run(engine, Site(), clock=at(NOW)).outcomes == {Outcome.DECODED: 12}


# --- tried again --------------------------------------------------------------------------------


def test_early_access_is_tried_again_once_it_is_over(engine: sa.Engine) -> None:
    until = NOW + HOUR
    site = Site(answer=refused(Outcome.EARLY_ACCESS, early_access_until=until))
    run(engine, site, clock=at(NOW))
    with engine.connect() as connection:
        assert status(connection, NOW).free_at == until

    assert run(engine, Site(), clock=at(until - HOUR / 2)).files == 0
    assert run(engine, Site(), clock=at(until)).outcomes == {Outcome.DECODED: 12}


def test_a_wanted_login_is_tried_again_once_a_key_is_there(engine: sa.Engine) -> None:
    site = Site(answer=refused(Outcome.LOGIN_REQUIRED))
    run(engine, site, has_api_key=False)

    assert run(engine, site, has_api_key=False).files == 0
    assert run(engine, site, has_api_key=True).outcomes == {Outcome.LOGIN_REQUIRED: 12}
    assert run(engine, site, has_api_key=True).files == 0
    assert run(engine, Site(), has_api_key=True, retry_failed=True).outcomes == {
        Outcome.DECODED: 12
    }


@pytest.mark.parametrize(
    "outcome", [Outcome.DOWNLOADS_DISABLED, Outcome.FORBIDDEN, Outcome.ARCHIVED]
)
def test_what_is_refused_for_good_is_never_asked_for_again(
    engine: sa.Engine, outcome: Outcome
) -> None:
    run(engine, Site(answer=refused(outcome)))

    again = Site()
    run(engine, again, has_api_key=True, retry_failed=True, refresh=True)

    assert again.fetched == []


def test_a_spent_quota_says_when_to_go_on(engine: sa.Engine) -> None:
    spent = QuotaError("http://site.invalid", "an unusual amount of downloading")

    with pytest.raises(QuotaError):
        run(engine, Site(trouble=lambda _: spent), clock=at(NOW))

    with engine.connect() as connection:
        assert status(connection, NOW).closed_until == NOW + 24 * HOUR
        assert status(connection, NOW + 24 * HOUR).closed_until is None
    run(engine, Site(), clock=at(NOW))
    with engine.connect() as connection:
        assert status(connection, NOW).closed_until is None


# --- costs --------------------------------------------------------------------------------------

SAME = make_file(1).sha256


def shelves(*sha256: str | None) -> Mapping[str, Any]:
    """Models 1, 2 … with one file each, of these hashes and one size."""
    return {
        "models": tuple(
            make_model(
                number,
                versions=(make_version(number, files=(make_file(number, sha256=one),)),),
            )
            for number, one in enumerate(sha256, start=1)
        )
    }


def test_the_same_bytes_under_several_ids_are_fetched_once(engine: sa.Engine) -> None:
    site = Site(**shelves(SAME, SAME, "AB", SAME, None, None))

    tally = run(engine, site, concurrency=4)

    assert sorted(site.fetched) == [1, 3, 5, 6]
    assert (tally.counted_downloads, tally.same_content, tally.pending) == (4, 2, 0)
    assert tally.outcomes == {Outcome.DECODED: 6}
    told = rows(engine, loras.c.attempts, loras.c.network_dim, loras.c.reason)
    assert [one[0] for one in told] == [1, 0, 1, 0, 1, 1]
    assert {one[1:] for one in told} == {(32, None)}
    with engine.connect() as connection:
        assert len(connection.execute(sa.select(headers)).all()) == 6


def test_a_file_that_comes_later_is_taken_from_the_known_one(engine: sa.Engine) -> None:
    run(engine, Site(**shelves(SAME)))

    later = Site(**shelves(SAME, SAME))
    tally = run(engine, later, max_downloads=1)

    assert later.fetched == []
    assert (tally.counted_downloads, tally.same_content, tally.pending) == (0, 1, 0)


def test_bytes_that_could_not_be_had_under_one_id_are_asked_for_under_the_next(
    engine: sa.Engine,
) -> None:
    no = refused(Outcome.NOT_FOUND)
    site = Site(
        answer=lambda target, renew: no(target, renew) if target.file_id == 1 else sound(target),
        **shelves(SAME, SAME, SAME),
    )

    tally = run(engine, site, concurrency=4)

    assert site.fetched == [1, 2]
    assert tally.outcomes == {Outcome.NOT_FOUND: 1, Outcome.DECODED: 2}


def test_another_size_is_other_bytes(engine: sa.Engine) -> None:
    one, two = (make_file(number, sha256=SAME, size_bytes=number) for number in (1, 2))
    both = make_model(1, versions=(make_version(1, files=(one, replace(two))),))
    site = Site(models=(both,))

    run(engine, site)

    assert site.fetched == [1, 2]


def test_a_budget_that_is_used_up_is_said(engine: sa.Engine) -> None:
    assert run(engine, Site(), max_downloads=5).notices == [
        "--max-downloads is used up; 7 files are still pending; the same command continues"
    ]
    assert run(engine, Site(), max_downloads=7).notices == []


@pytest.mark.parametrize("budget", [0, 1, 5, 7])
def test_a_budget_is_never_passed_where_links_must_be_renewed(
    engine: sa.Engine, budget: int
) -> None:
    def stale(target: Target, renew: Callable[[], bool]) -> Fetched:
        if target.file_id % 2:
            return sound(target)
        if renew():
            return sound(target, counted_downloads=2)
        return Fetched(target=target, refusal=Outcome.PENDING, reason="stale", counted_downloads=1)

    tally = run(engine, Site(answer=stale), max_downloads=budget, concurrency=4)

    assert tally.counted_downloads <= budget
    assert tally.pending > 0
    assert set(outcomes(engine).values()) <= {Outcome.PENDING, Outcome.DECODED}
    assert run(engine, Site(answer=stale)).pending == 0


# --- replaced, and the clock --------------------------------------------------------------------


def test_a_replaced_file_is_read_again_and_its_old_header_kept(engine: sa.Engine) -> None:
    run(engine, Site(**shelves(SAME)))
    other = make_header_bytes({"ss_network_dim": "8", "ss_network_module": "networks.lora"})
    site = Site(answer=lambda target, _: sound(target, prefix=other), **shelves("CD"))

    tally = run(engine, site)

    assert (tally.replaced, tally.counted_downloads, tally.pending) == (1, 1, 0)
    assert rows(engine, loras.c.network_dim, loras.c.sha256) == [(8, "CD")]
    with engine.connect() as connection:
        assert stored_header(connection, 1) == other
        (old,) = connection.scalars(sa.select(old_headers.c.data)).all()
        assert unpacked(old, 1) == make_header_bytes()


def test_a_clock_that_goes_backwards_loses_and_hides_nothing(engine: sa.Engine) -> None:
    past = NOW - timedelta(days=400)
    moments = iter([NOW] * 5)
    broken = Site(page_trouble=SiteError("http://site.invalid", "no connection"))
    with pytest.raises(SiteError):
        run(engine, broken, clock=at(NOW))

    first = run(engine, Site(), clock=lambda: next(moments, past))
    again = run(engine, Site(), clock=at(past), refresh=True)

    assert first.outcomes == {Outcome.DECODED: 12}
    assert (again.files, again.models, again.pending) == (0, 12, 0)
    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count(loras.c.gone_at))).scalar_one() == 0
        assert connection.execute(sa.select(sa.func.count(crawls.c.ending))).scalar_one() == 3
