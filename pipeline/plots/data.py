"""What each plot shows, as plain records with short names, from the tables of a run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.compare import GranularityRow, MethodRow
from pipeline.compare.pareto import pareto_points
from pipeline.compare.tables import by_swept, in_order
from pipeline.results.frames import Results, asked
from pipeline.words import counted, short_name

Record = dict[str, Any]
BINS_PER_DECADE = 5


def swept_text(swept: Mapping[str, Any], without: str = "") -> str:
    """Write a set of swept values as one line. without: a field that is left out."""
    names = list(swept)
    shown = {name: value for name, value in swept.items() if name != without}
    return ", ".join(f"{short_name(name, names)} {value}" for name, value in shown.items())


def swept_rows(points: pd.DataFrame, swept: Mapping[str, Any]) -> pd.DataFrame:
    """Return the points of one set of swept values."""
    for other, group in by_swept(points, list(swept)):
        if repr(other) == repr(dict(swept)):
            return group
    return points.iloc[:0]


def pareto_records(points: pd.DataFrame, order: Sequence[str]) -> list[Record]:
    """Return the Pareto points of every granularity, the last of the order on top."""
    records = [_placement_record(row) for _, row in pareto_points(points).iterrows()]
    return sorted(records, key=lambda record: order.index(record["granularity"]))


def budget_records(points: pd.DataFrame, order: Sequence[str]) -> list[Record]:
    """Return what enumeration found at every budget, the last of the order on top."""
    placed = points[(points.method == "enumeration") & points.cost_usd_per_token.notna()]
    with_budget = placed[placed.budget_usd_per_hour.notna()]
    records = [
        {**_placement_record(row), "budget": float(row.budget_usd_per_hour)}
        for _, row in with_budget.iterrows()
    ]
    return sorted(records, key=lambda record: order.index(record["granularity"]))


def granularity_records(rows: Sequence[GranularityRow]) -> list[Record]:
    """Return each granularity's distance from `exact`, with its size and time."""
    return [
        {
            "granularity": row.granularity,
            "regret": max(row.percent_to_exact, 0.0),
            "binaries": row.binaries,
            "options": row.options,
            "seconds": row.solve_seconds,
        }
        for row in rows
        if row.percent_to_exact is not None
    ]


def method_records(rows: Sequence[MethodRow]) -> list[Record]:
    """Return each method's distance from the proven optimum of its granularity."""
    return [
        {
            "granularity": row.granularity,
            "method": row.method,
            "regret": row.percent_to_optimum,
            "seconds": row.solve_seconds,
            "models": row.models,
        }
        for row in rows
        if row.percent_to_optimum is not None
    ]


def usage_records(results: Results, points: pd.DataFrame) -> list[Record]:
    """Return how many layers each GPU type holds in segments of each size, by granularity.

    Over the Pareto points of the granularity; share: of all their layers, %.
    """
    ids = pareto_points(points)[["point_id", "granularity"]]
    stages = results.segments.merge(ids, on="point_id")
    totals: Counter[str] = Counter()
    counts: Counter[tuple[str, str, int]] = Counter()
    for name, gpu, size in zip(stages.granularity, stages.gpu, stages["size"], strict=True):
        totals[str(name)] += int(size)
        counts[str(name), str(gpu), int(size)] += 1
    return [
        {
            "granularity": name,
            "gpu": gpu,
            "size": size,
            "segments": count,
            "share": 100 * size * count / totals[name],
        }
        for (name, gpu, size), count in sorted(counts.items())
    ]


def stage_records(placement: pd.DataFrame) -> list[Record]:
    """Return the stages of a placement, with what a plot writes on them."""
    return [
        {
            "stage": int(row.stage),
            "from": int(row.start_layer) - 0.5,
            "to": int(row.end_layer) + 0.5,
            "middle": (int(row.start_layer) + int(row.end_layer)) / 2,
            "gpu": str(row.gpu),
            "label": f"{row.gpu} × {row.tp_degree}",
            "layers": counted(int(row["size"]), "layer"),
            "memory": 100 * float(row.memory_utilization),
            "memory_gb": float(row.memory_gb),
            "tokens_per_s": float(row.throughput_tokens_per_s),
            "bottleneck": bool(row.is_bottleneck),
        }
        for _, row in placement.iterrows()
    ]


def swept_records(rows: Sequence[GranularityRow], field: str) -> list[Record]:
    """Return the lowest price against one swept field; the other fields name the panel."""
    return [
        {
            "granularity": row.granularity,
            "value": _plain(row.swept[field]),
            "price": row.usd_per_token * 1e6,
            "panel": swept_text(row.swept, without=field),
            "point_id": row.point_id,
        }
        for row in rows
    ]


def swept_pareto_records(results: Results, most_panels: int) -> list[Record]:
    """Return the Pareto points of every set of swept values, up to a number of sets."""
    records: list[Record] = []
    names = list(results.run["swept_fields"])
    for index, (swept, points) in enumerate(by_swept(results.points, names)):
        if index == most_panels:
            break
        panel = swept_text(swept)
        found = pareto_records(points, granularity_order(results))
        records += [{**record, "panel": panel} for record in found]
    return records


def time_records(points: pd.DataFrame) -> list[Record]:
    """Count the questions by method and time in bins of equal ratio, methods upon each other."""
    questions = asked(points)
    counts: Counter[tuple[int, str]] = Counter()
    for method, time in zip(questions.method, questions.total_seconds, strict=True):
        if time > 0:
            counts[math.floor(math.log10(time) * BINS_PER_DECADE), str(method)] += 1
    heights: Counter[int] = Counter()
    records = []
    for (bin_, method), count in sorted(counts.items()):
        edges = (10 ** ((bin_ + end) / BINS_PER_DECADE) for end in (0, 1))
        below = heights[bin_]
        heights[bin_] += count
        record = dict(zip(("from", "to"), edges, strict=True))
        records.append(
            {**record, "method": method, "points": count, "low": below, "high": below + count}
        )
    return records


def log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 of every decade from low to high, 1 alone over more than four of them."""
    steps = (1.0,) if high / low > 1e4 else (1.0, 2.0, 5.0)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{step:g}e{decade}") for decade in decades for step in steps]
    return [tick for tick in ticks if low <= tick <= high] or [low, high]


def granularity_order(results: Results) -> list[str]:
    """Return the granularities of a run in the order swept."""
    return in_order(list(results.points.granularity), results.run["granularities"])


def _placement_record(row: pd.Series) -> Record:
    return {
        "granularity": str(row.granularity),
        "method": str(row.method),
        "cost": float(row.cost_usd_per_hour),
        "tokens_per_s": float(row.throughput_tokens_per_s),
        "price": float(row.cost_usd_per_token) * 1e6,
        "stages": int(row.num_stages),
        "gpus": int(row.num_gpus),
        "point_id": str(row.point_id),
    }


def _plain(value: Any) -> Any:
    """Return a value that JSON knows; what is no number is shown as text."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        return str(value)
    number = float(value)
    return number if math.isfinite(number) else None
