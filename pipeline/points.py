"""What a sweep asks: problems, and the points that are one question each to one of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.granularity import granularity
from pipeline.instance import Instance
from pipeline.settings import SolverSettings


@dataclass(frozen=True)
class Scales:
    """Scales of the weighted method, and the price to beat, if any."""

    throughput_tokens_per_s: float
    cost_usd_per_hour: float
    target_usd_per_token: float | None

    def score(self, cost_weight: float, tokens_per_s: float, usd_per_hour: float) -> float:
        """Return t/t_norm − w/(1−w)·cost/cost_norm; for w = 1 it is −cost/cost_norm."""
        cost = usd_per_hour / self.cost_usd_per_hour
        if cost_weight == 1:
            return -cost
        rate = tokens_per_s / self.throughput_tokens_per_s
        return rate - cost_weight / (1 - cost_weight) * cost


@dataclass(frozen=True)
class Problem:
    """One instance of a sweep with the swept values that make it; sent to workers once.

    problem_id: hash of all that decides an answer beside the point's own fields.
    """

    problem_id: str
    instance: Instance
    settings: SolverSettings
    scales: Scales
    swept: Mapping[str, Any]


@dataclass(frozen=True)
class Point:
    """One question to a problem: one task, and one row but for `frontier`."""

    point_id: str
    granularity: str
    method: str
    budget_usd_per_hour: float | None = None
    cost_weight: float | None = None


Task = tuple[Problem, Point]


def make_point(
    problem: Problem,
    granularity_name: str,
    method: str,
    budget_usd_per_hour: float | None = None,
    cost_weight: float | None = None,
) -> Point:
    """Return a point with its id.

    The granularity's name is part of it: two names may stand for the same sizes of a shallow
    model, and each is to have its rows.
    """
    budget = None if budget_usd_per_hour is None else budget_usd_per_hour + 0.0  # never -0.0
    sizes = granularity(granularity_name, problem.instance.num_layers).sizes
    question = [granularity_name, sizes, method, budget, cost_weight]
    point_id = digest([problem.problem_id, *question])
    return Point(point_id, granularity_name, method, budget, cost_weight)


def digest(value: Any) -> str:
    """Return 20 hexadecimal digits that stand for a value made of plain data."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
