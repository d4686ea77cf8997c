"""CSV that would fill the memory, or that nobody can read."""

from collections import deque

import pytest

from pipeline.texts import TextError, parse_csv
from pipeline.texts.strict_csv import MAX_COMMAS, MAX_LINES


def refusal(text: str) -> tuple[str, str]:
    with pytest.raises(TextError) as raised:
        deque(parse_csv(text), maxlen=0)
    return raised.value.where, raised.value.reason


def test_rows_come_with_the_line_that_they_end_in() -> None:
    text = 'a,b\r\n\n"x\ny",\rlast'
    assert list(parse_csv(text)) == [(1, ["a", "b"]), (2, []), (4, ["x\ny", ""]), (5, ["last"])]


def test_a_row_of_more_cells_than_any_table_has_is_refused() -> None:
    told = f"has more than {MAX_COMMAS} commas in a row"
    assert refusal("a\n" + "," * (MAX_COMMAS + 1)) == ("line 2", told)
    assert refusal('"\n",' * (MAX_COMMAS + 1)) == (f"line {MAX_COMMAS + 2}", told)
    rows = f"{',' * MAX_COMMAS}\n" * 2
    assert len(list(parse_csv(rows))) == 2


def test_more_lines_than_any_table_has_are_refused_though_empty() -> None:
    assert refusal("\n" * (MAX_LINES + 1)) == ("file", f"has more than {MAX_LINES} lines")


def test_a_cell_without_end_is_refused_with_its_line() -> None:
    where, reason = refusal('a\n"' + "x" * 200_000)
    assert where == "line 2"
    assert reason.startswith("is not valid CSV: field larger than field limit")
