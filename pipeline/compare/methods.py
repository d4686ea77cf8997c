"""Compares methods: how far each stayed from the proven optimum, and what it took."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from pipeline.compare.tables import (
    Swept,
    by_swept,
    compared,
    effort_seconds,
    in_order,
    lowest,
    percent_above,
    proven_usd_per_token,
)
from pipeline.results.frames import Results, asked
from pipeline.results.schema import METHODS


@dataclass(frozen=True)
class MethodRow:
    """What one method found at one granularity, for one set of swept values.

    points: questions asked; placed, infeasible, failed: what came of them. usd_per_token,
    tokens_per_s, point_id: of the lowest that it found, None where it found no placement.
    percent_to_optimum: how far that is above the proven optimum of the granularity; None where
    none was proven.
    """

    swept: Swept
    granularity: str
    method: str
    point_id: str | None
    points: int
    placed: int
    infeasible: int
    failed: int
    usd_per_token: float | None
    tokens_per_s: float | None
    percent_to_optimum: float | None
    models: int
    solve_seconds: float


def method_rows(results: Results) -> list[MethodRow]:
    """Compare the methods of a run, for every granularity and set of swept values."""
    limit = float(results.run["config"]["solver"]["time_limit_s"])
    rows = []
    names = list(results.run["swept_fields"])
    for swept, points in by_swept(compared(results.points, names), names):
        for name in in_order(list(points.granularity), results.run["granularities"]):
            own = points[points.granularity == name]
            optimum = proven_usd_per_token(own, limit)
            found = in_order(list(own.method), METHODS)
            rows += [_row(swept, own[own.method == method], optimum) for method in found]
    return rows


def _row(swept: Swept, points: pd.DataFrame, optimum: float | None) -> MethodRow:
    best = lowest(points)
    questions = asked(points)
    price = None if best is None else float(best.cost_usd_per_token)
    return MethodRow(
        swept=swept,
        granularity=str(points.granularity.iloc[0]),
        method=str(points.method.iloc[0]),
        point_id=None if best is None else str(best.point_id),
        points=len(questions),
        placed=int(questions.cost_usd_per_token.notna().sum()),
        infeasible=int((questions.status == "infeasible").sum()),
        failed=int((questions.status == "error").sum()),
        usd_per_token=price,
        tokens_per_s=None if best is None else float(best.throughput_tokens_per_s),
        percent_to_optimum=_not_below(percent_above(price, optimum)),
        models=int(questions.num_solves.sum()),
        solve_seconds=effort_seconds(points),
    )


def _not_below(percent: float | None) -> float | None:
    """Take a distance below the optimum for what it is: the last digits of a division."""
    return percent if percent is None or percent > 1e-7 else 0.0
