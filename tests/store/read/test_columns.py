"""The keys of JSON columns mean the same on both databases, whatever a file holds."""

import json
import re
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import given as drawn
from hypothesis import strategies as st

from crawler.query.fields import Kind, columns, order
from crawler.query.parser import parse
from crawler.store.read.columns import column_of
from crawler.store.read.search import Search, search, sparse_fields, statement_text
from crawler.store.schema.fields import BY_NAME
from crawler.store.schema.tables import loras
from tests.query.test_alike import store

#: One value a row, as trainers write them and as nobody should.
VALUES: tuple[Any, ...] = (
    *(0.1, 1e-05, 32, 32.0, -4, 2**53 + 1, -(2**63), 1e300, 0),
    *("0.1", "1e-05", "32", "32.0", "-4", "1e99", "-1E+5", "007", "1e100", "1e999", ".5", "5."),
    *("+5", " 5", "5 ", "1 2", "1-2", "0x10", "-", "", "e5", "1" * 25, "1" * 26, "٣"),
    *(True, False, "True", "false", "TRUE", "None", "snr", "SNR", "naïve", "ÄÖ", "a\\b", "it's"),
    *("Infinity", "NaN", "[1]", '{"a": 1}', "null", "1\n"),
    *([], [0.9, 0.99], ["x"], {"inner": 1}, None),
)
ROWS: list[dict[str, Any]] = [
    {"optimizer_args": {"a key": value, "k.ey": value, "key": value}} for value in VALUES
]
ROWS += [{"optimizer_args": {"other": 1}}, {"optimizer_args": None}, {"optimizer_args": {}}]

_NUMERAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?", re.ASCII)


def meaning(value: Any, kind: Kind) -> Any:  # noqa: PLR0911 - a case for each kind
    match kind, value:
        case Kind.NUMBER, int() | float() if not isinstance(value, bool):
            return float(value)
        case Kind.NUMBER, str() if len(value) <= 25 and _NUMERAL.fullmatch(value):
            return float(value)
        case Kind.TEXT, str() | bool():
            return str(value)
        case Kind.BOOLEAN, bool():
            return value
        case Kind.BOOLEAN, str() if value.lower() in ("true", "false"):
            return value.lower() == "true"
        case Kind.VALUE, _:
            return value
    return None


@pytest.mark.parametrize("key", ["key", "k.ey", "a key"])
@pytest.mark.parametrize("kind", [Kind.NUMBER, Kind.TEXT, Kind.BOOLEAN, Kind.VALUE])
def test_a_value_is_read_in_the_form_that_is_asked_for(
    engine: sa.Engine, kind: Kind, key: str
) -> None:
    store(engine, ROWS)
    column = column_of(f"optimizer_args.{key}", kind, engine.dialect.name)
    with engine.connect() as connection:
        found = connection.execute(sa.select(column).order_by(loras.c.file_id)).scalars().all()
    expected = [meaning((row["optimizer_args"] or {}).get(key), kind) for row in ROWS]
    assert list(map(repr, found)) == list(map(repr, expected))


def test_any_json_can_be_asked_for(engine: sa.Engine) -> None:
    scalars: st.SearchStrategy[Any] = (
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
    )
    scalars |= st.integers(-(2**63), 2**63 - 1) | st.text(
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30
    )
    scalars |= st.from_regex(r"\A-?[0-9]{1,4}\.?[0-9]{0,4}([eE][-+]?[0-9]{1,3})?\Z")

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @drawn(scalars)
    def check(value: Any) -> None:
        written = sa.update(loras).where(loras.c.file_id == 0)
        connection.execute(written.values(optimizer_args={"key": value}))
        kinds = (Kind.NUMBER, Kind.TEXT, Kind.BOOLEAN)
        shown: list[Any] = [column_of("optimizer_args.key", kind, dialect) for kind in kinds]
        found = connection.execute(sa.select(*shown)).one()
        assert tuple(found) == tuple(meaning(value, kind) for kind in kinds)

    store(engine, [{}])
    dialect = engine.dialect.name
    with engine.begin() as connection:
        check()


def found(engine: sa.Engine, condition: str, **options: Any) -> list[tuple[Any, ...]]:
    asked = Search(tree=parse([condition] if condition else [], BY_NAME), limit=0, **options)
    with engine.connect() as connection, search(connection, asked) as answer:
        return list(answer.rows)


def numbered(value: Any) -> float | None:
    number: float | None = meaning(value, Kind.NUMBER)
    return number


