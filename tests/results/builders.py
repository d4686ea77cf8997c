"""Rows for tests of the tables."""

from datetime import UTC, datetime
from typing import Any

from pipeline.results.schema import PointRow, SegmentRow


def point_values(point_id: str = "p", **changes: Any) -> dict[str, Any]:
    """Return the values of a sound row of `points`: 400 tokens/s for $0.75/h."""
    values: dict[str, Any] = {
        "point_id": point_id,
        "instance": "small",
        "granularity": "exact",
        "sizes": [1, 2, 3, 4],
        "method": "ratio",
        "status": "optimal",
        "message": "",
        "throughput_tokens_per_s": 400.0,
        "cost_usd_per_hour": 0.75,
        "cost_usd_per_token": 0.75 / (400 * 3600),
        "model_variables": 4,
        "model_constraints": 3,
        "build_seconds": 0.1,
        "solve_seconds": 0.1,
        "total_seconds": 0.3,
        "num_solves": 2,
        "node": "here",
        "versions": "1",
        "finished_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return {name: value for name, value in {**values, **changes}.items() if value is not None}


def point_row(point_id: str = "p", **changes: Any) -> PointRow:
    """Return a sound row of `points`, with values replaced; None leaves one out."""
    return PointRow(point_values(point_id, **changes))


def error_row(point_id: str = "p", **changes: Any) -> PointRow:
    """Return the row of a point that failed."""
    metrics = ("throughput_tokens_per_s", "cost_usd_per_hour", "cost_usd_per_token")
    nothing = dict.fromkeys(metrics)
    return point_row(point_id, **{**nothing, "status": "error", "message": "it broke", **changes})


def segment_row(point_id: str = "p", stage: int = 0, **changes: Any) -> SegmentRow:
    """Return a sound row of `segments`."""
    values: dict[str, Any] = {
        "gpu": "Fast",
        "tp_degree": 1,
        "gpu_ids": (stage,),
        "start_layer": 1,
        "end_layer": 3,
        "size": 3,
        "throughput_tokens_per_s": 400.0,
        "cost_usd_per_hour": 0.5,
        "memory_gb": 3.0,
        "memory_utilization": 0.75,
        "is_bottleneck": True,
    }
    return SegmentRow(point_id=point_id, stage=stage, **{**values, **changes})
