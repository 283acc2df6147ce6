"""`lora-crawl sync`, `status`, `db`, `login` as a person runs them."""

import json
import os
import re
import socket
import sqlite3
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from crawler.cli.pages.sync import forecast, summary_lines
from crawler.cli.run_sync import Job
from crawler.http.client import CONTACT_TRIES
from crawler.model import Outcome
from crawler.model.site import SANDBOX_URL
from crawler.sandbox import Catalogue, Changes, Faults, Sandbox
from crawler.store.schema.tables import crawls
from crawler.store.write.crawls import begin_crawl, finish_crawl
from crawler.store.write.results import store_results
from crawler.sync.progress import SyncTally
from crawler.sync.state import Plan
from tests.cli.headers import Run
from tests.conftest import ON_SQLITE
from tests.factories import NOW, make_model, make_result
from tests.stored import as_user, list_models
from tests.sync.conftest import OLDEST

DONE, USAGE, NO_DATABASE, WORK_LEFT = 0, 2, 3, 4


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The user's folders, empty."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


@pytest.fixture
def _few_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--sandbox` makes thousands."""
    monkeypatch.setattr("crawler.cli.run_sync.SANDBOX_MODELS", 30)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Catalogue(8, seed=2, faults=Faults.plain())) as running:
        yield running


@pytest.mark.usefixtures("_few_models")
def test_the_sandbox_line_fills_its_own_database_and_query_answers_like_sqlite(
    run: Run, home: Path
) -> None:
    synced = run("sync", "--limit", "15", "--sandbox")
    assert synced.exit_code == DONE, synced.output
    assert synced.stdout.startswith("15 models listed")
    assert "API key" not in synced.stderr
    place = home / "data" / "lora-crawl" / "sandbox.db"
    assert f"database: {place}" in synced.stdout
    assert synced.stdout.endswith(f'try: lora-crawl query "network_dim>64" --db {place}\n')

    asked = run(
        "query", "network_dim>16", "--columns", "file_id", "--limit", "0", "--db", str(place)
    )
    with sqlite3.connect(place) as connection:
        statement = "select file_id from loras where network_dim > 16 order by file_id"
        rows = [str(row[0]) for row in connection.execute(statement)]
    connection.close()
    assert asked.stdout.splitlines() == ["file_id", *rows]
    assert rows


@pytest.mark.usefixtures("_few_models")
def test_the_same_sandbox_database_can_be_synced_again(run: Run) -> None:
    assert run("sync", "--limit", "5", "--sandbox", "-q").exit_code == DONE
    again = run("sync", "--limit", "5", "--sandbox", "--json", "-q")

    assert again.exit_code == DONE
    summary = json.loads(again.stdout)
    assert summary["models_listed"] == 5
    assert (summary["new_files"], summary["counted_downloads"], summary["pending"]) == (0, 0, 0)
    assert (summary["ending"], summary["trouble"]) == ("done", None)


def test_a_sync_of_a_named_api_says_once_what_the_terms_ask(
    run: Run, sandbox: Sandbox, database_url: str
) -> None:
    words = ("sync", "--api-url", sandbox.url, "--rate", "0", "--limit", "3", "--db", database_url)

    anonymous = run(*words)

    assert anonymous.exit_code == DONE, anonymous.output
    assert anonymous.stderr.count("no API key") == 1
    status = run("status", "--db", database_url, "--json")
    found = json.loads(status.stdout)
    assert (found["models"], found["outcomes"].keys()) == (3, {"decoded"})
    assert found["last_run"]["ending"] == "done"
    plain = run("status", "--db", database_url)
    assert plain.stdout.startswith("3 models, ")


def test_a_walk_without_a_limit_says_first_what_it_takes(
    run: Run, sandbox: Sandbox, home: Path
) -> None:
    words = ("sync", "--api-url", sandbox.url, "--rate", "0", "--db", str(home / "walk.db"))
    costs = "each file costs one counted download"

    assert costs in run(*words).stderr
    again = run(*words).stderr
    assert costs not in again
    assert "full list already read; checking for changes" in again
    assert costs in run(*words, "--refresh").stderr
    assert costs not in run(*words, "--limit", "3").stderr
    assert "how many files there are is not known yet" in run(*words[:3], "--dry-run").stderr


@pytest.mark.parametrize(
    ("api_url", "said"),
    [
        ("https://civitai.com", "about 5 days 6 hours at 2 requests a second"),
        ("https://civitai.red", "Civitai has about 900,000 LoRA files"),
        ("http://127.0.0.1:8400", "how many files there are is not known yet"),
    ],
)
def test_only_civitai_is_said_to_have_its_number_of_files(api_url: str, said: str) -> None:
    lines = forecast(Plan(walk=OLDEST), api_url=api_url, rate=2, complete=False)
    assert said in next(lines)


def test_the_line_to_try_names_a_database_only_where_it_must(
    run: Run, sandbox: Sandbox, home: Path
) -> None:
    words = ("sync", "--api-url", sandbox.url, "--rate", "0", "--limit", "1")

    assert run(*words).stdout.endswith('try: lora-crawl query "network_dim>64"\n')
    named = run(*words, "--db", str(home / "my loras.db"))
    assert named.stdout.endswith(f"\"network_dim>64\" --db '{home / 'my loras.db'}'\n")


@ON_SQLITE
def test_a_key_from_the_environment_is_sent_and_never_shown(
    run: Run, sandbox: Sandbox, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIVITAI_API_TOKEN", sandbox.key)

    synced = run(
        *("sync", "--api-url", sandbox.url, "--rate", "0", "--limit", "3", "-v"),
        *("--db", database_url),
    )

    assert synced.exit_code == DONE, synced.output
    assert "no API key" not in synced.stderr
    assert sandbox.key not in synced.output
    assert sandbox.counters.key_leaks == 0


@pytest.mark.parametrize("more", [(), ("--enqueue",)])
def test_a_dry_run_says_the_cost_and_stores_nothing(
    run: Run, sandbox: Sandbox, home: Path, more: tuple[str, ...]
) -> None:
    place = home / "none.db"
    site = ("--api-url", sandbox.url, "--db", str(place))
    words = ("sync", "--limit", "7", "--dry-run", *site, *more)
    before = sandbox.counters.downloads

    told = run(*words)
    data = json.loads(run(*words, "--json").stdout)

    assert told.exit_code == DONE, told.output
    assert told.stdout.startswith("the walk lists 7 models")
    assert "nothing was stored" in told.stdout
    assert (data["models"], data["complete"], data["list_calls"]) == (7, True, 1)
    assert data["counted_downloads"] == data["files"] - data["not_safetensors"] > 0
    assert data["seconds"] == data["counted_downloads"] / 2  # two requests a second
    assert sandbox.counters.downloads == before
    assert not place.exists()


@ON_SQLITE
def test_a_site_that_refuses_us_is_exit_4_with_its_address_and_no_traceback(
    run: Run, database_url: str
) -> None:
    refusing = Faults(region_blocked=True)
    with Sandbox(Catalogue(3, faults=refusing)) as blocked:
        told = run("sync", "--api-url", blocked.url, "--limit", "3", "--db", database_url)

    assert told.exit_code == WORK_LEFT
    assert blocked.url in told.stderr
    assert "region" in told.stderr
    assert "Traceback" not in told.output


@pytest.mark.parametrize("words", [("sync", "--limit", "3"), ("sync", "--dry-run"), ("login",)])
def test_a_site_out_of_reach_is_told_at_the_first_contact(run: Run, words: tuple[str, ...]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        api = f"http://127.0.0.1:{taken.getsockname()[1]}"
        told = run(*words, "--api-url", api, text="some-key\n")

    assert told.exit_code == WORK_LEFT
    assert told.stderr.count("Connection refused; trying again") == CONTACT_TRIES - 1
    assert "(2 of 4)" in told.stderr
    assert "Check the network" in told.stderr


@ON_SQLITE
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--tag", "no-such-tag"), "the site has no tag 'no-such-tag'"),
        (("--base-model", "SDXL"), "the site has no base model 'SDXL'; did you mean SDXL 1.0?"),
        (("--creator", "nobody-at-all"), "the site has no creator 'nobody-at-all'"),
        (("--search", "\udcff"), "UTF-8"),
    ],
)
def test_what_the_site_does_not_know_is_a_usage_error(
    run: Run, sandbox: Sandbox, database_url: str, words: tuple[str, ...], said: str
) -> None:
    told = run("sync", "--api-url", sandbox.url, "--rate", "0", "--db", database_url, *words)

    assert told.exit_code == USAGE, told.output
    assert said in told.stderr
    assert told.stdout == ""


@ON_SQLITE
def test_an_api_without_a_list_is_not_told_of_the_network(run: Run, database_url: str) -> None:
    with Sandbox(Catalogue(1)) as site:
        url = f"{site.url}/nothing-here"
        told = run("sync", "--api-url", url, "--limit", "1", "--db", database_url)

    assert told.exit_code == WORK_LEFT
    assert "answers 404" in told.stderr
    assert "Check the URL of the API (--api-url)." in told.stderr
    assert "network" not in told.stderr


def test_verbose_tells_of_each_file_that_was_not_read(run: Run, home: Path) -> None:
    faults = Faults(downloads_disabled=0.9)
    with Sandbox(Catalogue(4, faults=faults)) as site:
        words = ("sync", "--api-url", site.url, "--rate", "0", "--db", str(home / "v.db"))
        told = run(*words, "-v")

    assert "downloads disabled" in told.stdout
    assert re.search(r"^file [0-9]+: downloads disabled", told.stderr, re.MULTILINE)


def test_an_interrupted_sync_says_how_to_go_on(
    run: Run, sandbox: Sandbox, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interrupted(
        _job: Job, _url: str, _engine: sa.Engine, tally: SyncTally, _end_soon: object
    ) -> None:
        tally.stopping = True

    monkeypatch.setattr("crawler.cli.run_sync._sync", interrupted)
    told = run("sync", "--api-url", sandbox.url, "--db", str(home / "stopped.db"))

    assert told.exit_code == WORK_LEFT
    assert told.stderr.endswith("Run the same command again to continue.\n")


@ON_SQLITE
def test_a_database_takes_from_one_api_and_a_mistyped_address_is_none(
    run: Run, sandbox: Sandbox, database_url: str
) -> None:
    words = ("--rate", "0", "--limit", "2", "--db", database_url)
    with Sandbox(Catalogue(3, faults=Faults(region_blocked=True))) as mistyped:
        assert run("sync", "--api-url", mistyped.url, *words).exit_code == WORK_LEFT
    assert run("sync", "--api-url", sandbox.url, *words).exit_code == DONE

    with Sandbox(Catalogue(3)) as other:
        told = run("sync", "--api-url", other.url, *words)

    assert told.exit_code == USAGE, told.output
    assert f"filled from {sandbox.url}" in told.stderr
    assert run("sync", "--api-url", sandbox.url, *words).exit_code == DONE


def test_only_some_models_can_be_asked_for(run: Run, sandbox: Sandbox, database_url: str) -> None:
    words = ("sync", "--api-url", sandbox.url, "--rate", "0", "--db", database_url)
    assert run(*words, "--limit", "2").exit_code == DONE
    reader = as_user(database_url, "reader")
    listed = run("sql", "select model_id from models order by 1", "--db", reader, "-q")
    first = listed.stdout.split()[1]

    told = run(*words, "--model", first, "--model", "2147483000")

    assert told.exit_code == DONE, told.output
    assert told.stdout.startswith("1 model listed")
    assert "no model 2147483000" in told.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--sandbox", "--api-url", "http://127.0.0.1:1"),
            "--sandbox cannot be combined with --api-url",
        ),
        (("--model", "5", "--tag", "style"), "--model cannot be combined with"),
        (("--limit", "0"), "--limit"),
        (("--rate", "-1"), "--rate"),
        (("--order", "newest"), "--order"),
        (("--type", "VAE"), "--type"),
        (("--api-url", "ftp://x"), "ftp://x"),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(
    run: Run, words: tuple[str, ...], said: str, home: Path
) -> None:
    told = run("sync", *words, "--db", str(home / "x.db"))

    assert told.exit_code == USAGE, told.output
    assert said in told.stderr
    assert told.stdout == ""


def test_db_says_where_and_what_and_what_to_run(run: Run, home: Path) -> None:
    default = home / "data" / "lora-crawl" / "loras.db"
    assert run("db", "path").stdout == f"{default}\n"

    missing = run("db", "check")
    assert missing.exit_code == NO_DATABASE
    assert "lora-crawl sync" in missing.stderr
    assert not default.exists()

    assert run("db", "upgrade").exit_code == DONE
    assert run("db", "check").exit_code == DONE
    info = run("db", "info").stdout
    assert f"{default}" in info
    assert "loras" in info


def test_login_keeps_a_key_that_the_site_knows_for_the_user_alone(
    run: Run, sandbox: Sandbox, home: Path
) -> None:
    refused = run("login", "--api-url", sandbox.url, text="wrong-key\n")
    assert refused.exit_code == USAGE
    assert "wrong-key" not in refused.output
    kept = home / "config" / "lora-crawl" / "token"
    assert not kept.exists()

    accepted = run("login", "--api-url", sandbox.url, text=f"{sandbox.key}\n")
    assert accepted.exit_code == DONE, accepted.output
    assert sandbox.key not in accepted.output
    assert kept.read_text(encoding="utf-8").strip() == sandbox.key
    if sys.platform != "win32":
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600

    assert "removed" in run("logout").stderr
    assert not kept.exists()
    assert "no stored key" in run("logout").stderr


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody sees what is asked, and types."""
    monkeypatch.setattr("crawler.cli.commands.sync._at_a_terminal", lambda: True)


@pytest.mark.usefixtures("terminal")
def test_a_sync_without_a_key_offers_to_take_one(run: Run, sandbox: Sandbox, home: Path) -> None:
    words = ("sync", "--api-url", sandbox.url, "--rate", "0", "--limit", "1")
    kept = home / "config" / "lora-crawl" / "token"

    without = run(*words, text="\n")
    assert without.exit_code == DONE, without.output
    assert without.stderr.count("No API key") == 1
    assert "anonymously" not in without.stderr
    assert not kept.exists()

    taken = run(*words, text=f"wrong-key\n{sandbox.key}\n")
    assert taken.exit_code == DONE, taken.output
    assert "does not accept this key" in taken.stderr
    assert "wrong-key" not in taken.output
    assert sandbox.key not in taken.output
    assert kept.read_text(encoding="utf-8").strip() == sandbox.key

    assert "API key" not in run(*words).stderr


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("option", ["--anonymous", "--quiet", "--dry-run"])
def test_a_key_is_not_asked_for_in_vain(run: Run, sandbox: Sandbox, option: str) -> None:
    told = run("sync", "--api-url", sandbox.url, "--rate", "0", "--limit", "1", option)

    assert told.exit_code == DONE, told.output
    assert "press Enter" not in told.stderr
    assert ("Continuing anonymously" in told.stderr) == (option == "--anonymous")


def test_an_anonymous_sync_uses_no_stored_key(
    run: Run, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIVITAI_API_TOKEN", "a-wrong-key")
    words = ("sync", "--api-url", sandbox.url, "--rate", "0", "--limit", "1")

    assert run(*words).exit_code == WORK_LEFT
    assert run(*words, "--anonymous").exit_code == DONE


def test_a_key_that_no_header_can_hold_is_refused(run: Run, sandbox: Sandbox) -> None:
    told = run("login", "--api-url", sandbox.url, text="a kéy\n")

    assert told.exit_code == USAGE
    assert "characters that no key has" in told.stderr
    assert "kéy" not in told.output


def test_a_refresh_says_what_it_found_and_status_what_is_tried_again(
    run: Run, database_url: str
) -> None:
    faults = Faults(gone=0.2, early_access=0.2)
    before = Catalogue(20, seed=5, faults=faults)
    changes = Changes(replaced_files=0.2, gone_models=0.1)
    with Sandbox(before) as site:
        words = ("sync", "--api-url", site.url, "--rate", "0", "--nsfw", "--db", database_url)
        assert run(*words).exit_code == DONE
        site.show(before.later(changes))
        told = run(*words, "--refresh")
        again = json.loads(run(*words, "--refresh", "--json", "-q").stdout)

    assert told.exit_code == DONE, told.output
    first, second, *_ = told.stdout.splitlines()
    assert " replaced" in first
    assert re.fullmatch(r"gone: [1-9]\d* models, [1-9]\d* versions, [1-9]\d* files", second)
    assert (again["replaced_files"], again["gone_models"], again["counted_downloads"]) == (0, 0, 0)
    status = run("status", "--db", database_url).stdout
    assert "no longer listed by the site" in status
    assert "retry with lora-crawl sync --retry-failed" in status
    assert max(map(len, status.splitlines())) <= 100


@ON_SQLITE
def test_advice_about_a_made_up_catalogue_names_its_own_commands(
    run: Run, engine: sa.Engine
) -> None:
    place = engine.url.render_as_string(hide_password=False)
    refused = {1: Outcome.LOGIN_REQUIRED, 2: Outcome.FORBIDDEN}
    with engine.begin() as connection:
        begin_crawl(connection, origin=SANDBOX_URL, walk="w", now=NOW)
        list_models(connection, *map(make_model, (1, 2, 3)), origin=SANDBOX_URL)
        store_results(connection, [make_result(n, b"", outcome=o) for n, o in refused.items()])

    status = run("status", "--db", place)
    shown = run("show", "1", "--db", place).stdout

    assert "a real file like this needs an API key" in status.stdout
    assert "retry with lora-crawl sync --sandbox --retry-failed" in status.stdout
    assert status.stderr == "1 file to read: run lora-crawl sync --sandbox\n"
    assert "A real file like this needs an API key." in shown
    tally = SyncTally(outcomes=Counter(refused.values()))
    report = summary_lines(tally, where=place, is_whole=True, api_url=None)
    lines = "\n".join(report)
    assert "a real file like this needs an API key" in lines
    assert "retry with lora-crawl sync --sandbox --retry-failed" in lines


@ON_SQLITE
def test_status_says_when_a_spent_quota_is_there_again(run: Run, database_url: str) -> None:
    with Sandbox(Catalogue(12, seed=2, faults=Faults(quota=3))) as site:
        told = run("sync", "--api-url", site.url, "--rate", "0", "--db", database_url)

    assert told.exit_code == WORK_LEFT
    assert "unusual amount of downloading" in told.stderr
    status = run("status", "--db", database_url)
    assert "the site refused the last run: continue after " in status.stdout
    assert json.loads(run("status", "--db", database_url, "--json").stdout)["go_on_at"]


def test_what_the_site_said_at_the_end_controls_no_terminal(run: Run, engine: sa.Engine) -> None:
    hostile = "answers 403: \x1b]52;c;cm0gLXJm\x07 \x9b2J\x00\u202e"
    with engine.begin() as connection:
        number = begin_crawl(connection, origin="https://civitai.com", walk="w", now=NOW)
        finish_crawl(connection, number, ending=hostile, summary={}, now=NOW)
        ending: str = connection.execute(sa.select(crawls.c.ending)).scalar_one()
    assert ending.isprintable()
    with engine.begin() as connection:  # as an earlier version stored it
        connection.execute(sa.update(crawls).values(ending="\x1b]52;c;cm0gLXJm\x07"))

    told = run("status", "--db", engine.url.render_as_string(hide_password=False))

    assert "\\x1b]52;c;cm0gLXJm\\x07" in told.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="files have no such modes there")
def test_a_key_that_others_can_read_is_told(run: Run, sandbox: Sandbox, home: Path) -> None:
    token = home / "config" / "lora-crawl" / "token"
    token.parent.mkdir(parents=True)
    token.write_text(sandbox.key)
    words = ("sync", "--api-url", sandbox.url, "--rate", "0", "--limit", "1")
    token.chmod(0o640)
    url = f"{sandbox.url}/models/1"
    inspecting = ("inspect", "--api-url", sandbox.url, url, url)
    for each in (words, inspecting):
        assert run(*each).stderr.count(f"other users can read {token}") == 1
    token.chmod(0o600)
    for each in (words, inspecting):
        assert "other users" not in run(*each).stderr


def test_a_check_looks_at_the_tables(run: Run, engine: sa.Engine) -> None:
    place = engine.url.render_as_string(hide_password=False)
    assert run("db", "check", "--db", place).exit_code == DONE
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE cursors")
        connection.exec_driver_sql("ALTER TABLE tags RENAME COLUMN name TO title")

    told = run("db", "check", "--db", place)

    assert told.exit_code == NO_DATABASE
    assert "lacks cursors, tags.name" in told.stderr


def test_a_check_misses_no_index_or_view(run: Run, engine: sa.Engine) -> None:
    place = engine.url.render_as_string(hide_password=False)
    indexes = sa.text(
        "SELECT sql FROM sqlite_master WHERE name LIKE 'ix!_%' ESCAPE '!' ORDER BY name"
        if engine.dialect.name == "sqlite"
        else "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname"
    )
    with engine.begin() as connection:
        made = connection.execute(indexes).scalars().all()
        for name in ("loras_gone_at", "tags_name", "loras_creator", "file_tags_tag_id"):
            connection.exec_driver_sql(f"DROP INDEX ix_{name}")
        connection.exec_driver_sql("CREATE INDEX mine ON loras (seed)")
        connection.exec_driver_sql("DROP VIEW lora_tags")

    told = run("db", "check", "--db", place)

    assert told.exit_code == NO_DATABASE
    lacks, advice = told.stderr.splitlines()
    assert lacks.endswith(
        "lacks index ix_file_tags_tag_id, index ix_loras_creator, index ix_loras_gone_at,"
        " index ix_tags_name, view lora_tags"
    )
    assert "lora-crawl db upgrade --db" in advice
    assert run("db", "upgrade", "--db", place).exit_code == DONE
    assert run("db", "check", "--db", place).exit_code == DONE
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX mine")
        assert connection.execute(indexes).scalars().all() == made


def test_an_upgrade_does_not_make_lost_tables(run: Run, engine: sa.Engine) -> None:
    place = engine.url.render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE cursors")

    told = run("db", "upgrade", "--db", place)

    assert told.exit_code == NO_DATABASE
    assert "lacks cursors; restore it from a backup" in told.stderr


def test_a_damaged_page_is_an_error_in_words(run: Run, sqlite_template: Path, home: Path) -> None:
    place = home / "damaged.db"
    content = bytearray(sqlite_template.read_bytes())
    content[3 * 4096 : 4 * 4096] = b"\xff" * 4096
    place.write_bytes(content)

    told = run("db", "check", "--db", str(place))

    assert told.exit_code == NO_DATABASE
    assert "damaged" in told.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are closed in another way there")
def test_a_reader_who_goes_away_does_not_end_the_crawl(sandbox: Sandbox, home: Path) -> None:
    place = home / "loras.db"
    words = ("sync", "--api-url", sandbox.url, "--rate", "0", "-v", "--db", str(place))
    reading, writing = os.pipe()
    os.close(reading)
    subprocess.run(
        [sys.executable, "-m", "crawler", *words], stdout=writing, stderr=writing, check=False
    )
    os.close(writing)
    assert ending_of(place) == ("done", 0)


@pytest.mark.skipif(sys.platform == "win32", reason="no shell there closes streams")
@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_a_crawl_without_streams_is_done(sandbox: Sandbox, home: Path, closed: str) -> None:
    place = home / "loras.db"
    words = ("sync", "--api-url", sandbox.url, "--rate", "0", "--limit", "3", "--db", str(place))
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "crawler", *words]
    assert subprocess.run(shell, check=False).returncode == DONE
    assert ending_of(place) == ("done", 0)


def ending_of(place: Path) -> tuple[str, int]:
    """How the only run ended, and how many files are pending."""
    with sqlite3.connect(place) as connection:
        (ending,) = connection.execute("select ending from crawls").fetchone()
        (pending,) = connection.execute(
            "select count(*) from loras where outcome = 'pending'"
        ).fetchone()
    connection.close()
    return ending, pending
