"""YAML that would take long, much, or whatever a tag makes of it."""

import time

import pytest

from pipeline.texts import TextError, parse_yaml
from pipeline.texts.plain_data import MAX_DIGITS
from pipeline.texts.strict_yaml import MAX_VALUES


def told(text: str) -> tuple[str, str]:
    with pytest.raises(TextError) as raised:
        parse_yaml(text)
    return raised.value.where, raised.value.reason


@pytest.mark.parametrize(
    "tagged",
    [
        "!!int ''",
        "!!float ''",
        "!!bool x",
        "!!timestamp x",
        "!!set {a}",
        "!!binary x",
        "!x 1",
        "! 1",
    ],
)
def test_tags_are_refused_before_they_make_anything(tagged: str) -> None:
    where, reason = told(f"a: {tagged}")
    assert where == "line 1, column 4"
    assert reason.startswith("tags are not supported, as ")


@pytest.mark.parametrize(
    "number", ["9" * 401, "0x" + "f" * 399, "1" + ":59" * 134, "0." + "1" * 399]
)
def test_a_number_too_long_to_be_meant_is_refused_in_every_notation(number: str) -> None:
    assert told(f"a: {number}") == (
        "line 1, column 4",
        f"a number of more than {MAX_DIGITS} characters",
    )


def test_the_longest_number_can_be_written_again() -> None:
    assert len(str(parse_yaml("0x" + "f" * 398))) < 4300


def test_more_values_than_a_config_has_are_refused_before_the_rest_is_read() -> None:
    started = time.perf_counter()
    _, reason = told("a: [" + "1," * (2 * MAX_VALUES) + "1]")
    assert reason == f"more than {MAX_VALUES} values; a large matrix belongs into a CSV"
    assert time.perf_counter() - started < 10


def test_half_a_character_is_refused() -> None:
    assert told('a: "\\ud800"') == ("file", "holds half a character, '\\ud800'")


def test_a_repeated_key_without_end_is_told_by_its_start() -> None:
    key = "k" * 1000
    _, reason = told(f"{{? {key} : 1, ? {key} : 2}}")
    assert reason == "key 'kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk... stands here twice"
