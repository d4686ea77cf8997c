"""YAML that is hostile, sloppy or merely unusual."""

from pathlib import Path

import pytest

from pipeline.config.yaml_file import parse_yaml, read_text, read_yaml
from pipeline.errors import InputError
from pipeline.texts.plain_data import MAX_DEPTH


def fault_in(text: str) -> str:
    with pytest.raises(InputError) as raised:
        parse_yaml(text, "c.yaml")
    [fault] = raised.value.faults
    return str(fault)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e3", 1000.0), ("-2.5e-3", -0.0025), ("1.e+2", 100.0), (".5e1", 5.0), ("1E3", 1000.0)],
)
def test_exponents_without_a_point_or_sign_are_numbers(text: str, value: float) -> None:
    # YAML 1.1, which the reader follows, would take 1e3 for text.
    assert parse_yaml(text, "c.yaml") == value


@pytest.mark.parametrize(
    "text", ["1:30", "-1:30", "190:20:30", "1:30.5", "1_0", "1_0.5", "017", "1e٣"]
)
def test_what_older_yaml_takes_for_another_number_stays_text(text: str) -> None:
    # YAML 1.1 reads 90, 685230, 10 and 15, whoever wrote a time, a range, a name or a price.
    assert parse_yaml(f"a: {text}", "c.yaml") == {"a": text}


@pytest.mark.parametrize("text", ["2026-11-25", "2026-11-25 10:00:00", "2026-13-45"])
def test_a_date_is_a_name_like_any_other(text: str) -> None:
    assert parse_yaml(f"name: {text}", "c.yaml") == {"name": text}


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("-0.5", -0.5), ("+1", 1), ("0x1F", 31)])
def test_numbers_that_all_read_alike_are_numbers(text: str, value: float) -> None:
    assert parse_yaml(text, "c.yaml") == value


def test_names_that_only_look_like_exponents_stay_text() -> None:
    assert parse_yaml("[1e3x, e5, A100, 25-34]", "c.yaml") == ["1e3x", "e5", "A100", "25-34"]


def test_a_key_that_stands_twice_is_refused_where_it_stands() -> None:
    assert fault_in("a: 1\nb: 2\na: 3\n") == "c.yaml: line 3, column 1: key 'a' stands here twice"
    assert fault_in("x: {b: 1, b: 1}") == "c.yaml: line 1, column 11: key 'b' stands here twice"


def test_aliases_are_refused_before_they_multiply() -> None:
    laughs = "\n".join(
        f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9 if i else ['lol'] * 9)}]" for i in range(9)
    )
    assert fault_in(laughs) == "c.yaml: line 2, column 10: aliases are not supported"


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused(opening: str) -> None:
    text = opening * 5_000
    assert fault_in(text).endswith(f"nested more than {MAX_DEPTH} deep")


def test_nesting_as_deep_as_allowed_is_read() -> None:
    parse_yaml("[" * MAX_DEPTH + "]" * MAX_DEPTH, "c.yaml")


@pytest.mark.parametrize(
    "tag", ["python/object/apply:pathlib.Path.touch", "python/object/new:pathlib.Path.touch"]
)
def test_tags_that_would_run_code_do_not(tmp_path: Path, tag: str) -> None:
    victim = tmp_path / "touched"
    fault = fault_in(f"a: !!{tag} [!!python/object/apply:pathlib.Path ['{victim}']]")
    assert fault.startswith("c.yaml: line 1, column 4: tags are not supported, as tag:yaml.org")
    assert not victim.exists()


@pytest.mark.parametrize("text", ["a: [", "\ta: 1", "a: 'x", "a: b: c", "%YAML x\n", "a: !<x> 1"])
def test_broken_yaml_is_told_with_line_and_column(text: str) -> None:
    assert fault_in(text).startswith("c.yaml: line ")


def test_a_character_that_no_text_may_hold_is_told() -> None:
    assert fault_in("a: \x07").startswith("c.yaml: file: is not valid YAML: unacceptable character")


def test_an_escape_beyond_all_characters_is_told() -> None:
    assert fault_in(r'a: "\Uffffffff"').startswith("c.yaml: file: is not valid YAML: ")


def test_a_number_of_too_many_digits_is_a_fault() -> None:
    told = "c.yaml: line 1, column 4: a number of more than 400 characters"
    assert fault_in("a: " + "9" * 5_000) == told


@pytest.mark.parametrize(
    ("key", "got"),
    [("[1, 2]", "[1, 2]"), ("{a: 1}", "{'a': 1}"), ("3", "3"), ("on", "True"), ("~", "None")],
)
def test_a_key_must_be_text(key: str, got: str) -> None:
    told = fault_in(f"? {key}\n: 1")
    assert told == f"c.yaml: line 1, column 3: a key must be text (got {got})"


def test_a_decimal_comma_between_braces_is_told_where_it_stands() -> None:
    told = "c.yaml: line 2, column 31: a key must be text (got 3); is a decimal comma meant?"
    assert fault_in("pool:\n- {gpu: V100, usd_per_hour: 0,3}") == told


@pytest.mark.parametrize(("text", "got"), [("", "None"), ("[1]", "[1]"), ("word", "'word'")])
def test_a_config_must_hold_fields(tmp_path: Path, text: str, got: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as raised:
        read_yaml(path)
    expected = f"{path}: file: must hold fields, as `name: ...` (got {got})"
    assert str(raised.value) == expected


def test_text_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes("name: Köln".encode("latin-1"))
    with pytest.raises(InputError, match="file: is not UTF-8 text"):
        read_text(path)


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: x")
    assert read_yaml(path).data == {"name": "x"}


def test_a_folder_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="file: cannot be read: Is a directory"):
        read_text(tmp_path)
