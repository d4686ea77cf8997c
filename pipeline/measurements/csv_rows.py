"""Turns a CSV file into rows that keep to a form, or tells all faults at once."""

from __future__ import annotations

from collections.abc import Container, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipeline.errors import SourceError, shown
from pipeline.fault_words import reason
from pipeline.texts import TextError, parse_csv, read_text
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


def _rows(path: Path, wanted: Container[str]) -> tuple[list[str], dict[int, dict[str, str]]]:
    """Columns of a CSV file, and the wanted cells of its rows by the line that they end in.

    Raises MeasurementError when it cannot be read as one.
    """
    rows: dict[int, dict[str, str]] = {}
    uneven: list[int] = []
    try:
        read = parse_csv(read_text(path, MAX_FILE_BYTES))
        _, columns = next(read, (1, []))
        _check_columns(path, columns)
        kept = [index for index, name in enumerate(columns) if name in wanted]
        for line, cells in islice(((line, cells) for line, cells in read if cells), MAX_ROWS + 1):
            # Cells beyond the last column do no harm while they are empty.
            if len(cells) < len(columns) or any(cells[len(columns) :]):
                uneven.append(line)
            else:
                rows[line] = {columns[index]: cells[index] for index in kept}
    except TextError as error:
        raise MeasurementError([f"{path.name}: {error.where}: {error}"]) from error
    if len(rows) + len(uneven) > MAX_ROWS:
        raise MeasurementError([f"{path.name}: file: holds more than {MAX_ROWS} rows"])
    if uneven:
        told = f"must have as many cells as the header, {len(columns)}"
        raise MeasurementError([f"{path.name}: {_where(uneven)}: {told}"])
    if not rows:
        raise MeasurementError([f"{path.name}: file: holds no rows"])
    return columns, rows


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    """Raise MeasurementError for a header that is none, whatever the file is to hold."""
    if len(columns) > MAX_COLUMNS:
        raise MeasurementError([f"{path.name}: line 1: holds more than {MAX_COLUMNS} columns"])
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise MeasurementError([f"{path.name}: {name}: column stands twice" for name in twice])
    if len(columns) == 1 and (";" in columns[0] or "\t" in columns[0]):
        told = "must separate its columns by commas"
        raise MeasurementError([f"{path.name}: line 1: {told} (got {columns[0]!r:.60})"])


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
    columns, rows = _rows(path, form.model_fields)
    faults = _header_faults(path, [name for name in columns if name], form)
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
