"""Writes a run's folder so that, whatever happens, every file in it is whole.

Tables grow by part files, each of which is seen whole or not at all. A part of `points` and the
part of `segments` that goes with it have the same name; the segments are written first. So a point
counts as done when its row in `points` is there, and segments whose points were never written,
because the run was killed in between, are known by their name.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import ResultsError
from pipeline.results.checked import check_ballparks, check_folders
from pipeline.results.config_changes import changes_told
from pipeline.results.folder import Place, folder_at, one_line
from pipeline.results.json_text import readable_json
from pipeline.results.parts import (
    POINTS,
    SEGMENTS,
    part_files,
    read_part,
    read_parts,
)
from pipeline.results.planned import BALLPARKS
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
    column_kind,
)
from pipeline.texts import TextError, parse_json
from pipeline.words import listed

RUN_FILE = "run.json"
# How the names of files begin that are there for a moment alone, in the folder and in its tables.
UNFINISHED = (f".{POINTS}-", f".{SEGMENTS}-", f".{RUN_FILE}.")
TRIAL = ".trial-"
# So many parts of one tier become one part of the next: few files, each row rewritten seldom.
PARTS_PER_TIER = 64


@dataclass(frozen=True)
class Done:
    """What a folder holds: the ids of its answered points, and their best $/token, if any."""

    ids: set[str]
    best_usd_per_token: float | None


class Store:
    """The folder of one run. directory: a path, or an address such as `s3://bucket/run`."""

    def __init__(self, directory: Place, swept: Sequence[Column] = ()):
        self.directory = folder_at(directory)
        self._json_columns = [column.name for column in swept if column.as_json]
        self._swept_fields = [column.field() for column in swept]
        self._schemas = {
            POINTS: arrow_schema((*POINT_COLUMNS, *swept)),
            SEGMENTS: arrow_schema(SEGMENT_COLUMNS),
        }
        self.ballparks: dict[str, float | None] = {}
        self._ballparks_are_new = False

    def prepare(self, run: Mapping[str, Any], fresh: bool = False) -> None:
        """Make the folder ready for a run, or raise ResultsError where it cannot take it.

        run: what `run.json` will say. fresh: remove the results of an earlier run first.
        """
        with self._writing():
            before = self.check(run, fresh)
            for table in (POINTS, SEGMENTS):
                (self.directory / table).make()
            if fresh:
                self._clear()
            self._remove_temporaries()
            self._try_to_write()
            known = dict.fromkeys([*_names(before.get("granularities")), *run["granularities"]])
            self.ballparks = dict(before.get(BALLPARKS) or {})
            self.write_run({**run, "granularities": list(known)})

    def check(self, run: Mapping[str, Any], fresh: bool = False) -> dict[str, Any]:
        """Return what `run.json` says of the run that this one goes on with, empty without one.

        Raises ResultsError where the folder cannot take the run; writes nothing.
        """
        with self._writing():
            before = {} if fresh else self._earlier(run)
            if not fresh:
                self._check_swept_kinds()
            check_folders(self.directory / table for table in (POINTS, SEGMENTS))
        return before

    def finish(self, stopped: bool, failed: int) -> None:
        """Merge the part files and note in `run.json` how the run ended."""
        ended = {"status": "stopped" if stopped else "finished", "failed": failed}
        with self._writing():
            run = read_run(self.directory)
            started_at = None if stopped else datetime.fromisoformat(run["started_at"])
            self.compact(started_at)
            self.write_run({**run, **ended, "finished_at": now()})

    def note_ballpark(self, problem_id: str, usd_per_hour: float | None) -> None:
        """Note the ballpark of a problem, so that a resume has the same budgets.

        It is written with the next rows, before any of those that it has led to.
        """
        self.ballparks[problem_id] = usd_per_hour
        self._ballparks_are_new = True

    def done(self) -> Done:
        """Return which points need not be run again; failed ones are."""
        ids: set[str] = set()
        lowest = []
        for part in part_files(self.directory, POINTS):
            names = ["point_id", "status", "cost_usd_per_token"]
            table = read_part(self.directory, POINTS, part, names)
            answered = table.filter(pc.not_equal(table["status"], "error"))
            ids.update(map(base_id, answered["point_id"].to_pylist()))
            lowest.append(pc.min(table["cost_usd_per_token"]).as_py())
        prices = [price for price in lowest if price is not None]
        return Done(ids, min(prices, default=None))

    def append(self, points: Sequence[PointRow], segments: Iterable[SegmentRow]) -> None:
        """Write one part file of each table. Raises ResultsError where that cannot be."""
        rows = [self._encoded(point.values) for point in points]
        tables = {
            SEGMENTS: arrow_table([s.as_dict() for s in segments], self._schemas[SEGMENTS]),
            POINTS: arrow_table(rows, self._schemas[POINTS]),
        }
        with self._writing():
            if self._ballparks_are_new:
                self.write_run(read_run(self.directory))
            self._write(tables)
            self._merge_full_tiers()

    def compact(self, asked_since: datetime | None = None) -> None:
        """Merge the part files of each table into one, each point once, the latest row of it.

        asked_since: when a run began that has asked everything; without it, nothing is superseded.
        """
        parts = part_files(self.directory, POINTS)
        orphans = set(part_files(self.directory, SEGMENTS)) - set(parts)
        if len(parts) > 1:
            self._merge(parts, max(map(_tier, parts)), asked_since)
        for part in orphans:
            self.directory.remove(f"{SEGMENTS}/{part}")

    def _merge_full_tiers(self) -> None:
        """Merge each tier of which there are many parts into one part of the next tier."""
        parts = part_files(self.directory, POINTS)
        for tier in sorted({_tier(part) for part in parts}):
            of_tier = [part for part in parts if _tier(part) == tier]
            if len(of_tier) >= PARTS_PER_TIER:
                self._merge(of_tier, tier + 1)

    def _merge(self, parts: Sequence[str], tier: int, asked_since: datetime | None = None) -> None:
        """Replace parts by one that holds their rows; whenever it breaks off, nothing is lost."""
        tables = read_parts(self.directory, parts)
        points = tables.points
        if asked_since is not None:
            points = points.filter(pc.invert(_superseded(points, asked_since)))
        self._write({SEGMENTS: tables.segments, POINTS: points}, tier)
        # Points first: segments without points are ignored, points without segments would not be.
        for table in (POINTS, SEGMENTS):
            for part in parts:
                self.directory.remove(f"{table}/{part}")

    def write_run(self, run: Mapping[str, Any]) -> None:
        """Write `run.json`, with the ballparks that are known."""
        known = {BALLPARKS: self.ballparks} if self.ballparks else {}
        text = readable_json({"schema_version": SCHEMA_VERSION, **run, **known})
        self.directory.write(RUN_FILE, f"{text}\n".encode())
        self._ballparks_are_new = False

    def _encoded(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Turn the values of columns that hold JSON into text."""
        return {**values, **{name: json.dumps(values[name]) for name in self._json_columns}}

    def _write(self, tables: Mapping[str, pa.Table], tier: int = 0) -> None:
        """Write parts of one name, in the order given, each seen only when it is whole."""
        part = f"part-{tier}-{uuid.uuid4().hex}.parquet"
        for name, table in tables.items():
            if table.num_rows:
                self.directory.write_table(f"{name}/{part}", table)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn what the file system refuses into ResultsError; what was written stays."""
        try:
            yield
        except OSError as error:
            reason = f"cannot write results: {one_line(error)}"
            raise ResultsError(f"{self.directory}: {reason}") from error

    def _try_to_write(self) -> None:
        """Write and remove a file in each table's folder. Raises OSError where that cannot be."""
        for table in (POINTS, SEGMENTS):
            trial = f"{table}/{TRIAL}{uuid.uuid4().hex}"
            self.directory.write(trial, b"0" * 4096)
            self.directory.remove(trial)

    def _remove_temporaries(self) -> None:
        """Remove what a run that was killed had not finished writing."""
        for inner, beginnings in (("", UNFINISHED), (POINTS, TRIAL), (SEGMENTS, TRIAL)):
            for name in self.directory.names(inner):
                if name.startswith(beginnings):
                    self.directory.remove(f"{inner}/{name}" if inner else name)

    def _clear(self) -> None:
        """Remove the files of an earlier run, and nothing else."""
        for table in (POINTS, SEGMENTS):
            for part in part_files(self.directory, table):
                self.directory.remove(f"{table}/{part}")
        self.directory.remove(RUN_FILE)

    def _check_swept_kinds(self) -> None:
        """Raise ResultsError where a swept field's values cannot stand in one column with before.

        All parts that are there go together, so that any of them tells.
        """
        names = [field.name for field in self._swept_fields]
        for part in part_files(self.directory, POINTS)[:1] if names else ():
            before = read_part(self.directory, POINTS, part, names).schema
            for field in self._swept_fields:
                old, new = column_kind(before.field(field.name)), column_kind(field)
                if old != new:
                    raise ResultsError(
                        f"{self.directory}: holds {old} for {field.name}, which this sweep has as "
                        f"{new}; choose another --out, or --fresh to discard them"
                    )

    def _earlier(self, run: Mapping[str, Any]) -> dict[str, Any]:
        """Return what `run.json` says of an earlier run of the same instance, empty without one.

        Raises ResultsError where the folder's results come from another instance.
        """
        if not self.directory.exists(RUN_FILE):
            return {}
        before = read_run(self.directory)
        for key, what in (("instance_hash", "instance"), ("swept_fields", "set of swept fields")):
            if before.get(key) != run[key]:
                changed = changes_told(before.get("config"), run.get("config"))
                if key == "swept_fields":
                    there, here = (listed(_names(r.get(key))) or "none" for r in (before, run))
                    changed = f"{there} there, {here} now"
                raise ResultsError(
                    f"{self.directory}: holds results of another {what}"
                    f"{f' ({changed})' if changed else ''}; "
                    "choose another --out, or --fresh to discard them"
                )
        check_ballparks(before, self.directory / RUN_FILE)
        return before


