"""Turns CSV text into rows; rows and lines without end are refused before they fill the memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from pipeline.texts.plain_files import TextError

# Commas within quotes count as well; a line takes a quarter of a microsecond, even an empty one.
MAX_COMMAS, MAX_LINES = 100_000, 1_000_000


def parse_csv(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV text, each with the line that it ends in. Raises TextError."""
    commas = 0

    def lines() -> Iterator[str]:
        nonlocal commas
        for number, line in enumerate(io.StringIO(text, newline=""), start=1):
            commas += line.count(",")
            if commas > MAX_COMMAS:
                raise TextError(f"has more than {MAX_COMMAS} commas in a row", f"line {number}")
            if number > MAX_LINES:
                raise TextError(f"has more than {MAX_LINES} lines")
            yield line

    reader = csv.reader(lines())
    try:
        for row in reader:
            commas = 0
            yield reader.line_num, row
    except csv.Error as error:
        raise TextError(f"is not valid CSV: {error}", f"line {reader.line_num}") from None
