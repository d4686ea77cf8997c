"""Writes a run's folder so that, whatever happens, every file in it is whole.

Tables grow by part files, each written under a temporary name beside its folder and renamed. A
part of `points` and the part of `segments` that goes with it have the same name; the segments
are written first. So a point counts as done when its row in `points` is there, and segments whose
points were never written, because the run was killed in between, are known by their name.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import ResultsError
from pipeline.results.schema import (
    POINT_COLUMNS,
    SCHEMA_VERSION,
    SEGMENT_COLUMNS,
    Column,
    PointRow,
    SegmentRow,
    arrow_schema,
    arrow_table,
    base_id,
)

POINTS, SEGMENTS, RUN_FILE = "points", "segments", "run.json"


class Store:
    """The folder of one run."""

    def __init__(self, directory: Path, swept: Sequence[Column] = ()):
        self.directory = directory
        self._json_columns = [column.name for column in swept if column.as_json]
        self._schemas = {
            POINTS: arrow_schema((*POINT_COLUMNS, *swept)),
            SEGMENTS: arrow_schema(SEGMENT_COLUMNS),
        }

    def prepare(self, run: Mapping[str, Any], fresh: bool = False) -> None:
        """Make the folder ready for a run, or raise ResultsError where it cannot take it.

        run: what `run.json` will say. fresh: remove the results of an earlier run first.
        """
        try:
            known = list(run["granularities"]) if fresh else self._known_granularities(run)
            for table in (POINTS, SEGMENTS):
                (self.directory / table).mkdir(parents=True, exist_ok=True)
            if fresh:
                self._clear()
            self._remove_temporaries()
            self.write_run({**run, "granularities": known})
        except OSError as error:
            reason = error.strerror or str(error)
            raise ResultsError(f"{self.directory}: cannot write results: {reason}") from error

    def finish(self, stopped: bool, failed: int) -> None:
        """Merge the part files and note in `run.json` how the run ended."""
        self.compact()
        ended = {"status": "stopped" if stopped else "finished", "failed": failed}
        self.write_run({**read_run(self.directory), **ended, "finished_at": now()})

    def done_ids(self) -> set[str]:
        """Return the ids of the points that need not be run again; failed ones are."""
        files = part_files(self.directory, POINTS)
        pairs = [
            (point_id, status)
            for table in (read_part(file, ["point_id", "status"]) for file in files)
            for point_id, status in zip(
                table["point_id"].to_pylist(), table["status"].to_pylist(), strict=True
            )
        ]
        return {base_id(point_id) for point_id, status in pairs if status != "error"}

    def append(self, points: Sequence[PointRow], segments: Iterable[SegmentRow]) -> None:
        """Write one part file of each table. Raises ResultsError where that cannot be."""
        rows = [self._encoded(point.values) for point in points]
        tables = {
            SEGMENTS: arrow_table([s.as_dict() for s in segments], self._schemas[SEGMENTS]),
            POINTS: arrow_table(rows, self._schemas[POINTS]),
        }
        try:
            self._write(tables)
        except OSError as error:
            reason = error.strerror or str(error)
            raise ResultsError(f"{self.directory}: cannot write results: {reason}") from error

    def compact(self) -> None:
        """Merge the part files of each table into one, each point once, the latest row of it."""
        files = {name: part_files(self.directory, name) for name in (POINTS, SEGMENTS)}
        orphans = {file.name for file in files[SEGMENTS]} - {file.name for file in files[POINTS]}
        if len(files[POINTS]) < 2 and not orphans:
            return
        tables = read_tables(self.directory)
        if tables is None:
            return
        self._write({SEGMENTS: tables.segments, POINTS: tables.points})
        # Points first: segments without points are ignored, points without segments would not be.
        for name in (POINTS, SEGMENTS):
            for file in files[name]:
                file.unlink()

    def write_run(self, run: Mapping[str, Any]) -> None:
        """Write `run.json`."""
        text = json.dumps({"schema_version": SCHEMA_VERSION, **run}, indent=2, allow_nan=False)
        temporary = self.directory / f".{RUN_FILE}.{uuid.uuid4().hex}"
        temporary.write_text(text + "\n", encoding="utf-8")
        os.replace(temporary, self.directory / RUN_FILE)

    def _encoded(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Turn the values of columns that hold JSON into text."""
        return {**values, **{name: json.dumps(values[name]) for name in self._json_columns}}

    def _write(self, tables: Mapping[str, pa.Table]) -> None:
        """Write parts of one name, in the order given, each renamed only when it is whole."""
        part = f"part-{uuid.uuid4().hex}.parquet"
        for name, table in tables.items():
            if table.num_rows:
                temporary = self.directory / f".{name}-{part}"
                pq.write_table(table, temporary, compression="zstd")
                os.replace(temporary, self.directory / name / part)

    def _remove_temporaries(self) -> None:
        """Remove what a run that was killed had not finished writing."""
        for pattern in (f".{POINTS}-part-*", f".{SEGMENTS}-part-*", f".{RUN_FILE}.*"):
            for file in self.directory.glob(pattern):
                file.unlink(missing_ok=True)

    def _clear(self) -> None:
        """Remove the files of an earlier run, and nothing else."""
        for name in (POINTS, SEGMENTS):
            for file in part_files(self.directory, name):
                file.unlink()
        (self.directory / RUN_FILE).unlink(missing_ok=True)

    def _known_granularities(self, run: Mapping[str, Any]) -> list[str]:
        """Return the granularities of this run behind those that the folder holds already.

        Raises ResultsError where its results come from another instance.
        """
        if not (self.directory / RUN_FILE).exists():
            return list(run["granularities"])
        before = read_run(self.directory)
        for key, what in (("instance_hash", "instance"), ("swept_fields", "set of swept fields")):
            if before.get(key) != run[key]:
                raise ResultsError(
                    f"{self.directory}: holds results of another {what}; "
                    "choose another --out, or --fresh to discard them"
                )
        return list(dict.fromkeys([*before["granularities"], *run["granularities"]]))


