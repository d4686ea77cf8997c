"""Reads a run's folder into typed pandas frames; needs neither Ray, Pyomo nor HiGHS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import ResultsError
from pipeline.results.store import (
    POINTS,
    SEGMENTS,
    distinct_segments,
    latest_rows,
    part_files,
    read_parts,
    read_run,
)


@dataclass(frozen=True)
class Results:
    """The tables of one run: points and segments as frames, and what `run.json` says."""

    directory: Path
    points: pd.DataFrame
    segments: pd.DataFrame
    run: dict[str, Any]

    def placement(self, point_id: str) -> pd.DataFrame:
        """Return the segments of a point in pipeline order; empty where it has none."""
        return self.segments[self.segments.point_id == point_id].sort_values("stage")


def read_results(folder: Path) -> Results:
    """Read the tables of a run, each point once. Raises ResultsError."""
    run = read_run(folder)
    points = read_parts(part_files(folder, POINTS))
    if points is None:
        raise ResultsError(f"{folder}: holds no points yet")
    segments = read_parts(part_files(folder, SEGMENTS))
    frame = latest_rows(points).to_pandas()
    if segments is None:
        return Results(folder, frame, pd.DataFrame(columns=["point_id", "stage"]), run)
    stages = distinct_segments(segments).to_pandas()
    return Results(folder, frame, stages[stages.point_id.isin(set(frame.point_id))], run)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame by column name."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
