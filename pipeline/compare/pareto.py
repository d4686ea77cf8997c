"""The Pareto points of a run: placements that none beats in both throughput and cost."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd


def pareto_points(points: pd.DataFrame, names: Sequence[str] = ()) -> pd.DataFrame:
    """Return the rows that no other row of the same granularity and swept values beats.

    names: columns of swept fields. Of equal placements one is kept. Sorted by cost.
    """
    placed = points[points.cost_usd_per_hour.notna()]
    kept = [_unbeaten(group) for _, group in placed.groupby(["granularity", *names], dropna=False)]
    return pd.concat(kept) if kept else placed


def _unbeaten(points: pd.DataFrame) -> pd.DataFrame:
    """Go from the cheapest up and keep what is faster than all before; last digits do not count."""
    order = points.sort_values(
        ["cost_usd_per_hour", "throughput_tokens_per_s"], ascending=[True, False]
    )
    fastest = order.throughput_tokens_per_s.cummax().shift(fill_value=float("-inf"))
    return order[order.throughput_tokens_per_s > fastest * (1 + 1e-9)]
