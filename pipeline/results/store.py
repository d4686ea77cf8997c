"""Writes a run's folder so that, whatever happens, every file in it is whole.

Tables grow by part files, each written under a temporary name beside its folder and renamed. A
point counts as done when its row in `points` is there; its segments are written before it.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
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
        self._schemas = {
            POINTS: arrow_schema((*POINT_COLUMNS, *swept)),
            SEGMENTS: arrow_schema(SEGMENT_COLUMNS),
        }

    def prepare(self, run: Mapping[str, Any], fresh: bool = False) -> None:
        """Make the folder ready for a run, or raise ResultsError where it cannot take it.

        run: what `run.json` will say. fresh: remove the results of an earlier run first.
        """
        try:
            for table in (POINTS, SEGMENTS):
                (self.directory / table).mkdir(parents=True, exist_ok=True)
            if fresh:
                self._clear()
            known = self._known_granularities(run)
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
        table = read_parts(part_files(self.directory, POINTS), ["point_id", "status"])
        if table is None:
            return set()
        pairs = zip(*(table.column(i).to_pylist() for i in (0, 1)), strict=True)
        return {base_id(point_id) for point_id, status in pairs if status != "error"}

    def append(self, points: Sequence[PointRow], segments: Iterable[SegmentRow]) -> None:
        """Write one part file of each table."""
        self._write(SEGMENTS, [segment.as_dict() for segment in segments])
        self._write(POINTS, [point.values for point in points])

    def compact(self) -> None:
        """Merge the part files of each table into one, each point once, the latest row of it."""
        files = {name: part_files(self.directory, name) for name in (SEGMENTS, POINTS)}
        points = read_parts(files[POINTS])
        if points is None:
            return
        last = latest_rows(points)
        segments = read_parts(files[SEGMENTS])
        for name, table in ((SEGMENTS, segments), (POINTS, last)):
            if table is not None and len(files[name]) > 1:
                unique = table if name == POINTS else distinct_segments(table)
                self._write_table(name, unique)
                for file in files[name]:
                    file.unlink()

    def write_run(self, run: Mapping[str, Any]) -> None:
        """Write `run.json`."""
        text = json.dumps({"schema_version": SCHEMA_VERSION, **run}, indent=2, allow_nan=False)
        temporary = self.directory / f".{RUN_FILE}.{uuid.uuid4().hex}"
        temporary.write_text(text + "\n", encoding="utf-8")
        os.replace(temporary, self.directory / RUN_FILE)

    def _write(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            self._write_table(name, arrow_table(rows, self._schemas[name]))

    def _write_table(self, name: str, table: pa.Table) -> None:
        part = f"part-{uuid.uuid4().hex}.parquet"
        temporary = self.directory / f".{part}"
        pq.write_table(table.cast(self._schemas[name]), temporary, compression="zstd")
        os.replace(temporary, self.directory / name / part)

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


def read_parts(files: Sequence[Path], columns: list[str] | None = None) -> pa.Table | None:
    """Read part files into one table, None where there are none. Raises ResultsError."""
    tables = []
    for file in files:
        try:
            table = pq.read_table(file, columns=columns)
        except (OSError, pa.ArrowException) as error:
            raise ResultsError(f"{file}: cannot be read: {error}") from None
        version = (table.schema.metadata or {}).get(b"schema_version", b"?").decode()
        if version != SCHEMA_VERSION:
            raise ResultsError(f"{file}: schema_version must be {SCHEMA_VERSION} (got {version})")
        tables.append(table)
    return pa.concat_tables(tables) if tables else None


def latest_rows(points: pa.Table) -> pa.Table:
    """Keep one row of each point, the one finished last."""
    ids, times = points.column("point_id").to_pylist(), points.column("finished_at").to_pylist()
    latest = {ids[row]: row for row in sorted(range(len(ids)), key=lambda row: times[row])}
    return points.take(sorted(latest.values()))


def distinct_segments(segments: pa.Table) -> pa.Table:
    """Keep each stage of each point once: a point run twice has the same id and answer."""
    ids, stages = segments.column("point_id").to_pylist(), segments.column("stage").to_pylist()
    latest = {key: row for row, key in enumerate(zip(ids, stages, strict=True))}
    return segments.take(sorted(latest.values()))
