from pathlib import Path

import pytest

from crawler.errors import UsageError
from crawler.store.connect.url import redacted, resolve


def test_a_path_means_sqlite_and_is_made_absolute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    url = resolve("some folder/50% ünï #1?.db")

    assert url.drivername == "sqlite+pysqlite"
    assert url.database == str(tmp_path / "some folder/50% ünï #1?.db")


def test_a_tilde_is_the_home_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))

    assert resolve("~/loras.db").database == str(tmp_path / "loras.db")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_means_psycopg_3(scheme: str) -> None:
    url = resolve(f"{scheme}://ann:pw@db.example/loras?sslmode=require")

    assert url.drivername == "postgresql+psycopg"
    assert (url.username, url.password, url.host, url.database) == (
        "ann",
        "pw",
        "db.example",
        "loras",
    )
    assert url.query == {"sslmode": "require"}


def test_resolving_twice_changes_nothing() -> None:
    for where in ("loras.db", "postgres://ann@db.example/loras"):
        assert resolve(resolve(where)) == resolve(where)


@pytest.mark.parametrize(
    "where",
    [
        "",
        "  ",
        "a\x00b.db",
        ":memory:",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///a.db?mode=ro",
        "sqlite+aiosqlite:///a.db",
        "mysql://ann:hunter2@db.example/loras",
        "postgresql+asyncpg://ann:hunter2@db.example/loras",
        "postgresql://ann:hunter2@db.example:port/loras",
        "://hunter2",
    ],
)
def test_anything_else_is_refused_without_repeating_a_password(where: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(where)

    assert "hunter2" not in str(caught.value)


def test_no_password_is_shown() -> None:
    shown = redacted(
        "postgres://ann:hunter2@db.example:5433/loras?password=hunter3&sslmode=require"
    )

    assert "hunter" not in shown
    assert shown.startswith("postgresql://ann:***@db.example:5433/loras?")
    assert "sslmode=require" in shown


def test_a_file_is_shown_by_its_path(tmp_path: Path) -> None:
    assert redacted(tmp_path / "loras.db") == str(tmp_path / "loras.db")
