"""An answer without rows names the texts that no row has, and the nearest ones that rows have."""

import time
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from crawler.query.parser import parse
from crawler.query.tree import Node
from crawler.store.read import unmatched as module
from crawler.store.read.search import Search, search
from crawler.store.read.unmatched import Unmatched, has_rows, unmatched
from crawler.store.schema.fields import BY_NAME
from crawler.store.schema.tables import file_tags, loras, tags
from tests.conftest import Prepared
from tests.query.test_alike import store
from tests.stored import insert_loras

if TYPE_CHECKING:
    from collections.abc import Callable

BASES = ("Illustrious", "Illustrious", "SDXL 1.0", "SDXL Turbo", "Pony", None)
OPTIMIZERS = ("AdamW8bit", "AdamW8bit", "AdamW", "Prodigy", None, "Lion")
TAGS = ("1girl", "red hair", "red_eyes", "infrared", "it's 100%", "Solo")


def _rows() -> list[dict[str, Any]]:
    return [
        {
            "base_model": base,
            "optimizer": optimizer,
            "network_dim": 2 ** (at + 2),
            "model_name": f"Some Style {at}",
            "sha256": f"{at:x}".rjust(64, "A"),
            "sd_model_hash": f"{at}ABCDEF0",
            "model_tags": ["character", "Style"] if at % 2 else ["style", 5],
            "other_settings": {"ss_huber_schedule": "snr"} if at < 2 else None,
            "creator": "mira_o",
        }
        for at, (base, optimizer) in enumerate(zip(BASES, OPTIMIZERS, strict=True))
    ]


def _fill(engine: sa.Engine) -> None:
    store(engine, _rows())
    with engine.begin() as connection:
        connection.execute(
            tags.insert(), [{"tag_id": at, "name": one} for at, one in enumerate(TAGS)]
        )
        rows = [
            {"file_id": at, "directory_number": 1, "tag_id": at, "count": 1}
            for at in range(len(TAGS))
        ]
        connection.execute(file_tags.insert(), rows)
        connection.execute(sa.update(loras).values(tag_count=1))


@pytest.fixture
def filled(prepared: Prepared) -> sa.Engine:
    return prepared("texts", _fill)


def tree_of(condition: str) -> Node:
    tree = parse([condition], BY_NAME)
    assert tree is not None
    return tree


def asked(engine: sa.Engine, condition: str) -> list[Unmatched]:
    tree = tree_of(condition)
    with engine.connect() as connection:
        with search(connection, Search(tree=tree)) as answer:
            assert list(answer.rows) == []
        return unmatched(connection, tree)


@pytest.mark.parametrize(
    ("condition", "name", "text", "near"),
    [
        ("optimizer='adamw8bit'", "optimizer", "adamw8bit", ("AdamW8bit",)),
        ("'adamw' = optimizer", "optimizer", "adamw", ("AdamW",)),
        ("base_model='illustrious'", "base_model", "illustrious", ("Illustrious",)),
        ("base_model:SDXL", "base_model", "SDXL", ("SDXL 1.0", "SDXL Turbo")),
        ("base_model:SDXXL*", "base_model", "SDXXL*", ("SDXL 1.0",)),
        ("base_model like 'sdx%0x'", "base_model", "sdx*0x", ("SDXL 1.0",)),
        ("base_model like 'Pny'", "base_model", "Pny", ("Pony",)),
        ("author:MiraO", "creator", "MiraO", ("mira_o",)),
        ("author:mira%o", "creator", "mira%o", ("mira_o",)),
        ("model_name:style", "model_name", "style", ("Some Style 0", "Some Style 1", "Some Style 2")),
        ("tags:red*", "tags", "red*", ("red hair", "red_eyes")),
        ("has(tags,'red%')", "tags", "red%", ("red hair", "red_eyes")),
        ("tag:1grl", "tags", "1grl", ("1girl",)),
        ("tag:frared", "tags", "frared", ("infrared",)),
        ("tag:solo", "tags", "solo", ("Solo",)),
        ("has(tag, 'its 100')", "tags", "its 100", ("it's 100%",)),
        ("has(model_tags, 'kharacter')", "model_tags", "kharacter", ("character",)),
        ("other_settings.ss_huber_schedule='SNR'", "other_settings.ss_huber_schedule", "SNR", ("snr",)),
        ("sd_model_hash='1abc'", "sd_model_hash", "1abc", ("1ABCDEF0",)),
        ("network_dim:4 base_model='pony'".replace(" ", " and "), "base_model", "pony", ("Pony",)),
        ("optimizer in ('prodigy') or network_dim=5", "optimizer", "prodigy", ("Prodigy",)),
        ("optimizer='adam' and (v2 or base_model='Pony')", "optimizer", "adam", ("AdamW8bit", "AdamW")),
    ],
)  # fmt: skip
def test_a_text_that_no_row_has_is_named_with_the_nearest(
    filled: sa.Engine, condition: str, name: str, text: str, near: tuple[str, ...]
) -> None:
    (found,) = asked(filled, condition)
    assert (found.name, found.text, found.near[: len(near)]) == (name, text, near)
    assert found.is_sure
    assert found.is_member is (name in ("tags", "model_tags"))


