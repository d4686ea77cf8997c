"""JSON that is hostile, or that Python alone would take."""

import pytest

from pipeline.texts import TextError, parse_json
from pipeline.texts.plain_data import MAX_DEPTH
from pipeline.texts.strict_json import MAX_VALUES


def reason(text: str) -> str:
    with pytest.raises(TextError) as raised:
        parse_json(text)
    return raised.value.reason


def test_json_is_read() -> None:
    assert parse_json('{"a": [1, 2.5, null, "é"]}') == {"a": [1, 2.5, None, "é"]}


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_what_json_has_no_word_for_is_refused(word: str) -> None:
    assert reason(f"[{word}]") == f"is not valid JSON: {word} is no number"


def test_as_deep_as_allowed_is_read_and_deeper_is_refused() -> None:
    parse_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    parse_json('{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH)
    told = f"nested more than {MAX_DEPTH} deep"
    assert reason("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)) == told
    assert reason("[" * 100_000) == f"is not valid JSON: {told}"


@pytest.mark.parametrize("text", ['"\\ud800"', '{"\\udfff": 1}', '[[{"a": ["x\\ud83d"]}]]'])
def test_half_a_character_is_refused(text: str) -> None:
    assert reason(text).startswith("holds half a character, '\\ud")


def test_both_halves_of_a_character_are_one() -> None:
    assert parse_json('"\\ud83e\\udd99"') == "🦙"


def test_a_key_that_stands_twice_is_refused() -> None:
    assert reason('[{"a": {"b": 1, "b": 1}}]') == "key 'b' stands here twice"


def test_a_number_of_too_many_digits_is_refused() -> None:
    assert reason("9" * 5000).startswith("is not valid JSON: Exceeds the limit")


@pytest.mark.parametrize("value", ["[]", "{}", '{"a":0}', '"ab"'])
def test_more_values_than_fit_into_memory_are_refused_unread(value: str) -> None:
    text = f"[{','.join([value] * (MAX_VALUES + 1))}]"
    assert reason(text) == f"holds more than {MAX_VALUES} values"
