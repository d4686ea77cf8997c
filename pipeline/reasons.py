"""Says why no placement was found: the first of the problem's demands that cannot be met."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pipeline.curve import CostCurve
from pipeline.formulation.compact import Goal
from pipeline.granularity import can_sum_to
from pipeline.methods import REASON_UNKNOWN
from pipeline.options import size_bounds
from pipeline.performance import performance_model
from pipeline.restrictions import RESTRICTIONS, is_restricted, unrestricted


def why_infeasible(curve: CostCurve, budget_usd_per_hour: float | None) -> str:
    """Return the binding reason for which a point has no placement, with its figures."""
    for reason in (_sizes, _memory, _budget, _stages, _pool, _restrictions, _links):
        text = reason(curve, budget_usd_per_hour)
        if text:
            return text
    if curve.out_of_time:
        return REASON_UNKNOWN
    return "no combination of allowed sizes on the pool's groups covers all layers"


def _sizes(curve: CostCurve, _budget: float | None) -> str:
    layers, fewest = curve.instance.num_layers, curve.instance.limits.min_layers_per_stage
    if fewest > layers:
        return f"sizes: min_layers_per_stage is {fewest}, the model has {layers} layers"
    if can_sum_to(curve.granularity.sizes, layers):
        return ""
    return f"sizes: {curve.granularity.name} cannot sum to {layers} layers"


def _memory(curve: CostCurve, _budget: float | None) -> str:
    """Name the most layers that fit per type where no allowed size is an option."""
    if curve.options:
        return ""
    fits = "; ".join(_most_layers(curve))
    fewest = curve.instance.limits.min_layers_per_stage
    return f"memory: no allowed size fits any group, at least {fewest} layers a stage: {fits}"


def _most_layers(curve: CostCurve) -> Iterator[str]:
    """Yield, for every GPU type, how many layers each TP degree holds."""
    instance = curve.instance
    model = performance_model(instance)
    for gpu, kind in enumerate(instance.pool):
        most = {d: size_bounds(instance, model, gpu, d).largest for d in instance.degrees(gpu)}
        held = ", ".join(f"{layers} at TP {degree}" for degree, layers in most.items())
        yield f"{kind.name} holds {held}" if held else f"{kind.name} is excluded"


def _budget(curve: CostCurve, budget: float | None) -> str:
    """Name the cost of the cheapest placement where it is above the budget."""
    if budget is None:
        return ""
    curve.settle(0)
    cheapest = float(curve.upper[0])
    if not math.isfinite(cheapest):
        return ""
    return f"budget: ${budget:g}/h is below the cheapest placement, ${cheapest:.4g}/h"


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
    """Name the layers that the whole pool holds where they are too few."""
    instance = curve.instance
    model = performance_model(instance)
    held = 0.0
    for gpu, kind in enumerate(instance.pool):
        per_gpu = [size_bounds(instance, model, gpu, d).largest / d for d in instance.degrees(gpu)]
        held += float(np.floor(max(per_gpu, default=0.0) * kind.count))
    if held >= instance.num_layers:
        return ""
    return f"memory: the whole pool holds at most {held:.0f} of {instance.num_layers} layers"


def _restrictions(curve: CostCurve, _budget: float | None) -> str:
    """Tell whether there is a placement without what all stages must have in common."""
    limits = curve.instance.limits
    if not is_restricted(limits):
        return ""
    free = curve.changed(replace(curve.instance, limits=unrestricted(limits)))
    free.settle(0)
    if not math.isfinite(free.upper[0]):
        return ""
    stated = [name for name in RESTRICTIONS if getattr(limits, name)]
    return f"restrictions: without {', '.join(stated)} there is a placement"


def _links(curve: CostCurve, _budget: float | None) -> str:
    """Tell whether there is a pipeline where no link is looked at."""
    if curve.search.without_links(float(curve.thresholds[0])).placement is None:
        return ""
    return "network: no groups that hold all layers are linked with each other in a row"
