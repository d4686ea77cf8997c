"""Compares granularities: what each found at best, how far from `exact`, and what it took."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.compare.tables import (
    Swept,
    by_swept,
    compared,
    effort_seconds,
    in_order,
    lowest,
    percent_above,
    summed,
)
from pipeline.results.frames import Results, asked
from pipeline.words import counted

REFERENCE_GRANULARITY = "exact"
Stages = Mapping[str, Sequence[Mapping[str, Any]]]
_QUESTION = ["method", "budget_usd_per_hour", "cost_weight"]
_EFFORT = ["build_seconds", "solve_seconds"]


@dataclass(frozen=True)
class SegmentUse:
    """How often a placement uses segments of one size, GPU type and TP degree."""

    count: int
    size: int
    gpu: str
    tp_degree: int

    def __str__(self) -> str:
        layers = counted(self.size, "layer")
        return f"{self.count} × {layers} on {self.gpu} TP {self.tp_degree}"


@dataclass(frozen=True)
class GranularityRow:
    """The lowest $/token that one granularity found, by any method, for one set of swept values.

    percent_to_baseline, percent_to_exact: how much more its tokens cost, negative: less; None
    where there is nothing to compare with. speed_up_to_exact: time of `exact` over its own time,
    for the questions that both were asked. points: questions asked. solve_seconds: building
    models included; models: how many were solved.
    """

    swept: Swept
    granularity: str
    point_id: str
    method: str
    status: str
    usd_per_token: float
    tokens_per_s: float
    usd_per_hour: float
    segments_used: tuple[SegmentUse, ...]
    options: int
    segments: int
    connections: int
    binaries: int
    points: int
    failed: int
    infeasible: int
    models: int
    solve_seconds: float
    total_seconds: float
    percent_to_baseline: float | None
    percent_to_exact: float | None
    speed_up_to_exact: float | None


def granularity_rows(results: Results) -> list[GranularityRow]:
    """Compare the granularities of a run, for every set of swept values, in the order swept."""
    rows: list[GranularityRow] = []
    names = list(results.run["swept_fields"])
    stages = results.stages()
    for swept, points in by_swept(compared(results.points, names), names):
        exact = points[points.granularity == REFERENCE_GRANULARITY]
        for name in in_order(list(points.granularity), results.run["granularities"]):
            row = _row(stages, swept, points[points.granularity == name], exact)
            if row is not None:
                rows.append(row)
    return rows


def unplaced(results: Results) -> list[tuple[str, int, str]]:
    """List what has no placement at all: name, points, and the commonest reason.

    One entry for every granularity and set of swept values; the name tells both.
    """
    listed = []
    for swept, of_swept in by_swept(results.points, results.run["swept_fields"]):
        for granularity, points in of_swept.groupby("granularity", sort=False):
            if points.cost_usd_per_token.notna().any():
                continue
            reason = Counter(points.message).most_common(1)[0][0]
            name = ", ".join([str(granularity), *(f"{k} = {v}" for k, v in swept.items())])
            listed.append((name, len(points), reason))
    return listed


def segment_usage(stages: Sequence[Mapping[str, Any]]) -> tuple[SegmentUse, ...]:
    """Count the segments of a placement by size, GPU type and TP degree, in pipeline order."""
    counts = Counter((int(s["size"]), str(s["gpu"]), int(s["tp_degree"])) for s in stages)
    return tuple(SegmentUse(n, *key) for key, n in counts.items())


def speed_up(points: pd.DataFrame, reference: pd.DataFrame) -> float | None:
    """Return the reference's time over that of other points, for the questions both answered."""
    seconds, other = (_seconds_by_question(frame) for frame in (points, reference))
    shared = seconds.keys() & other.keys()
    own, theirs = (sum(times[key] for key in shared) for times in (seconds, other))
    return theirs / own if 0 < own < math.inf and 0 < theirs < math.inf else None


def _seconds_by_question(points: pd.DataFrame) -> dict[tuple[str, ...], float]:
    """Return build and solve time by method, budget and cost weight, of what did not fail."""
    questions = asked(points)
    columns = (questions[name].to_numpy() for name in (*_QUESTION, *_EFFORT, "status"))
    return {
        (method, str(budget), str(weight)): float(build) + float(solve)
        for method, budget, weight, build, solve, status in zip(*columns, strict=True)
        if status != "error"
    }


def _row(
    stages: Stages, swept: Swept, points: pd.DataFrame, exact: pd.DataFrame
) -> GranularityRow | None:
    best = lowest(points)
    if best is None:
        return None
    exact_best = lowest(exact)
    questions = asked(points)
    return GranularityRow(
        swept=swept,
        granularity=str(best.granularity),
        point_id=str(best.point_id),
        method=str(best.method),
        status=str(best.status),
        usd_per_token=float(best.cost_usd_per_token),
        tokens_per_s=float(best.throughput_tokens_per_s),
        usd_per_hour=float(best.cost_usd_per_hour),
        segments_used=segment_usage(stages.get(str(best.point_id), [])),
        options=int(best.options),
        segments=int(best.segments),
        connections=int(best.connections),
        binaries=int(best.binaries),
        points=len(questions),
        failed=int((questions.status == "error").sum()),
        infeasible=int((questions.status == "infeasible").sum()),
        models=int(questions.num_solves.sum()),
        solve_seconds=effort_seconds(points),
        total_seconds=summed(questions.total_seconds),
        percent_to_baseline=percent_above(best.ratio_to_baseline, 1.0),
        percent_to_exact=None
        if exact_best is None
        else percent_above(best.cost_usd_per_token, exact_best.cost_usd_per_token),
        speed_up_to_exact=None if exact_best is None else speed_up(points, exact),
    )
