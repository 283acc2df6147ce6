from crawler.http import FirstRange

KIB = 1024


def test_the_first_range_is_a_default_until_enough_headers_were_seen() -> None:
    sizes = FirstRange({"Pony": [40_000] * 19})
    assert sizes.bytes_for("Pony") == 288 * KIB
    sizes.learn("Pony", 40_000)
    assert sizes.bytes_for("Pony") == 48 * KIB
    assert sizes.bytes_for("SDXL 1.0") == 288 * KIB
    assert sizes.bytes_for(None) == 288 * KIB


def test_it_covers_98_of_100_headers_and_no_more() -> None:
    lengths = [16 * KIB * number for number in range(1, 101)]
    assert FirstRange({None: lengths}).bytes_for(None) == 98 * 16 * KIB


def test_it_stays_within_its_bounds() -> None:
    assert FirstRange({"a": [100] * 30}).bytes_for("a") == 32 * KIB
    assert FirstRange({"a": [30_000_000] * 30}).bytes_for("a") == 2048 * KIB
    assert FirstRange({"a": [64 * KIB] * 30}).bytes_for("a") == 64 * KIB


def test_old_headers_are_forgotten() -> None:
    sizes = FirstRange({"a": [1_000_000] * 1000})
    for _ in range(1000):
        sizes.learn("a", 50_000)
    assert sizes.bytes_for("a") == 64 * KIB
