"""Reads a run's folder into typed pandas frames; needs neither Ray, Pyomo nor HiGHS."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import ResultsError
from pipeline.results.checked import check_columns, printable_table
from pipeline.results.folder import Folder, Place, folder_at
from pipeline.results.parts import Tables, read_tables
from pipeline.results.planned import plan_columns, points_answered
from pipeline.results.schema import base_id, json_columns
from pipeline.results.store import RUN_FILE, read_run
from pipeline.texts import TextError, parse_json


@dataclass(frozen=True)
class Results:
    """The tables of one run: points and segments as frames, and what `run.json` says.

    json_columns: the columns of points whose values stand there as JSON text.
    """

    directory: Folder
    points: pd.DataFrame
    segments: pd.DataFrame
    run: dict[str, Any]
    json_columns: frozenset[str] = frozenset()

    def point(self, point_id: str) -> dict[str, Any]:
        """Return the row of a point by column name. Raises KeyError where there is none."""
        return records(self.points[self._is(point_id)])[0]

    def placement(self, point_id: str) -> pd.DataFrame:
        """Return the segments of a point in pipeline order; empty where it has none.

        Raises KeyError where there is no such point.
        """
        self._is(point_id)
        return self.segments[self.segments.point_id == point_id].sort_values("stage")

    def _is(self, point_id: str) -> pd.Series[bool]:
        """Tell which row is a point's. Raises KeyError, naming those that begin as it does."""
        ids = self.points.point_id
        found = ids == point_id
        if not found.any():
            begun = [i for i in ids if point_id and str(i).startswith(point_id)]
            near = f"; of this run begins so: {', '.join(begun[:3])}" if begun else ""
            raise KeyError(f"{point_id}: no point of {self.directory}{near}")
        return found

    def stages(self) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of every placement in pipeline order, by point."""
        placements: dict[str, list[dict[str, Any]]] = {}
        for row in records(self.segments.sort_values(["point_id", "stage"])):
            placements.setdefault(str(row["point_id"]), []).append(row)
        return placements

    def swept(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the swept values of a row of points, as they stood in the config."""
        values = {}
        for name in self.run["swept_fields"]:
            value = row[name].item() if hasattr(row[name], "item") else row[name]
            values[name] = json.loads(value) if name in self.json_columns else value
        return values

    def points_there(self) -> int:
        """Return how many points of the plan have a row; those of other plans may count too."""
        questions = asked(self.points)[plan_columns(self.run)]
        table = pa.Table.from_pandas(questions, preserve_index=False)
        return pc.sum(points_answered(table, self.run)).as_py() or 0


def read_results(place: Place) -> Results:
    """Read the tables of a run, each point once. Raises ResultsError."""
    folder = folder_at(place)
    run = read_run(folder)
    tables = read_tables(folder)
    if tables is None:
        raise ResultsError(f"{folder}: holds no points yet")
    check_columns(run, folder / RUN_FILE)
    _check_swept(tables.points, run["swept_fields"], folder)
    tables = Tables(*map(printable_table, (tables.points, tables.segments)))
    points, segments = tables.points.to_pandas(), tables.segments.to_pandas()
    return Results(folder, points, segments, run, json_columns(tables.points.schema))


def _check_swept(points: pa.Table, names: Sequence[str], folder: Folder) -> None:
    """Raise ResultsError where a swept field has no column, or one of texts that are not JSON."""
    if absent := [name for name in names if name not in points.schema.names]:
        raise ResultsError(f"{folder}: points: lacks the columns {', '.join(absent)}")
    for name in json_columns(points.schema) & set(names):
        for text in pc.unique(points[name]).to_pylist():
            try:
                parse_json(text if isinstance(text, str) else "")
            except TextError as error:
                raise ResultsError(f"{folder}: points: {name}: {error}") from None


def asked(points: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each question asked: a frontier is one question with many rows.

    Times, models and sizes of the search space are those of the question, equal in all its rows.
    """
    first: dict[str, int] = {}
    for index, point_id in enumerate(points.point_id):
        first.setdefault(base_id(point_id), index)
    return points if len(first) == len(points) else points.iloc[list(first.values())]


def each_record(frame: pd.DataFrame, at_once: int = 1000) -> Iterator[dict[str, Any]]:
    """Yield the rows of a frame by column name; never are more than so many of them in memory."""
    for start in range(0, len(frame), at_once):
        yield from records(frame.iloc[start : start + at_once])


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame by column name, lists in them as lists of plain numbers."""
    return [
        {
            str(name): value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in row.items()
        }
        for row in frame.to_dict("records")
    ]
