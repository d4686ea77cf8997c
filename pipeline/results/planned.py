"""Which rows of a folder answer the plan that `run.json` holds; a folder may hold those of others.

Budgets that are multiples of a ballpark are not known here: with them, any budget may be planned.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.budgets import PRESETS, budgets_usd_per_hour


def plan_columns(run: Mapping[str, Any]) -> list[str]:
    """Return the columns of points by which their plan is told."""
    return list(_planned_values(run))


def is_planned(points: pa.Table, run: Mapping[str, Any]) -> pa.ChunkedArray:
    """Tell of every row whether it answers a point of the plan."""
    columns = (_among(points[name], values) for name, values in _planned_values(run).items())
    return reduce(pc.and_, columns, pa.chunked_array([pa.repeat(True, points.num_rows)]))


def planned_done(rows: int, run: Mapping[str, Any]) -> int | None:
    """Return how many points of the plan are there, given the rows that may answer it.

    None where that cannot be told: `run.json` does not say how many there are to be, or there are
    more rows than that, so that those of other plans are among them.
    """
    planned = run.get("planned_points")
    return None if planned is None or rows > planned else rows


def _planned_values(run: Mapping[str, Any]) -> dict[str, Sequence[Any]]:
    """Return the values that a plan asks for, by column; what `run.json` lacks is left out."""
    sweep = run["config"].get("sweep") or {}
    values = {
        "granularity": sweep.get("granularities"),
        "method": sweep.get("methods"),
        "budget_usd_per_hour": _budgets(sweep.get("budgets_usd_per_hour")),
        "cost_weight": [None, *(sweep.get("cost_weights") or [])],
    }
    swept = {name: (sweep.get("over") or {}).get(name) for name in run["swept_fields"]}
    return {name: known for name, known in (swept | values).items() if known is not None}


def _budgets(planned: str | Sequence[float] | None) -> list[float | None] | None:
    """Return the budgets of a plan, None for points without one among them; None if not known."""
    if planned is None or (isinstance(planned, str) and planned not in PRESETS):
        return None
    if isinstance(planned, str) and PRESETS[planned].relative:
        return None
    return [None, *budgets_usd_per_hour(planned)]


def _among(column: pa.ChunkedArray, values: Sequence[Any]) -> pa.ChunkedArray:
    """Tell of every row whether its value is one of some; values may stand there as JSON text."""
    plain = {value for value in values if value is None or isinstance(value, str | int | float)}
    known = plain | {json.dumps(value) for value in values}
    wanted = [value for value in pc.unique(column).to_pylist() if value in known]
    return pc.is_in(column, pa.array(wanted, column.type))
