from __future__ import annotations

import pytest
from rich.console import Console

from pipeline.grids import Column, Grid, figures, names, texts


def lines(columns: list[Column], cells: list[str], width: int) -> list[str]:
    grid = Grid("A table", columns)
    grid.add_row(*cells)
    console = Console(width=width)
    with console.capture() as captured:
        console.print(grid)
    return [line.rstrip() for line in captured.get().splitlines()]


COLUMNS = [names("granularity"), figures("$/h"), figures("models", spare=1)]
CELLS = ["moderate", "3.60", "12"]


def test_a_wide_terminal_shows_every_column() -> None:
    assert lines(COLUMNS, CELLS, 40) == [
        "A table",
        "granularity   $/h  models",
        "moderate     3.60      12",
    ]


def test_what_is_spare_is_left_out_and_named_where_the_terminal_is_narrow() -> None:
    # 11 + 2 + 4 + 2 + 6 characters are the whole table, one more than there are.
    assert lines(COLUMNS, CELLS, 24)[1:] == [
        "granularity   $/h",
        "moderate     3.60",
        "In a wider terminal",
        "also: models.",
    ]


def test_the_most_spare_column_goes_first() -> None:
    columns = [figures("stage"), figures("size", spare=1), figures("share", spare=2)]
    assert lines(columns, ["0", "7", "0.5"], 12)[1] == "stage  size"


def test_texts_are_broken_before_a_column_is_left_out() -> None:
    columns = [names("name"), texts("what it is"), figures("$/h", spare=1)]
    shown = lines(columns, ["one", "a sentence of more than forty characters in all", "1"], 40)
    assert shown[1].split() == ["name", "what", "it", "is", "$/h"]
    assert len(shown) == 4


def test_names_stay_whole_where_nothing_is_spare() -> None:
    shown = lines([names("model"), texts("about")], ["Llama-3.1-70B", "of Meta " * 9], 40)
    assert "Llama-3.1-70B" in shown[2]


def test_a_row_has_a_cell_for_every_column() -> None:
    with pytest.raises(ValueError, match="1 cells for 3 columns"):
        Grid("A table", COLUMNS).add_row("moderate")