@pytest.mark.parametrize(
    "condition",
    [
        "base_model='Pony' and network_dim=4",
        "base_model:pony and optimizer:Lion",
        "has(tags,'Solo') and has(tags,'1girl')",
        "not optimizer like '%' and optimizer='AdamW'",
        "network_dim > 5000",
        "not (optimizer != 'adam') and network_dim > 5000",
        "lower(optimizer) = 'Lion'",
        "SHA256 = 'zz' or sha256 > 'B'",
    ],
)
def test_texts_that_rows_have_are_not_named(filled: sa.Engine, condition: str) -> None:
    assert [one.name for one in asked(filled, condition)] == (
        ["sha256"] if "SHA256" in condition else []
    )


def test_several_texts_are_named_once_each_and_few_values_are_listed(filled: sa.Engine) -> None:
    found = asked(filled, "optimizer in ('qqq', 'QQQ', 'adamw') and base_model='pony'")
    assert [(one.name, one.text) for one in found] == [
        ("optimizer", "QQQ"),
        ("optimizer", "adamw"),
        ("base_model", "pony"),
    ]
    assert found[0].near == ()
    assert found[0].common == ("AdamW8bit", "AdamW", "Lion")
    many = " and ".join(f"optimizer='q{at}'" for at in range(20))
    assert len(asked(filled, many)) == 5
    (part,) = asked(filled, "model_name:style")
    assert part.is_part
    assert not found[1].is_part


def test_values_come_from_all_over_a_large_table(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest and the local files have values that the first rows do not have."""
    monkeypatch.setattr(module, "_ROWS_OF_RANGE", 2)
    rows = [{"optimizer": "old" if at < 90 else "Newest"} for at in range(100)]
    store(engine, rows)
    with engine.begin() as connection:
        local = {"file_id": -3, "version_id": -1, "model_id": -1, "site": "local"}
        mine = {**local, "outcome": "decoded", "attempts": 1, "optimizer": "Mine"}
        insert_loras(connection, [mine])
        rare = sa.update(loras).where(loras.c.file_id == 5)
        connection.execute(rare.values(optimizer="Very rare one"))
    for text, near in (("newst", "Newest"), ("mine", "Mine"), ("rare", "Very rare one")):
        (found,) = asked(engine, f"optimizer='{text}'")
        assert found.near == (near,)


def test_what_takes_too_long_is_left_out(
    filled: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    condition = "optimizer='adamw8bit' and network_dim=4"
    monkeypatch.setattr(module, "_SECONDS_FOR_ANY", 0.0)
    (found,) = asked(filled, condition)
    assert (found.near, found.is_sure) == (("AdamW8bit",), False)
    monkeypatch.setattr(module, "SECONDS", 0.0)
    (found,) = asked(filled, "optimizer='adamw8bit'")
    assert found.near == ()


def endless(dialect: str) -> sa.Select[Any]:
    """A statement without an end that is not within reach."""
    if dialect == "postgresql":
        return sa.select(sa.func.pg_sleep(60))
    numbers = sa.select(sa.literal(1).label("n")).cte(recursive=True)
    numbers = numbers.union_all(sa.select(numbers.c.n + 1))
    return sa.select(sa.func.max(numbers.c.n))


def test_the_database_is_free_again_when_the_time_is_up(filled: sa.Engine) -> None:
    rows: Callable[..., Any] = module._rows
    with filled.connect() as connection:
        until = time.monotonic() + 0.05
        assert rows(connection, endless(filled.dialect.name), until) is None
        assert has_rows(connection)
        assert rows(connection, sa.select(sa.literal(1)), until + 60) == [(1,)]


def test_an_error_that_is_no_lack_of_time_is_raised(filled: sa.Engine) -> None:
    rows: Callable[..., Any] = module._rows
    with filled.connect() as connection, pytest.raises(sa.exc.DBAPIError):
        rows(connection, sa.select(sa.text("1 from nowhere")), time.monotonic() + 60)


def test_a_database_without_files_has_no_rows(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        assert not has_rows(connection)
        assert [one.near for one in unmatched(connection, tree_of("optimizer='x'"))] == [()]
