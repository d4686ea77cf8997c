"""Says why no placement was found: the first of the problem's demands that cannot be met."""

from __future__ import annotations

import math
from dataclasses import replace

from pipeline.curve import CostCurve
from pipeline.formulation.compact import Goal
from pipeline.instance import Instance
from pipeline.methods import REASON_UNKNOWN
from pipeline.options import size_bounds
from pipeline.performance import performance_model
from pipeline.reason_texts import (
    NO_COMBINATION,
    Held,
    budget_reason,
    no_option_reason,
    pool_reason,
    restrictions_reason,
    sizes_reason,
)
from pipeline.restrictions import is_restricted, unrestricted


def why_infeasible(curve: CostCurve, budget_usd_per_hour: float | None) -> str:
    """Return the binding reason for which a point has no placement, with its figures."""
    for reason in (_sizes, _memory, _budget, _stages, _pool, _restrictions, _links):
        text = reason(curve, budget_usd_per_hour)
        if text:
            return text
    if curve.out_of_time:
        return REASON_UNKNOWN
    return NO_COMBINATION


def _sizes(curve: CostCurve, _budget: float | None) -> str:
    return sizes_reason(curve.instance, curve.granularity)


def _memory(curve: CostCurve, _budget: float | None) -> str:
    return "" if curve.options else no_option_reason(curve.instance, _held(curve.instance))


def _held(instance: Instance) -> Held:
    """Return the most layers that a group of every type and TP degree holds."""
    model = performance_model(instance)
    return [
        {d: size_bounds(instance, model, gpu, d).largest for d in instance.degrees(gpu)}
        for gpu in range(len(instance.pool))
    ]


def _budget(curve: CostCurve, budget: float | None) -> str:
    """Name the cost of the cheapest placement where it is above the budget."""
    if budget is None:
        return ""
    curve.settle(0)
    cheapest = float(curve.upper[0])
    if not math.isfinite(cheapest):
        return ""
    return budget_reason(budget, cheapest, curve.bounds(0).settled)


def _stages(curve: CostCurve, _budget: float | None) -> str:
    """Name the fewest stages that would do where the limit on stages is in the way."""
    limits = curve.instance.limits
    free = replace(limits, max_stages=curve.instance.num_layers)
    unlimited = curve.changed(replace(curve.instance, limits=free))
    slowest = float(unlimited.thresholds[0])
    found = unlimited.search.without_links(slowest, Goal.STAGES).placement
    if found is None or len(found.stages) <= limits.max_stages:
        return ""
    return f"stages: at least {len(found.stages)} are needed, max_stages is {limits.max_stages}"


def _pool(curve: CostCurve, _budget: float | None) -> str:
    return pool_reason(curve.instance, _held(curve.instance))


def _restrictions(curve: CostCurve, _budget: float | None) -> str:
    """Tell whether there is a placement without what all stages must have in common."""
    limits = curve.instance.limits
    if not is_restricted(limits):
        return ""
    free = curve.changed(replace(curve.instance, limits=unrestricted(limits)))
    free.settle(0)
    if not math.isfinite(free.upper[0]):
        return ""
    return restrictions_reason(limits)


def _links(curve: CostCurve, _budget: float | None) -> str:
    """Tell whether there is a pipeline where no link is looked at."""
    if curve.search.without_links(float(curve.thresholds[0])).placement is None:
        return ""
    return "network: no groups that hold all layers are linked with each other in a row"