def _names(value: Any) -> list[str]:
    """Return the names in a list of `run.json`; none where it holds something else."""
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def now() -> str:
    """Return the time as `run.json` writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_run(place: Place) -> dict[str, Any]:
    """Return what `run.json` says. Raises ResultsError where there is none that can be read."""
    folder = folder_at(place)
    file = folder / RUN_FILE
    try:
        run = parse_json(folder.read(RUN_FILE).decode("utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        raise ResultsError(f"{file}: does not exist; is this the folder of a sweep?") from None
    except UnicodeDecodeError:
        raise ResultsError(f"{file}: is not UTF-8 text") from None
    except TextError as error:
        raise ResultsError(f"{file}: {error}") from None
    except OSError as error:
        raise ResultsError(f"{file}: cannot be read: {one_line(error)}") from None
    if not isinstance(run, dict) or run.get("schema_version") != SCHEMA_VERSION:
        found = run.get("schema_version") if isinstance(run, dict) else None
        raise ResultsError(f"{file}: schema_version must be {SCHEMA_VERSION} (got {found!r})")
    return run


def _superseded(points: pa.Table, asked_since: datetime) -> pa.ChunkedArray:
    """Tell which rows say that no ballpark was found though a later run has found one.

    An enumeration without a budget stands for those at all multiples of a ballpark. Where it failed
    and was not asked again by a run that has asked everything, the multiples were.
    """
    stands_in = pc.and_(
        pc.equal(points["method"], "enumeration"), pc.is_null(points["budget_usd_per_hour"])
    )
    since = pa.scalar(asked_since, points.schema.field("finished_at").type)
    old = pc.less(points["finished_at"], since)
    return pc.and_(pc.and_(stands_in, pc.equal(points["status"], "error")), old)


def _tier(part: str) -> int:
    """Return how often the rows of a part were merged before, as its name says."""
    number = part.split("-")[1]
    return int(number) if number.isdecimal() and len(number) < 4 else 0
