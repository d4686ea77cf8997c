import pytest

from pipeline.words import (
    close_names,
    counted,
    duration,
    enough_per_hour,
    listed,
    per_hour,
    per_million,
    short_name,
    short_time,
    signed_percent,
)


def test_prices_are_per_million_tokens() -> None:
    assert per_million(9.8697e-8) == "$0.098697"


@pytest.mark.parametrize(
    ("usd", "text"),
    [(0.25, "$0.25/h"), (0.1 + 0.2, "$0.3/h"), (0.12341, "$0.1235/h"), (5.1e-5, "$0.000051/h")],
)
def test_a_cost_that_is_rounded_suffices_as_a_budget(usd: float, text: str) -> None:
    assert enough_per_hour(usd) == text


def test_differences_carry_their_sign() -> None:
    assert [signed_percent(v) for v in (1.25, -3.0, None)] == ["+1.2 %", "-3.0 %", "–"]
    assert [signed_percent(v) for v in (0.0, -0.04, 0.04)] == ["0.0 %"] * 3, (
        "of nothing there is none"
    )


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (0.5, "$0.5/h"),
        (10.0, "$10/h"),
        (12350.0, "$12,350/h"),
        (2.1 * 3, "$6.3/h"),
        (0.00005, "$0.00005/h"),
        (0.0, "$0/h"),
    ],
)
def test_costs_are_plain_dollars(usd: float, text: str) -> None:
    assert per_hour(usd) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.00034, "0.3 ms"),
        (0.0034, "3.4 ms"),
        (0.034, "34 ms"),
        (0.2346, "235 ms"),
        (0.9996, "1.0 s"),
        (3.21, "3.2 s"),
        (89.0, "89 s"),
        (300.0, "5.0 min"),
        (720.0, "12 min"),
        (9000.0, "2.5 h"),
    ],
)
def test_durations_have_a_fitting_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0184, "18 ms"), (0.9999, "1.00 s"), (9.994, "9.99 s"), (300.0, "300.00 s")],
)
def test_a_short_time_keeps_its_hundredths(seconds: float, text: str) -> None:
    assert short_time(seconds) == text


def test_numbers_agree_with_their_nouns() -> None:
    assert [counted(n, "point") for n in (1, 0, 1200)] == ["1 point", "0 points", "1,200 points"]


def test_a_noun_may_have_a_plural_of_its_own() -> None:
    assert [counted(n, "batch", "batches") for n in (1, 2)] == ["1 batch", "2 batches"]


def test_lists_end_in_and() -> None:
    assert [listed(list(text)) for text in ("", "a", "ab", "abc")] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]


def test_a_field_goes_by_the_end_of_its_name_unless_another_ends_alike() -> None:
    prices = ["pool.A100.usd_per_hour", "pool.T4.usd_per_hour"]
    names = [*prices, "workload.batch_size"]
    assert [short_name(name, names) for name in names] == [*prices, "batch_size"]


def test_names_too_long_to_be_mistyped_are_compared_with_nothing() -> None:
    assert close_names("A10", ["A100", "T4", "A" * 41], n=1) == ["A100"]
    assert close_names("A" * 41, ["A" * 40], n=1) == []


def test_among_too_many_names_none_is_looked_for() -> None:
    # Comparing two takes up to 0.1 ms, and files bring thousands of either.
    many = [f"A{number}" for number in range(100, 301)]
    assert len(close_names("A10", many[:200], n=1)) == 1
    assert close_names("A10", many, n=1) == []
