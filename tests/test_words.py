import pytest

from pipeline.words import close_names, counted, listed, per_million, seconds, signed_percent


def test_prices_are_per_million_tokens() -> None:
    assert per_million(9.8697e-8) == "$0.098697"


def test_differences_carry_their_sign() -> None:
    assert [signed_percent(v) for v in (1.25, -3.0, None)] == ["+1.2 %", "-3.0 %", "–"]


@pytest.mark.parametrize(
    ("value", "text"), [(0.034, "0.03 s"), (12.3, "12.3 s"), (300.0, "5.0 min")]
)
def test_durations_have_a_fitting_unit(value: float, text: str) -> None:
    assert seconds(value) == text


def test_numbers_agree_with_their_nouns() -> None:
    assert [counted(n, "point") for n in (1, 0, 1200)] == ["1 point", "0 points", "1,200 points"]


def test_lists_end_in_and() -> None:
    assert [listed(list(text)) for text in ("", "a", "ab", "abc")] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]


def test_names_too_long_to_be_mistyped_are_compared_with_nothing() -> None:
    assert close_names("A10", ["A100", "T4", "A" * 101], n=1) == ["A100"]
    assert close_names("A" * 101, ["A" * 100], n=1) == []
