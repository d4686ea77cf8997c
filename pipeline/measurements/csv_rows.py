"""Turns a CSV file into rows that keep to a form, or tells all faults at once."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipeline.errors import SourceError, shown
from pipeline.fault_words import reason
from pipeline.texts import TextError, read_text
from pipeline.words import close_names

Form = TypeVar("Form", bound=BaseModel)
MAX_FILE_BYTES, MAX_ROWS, MAX_COLUMNS = 64 * 1024**2, 100_000, 1_000
# Names of eight letters are so alike when one differs; of `pp` and `ep` either may be meant.
ONE_LETTER = 0.875
MOST_FAULTS = 1000


class MeasurementError(SourceError, ValueError):
    """A measurement file that cannot be read; carries every fault, `file: field: reason`."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


def _rows(path: Path) -> dict[int, dict[str, str]]:
    """Rows of a CSV file by their line; raises MeasurementError when it cannot be read as one."""
    try:
        text = read_text(path, MAX_FILE_BYTES)
        reader = csv.DictReader(io.StringIO(text, newline=""))
        # Lines that are empty make no row, and a row may have several.
        numbered = [(reader.line_num, row) for row in islice(reader, MAX_ROWS + 1)]
        rows, columns = dict(numbered), list(reader.fieldnames or ())
    except TextError as error:
        raise MeasurementError([f"{path.name}: file: {error}"]) from error
    except csv.Error as error:
        raise MeasurementError([f"{path.name}: file: cannot be read (got {error})"]) from error
    if len(columns) > MAX_COLUMNS:
        raise MeasurementError([f"{path.name}: line 1: holds more than {MAX_COLUMNS} columns"])
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise MeasurementError([f"{path.name}: {name}: column stands twice" for name in twice])
    if len(columns) == 1 and (";" in columns[0] or "\t" in columns[0]):
        told = "must separate its columns by commas"
        raise MeasurementError([f"{path.name}: line 1: {told} (got {columns[0]!r:.60})"])
    if not rows:
        raise MeasurementError([f"{path.name}: file: holds no rows"])
    if len(rows) > MAX_ROWS:
        raise MeasurementError([f"{path.name}: file: holds more than {MAX_ROWS} rows"])
    uneven = [line for line, row in rows.items() if _is_uneven(row)]
    if uneven:
        told = f"must have as many cells as the header, {len(columns)}"
        raise MeasurementError([f"{path.name}: {_where(uneven)}: {told}"])
    return rows


def _is_uneven(row: Mapping[str | None, Any]) -> bool:
    """Tell whether a row has too few cells, or filled ones beyond the last column."""
    return None in row.values() or any(row.get(None, ()))


def _header_faults(path: Path, columns: Sequence[str], form: type[BaseModel]) -> list[str]:
    """Faults for columns that are written otherwise, and required ones that are not there."""
    absent = [name for name in form.model_fields if name not in columns]
    meant = {name: _meant(name, absent) for name in columns if name not in form.model_fields}
    misspelt = [
        f"{path.name}: line 1: is not a known column, did you mean {known}? (got {shown(name)})"
        for name, known in meant.items()
        if known
    ]
    required = [
        name
        for name in absent
        if form.model_fields[name].is_required() and name not in meant.values()
    ]
    if not required:
        return misspelt
    told = f"must have the columns {', '.join(required)}; docs/measured-format.md has an example"
    return [*misspelt, f"{path.name}: line 1: {told}"]


def _meant(column: str, absent: Sequence[str]) -> str | None:
    """Return the absent column that another is but for case, spaces or one letter, if any."""
    near = close_names(column.strip().casefold(), absent, n=1, cutoff=ONE_LETTER)
    return near[0] if near else None


def checked_rows(path: Path, form: type[Form], context: object) -> list[Form]:
    """All rows of a file against its form; raises MeasurementError listing every fault.

    context: what the form's validators look up.
    """
    rows = _rows(path)
    faults = _header_faults(path, [name for name in next(iter(rows.values())) if name], form)
    if faults:
        raise MeasurementError(faults)
    records: list[Form] = []
    lines: dict[tuple[str, str], list[int]] = {}
    for line, row in rows.items():
        if len(lines) >= MOST_FAULTS:
            break  # each that is told takes time, and nobody mends more at once
        try:
            records.append(form.model_validate(row, context=context))
        except ValidationError as error:
            for fault in error.errors():
                lines.setdefault(_told(fault), []).append(line)
    if lines:
        raise MeasurementError(
            [
                f"{path.name}: {_where(found)}, {name}: {text}"
                for (name, text), found in lines.items()
            ]
        )
    return records


def _told(fault: ErrorDetails) -> tuple[str, str]:
    """Name the column of a fault and say what is wrong with its value."""
    return str(fault["loc"][0]), f"{reason(fault)} (got {shown(fault['input'])})"


def _where(lines: Sequence[int], most: int = 3) -> str:
    """Name the lines of one and the same fault, the first of them where there are many."""
    if len(lines) == 1:
        return f"line {lines[0]}"
    more = f" and {len(lines) - most} more" if len(lines) > most else ""
    return f"lines {', '.join(map(str, lines[:most]))}{more}"