@pytest.mark.parametrize(
    ("condition", "matching"),
    [
        ("optimizer_args.key >= 32", lambda value: (numbered(value) or 0) >= 32),
        ("OPTIMIZER_ARGS.key = '32'", lambda value: numbered(value) == 32),
        ("optimizer_args.key in (0.1, '-4')", lambda value: numbered(value) in (0.1, -4)),
        ("optimizer_args.key in ('snr', '32')", lambda value: value in ("snr", "32")),
        ("optimizer_args.key:snr", lambda value: str(value).lower() == "snr"),
        ("optimizer_args.key:-4..0.1", lambda value: numbered(value) in (-4, 0, 1e-05, 0.1)),
        ("optimizer_args.key:'32'", lambda value: value == "32"),
        ("optimizer_args.key:true", lambda value: str(value).lower() == "true"),
        ("optimizer_args.key = true", lambda value: str(value).lower() == "true"),
        ("optimizer_args.key is true", lambda value: str(value).lower() == "true"),
        ("optimizer_args.key != 'snr'", lambda value: meaning(value, Kind.TEXT) not in (None, "snr")),
        ("optimizer_args.key like 'na_ve'", lambda value: value == "naïve"),
        ("lower(optimizer_args.key) = 'snr'", lambda value: str(value).lower() == "snr"),
        ("length(optimizer_args.key) = 2", lambda value: isinstance(value, str) and len(value) == 2),
        ("abs(optimizer_args.key) * 2 = 8", lambda value: numbered(value) == -4),
        ("-optimizer_args.key = 4", lambda value: numbered(value) == -4),
        ("coalesce(optimizer_args.key, 5) = 5", lambda value: numbered(value) is None),
        ("optimizer_args.key = optimizer_args.'a key'", lambda value: isinstance(value, str | bool)),
        ("optimizer_args.key = file_id", lambda value: numbered(value) == VALUES.index(value)),
        ("optimizer_args.key:*", lambda value: value is not None),
        ("optimizer_args.'a key' is null", lambda value: value is None),
        ("optimizer_args.k.ey = 'it''s'", lambda value: value == "it's"),
    ],
)  # fmt: skip
def test_keys_take_the_kind_beside_them(engine: sa.Engine, condition: str, matching: Any) -> None:
    store(engine, ROWS[: len(VALUES)])
    expected = [at for at, value in enumerate(VALUES) if matching(value)]
    assert [row[0] for row in found(engine, condition, columns=("file_id",))] == expected
    assert expected or "file_id" in condition


def test_keys_are_columns_and_orders(engine: sa.Engine) -> None:
    values = (3, "20", 0.5, "b", "a", [1], None, True)
    store(engine, [{"optimizer_args": {"key": value}, "likes": 1} for value in values])
    shown = columns("file_id,Optimizer_Args.key", BY_NAME)
    assert shown == ("file_id", "optimizer_args.key")
    rows = found(engine, "", columns=shown, sort=order("-optimizer_args.key", BY_NAME))
    assert [value for _, value in rows] == ["20", 3, 0.5, "b", "a", True, [1], None]
    rows = found(engine, "", columns=shown, sort=order("optimizer_args.key", BY_NAME))
    assert [value for _, value in rows] == [0.5, 3, "20", True, "a", "b", [1], None]
    groups = found(engine, "", group_by=("optimizer_args.key",))
    assert [row[0] for row in groups[:6]] == [0.5, 3, "20", True, "a", "b"]
    assert {json.dumps(row[0]) for row in groups[6:]} == {"[1]", "null"}


def test_a_statement_with_keys_can_be_pasted(engine: sa.Engine) -> None:
    store(engine, ROWS)
    condition = "optimizer_args.key > 1 and optimizer_args.'a key' like '%3%'"
    asked = Search(tree=parse([condition], BY_NAME), columns=("file_id", "optimizer_args.key"))
    with engine.connect() as connection:
        text = statement_text(connection, asked)
        pasted = connection.exec_driver_sql(text.replace("%", "%%")).all()
        with search(connection, asked, timeout=60) as answer:
            assert [row[0] for row in answer.rows] == [row[0] for row in pasted]
        assert pasted


def test_long_keys_keep_their_names(engine: sa.Engine) -> None:
    names = [f"optimizer_args.{'k' * 80}{end}" for end in "ab"]
    store(engine, [{"optimizer_args": {name.partition(".")[2]: name[-1] for name in names}}])
    asked = Search(columns=tuple(names))
    with engine.connect() as connection, search(connection, asked) as answer:
        assert answer.columns == tuple(names)
        assert list(answer.rows) == [("a", "b")]


def test_the_share_of_rows_with_a_key(engine: sa.Engine) -> None:
    given: tuple[dict[str, Any], ...] = ({"key": 1}, {"key": None}, {}, {})
    store(engine, [{"optimizer_args": one} for one in given])
    with engine.connect() as connection:
        assert sparse_fields(connection, ["optimizer_args.key", "file_id"]) == [
            ("optimizer_args.key", 0.25)
        ]
