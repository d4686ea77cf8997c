"""The table of points with their placements, small enough for a page."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.results.frames import Results, records
from pipeline.words import id_range, signed

MAX_ROWS = 2000
_FAILED_ROWS = 200


@dataclass(frozen=True)
class Cell:
    """What a cell shows, and the value that it sorts by; numbers sort as numbers."""

    text: str
    value: float | str | None
    is_number: bool = False


@dataclass(frozen=True)
class Column:
    """A column of the table."""

    title: str
    is_number: bool


@dataclass(frozen=True)
class PointLine:
    """One row of the table."""

    point_id: str
    granularity: str
    method: str
    status: str
    has_placement: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class PointTable:
    """The rows shown of all, and the placements of those shown. total, failed: rows of the run."""

    columns: tuple[Column, ...]
    lines: tuple[PointLine, ...]
    total: int
    failed: int
    placements: Mapping[str, Sequence[Mapping[str, Any]]]

    @property
    def chosen(self) -> str:
        """Say which rows are shown, where not all are."""
        failed = "those that failed, then " if self.failed else ""
        if self.failed > _FAILED_ROWS:
            failed = f"the first {_FAILED_ROWS} of {self.failed:,} that failed, then "
        return f"{failed}those of the lowest cost per token"


_Form = Callable[[float], str]
_short: _Form = "{:g}".format
# Title, column, how it is written, and factor of each figure.
_Figure = tuple[str, str, _Form, float]
_FIGURES: tuple[_Figure, ...] = (
    ("$/M tokens", "cost_usd_per_token", "{:.6f}".format, 1e6),
    ("tokens/s", "throughput_tokens_per_s", "{:,.0f}".format, 1),
    ("$/h", "cost_usd_per_hour", "{:.2f}".format, 1),
    ("to baseline, %", "ratio_to_baseline", signed, 100),
    ("stages", "num_stages", "{:.0f}".format, 1),
    ("GPUs", "num_gpus", "{:.0f}".format, 1),
    ("gap, %", "mip_gap", "{:.2f}".format, 100),
    ("time, s", "total_seconds", "{:.3f}".format, 1),
)
# Only the roofline model fills these.
_SERVED: tuple[_Figure, ...] = (
    ("requests", "concurrency", "{:.0f}".format, 1),
    ("micro-batches", "micro_batches", "{:.0f}".format, 1),
    ("first token, s", "ttft_s", "{:.2f}".format, 1),
    ("per token, ms", "tpot_s", "{:.1f}".format, 1000),
)


def point_table(
    results: Results, keep: Collection[str] = (), most_rows: int = MAX_ROWS
) -> PointTable:
    """Return the table of points, the lowest $/token first, those without one last.

    keep: ids that must be in it. Where a run has more points than the page can hold, the failed
    ones come first, then those of the lowest $/token.
    """
    points = _chosen(results.points, keep, most_rows)
    points = points.sort_values("cost_usd_per_token", kind="stable", na_position="last")
    names = list(results.run["swept_fields"])
    figures = (*_FIGURES, *(f for f in _SERVED if results.points[f[1]].notna().any()))
    headers = [("granularity", False), ("method", False), ("budget, $/h", True)]
    headers += [(name, _is_number(results.points[name])) for name in names]
    headers += [("status", False), *((title, True) for title, *_ in figures)]
    headers.append(("message", False))
    shown = set(points.point_id)
    placements = {
        point_id: [stage(row) for row in rows]
        for point_id, rows in results.stages().items()
        if point_id in shown
    }
    return PointTable(
        columns=tuple(Column(*header) for header in headers),
        lines=tuple(_line(row, names, headers, figures, placements) for row in records(points)),
        total=len(results.points),
        failed=int((results.points.status == "error").sum()),
        placements=placements,
    )


def stage(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page shows of a stage."""
    return {
        "stage": int(row["stage"]),
        "layers": f"{row['start_layer']}–{row['end_layer']}",
        "size": int(row["size"]),
        "gpu": str(row["gpu"]),
        "tp": int(row["tp_degree"]),
        "ids": id_range(row["gpu_ids"]),
        "memory_gb": round(float(row["memory_gb"]), 2),
        "memory": round(float(row["memory_utilization"]), 4),
        "tokens_per_s": round(float(row["throughput_tokens_per_s"]), 1),
        "usd_per_hour": round(float(row["cost_usd_per_hour"]), 4),
        "bottleneck": bool(row["is_bottleneck"]),
    }


def _chosen(points: pd.DataFrame, keep: Collection[str], most_rows: int) -> pd.DataFrame:
    """Choose the rows that the page shows, in their order."""
    if len(points) <= most_rows:
        return points
    wanted = points.point_id.isin(set(keep))
    failed = (points.status == "error") & ((points.status == "error").cumsum() <= _FAILED_ROWS)
    rank = points.cost_usd_per_token.rank(method="first", na_option="bottom")
    rank[wanted | failed] = 0
    return points[rank.rank(method="first") <= most_rows]


def _line(
    row: Mapping[str, Any],
    names: Sequence[str],
    headers: Sequence[tuple[str, bool]],
    figures: Sequence[_Figure],
    placements: Mapping[str, Any],
) -> PointLine:
    budget, weight = row["budget_usd_per_hour"], row["cost_weight"]
    question = _number(budget, _short)
    if pd.notna(weight):
        question = Cell(f"weight {weight:g}", None, True)
    numeric = dict(headers)
    swept = [
        _number(row[name], _short) if numeric[name] else Cell(str(row[name]), str(row[name]))
        for name in names
    ]
    texts = {name: str(row[name]) for name in ("granularity", "method", "status")}
    return PointLine(
        point_id=str(row["point_id"]),
        has_placement=str(row["point_id"]) in placements,
        cells=(
            Cell(texts["granularity"], texts["granularity"]),
            Cell(texts["method"], texts["method"]),
            question,
            *swept,
            Cell(texts["status"], texts["status"]),
            *(_measure(row, *figure) for figure in figures),
            Cell(str(row["message"]), str(row["message"])),
        ),
        **texts,
    )


def _measure(row: Mapping[str, Any], _title: str, name: str, form: _Form, factor: float) -> Cell:
    value = row[name]
    if name == "ratio_to_baseline" and pd.notna(value):
        value -= 1
    return _number(value * factor if pd.notna(value) else None, form)


def _number(value: Any, form: _Form) -> Cell:
    """Return the cell of a number; empty where there is none."""
    if value is None or pd.isna(value):
        return Cell("", None, True)
    return Cell(form(value), float(value), True)


def _is_number(values: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values))
