"""Reads a run's part files into whole tables, while the run may be writing and merging them.

A part of `points` and the part of `segments` that goes with it have the same name. A point may
stand in several parts, after a failure or in the middle of a merge; the part in which it was
finished last counts, for its row and for its segments.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from pipeline.errors import ResultsError
from pipeline.results.checked import check_part, check_plain, completed, read_bounded
from pipeline.results.schema import (
    POINT_COLUMNS,
    SCHEMA_VERSION,
    SEGMENT_COLUMNS,
    arrow_schema,
    base_id,
)

POINTS, SEGMENTS = "points", "segments"
# A merge takes fractions of a second; a reader that lost a file to one starts again.
MAX_ATTEMPTS, SECONDS_BETWEEN_ATTEMPTS = 20, 0.05


@dataclass(frozen=True)
class Tables:
    """Both tables of a run, each point as it was run last."""

    points: pa.Table
    segments: pa.Table


def part_files(directory: Path, name: str) -> list[Path]:
    """List the part files of a table."""
    return sorted((directory / name).glob("*.parquet"))


def read_tables(directory: Path) -> Tables | None:
    """Read both tables, None where there are no points yet. Raises ResultsError."""
    for _ in range(MAX_ATTEMPTS):
        files = part_files(directory, POINTS)
        try:
            return read_parts(directory, files) if files else None
        except FileNotFoundError:
            time.sleep(SECONDS_BETWEEN_ATTEMPTS)  # the run has merged the files listed before
    raise ResultsError(f"{directory}: is being rewritten; try again")


def read_parts(directory: Path, files: Sequence[Path]) -> Tables:
    """Read parts of `points` and the segments that go with them.

    Raises FileNotFoundError where one of them was merged away meanwhile, ResultsError where one
    cannot be read.
    """
    points = [completed(read_part(file), POINT_COLUMNS, file) for file in files]
    latest = _latest_parts(points)
    segments = []
    for index, file in enumerate(files):
        beside = directory / SEGMENTS / file.name
        if beside.exists():
            table = completed(read_part(beside), SEGMENT_COLUMNS, beside)
            ids = [base_id(point_id) for point_id in table["point_id"].to_pylist()]
            # Segments of no point at all stay, for the verification to find.
            segments.append(_filtered(table, [latest.get(i, index) == index for i in ids]))
        elif not file.exists():
            raise FileNotFoundError(file)
    kept = [
        _filtered(table, [latest[base_id(i)] == index for i in table["point_id"].to_pylist()])
        for index, table in enumerate(points)
    ]
    empty = arrow_schema(SEGMENT_COLUMNS).empty_table()
    return Tables(_joined(kept, directory), _joined(segments or [empty], directory))


def read_part(file: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a part file. Raises ResultsError where it is none, FileNotFoundError if it is gone."""
    try:
        check_plain(file)
        with pa.OSFile(str(file)) as opened:
            table = read_bounded(opened, columns)
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise ResultsError(f"{file}: cannot be read: {error}") from None
    version = (table.schema.metadata or {}).get(b"schema_version", b"?").decode(errors="replace")
    if version != SCHEMA_VERSION:
        raise ResultsError(f"{file}: schema_version must be {SCHEMA_VERSION} (got {version!r})")
    check_part(table, file)
    return table


def _filtered(table: pa.Table, kept: Sequence[bool]) -> pa.Table:
    """Return the rows that are kept, of an empty table none."""
    return table.filter(pa.array(kept, pa.bool_()))


def _latest_parts(points: Sequence[pa.Table]) -> dict[str, int]:
    """Return, for the id of every point, the part in which it was finished last."""
    latest: dict[str, tuple[datetime, int]] = {}
    for index, table in enumerate(points):
        times = table["finished_at"].to_pylist()
        for point_id, finished_at in zip(table["point_id"].to_pylist(), times, strict=True):
            key = base_id(point_id)
            latest[key] = max(latest.get(key, (finished_at, index)), (finished_at, index))
    return {key: index for key, (_, index) in latest.items()}


def _joined(tables: Sequence[pa.Table], directory: Path) -> pa.Table:
    """Join parts; a swept column of whole numbers in one and fractions in another has both."""
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise ResultsError(f"{directory}: its parts do not go together: {error}") from None
