"""A timed part of a layer, as a row of the CSV files here."""

from __future__ import annotations

import csv
from dataclasses import astuple, dataclass, fields
from pathlib import Path

HERE = Path(__file__).parent
DIGITS = 4
PROMPT_KERNEL = "prompts"


@dataclass(frozen=True)
class Row:
    """One timing: layout and kernel, tokens of a step, context, seconds.

    Of decoding attention tokens are its sequences; of prompts their number, context their length.
    """

    gpu: str
    layout: str
    kernel: str
    tokens: int
    context: int
    seconds: float

    def cells(self) -> tuple[str, ...]:
        """Texts of the row's cells."""
        *words, seconds = astuple(self)
        return (*map(str, words), f"{seconds:.{DIGITS}g}")


COLUMNS = tuple(field.name for field in fields(Row))


def read_rows() -> tuple[Row, ...]:
    """Rows of all files."""
    rows = []
    for path in sorted(HERE.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as handle:
            rows += [
                Row(
                    cells["gpu"],
                    cells["layout"],
                    cells["kernel"],
                    int(cells["tokens"]),
                    int(cells["context"]),
                    float(cells["seconds"]),
                )
                for cells in csv.DictReader(handle)
            ]
    return tuple(rows)
