"""Runs for tests: tables written by hand, and a small part of the reference sweep."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.config import load_config
from pipeline.config.load import LoadedConfig
from pipeline.results import load
from pipeline.results.frames import Results
from pipeline.results.schema import PointRow, SegmentRow, swept_column
from pipeline.results.store import Store
from pipeline.run import run_point
from pipeline.sweep import points, problems, run_record
from tests.builders import REFERENCE_CONFIG

FINISHED = datetime(2026, 1, 2, tzinfo=UTC)
# At this throughput, $3.6/h is a dollar for a million tokens: 3.6 / (1000 · 3600) = 1e-6.
TOKENS_PER_S = 1000.0
USD_PER_HOUR_PER_USD_PER_MILLION = 3.6
SERVED: dict[str, Any] = {
    "concurrency": 640,
    "micro_batches": 5,
    "ttft_s": 2.0,
    "tpot_s": 0.1691,
    "throughput_low_tokens_per_s": 800.0,
    "throughput_high_tokens_per_s": 1100.0,
    "cost_low_usd_per_token": 9e-7,
    "cost_high_usd_per_token": 1.2e-6,
}
"""What the `roofline` model adds to a row: a load, its latency, the range of the prediction."""


def point(
    point_id: str,
    granularity: str = "exact",
    method: str = "ratio",
    usd_per_million: float | None = 1.0,
    tokens_per_s: float = TOKENS_PER_S,
    **values: Any,
) -> PointRow:
    """Return a row; without a price it is infeasible. The baseline costs $2 per million tokens."""
    row: dict[str, Any] = {
        "point_id": point_id,
        "instance": "medium",
        "granularity": granularity,
        "sizes": [1, 40],
        "method": method,
        "status": "infeasible",
        "message": "budget: too small",
        "options": 10,
        "segments": 100,
        "connections": 1000,
        "binaries": 1100,
        "model_variables": 5,
        "model_constraints": 5,
        "build_seconds": 0.25,
        "solve_seconds": 0.75,
        "total_seconds": 2.0,
        "num_solves": 3,
        "baseline_throughput_tokens_per_s": 1000.0,
        "baseline_cost_usd_per_hour": 7.2,
        "baseline_cost_usd_per_token": 2e-6,
        "links": "not_binding",
        "node": "here",
        "versions": "placement-pipeline 0.1.0",
        "finished_at": FINISHED,
    }
    if usd_per_million is not None:
        rate = tokens_per_s / TOKENS_PER_S
        row |= {
            "status": "optimal",
            "message": "",
            "throughput_tokens_per_s": tokens_per_s,
            "cost_usd_per_hour": usd_per_million * USD_PER_HOUR_PER_USD_PER_MILLION * rate,
            "cost_usd_per_token": usd_per_million * 1e-6,
            "ratio_to_baseline": usd_per_million / 2.0,
            "mip_gap": 0.0,
            "num_stages": 1,
            "num_gpus": 2,
        }
        if method == "ratio":
            row["bound_cost_usd_per_token"] = usd_per_million * 1e-6
    return PointRow(row | values)


def segment(point_id: str, stage: int = 0, **values: Any) -> SegmentRow:
    """Return a stage: all 40 layers on two A100."""
    row: dict[str, Any] = {
        "point_id": point_id,
        "stage": stage,
        "gpu": "A100",
        "tp_degree": 2,
        "gpu_ids": (0, 1),
        "start_layer": 1,
        "end_layer": 40,
        "size": 40,
        "throughput_tokens_per_s": TOKENS_PER_S,
        "cost_usd_per_hour": 2.0,
        "memory_gb": 24.0,
        "memory_utilization": 0.5,
        "is_bottleneck": True,
    }
    return SegmentRow(**(row | values))


def write_run(
    directory: Path,
    rows: Sequence[PointRow],
    segments: Sequence[SegmentRow] | None = None,
    fields: dict[str, Any] | None = None,
) -> Results:
    """Write tables for the reference config, with fields replaced; one stage for each point."""
    loaded = load_config(REFERENCE_CONFIG, list((fields or {}).items()))
    if segments is None:
        placed = [row for row in rows if "cost_usd_per_token" in row.values]
        segments = [segment(str(row.values["point_id"])) for row in placed]
    store = _store(directory, loaded)
    store.append(rows, segments)
    store.finish(stopped=False, failed=0)
    return load(directory)


def solve_run(directory: Path, fields: dict[str, Any]) -> Results:
    """Run a sweep over the reference instance point by point, without Ray."""
    loaded = load_config(REFERENCE_CONFIG, list(fields.items()))
    store = _store(directory, loaded)
    for problem in problems(loaded):
        for asked in points(loaded.config, problem):
            rows = run_point(problem, asked)
            store.append(rows.points, rows.segments)
    store.finish(stopped=False, failed=0)
    return load(directory)


def _store(directory: Path, loaded: LoadedConfig) -> Store:
    over = loaded.config.sweep.over
    store = Store(directory, [swept_column(name, values) for name, values in over.items()])
    store.prepare(run_record(loaded))
    return store
