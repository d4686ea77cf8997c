"""Counts what a sweep section asks for, without making any of it."""

from __future__ import annotations

import math

from pipeline.budgets import PRESETS
from pipeline.config.schema import SweepSection


def num_problems(sweep: SweepSection) -> int:
    """Count the combinations of swept values."""
    return math.prod(len(values) for values in sweep.over.values())


def num_points(sweep: SweepSection) -> int:
    """Count the points: problems times granularities times questions."""
    budgets = sweep.budgets_usd_per_hour
    per_method = {
        "enumeration": len(set(PRESETS[budgets].values if isinstance(budgets, str) else budgets)),
        "weighted": len(set(sweep.cost_weights)),
    }
    per_problem = sum(per_method.get(method, 1) for method in set(sweep.methods))
    return num_problems(sweep) * len(set(sweep.granularities)) * per_problem
