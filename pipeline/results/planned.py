"""Which rows of a folder answer the plan that `run.json` holds; a folder may hold those of others.

Where budgets are multiples of a ballpark, those of all ballparks that `run.json` holds are planned;
where it holds none, any budget may be.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.budgets import PRESETS, budgets_usd_per_hour, needs_ballpark

# Where `run.json` keeps the ballparks that were found, by problem.
BALLPARKS = "ballparks_usd_per_hour"


def plan_columns(run: Mapping[str, Any]) -> list[str]:
    """Return the columns of points by which their plan is told."""
    by_ballpark = ["method", "budget_usd_per_hour"] if _multiples(run) else []
    return list(dict.fromkeys([*_planned_values(run), *by_ballpark]))


def points_answered(points: pa.Table, run: Mapping[str, Any]) -> pa.ChunkedArray:
    """Return how many points of the plan every row answers: one, or none.

    More where budgets are multiples of a ballpark, for a row without a budget or with one of 0:
    nothing could be placed, or nothing costs anything, and it stands for all of them.
    """
    columns = (_among(points[name], values) for name, values in _planned_values(run).items())
    planned = reduce(pc.and_, columns, pa.chunked_array([pa.repeat(True, points.num_rows)]))
    multiples = _multiples(run)
    if not multiples:
        return planned.cast(pa.int64())
    stands_for_all = pc.and_(
        pc.equal(points["method"], "enumeration"),
        pc.equal(pc.fill_null(points["budget_usd_per_hour"], 0.0), 0.0),
    )
    return pc.multiply(planned.cast(pa.int64()), pc.if_else(stands_for_all, multiples, 1))


def planned_done(answered: int, run: Mapping[str, Any]) -> int | None:
    """Return how many points of the plan are there, given those that rows may answer.

    None where that cannot be told: `run.json` does not say how many there are to be, or there are
    more than that, so that rows of other plans are among them.
    """
    planned = run.get("planned_points")
    return None if planned is None or answered > planned else answered


def _planned_values(run: Mapping[str, Any]) -> dict[str, Sequence[Any]]:
    """Return the values that a plan asks for, by column; what `run.json` lacks is left out."""
    sweep = run["config"].get("sweep") or {}
    values = {
        "granularity": sweep.get("granularities"),
        "method": sweep.get("methods"),
        "budget_usd_per_hour": _budgets(sweep.get("budgets_usd_per_hour"), run.get(BALLPARKS)),
        "cost_weight": [None, *(sweep.get("cost_weights") or [])],
    }
    swept = {name: (sweep.get("over") or {}).get(name) for name in run["swept_fields"]}
    return {name: known for name, known in (swept | values).items() if known is not None}


def _multiples(run: Mapping[str, Any]) -> int:
    """Return how many multiples of a ballpark the budgets of a plan are; 0 for $/h."""
    planned = (run["config"].get("sweep") or {}).get("budgets_usd_per_hour")
    preset = PRESETS.get(planned) if isinstance(planned, str) else None
    return len(preset.values) if preset is not None and preset.relative else 0


def _budgets(
    planned: str | Sequence[float] | None, ballparks: Mapping[str, float | None] | None
) -> list[float | None] | None:
    """Return the budgets of a plan, None for points without one among them; None if not known."""
    if planned is None or (isinstance(planned, str) and planned not in PRESETS):
        return None
    if not needs_ballpark(planned):
        return [None, *budgets_usd_per_hour(planned)]
    if ballparks is None:
        return None
    costs = {cost for cost in ballparks.values() if cost is not None}
    return [None, *(budget for cost in costs for budget in budgets_usd_per_hour(planned, cost))]


def _among(column: pa.ChunkedArray, values: Sequence[Any]) -> pa.ChunkedArray:
    """Tell of every row whether its value is one of some; values may stand there as JSON text."""
    plain = {value for value in values if value is None or isinstance(value, str | int | float)}
    known = plain | {json.dumps(value) for value in values}
    wanted = [value for value in pc.unique(column).to_pylist() if value in known]
    return pc.is_in(column, pa.array(wanted, column.type))
