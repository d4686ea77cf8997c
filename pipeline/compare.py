"""Compares what a run found: granularity against granularity, and all against the baseline.

Works on the tables alone; needs neither Ray, Pyomo nor HiGHS.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.results.frames import Results

REFERENCE_GRANULARITY = "exact"
# Methods whose proof is one of the lowest $/token; those of the others are of something else.
_PROVE_LOWEST = {"ratio": 0, "frontier": 1}


@dataclass(frozen=True)
class SegmentUse:
    """How often a placement uses segments of one size, GPU type and TP degree."""

    count: int
    size: int
    gpu: str
    tp_degree: int

    def __str__(self) -> str:
        return f"{self.count} × {self.size} layers on {self.gpu} TP {self.tp_degree}"


@dataclass(frozen=True)
class GranularityRow:
    """The lowest $/token that one granularity found, by any method, for one set of swept values.

    percent_to_baseline, percent_to_exact: how much more its tokens cost, negative: less; None
    where there is nothing to compare with.
    """

    swept: dict[str, Any]
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
    solve_seconds: float
    total_seconds: float
    percent_to_baseline: float | None
    percent_to_exact: float | None


def granularity_rows(results: Results) -> list[GranularityRow]:
    """Compare the granularities of a run, for every set of swept values, in the order swept."""
    names = list(results.run["swept_fields"])
    rows: list[GranularityRow] = []
    for swept, points in _by_swept(results.points, names):
        exact = _lowest(points[points.granularity == REFERENCE_GRANULARITY])
        order = {name: i for i, name in enumerate(results.run["granularities"])}
        found = sorted(points.granularity.unique(), key=lambda g: order.get(g, len(order)))
        rows += [
            row
            for name in found
            if (row := _row(results, swept, points[points.granularity == name], exact)) is not None
        ]
    return rows


def unplaced(results: Results) -> list[tuple[str, int, str]]:
    """List what has no placement at all: name, points, and the commonest reason.

    One entry for every granularity and set of swept values; the name tells both.
    """
    listed = []
    for swept, of_swept in _by_swept(results.points, list(results.run["swept_fields"])):
        for granularity, points in of_swept.groupby("granularity", sort=False):
            if points.cost_usd_per_token.notna().any():
                continue
            reason = Counter(points.message).most_common(1)[0][0]
            name = ", ".join([str(granularity), *(f"{k} = {v}" for k, v in swept.items())])
            listed.append((name, len(points), reason))
    return listed


def segment_usage(results: Results, point_id: str) -> tuple[SegmentUse, ...]:
    """Count the segments of a placement by size, GPU type and TP degree, in pipeline order."""
    frame = results.placement(point_id)
    keys = zip(frame["size"], frame["gpu"], frame["tp_degree"], strict=True)
    counts = Counter((int(size), str(gpu), int(degree)) for size, gpu, degree in keys)
    return tuple(SegmentUse(n, *key) for key, n in counts.items())


def _by_swept(
    points: pd.DataFrame, names: list[str]
) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    if not names:
        yield {}, points
        return
    for values, group in points.groupby(names, sort=True):
        plain = [value.item() if hasattr(value, "item") else value for value in values]
        yield dict(zip(names, plain, strict=True)), group


def _lowest(points: pd.DataFrame) -> pd.Series | None:
    """Return the row of the lowest $/token, None where no point has a placement."""
    placed = points[points.cost_usd_per_token.notna()]
    if placed.empty:
        return None
    lowest = placed[placed.cost_usd_per_token <= placed.cost_usd_per_token.min() * (1 + 1e-9)]
    # Of methods that found the same, the one that proved it to be the lowest is named.
    rank = lowest.method.map(lambda name: _PROVE_LOWEST.get(name, len(_PROVE_LOWEST)))
    order = ["rank", "cost_usd_per_hour", "method", "point_id"]
    first: pd.Series = lowest.assign(rank=rank).sort_values(order).iloc[0]
    return first


def _row(
    results: Results, swept: dict[str, Any], points: pd.DataFrame, exact: pd.Series | None
) -> GranularityRow | None:
    best = _lowest(points)
    if best is None:
        return None
    baseline = best.ratio_to_baseline
    return GranularityRow(
        swept=swept,
        granularity=str(best.granularity),
        point_id=str(best.point_id),
        method=str(best.method),
        status=str(best.status),
        usd_per_token=float(best.cost_usd_per_token),
        tokens_per_s=float(best.throughput_tokens_per_s),
        usd_per_hour=float(best.cost_usd_per_hour),
        segments_used=segment_usage(results, str(best.point_id)),
        options=int(best.options),
        segments=int(best.segments),
        connections=int(best.connections),
        binaries=int(best.binaries),
        points=len(points),
        failed=int((points.status == "error").sum()),
        solve_seconds=float((points.build_seconds + points.solve_seconds).sum()),
        total_seconds=float(points.total_seconds.sum()),
        percent_to_baseline=None if pd.isna(baseline) else 100 * (float(baseline) - 1),
        percent_to_exact=_percent_to(best, exact),
    )


def _percent_to(best: pd.Series, exact: pd.Series | None) -> float | None:
    if exact is None or not exact.cost_usd_per_token:
        return None
    return 100 * (float(best.cost_usd_per_token) / float(exact.cost_usd_per_token) - 1)
