"""What is understood, and how what is not understood is told."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import QueryError
from crawler.query.caret import caret as drawn
from crawler.query.dates import span
from crawler.query.fields import Kind
from crawler.query.parser import MAX_CONDITIONS, MAX_LENGTH, parse
from crawler.query.tree import And, Column, Comparison, Literal, Not, names
from crawler.query.types import MAX_DEPTH
from crawler.store.schema.fields import BY_NAME

DIM = Column("network_dim", Kind.INTEGER)


def refused(*words: str) -> QueryError:
    with pytest.raises(QueryError) as caught:
        parse(words, BY_NAME)
    assert caught.value.exit_code == 2
    return caught.value


def mistake_in(text: str) -> QueryError | None:
    try:
        parse([text], BY_NAME)
    except QueryError as error:
        return error
    return None


def place(error: QueryError) -> str:
    assert error.start is not None
    assert error.end is not None
    return error.text[error.start : error.end]


def whole(number: int) -> Literal:
    return Literal(number, Kind.INTEGER)


def test_no_condition() -> None:
    assert parse([], BY_NAME) is None
    assert parse(["", "  "], BY_NAME) is None


def test_words_are_joined_by_and() -> None:
    tree = parse(["network_dim>64", "v2 or nsfw"], BY_NAME)
    assert isinstance(tree, And)
    assert tree.parts[0] == Comparison(">", DIM, whole(64))
    assert tree == parse(["network_dim>64 and (v2 or nsfw)"], BY_NAME)


@pytest.mark.parametrize(
    "words",
    [
        ["network_dim", ">", "64"],
        ["network_dim", "> 64"],
        ["network_dim >", "64"],
        ["NETWORK_DIM>64"],
        ["(network_dim", "> 64)"],
        ["network_dim > 64.0"],
        ["network_dim > +64"],
    ],
)
def test_one_meaning_in_many_spellings(words: Sequence[str]) -> None:
    assert parse(words, BY_NAME) == Comparison(">", DIM, whole(64))


def test_words_cut_by_the_shell_are_put_together() -> None:
    assert parse(["v2", "or", "not", "nsfw"], BY_NAME) == parse(["v2 or not nsfw"], BY_NAME)
    words = ["network_dim", "in", "(16,", "32)", "and", "optimizer:Lion"]
    assert parse(words, BY_NAME) == parse([" ".join(words)], BY_NAME)


def test_a_negation_is_a_word_of_its_own() -> None:
    tree = parse(["not v2", "-network_dim < 5"], BY_NAME)
    assert isinstance(tree, And)
    assert tree.parts[0] == Not(Column("v2", Kind.BOOLEAN))


def test_names_in_the_order_of_their_mention() -> None:
    tree = parse(["v2 and network_dim > steps or network_dim=1 or has(tags,'x')"], BY_NAME)
    assert tree is not None
    assert names(tree) == ("v2", "network_dim", "steps", "tags")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025", datetime(2025, 1, 1, tzinfo=UTC)),
        ("2025-06", datetime(2025, 6, 1, tzinfo=UTC)),
        ("2025-06-30", datetime(2025, 6, 30, tzinfo=UTC)),
        ("2025-06-30T18", datetime(2025, 6, 30, 18, tzinfo=UTC)),
        ("2025-06-30 18:05", datetime(2025, 6, 30, 18, 5, tzinfo=UTC)),
        ("2025-06-30T18:05:09.25Z", datetime(2025, 6, 30, 18, 5, 9, 250_000, tzinfo=UTC)),
        ("2025-06-30T18:05+02:00", datetime(2025, 6, 30, 16, 5, tzinfo=UTC)),
        ("2025-06-30T18:05-0230", datetime(2025, 6, 30, 20, 35, tzinfo=UTC)),
    ],
)
def test_dates_mean_their_first_instant(text: str, moment: datetime) -> None:
    tree = parse([f"published_at >= '{text}'"], BY_NAME)
    assert tree == Comparison(">=", Column("published_at", Kind.TIME), Literal(moment, Kind.TIME))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("-30d", datetime(2024, 3, 1, 12, 5, tzinfo=UTC)),
        ("-90min", datetime(2024, 3, 31, 10, 35, tzinfo=UTC)),
        ("+2 weeks", datetime(2024, 4, 14, 12, 5, tzinfo=UTC)),
        ("-1mo", datetime(2024, 2, 29, 12, 5, tzinfo=UTC)),
        ("-13mo", datetime(2023, 2, 28, 12, 5, tzinfo=UTC)),
        ("+9 months", datetime(2024, 12, 31, 12, 5, tzinfo=UTC)),
        ("-1Y", datetime(2023, 3, 31, 12, 5, tzinfo=UTC)),
    ],
)
def test_times_can_be_relative_to_now(text: str, moment: datetime) -> None:
    now = datetime(2024, 3, 31, 12, 5, tzinfo=UTC)
    assert span(text, now) == (moment, None)
    assert parse([f"published_at between '{text}' and '{text}'"], BY_NAME) is not None
    assert isinstance(parse([f"published_at:'{text}'"], BY_NAME), Comparison)


def test_now_is_the_time_of_the_query() -> None:
    before = datetime.now(UTC)
    tree = parse(["published_at >= '-1h'"], BY_NAME)
    assert isinstance(tree, Comparison)
    assert isinstance(tree.right, Literal)
    assert isinstance(tree.right.value, datetime)
    hour = timedelta(hours=1)
    assert before - hour <= tree.right.value <= datetime.now(UTC) - hour


@pytest.mark.parametrize(
    "text",
    ["2025-13", "2025-02-30", "25", "yesterday", "2025-1", "0000", "0001-01-01T00:00+14:00",
     "2025-06-30T25", "2025-06-30T18:05:60", "\uff12\uff10\uff12\uff15", "2025-01-01T00:00:00.1234567"],
)  # fmt: skip
def test_texts_that_are_no_dates(text: str) -> None:
    error = refused(f"published_at >= '{text}'")
    assert "not a date" in error.message
    assert place(error) == f"'{text}'"


@pytest.mark.parametrize(
    ("text", "at", "message", "hint"),
    [
        ("network_dmi>64", "network_dmi", "no field named network_dmi", "network_dim"),
        ("Network_Rank>64", "Network_Rank", "no field named Network_Rank", "network_dim"),
        ("duration > '2h'", "duration", "no field named duration", "training_seconds"),
        ("training_seconds > 2h", "2h", "not a number", "'2h'"),
        ("published_at > -30d", "30d", "not a number", "'-30d'"),
        ("training_seconds > 'soon'", "'soon'", "not a length of time", "90min"),
        ("training_seconds > '2 fortnights'", "'2 fortnights'", "not fortnights", "90min"),
        ("training_seconds / 2 > '2h'", "'2h'", "a number cannot be compared with text", ""),
        ("training_seconds > steps and steps > '2h'", "'2h'", "steps, a whole number,", "64"),
        ("published_at > '-3m'", "'-3m'", "write min or mo", "-30d"),
        ("published_at > '-3 years ago'", "'-3 years ago'", "not a date", "-30d"),
        ("published_at > '-9999y'", "'-9999y'", "out of range", ""),
        ("rank > 'x'", "'x'", "network_dim, a whole number,", "64"),
        ("network_dim>'abc'", "'abc'", "network_dim, a whole number, cannot be compared", "64"),
        ("optimizer=64", "64", "optimizer, text, cannot", "single quotes"),
        ("optimizer=Prodigy", "Prodigy", "no field named Prodigy", "'Prodigy'"),
        ('optimizer="Prodigy"', '"Prodigy"', "double quotes", "'Prodigy'"),
        ("optimizer=“Prodigy”", "“", "straight quote", "single quotes"),
        ("optimizer='Prodigy", "'Prodigy", "not closed", "close it"),
        ("published_at>2025-01", "2025-01", "published_at, a time", "'2025-01'"),
        ("v2='true'", "'true'", "v2, true or false", "without quotes"),
        ("v2 = 2", "2", "v2, true or false", ""),
        ("v2 < true", "true", "no order", "="),
        ("network_dim", "network_dim", "not a condition", "network_dim > 64"),
        ("optimizer and v2", "optimizer", "this is text", "optimizer = 'some text'"),
        ("network_dim > network_args", "network_args", "an object", ""),
        ("model_tags = 'a'", "model_tags", "a list, cannot be compared", "has(model_tags"),
        ("tags = 'a'", "tags", "tags is not a column", "has(tags"),
        ("has(optimizer, 'a')", "optimizer", "has() takes a list", ""),
        ("has(tags, 1)", "1", "tags are texts", "'1girl'"),
        ("has(tags, v2)", "v2", "takes a constant", ""),
        ("network_dim = 99999999999999999999", "99999999999999999999", "beyond 64 bits", ""),
        ("network_dim = -9223372036854775809", "-9223372036854775809", "beyond 64 bits", ""),
        ("unet_lr = 1e999", "1e999", "too large", ""),
        ("network_dim = 5x", "5x", "not a number", ""),
        ("network_dim > null", "null", "nothing is equal to null", "is null"),
        ("1 < network_dim < 3", "<", "expected and, or, or the end", "between"),
        ("network_dim > 1 v2", "v2", "expected and, or, or the end, got v2", ""),
        ("network_dim = not v2", "not", "got not", ""),
        ("network_dim in ()", ")", "got )", ""),
        ("network_dim in (1", "", "the text ends here", ""),
        ("network_dim is 3", "3", "expected null, true or false", ""),
        ("network_dim is true", "network_dim", "take a condition", ""),
        ("network_dim between 1 or 2", "or", "expected and", ""),
        ("network_dim not 5", "5", "expected in, like or between", ""),
        ("optimizer like network_dim", "network_dim", "pattern", "like 'adam%'"),
        ("network_dim like '6%'", "network_dim", "like takes text", ""),
        ("optimizer + 1 > 2", "optimizer", "+ takes numbers", ""),
        ("-optimizer = 'a'", "optimizer", "a sign needs a number", ""),
        ("lower(network_dim) = 'a'", "network_dim", "lower() takes text", ""),
        ("round(unet_lr, steps) > 1", "steps", "number of digits", ""),
        ("round(unet_lr, 16) > 1", "16", "0 to 15", ""),
        ("round() > 1", ")", "got )", ""),
        ("abs(steps, seed) > 1", "abs(steps, seed)", "one value", ""),
        ("coalesce(v2)", "coalesce(v2)", "two or more", ""),
        ("coalesce(steps, 'a') > 1", "'a'", "cannot be compared", ""),
        ("lowr(optimizer) = 'a'", "lowr", "no function named lowr", "lower"),
        ("count(steps) > 1", "count", "no function named count", ""),
        ("'optimizer' = 'Lion'", "'optimizer'", "compares constants", "without quotes"),
        ("steps.x > 1", "steps.x", "no field named steps.x", "only objects have keys"),
        ("loras.steps > 1", "loras.steps", "no field named loras.steps", "write other fields alone"),
        ("optimizer_args. > 1", ".", "must follow the name", "optimizer_args.weight_decay"),
        ("optimizer_args.'a\"b' > 1", "optimizer_args.'a\"b'", "no field named", ""),
        ("weight_decay > 1", "weight_decay", "no field named", "optimizer_args.weight_decay"),
        ("optimizer_args.x", "optimizer_args.x", "this is a value, not a condition", "= true"),
        ("published_at < optimizer_args.x", "optimizer_args.x", "cannot be compared with a value", ""),
        ("optimizer_args.x in ('a', 1)", "1", "optimizer_args.x, text, cannot be", "'64'"),
        ("has(optimizer_args.x, 1)", "optimizer_args.x", "has() takes a list", ""),
        ("optimizer_args.x(1) = 1", "optimizer_args.x", "no function named", ""),
        ("optimizer_args > 1", "optimizer_args", "an object", ""),
        ("not optimizer_args.x:1..0", "1..0", "this range is empty", ""),
        ("steps > 1; drop table loras", ";", "more than one condition", "sql"),
        ("steps > 1 -- all", "--", "comments", ""),
        ("steps /* a */ > 1", "/*", "comments", ""),
        ("select * from loras", "select", "not a condition", "WHERE"),
        ("steps in (select 1)", "select", "not a condition", ""),
        ("steps > ?", "?", "no meaning", ""),
        ("steps > $1", "$", "no meaning", ""),
        ("steps > :x", ":", "colon", ""),
        ("optimizer || 'x' = 'y'", "||", "not supported", ""),
        ("[steps] > 1", "[", "without brackets", ""),
        ("case when v2 then 1 end", "case", "no field named case", ""),
        ("cast(steps as text) = '1'", "cast", "no function named cast", ""),
        ("steps > 1 collate nocase", "collate", "got collate", ""),
        ("steps & 1 = 1", "&", "no meaning", ""),
        ("v2\x00", "\x00", "cannot contain", ""),
        ("optimizer = '\udc80'", "\udc80", "cannot contain", ""),
    ],
)  # fmt: skip
def test_errors_name_their_place(text: str, at: str, message: str, hint: str) -> None:
    error = refused(text)
    assert error.text == text
    assert message in error.message
    assert place(error) == at
    assert hint in error.hint


def test_an_error_shows_the_word_it_is_about() -> None:
    error = refused("network_dim>64", "optimizr:Lion")
    assert error.text == "optimizr:Lion"
    assert place(error) == "optimizr"


@pytest.mark.parametrize(
    "text",
    [
        "v2 and " * 150_000 + "v2",
        "network_dim>64" + " " * 1_000_000,
        "(" * 10_000 + "v2" + ")" * 10_000,
        "(" * 5_000 + "v2",
        "not " * 2_900 + "v2",
        "- " * 5_000 + "steps > 1",
        "abs(" * 2_900 + "steps",
        "+".join(["steps"] * 1_900) + " > 1",
        "*".join(["unet_lr"] * 1_400) + " > 1",
        "v2 or " * 1_900 + "v2",
        "steps:" + ",".join(["1"] * 5_000),
        "'" * 11_999,
        "steps = " + "9" * 11_900,
        "steps = 1e" + "9" * 11_900,
        "steps = 0." + "9" * 11_900 + "e99999",
        "a" * 11_999,
        "a" * 11_998 + ":",
        "optimizer:" + "*" * 11_900 + ")",
        "\x00" * 10_000,
        "coalesce(" * 1_300 + "v2",
    ],
    ids=lambda text: f"{text[:12]!r}x{len(text)}",
)
def test_hostile_texts_end_at_once(text: str) -> None:
    error = refused(text)
    assert len(error.message) < 200


def test_limits_are_drawn() -> None:
    long = drawn(refused("v2 or " * 200_000 + "v2"))
    assert long.startswith("…")
    assert "^" in long
    assert "^" in drawn(refused(" or ".join(["v2"] * (MAX_CONDITIONS + 1))))


def test_limits_are_named_in_errors() -> None:
    assert f"{MAX_LENGTH:,}" in refused("x" * 20_000).message
    assert f"{MAX_CONDITIONS}" in refused(" or ".join(["v2"] * (MAX_CONDITIONS + 1))).message
    assert f"{MAX_DEPTH}" in refused("(" * 200 + "v2" + ")" * 200).message
    nested = "(" * MAX_DEPTH + "v2" + ")" * MAX_DEPTH
    assert parse([nested], BY_NAME) == Column("v2", Kind.BOOLEAN)


@given(st.text(max_size=60))
def test_any_text_is_understood_or_refused(text: str) -> None:
    error = mistake_in(text)
    if error is not None:
        assert error.start is None or 0 <= error.start <= len(error.text)
        assert error.message


@given(
    st.lists(
        st.sampled_from(
            [*"()+-*/%,<>='\"", "and", "or", "not", "in", "is", "null", "like", "between", "v2",
             "steps", "unet_lr", "optimizer", "'a'", "1", "2.5", "has", "tags", "abs", "coalesce",
             "steps:1..", "optimizer:a*", "..", ":", "'2025'", "published_at", "true"]
        ),
        max_size=14,
    ),
    st.sampled_from(["", " "]),
)  # fmt: skip
def test_any_words_of_the_language_are_understood_or_refused(parts: list[str], gap: str) -> None:
    text = gap.join(parts)
    error = mistake_in(text)
    assert error is None or place(error) in text
