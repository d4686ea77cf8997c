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

import pyarrow as pa

from pipeline.errors import ResultsError
from pipeline.results.checked import check_part, completed, read_bounded
from pipeline.results.folder import Folder, Place, folder_at, one_line
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


def part_files(place: Place, table: str) -> list[str]:
    """List the part files of a table by name. Raises ResultsError."""
    folder = folder_at(place)
    try:
        return [name for name in folder.names(table) if name.endswith(".parquet")]
    except OSError as error:
        raise _unreadable(folder / table, error) from None


def read_tables(place: Place) -> Tables | None:
    """Read both tables, None where there are no points yet. Raises ResultsError."""
    folder = folder_at(place)
    for _ in range(MAX_ATTEMPTS):
        parts = part_files(folder, POINTS)
        try:
            return read_parts(folder, parts) if parts else None
        except FileNotFoundError:
            time.sleep(SECONDS_BETWEEN_ATTEMPTS)  # the run has merged the files listed before
    raise ResultsError(f"{folder}: is being rewritten; try again")


def read_parts(folder: Folder, parts: Sequence[str]) -> Tables:
    """Read parts of `points` and the segments that go with them.

    Raises FileNotFoundError where one of them was merged away meanwhile, ResultsError where one
    cannot be read.
    """
    points = [_whole_part(folder, POINTS, part) for part in parts]
    latest = _latest_parts(points)
    beside = set(part_files(folder, SEGMENTS))
    segments = []
    for index, part in enumerate(parts):
        if part in beside:
            table = _whole_part(folder, SEGMENTS, part)
            ids = [base_id(point_id) for point_id in table["point_id"].to_pylist()]
            # Segments of no point at all stay, for the verification to find.
            segments.append(_filtered(table, [latest.get(i, index) == index for i in ids]))
        elif not _is_there(folder, part):
            raise FileNotFoundError(f"{folder}/{POINTS}/{part}")
    kept = [
        _filtered(table, [latest[base_id(i)] == index for i in table["point_id"].to_pylist()])
        for index, table in enumerate(points)
    ]
    empty = arrow_schema(SEGMENT_COLUMNS).empty_table()
    return Tables(_joined(kept, folder), _joined(segments or [empty], folder))


def read_part(folder: Folder, table: str, part: str, columns: list[str] | None = None) -> pa.Table:
    """Read a part file. Raises ResultsError where it is none, FileNotFoundError if it is gone."""
    name = f"{table}/{part}"
    try:
        with folder.opened(name) as opened:
            rows = read_bounded(opened, columns)
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(folder / name, error) from None
    version = (rows.schema.metadata or {}).get(b"schema_version", b"?").decode(errors="replace")
    if version != SCHEMA_VERSION:
        reason = f"schema_version must be {SCHEMA_VERSION} (got {version!r})"
        raise ResultsError(f"{folder / name}: {reason}")
    check_part(rows, folder / name)
    return rows


def _whole_part(folder: Folder, table: str, part: str) -> pa.Table:
    """Read a part file with all columns of its table."""
    columns = POINT_COLUMNS if table == POINTS else SEGMENT_COLUMNS
    return completed(read_part(folder, table, part), columns, folder / table / part)


def _is_there(folder: Folder, part: str) -> bool:
    """Tell whether a part of `points` stands where it was listed. Raises ResultsError."""
    try:
        return folder.exists(f"{POINTS}/{part}")
    except OSError as error:
        raise _unreadable(folder / POINTS / part, error) from None


def _unreadable(file: Folder, error: Exception) -> ResultsError:
    return ResultsError(f"{file}: cannot be read: {one_line(error)}")


def _filtered(table: pa.Table, kept: Sequence[bool]) -> pa.Table:
    """Return the rows that are kept, of an empty table none."""
    return table.filter(pa.array(kept, pa.bool_()))


def order(status: str, finished_at: datetime) -> tuple[bool, datetime]:
    """Return what the rows of one point are ordered by, the one that counts last.

    What was answered is never run again, so an error is older whatever its host's clock says.
    """
    return status != "error", finished_at


def _latest_parts(points: Sequence[pa.Table]) -> dict[str, int]:
    """Return, for the id of every point, the part in which it was finished last."""
    latest: dict[str, tuple[bool, datetime, int]] = {}
    for index, table in enumerate(points):
        columns = (table[name].to_pylist() for name in ("point_id", "status", "finished_at"))
        for point_id, status, finished_at in zip(*columns, strict=True):
            key, found = base_id(point_id), (*order(status, finished_at), index)
            latest[key] = max(latest.get(key, found), found)
    return {key: index for key, (_, _, index) in latest.items()}


def _joined(tables: Sequence[pa.Table], folder: Folder) -> pa.Table:
    """Join parts; a swept column of whole numbers in one and fractions in another has both."""
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise ResultsError(f"{folder}: its parts do not go together: {error}") from None
