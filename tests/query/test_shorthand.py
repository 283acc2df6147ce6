"""The spelling without shell characters."""

import pytest

from crawler.errors import QueryError
from crawler.query.parser import parse
from crawler.query.tree import Has, Like, Or
from crawler.store.schema.fields import BY_NAME


def since_until(first: str, after: str) -> str:
    return f"published_at >= '{first}' and published_at < '{after}'"


@pytest.mark.parametrize(
    ("short", "sql"),
    [
        ("network_dim:64", "network_dim = 64"),
        ("NETWORK_DIM:64", "network_dim = 64"),
        ("network_dim:65..", "network_dim >= 65"),
        ("network_dim:..64", "network_dim <= 64"),
        ("network_dim:16..64", "network_dim between 16 and 64"),
        ("network_dim:-5..-1", "network_dim between -5 and -1"),
        ("network_dim:1,2..3", "network_dim = 1 or network_dim between 2 and 3"),
        ("network_dim:16.0", "network_dim = 16"),
        ("unet_lr:1e-4", "unet_lr = 1e-4"),
        ("unet_lr:.5..1", "unet_lr between 0.5 and 1.0"),
        ("network_alpha:*", "network_alpha is not null"),
        ("optimizer:*", "optimizer is not null"),
        ("network_args:*", "network_args is not null"),
        ("v2:true", "v2 = true"),
        ("v2:FALSE", "v2 = false"),
        ("v2:1", "v2 = true"),
        ("optimizer:Lion", "optimizer like 'Lion'"),
        ("optimizer:A*8*", "optimizer like 'A%8%'"),
        ("optimizer:a,b", "optimizer like 'a' or optimizer like 'b'"),
        ("optimizer:''", "optimizer like ''"),
        ("model_name:'It''s, all'", "model_name like 'It''s, all'"),
        ('model_name:"say ""x"""', "model_name like 'say \"x\"'"),
        ("model_name:o'neill", "model_name like 'o''neill'"),
        ("model_name:f(x)", "model_name like 'f(x)'"),
        ("trained_words:x", "has(trained_words, 'x')"),
        ("tags:1girl,2024", "has(tags, '1girl') or has(tags, '2024')"),
        ("text_encoder_lrs:1e-5", "has(text_encoder_lrs,'1e-5') or has(text_encoder_lrs,1e-5)"),
        ("published_at:2025-01..", "published_at >= '2025-01'"),
        ("published_at:..2025", "published_at <= '2025'"),
        ("published_at:2024..2025", "published_at between '2024' and '2025'"),
        ("published_at:2025", "published_at >= '2025' and published_at < '2026'"),
        ("published_at:2025-12", "published_at >= '2025-12' and published_at < '2026'"),
        ("published_at:2024-02-28", "published_at >= '2024-02-28' and published_at < '2024-02-29'"),
        ("published_at:2025-01-01T07", since_until("2025-01-01T07", "2025-01-01T08")),
        ("published_at:2025-01-01T07:59", since_until("2025-01-01T07:59", "2025-01-01T08")),
        ("published_at:2025-01-01T07:59:59", since_until("2025-01-01T07:59:59", "2025-01-01T08")),
        ("published_at:2025-01-01T07:59:59.9", since_until("2025-01-01T07:59:59.9", "2025-01-01T08")),
        ("published_at:9999", "published_at >= '9999'"),
        ("training_seconds:2h..", "training_seconds >= '2h'"),
        ("seconds_per_image:1.5s..0.5min", "seconds_per_image between 1.5 and 30.0"),
        ("training_seconds:90,3d", "training_seconds = 90 or training_seconds = 259200"),
        ("training_seconds:'1h 30min'", "training_seconds = '1h30m'"),
        ("Rank:64", "network_dim = 64"),
        ("tag:1girl", "has(tag, '1girl')"),
        ("te_lr:..1e-5 and author:x*", "text_encoder_lr <= 1e-5 and creator like 'x%'"),
        ("(optimizer:Lion)", "optimizer like 'Lion'"),
        ("not v2:true or steps:5..", "not v2 = true or steps >= 5"),
        ("(v2:true or nsfw:true) and steps:5", "(v2 = true or nsfw = true) and steps = 5"),
    ],
)  # fmt: skip
def test_short_and_sql_mean_the_same(short: str, sql: str) -> None:
    assert parse([short], BY_NAME) == parse([sql], BY_NAME)


@pytest.mark.parametrize(
    ("short", "pattern"),
    [("optimizer:a_b%", r"a\_b\%"), (r"optimizer:a\b*", r"a\\b%"), ("optimizer:'a*%'", r"a*\%")],
)
def test_only_stars_outside_quotes_stand_for_any_text(short: str, pattern: str) -> None:
    tree = parse([short], BY_NAME)
    assert isinstance(tree, Like)
    assert (tree.pattern, tree.escape) == (pattern, "\\")


def test_a_number_in_quotes_is_a_text() -> None:
    assert parse(["trained_words:'5'"], BY_NAME) == Has("trained_words", "5")
    assert isinstance(parse(["trained_words:5"], BY_NAME), Or)


@pytest.mark.parametrize(
    ("short", "at", "message"),
    [
        ("network_dim:", "network_dim:", "a value is missing"),
        ("network_dim:1,,2", "network_dim:1,", "a value is missing"),
        ("network_dim:abc", "abc", "not a number"),
        ("network_dim:1,x", "x", "not a number"),
        ("network_dim:1..x", "x", "not a number"),
        ("network_dim:x..1", "x", "not a number"),
        ("network_dim:..", "..", "has neither end"),
        ("network_dim:64..16", "64..16", "is empty"),
        ("network_dim:'16..64'", "'16..64'", "not a number"),
        ("network_dim:1e", "1e", "not a number"),
        ("network_dim:99999999999999999999", "99999999999999999999", "beyond 64 bits"),
        ("published_at:2025-02-30", "2025-02-30", "not a date"),
        ("published_at:2025..soon", "soon", "not a date"),
        ("published_at:2026..2025", "2026..2025", "is empty"),
        ("training_seconds:2x..", "2x", "not a length of time"),
        ("training_seconds:2h..1h", "2h..1h", "is empty"),
        ("rank:x", "x", "not a number"),
        ("author:", "author:", "a value is missing"),
        ("published_at:-3m..", "-3m", "write min or mo"),
        ("v2:maybe", "maybe", "neither true nor false"),
        ("network_args:x", "x", "no single value"),
        ("tags:*", "*", "not a column"),
        ("optimzer:Lion", "optimzer", "no field named optimzer"),
        ("model_name:'open", "'open", "not closed"),
        ("model_name:'a'b", "b", "closing quote"),
        ("model_name:two words", "words", "got words"),
        ("network_dim : 64", ":", "a colon must follow"),
        ("network_dim:1 > 2", "1", "cannot be compared"),
    ],
)
def test_errors_name_their_place(short: str, at: str, message: str) -> None:
    with pytest.raises(QueryError, match=message) as caught:
        parse([short], BY_NAME)
    error = caught.value
    assert error.start is not None
    assert short[error.start : error.end] == at or message == "cannot be compared"
