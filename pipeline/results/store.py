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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import ResultsError
from pipeline.results.checked import check_folders
from pipeline.results.parts import (
    POINTS,
    SEGMENTS,
    part_files,
    read_part,
    read_parts,
    read_tables,
)
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
from pipeline.texts import TextError, parse_json, read_text

__all__ = ["Store", "now", "part_files", "read_part", "read_run", "read_tables"]

RUN_FILE = "run.json"
# So many parts of one tier become one part of the next: few files, each row rewritten seldom.
PARTS_PER_TIER = 64
# A config with the largest matrix that is taken fills a third of it.
MAX_RUN_BYTES = 64 * 1024**2


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
        with self._writing():
            known = list(run["granularities"]) if fresh else self._known_granularities(run)
            check_folders(self.directory / table for table in (POINTS, SEGMENTS))
            for table in (POINTS, SEGMENTS):
                (self.directory / table).mkdir(parents=True, exist_ok=True)
            if fresh:
                self._clear()
            self._remove_temporaries()
            self._try_to_write()
            self.write_run({**run, "granularities": known})

    def finish(self, stopped: bool, failed: int) -> None:
        """Merge the part files and note in `run.json` how the run ended."""
        ended = {"status": "stopped" if stopped else "finished", "failed": failed}
        with self._writing():
            self.compact()
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
        with self._writing():
            self._write(tables)
            self._merge_full_tiers()

    def compact(self) -> None:
        """Merge the part files of each table into one, each point once, the latest row of it."""
        files = part_files(self.directory, POINTS)
        named = {file.name for file in files}
        orphans = [f for f in part_files(self.directory, SEGMENTS) if f.name not in named]
        if len(files) > 1:
            self._merge(files, tier=max(map(_tier, files)))
        for file in orphans:
            file.unlink()

    def _merge_full_tiers(self) -> None:
        """Merge each tier of which there are many parts into one part of the next tier."""
        files = part_files(self.directory, POINTS)
        for tier in sorted({_tier(file) for file in files}):
            of_tier = [file for file in files if _tier(file) == tier]
            if len(of_tier) >= PARTS_PER_TIER:
                self._merge(of_tier, tier + 1)

    def _merge(self, files: Sequence[Path], tier: int) -> None:
        """Replace parts by one that holds their rows; whenever it breaks off, nothing is lost."""
        tables = read_parts(self.directory, files)
        self._write({SEGMENTS: tables.segments, POINTS: tables.points}, tier)
        # Points first: segments without points are ignored, points without segments would not be.
        for name in (POINTS, SEGMENTS):
            for file in files:
                (self.directory / name / file.name).unlink(missing_ok=True)

    def write_run(self, run: Mapping[str, Any]) -> None:
        """Write `run.json`."""
        text = json.dumps({"schema_version": SCHEMA_VERSION, **run}, indent=2, allow_nan=False)
        temporary = self.directory / f".{RUN_FILE}.{uuid.uuid4().hex}"
        temporary.write_text(text + "\n", encoding="utf-8")
        os.replace(temporary, self.directory / RUN_FILE)

    def _encoded(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Turn the values of columns that hold JSON into text."""
        return {**values, **{name: json.dumps(values[name]) for name in self._json_columns}}

    def _write(self, tables: Mapping[str, pa.Table], tier: int = 0) -> None:
        """Write parts of one name, in the order given, each renamed only when it is whole."""
        part = f"part-{tier}-{uuid.uuid4().hex}.parquet"
        for name, table in tables.items():
            if table.num_rows:
                temporary = self.directory / f".{name}-{part}"
                try:
                    pq.write_table(table, temporary, compression="zstd")
                    _sync(temporary)
                    os.replace(temporary, self.directory / name / part)
                except OSError:
                    temporary.unlink(missing_ok=True)  # leave a full disk its last room
                    raise

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn what the file system refuses into ResultsError; what was written stays."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise ResultsError(f"{self.directory}: cannot write results: {reason}") from error

    def _try_to_write(self) -> None:
        """Write and remove a file in each table's folder. Raises OSError where that cannot be."""
        for name in (POINTS, SEGMENTS):
            trial = self.directory / name / f".trial-{uuid.uuid4().hex}"
            trial.write_bytes(b"0" * 4096)
            trial.unlink()

    def _remove_temporaries(self) -> None:
        """Remove what a run that was killed had not finished writing."""
        trials = (f"{POINTS}/.trial-*", f"{SEGMENTS}/.trial-*")
        for pattern in (f".{POINTS}-part-*", f".{SEGMENTS}-part-*", f".{RUN_FILE}.*", *trials):
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
                changed = changed_fields(before.get("config"), run.get("config"))
                raise ResultsError(
                    f"{self.directory}: holds results of another {what}"
                    f"{f' ({changed})' if changed else ''}; "
                    "choose another --out, or --fresh to discard them"
                )
        known = before.get("granularities")
        known = [n for n in known if isinstance(n, str)] if isinstance(known, list) else []
        return list(dict.fromkeys([*known, *run["granularities"]]))


def now() -> str:
    """Return the time as `run.json` writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_run(directory: Path) -> dict[str, Any]:
    """Return what `run.json` says. Raises ResultsError where there is none that can be read."""
    file = directory / RUN_FILE
    try:
        run = parse_json(read_text(file, MAX_RUN_BYTES))
    except TextError as error:
        hint = "; is this the folder of a sweep?" if error.reason == "does not exist" else ""
        raise ResultsError(f"{file}: {error}{hint}") from None
    if not isinstance(run, dict) or run.get("schema_version") != SCHEMA_VERSION:
        found = run.get("schema_version") if isinstance(run, dict) else None
        raise ResultsError(f"{file}: schema_version must be {SCHEMA_VERSION} (got {found!r})")
    return run


def changed_fields(before: Any, after: Any, most: int = 3) -> str:
    """Name the fields in which two configs differ, with both values; empty where none does."""
    flat = [dict(_flat(config)) for config in (before, after)]
    names = [n for n in dict.fromkeys([*flat[0], *flat[1]]) if not n.startswith("sweep.")]
    texts = [
        f"{name}: {flat[0].get(name)} there, {flat[1].get(name)} now"
        for name in names
        if flat[0].get(name) != flat[1].get(name)
    ]
    left_out = [f"{len(texts) - most} more"] if len(texts) > most else []
    return "; ".join(texts[:most] + left_out)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the plain values of nested data under their dotted names."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        for index, inner in enumerate(value):
            yield from _flat(inner, f"{name}[{index}]")
    else:
        yield name, value


def _sync(file: Path) -> None:
    """Wait until a file is on disk: its name must not outlive its content in a power cut."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _tier(file: Path) -> int:
    """Return how often the rows of a part were merged before, as its name says."""
    number = file.name.split("-")[1]
    return int(number) if number.isdecimal() and len(number) < 4 else 0