def now() -> str:
    """Return the time as `run.json` writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_run(directory: Path) -> dict[str, Any]:
    """Return what `run.json` says. Raises ResultsError where there is none that can be read."""
    file = directory / RUN_FILE
    try:
        run = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ResultsError(f"{file}: does not exist; is this the folder of a sweep?") from None
    except (OSError, ValueError) as error:
        raise ResultsError(f"{file}: cannot be read: {error}") from None
    if not isinstance(run, dict) or run.get("schema_version") != SCHEMA_VERSION:
        found = run.get("schema_version") if isinstance(run, dict) else None
        raise ResultsError(f"{file}: schema_version must be {SCHEMA_VERSION} (got {found!r})")
    return run


def part_files(directory: Path, name: str) -> list[Path]:
    """List the part files of a table."""
    return sorted((directory / name).glob("*.parquet"))


@dataclass(frozen=True)
class Tables:
    """Both tables of a run, each point as it was run last."""

    points: pa.Table
    segments: pa.Table


def read_tables(directory: Path) -> Tables | None:
    """Read both tables, None where there are no points yet. Raises ResultsError."""
    for _ in range(3):
        try:
            return _read_tables(directory)
        except FileNotFoundError:
            continue  # a run that just ended has merged the files listed before
    raise ResultsError(f"{directory}: is being rewritten; try again")


def _read_tables(directory: Path) -> Tables | None:
    files = part_files(directory, POINTS)
    if not files:
        return None
    points = [read_part(file) for file in files]
    latest = _latest_parts(points)
    segments = []
    for index, file in enumerate(files):
        beside = directory / SEGMENTS / file.name
        if beside.exists():
            table = read_part(beside)
            ids = [base_id(point_id) for point_id in table["point_id"].to_pylist()]
            # Segments of no point at all stay, for the verification to find.
            segments.append(table.filter([latest.get(i, index) == index for i in ids]))
    kept = [
        table.filter([latest[base_id(i)] == index for i in table["point_id"].to_pylist()])
        for index, table in enumerate(points)
    ]
    empty = arrow_schema(SEGMENT_COLUMNS).empty_table()
    return Tables(_joined(kept, directory), _joined(segments or [empty], directory))


def _latest_parts(points: Sequence[pa.Table]) -> dict[str, int]:
    """Return, for the id of every point, the part in which it was finished last."""
    latest: dict[str, tuple[datetime, int]] = {}
    for index, table in enumerate(points):
        times = table["finished_at"].to_pylist()
        for point_id, time in zip(table["point_id"].to_pylist(), times, strict=True):
            key = base_id(point_id)
            latest[key] = max(latest.get(key, (time, index)), (time, index))
    return {key: index for key, (_, index) in latest.items()}


def _joined(tables: Sequence[pa.Table], directory: Path) -> pa.Table:
    """Join parts; a swept column of whole numbers in one and fractions in another has both."""
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise ResultsError(f"{directory}: its parts do not go together: {error}") from None


def read_part(file: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a part file. Raises ResultsError where it is none, FileNotFoundError if it is gone."""
    try:
        table = pq.read_table(file, columns=columns, partitioning=None)
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise ResultsError(f"{file}: cannot be read: {error}") from None
    version = (table.schema.metadata or {}).get(b"schema_version", b"?").decode()
    if version != SCHEMA_VERSION:
        raise ResultsError(f"{file}: schema_version must be {SCHEMA_VERSION} (got {version})")
    return table
