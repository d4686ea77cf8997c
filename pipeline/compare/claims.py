"""What the published system claims, beside what was measured here.

The claims are those of the published system's own description of its sweep over the reference
instance (64 GPUs, 40 layers), before and after it went from 14 segment sizes to six.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.compare.granularities import REFERENCE_GRANULARITY
from pipeline.compare.tables import effort_seconds, lowest, proven_usd_per_token
from pipeline.results.frames import Results, asked

SOURCE = "published system"
# The granularities that hold the 14 and the six sizes of which the claims speak.
BEFORE, AFTER = "fine", "coarse"
# The reference instance. A type's `max_tp` is not of it: the published figures for 14 sizes are
# those of a smaller TP on most types; nor is the bandwidth filter, for the same reason.
_REFERENCE_POOL = {
    "A100": {"count": 8, "memory_gb": 48, "usd_per_hour": 1.0},
    "L20": {"count": 12, "memory_gb": 48, "usd_per_hour": 0.7},
    "A10": {"count": 12, "memory_gb": 48, "usd_per_hour": 0.5},
    "V100": {"count": 12, "memory_gb": 24, "usd_per_hour": 0.3},
    "T4": {"count": 20, "memory_gb": 16, "usd_per_hour": 0.2},
}
_REFERENCE = {
    "model": {
        "num_hidden_layers": 40,
        "hidden_size": 8192,
        "intermediate_size": 22016,
        "bytes_per_weight": 2,
        "layer_weight_gb": 3.5,
    },
    "workload": {"sequence_length": 4096, "batch_size": 32},
    "limits": {
        "max_stages": 8,
        "min_layers_per_stage": 5,
        "min_memory_utilization": 0.5,
        "tp_degrees": [1, 2, 4, 8],
    },
    "performance": {"model": "flops"},
}


@dataclass(frozen=True)
class Claim:
    """A published figure, as written there, for 14 sizes and for six; empty: none was given."""

    quantity: str
    before: str
    after: str
    note: str = ""


CLAIMS = (
    Claim("segments", "4,797", "~1,200", "TP at most 4, but 8 on A100"),
    Claim("connections", "335,868", "~80,000", "after the 10th-percentile bandwidth filter"),
    Claim("binaries", "340,665", "~85,000"),
    Claim("seconds per budget", "120–240", "30–90", "commercial solver, 5 % gap, 16 threads"),
    Claim("budgets solved", "15", "8"),
    Claim("minutes for all budgets", "40–80", "4–12", "8–16 elsewhere in the same document"),
    Claim("share of the optimum", "", "“likely 95 %+”", "never measured"),
    Claim("baseline, $/token", "0.000000121", "", "V100, single segment"),
)


@dataclass(frozen=True)
class ClaimRow:
    """A claim and what this run measured in its place; empty: the run has nothing to measure."""

    claim: Claim
    measured_before: str
    measured_after: str


def claims_apply(results: Results) -> bool:
    """Tell whether a run is about the instance of which the claims speak, and nothing swept."""
    if results.run["swept_fields"]:
        return False
    config = results.run["config"]
    pool = {kind["gpu"]: kind for kind in config["pool"]}
    same_types = len(config["pool"]) == len(_REFERENCE_POOL)
    return same_types and _agrees(pool, _REFERENCE_POOL) and _agrees(config, _REFERENCE)


def claim_rows(results: Results) -> list[ClaimRow]:
    """Set every claim beside this run's figure; empty where the run is about another instance."""
    if not claims_apply(results):
        return []
    points = results.points
    limit_s = float(results.run["config"]["solver"]["time_limit_s"])
    before, after = (_measured(points, name, limit_s) for name in (BEFORE, AFTER))
    return [
        ClaimRow(claim, before.get(claim.quantity, ""), after.get(claim.quantity, ""))
        for claim in CLAIMS
    ]


def _agrees(found: Any, wanted: Any) -> bool:
    """Tell whether all that is wanted is found; more may be found."""
    if not isinstance(wanted, Mapping):
        return bool(found == wanted)
    return isinstance(found, Mapping) and all(
        _agrees(found.get(name), value) for name, value in wanted.items()
    )


def _measured(points: pd.DataFrame, granularity: str, time_limit_s: float) -> dict[str, str]:
    """Return what a run measured at one granularity, by the quantity of the claim."""
    own = points[points.granularity == granularity]
    measured: dict[str, str] = {}
    sizes = own[["segments", "connections", "binaries"]].dropna()
    if not sizes.empty:
        measured = {str(name): f"{int(size):,}" for name, size in sizes.iloc[0].items()}
    budgets = asked(own[own.method == "enumeration"])
    if not budgets.empty:
        seconds = effort_seconds(budgets)
        measured["seconds per budget"] = f"{seconds / len(budgets):.3f}"
        measured["budgets solved"] = f"{len(budgets)}"
        measured["minutes for all budgets"] = f"{seconds / 60:.4f}"
    best = lowest(own)
    optimum = proven_usd_per_token(
        points[points.granularity == REFERENCE_GRANULARITY], time_limit_s
    )
    if best is not None and optimum is not None:
        share = optimum / best.cost_usd_per_token
        measured["share of the optimum"] = f"{100 * share:.1f} %"
    baseline = own.baseline_cost_usd_per_token.dropna()
    if not baseline.empty:
        measured["baseline, $/token"] = f"{baseline.iloc[0]:.9f}"
    return measured
