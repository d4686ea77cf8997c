"""What every comparison asks of the points table: groups, best rows, effort, proofs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.results.frames import asked
from pipeline.results.schema import METHODS, base_id

Swept = dict[str, Any]
# Prices that differ by less are the same; the last digits of a division are noise.
SAME_PRICE = 1e-9

_TEXTS = ["point_id", "granularity", "method", "status", "message"]
_NUMBERS = [
    "budget_usd_per_hour",
    "cost_weight",
    "throughput_tokens_per_s",
    "cost_usd_per_hour",
    "cost_usd_per_token",
    "bound_cost_usd_per_token",
    "ratio_to_baseline",
    "options",
    "segments",
    "connections",
    "binaries",
    "build_seconds",
    "solve_seconds",
    "total_seconds",
    "num_solves",
]


def compared(points: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return what comparisons look at: cutting it into small parts costs a tenth of the whole."""
    frame = points[[*_TEXTS, *_NUMBERS, *names]]
    return frame.astype(dict.fromkeys(_TEXTS, object))


def by_swept(points: pd.DataFrame, names: Sequence[str]) -> Iterator[tuple[Swept, pd.DataFrame]]:
    """Yield the points of every set of swept values, ascending where the values allow it."""
    if not names:
        yield {}, points
        return
    for values, group in points.groupby(list(names), sort=True, dropna=False):
        plain = [value.item() if hasattr(value, "item") else value for value in values]
        yield dict(zip(names, plain, strict=True)), group


def in_order(found: Sequence[Any], order: Sequence[str]) -> list[str]:
    """Return the names found, in a given order; those that it lacks stand last."""
    rank = {name: index for index, name in enumerate(order)}
    distinct = dict.fromkeys(str(name) for name in found)
    return sorted(distinct, key=lambda name: rank.get(name, len(rank)))


def lowest(points: pd.DataFrame) -> pd.Series | None:
    """Return the row of the lowest $/token, None where no point has a placement.

    Of equal ones that of the method that proves most about $/token, then the one of least cost,
    and of those that are free the fastest.
    """
    prices = points.cost_usd_per_token.to_numpy(dtype=float)
    if np.isnan(prices).all():
        return None
    equal = np.flatnonzero(prices <= np.nanmin(prices) * (1 + SAME_PRICE))
    costs = points.cost_usd_per_hour.to_numpy(dtype=float)
    rates = points.throughput_tokens_per_s.to_numpy(dtype=float)
    methods, ids = points.method.to_numpy(), points.point_id.to_numpy()
    best: pd.Series = points.iloc[
        min(equal, key=lambda i: (METHODS.index(methods[i]), costs[i], -rates[i], ids[i]))
    ]
    return best


def effort_seconds(points: pd.DataFrame) -> float:
    """Return the time to build and solve the models of these points, s."""
    questions = asked(points)
    return summed(questions.build_seconds, questions.solve_seconds)


def summed(*columns: pd.Series) -> float:
    """Return the sum of columns; tables may hold any numbers, so that it may be infinite."""
    with np.errstate(over="ignore"):
        return float(sum(float(column.sum()) for column in columns))


def proven_usd_per_token(points: pd.DataFrame, time_limit_s: float) -> float | None:
    """Return the proven optimum of $/token of one granularity, None without any.

    An optimal `ratio` proves one. So does a frontier that was searched to its end: all of its rows
    are optimal and its time was not up; then its lowest $/token is the optimum.
    """
    proven = points[(points.method == "ratio") & (points.status == "optimal")]
    bounds = list(proven.bound_cost_usd_per_token.dropna())
    frontier = points[points.method == "frontier"]
    for _, rows in frontier.groupby(frontier.point_id.map(base_id)):
        if (rows.status == "optimal").all() and (rows.total_seconds < time_limit_s).all():
            bounds.append(rows.cost_usd_per_token.min())
    return float(max(bounds)) if bounds else None


def percent_above(value: Any, reference: Any) -> float | None:
    """Return how much greater a value is than another, %; None where there is no other.

    Nothing is no percentage above nothing; all else is without measure above it.
    """
    if value is None or reference is None or pd.isna(value) or pd.isna(reference):
        return None
    if not reference:
        return None if value else 0.0
    return 100 * (float(value) / float(reference) - 1)
