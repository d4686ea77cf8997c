"""The placement to compare with: the whole model as a single segment on one TP group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from pipeline.instance import GpuType, Instance
from pipeline.model_shape import why_not_split
from pipeline.performance import PerformanceModel, performance_model
from pipeline.placement import usd_per_token

TOO_SLOW = "no load keeps the limits on latency"


@dataclass(frozen=True)
class BaselineTry:
    """One TP degree of the baseline; `reason` says why it cannot be, and is empty if it can."""

    gpu: str
    tp_degree: int
    reason: str
    tokens_per_s: float
    usd_per_hour: float

    @property
    def fits(self) -> bool:
        """Tell whether the pool can run this placement."""
        return not self.reason

    @property
    def usd_per_token(self) -> float:
        """Cost of a token at full load."""
        return usd_per_token(self.usd_per_hour, self.tokens_per_s)


def baseline_tries(instance: Instance) -> tuple[BaselineTry, ...]:
    """Try the baseline's GPU at every TP degree asked for, ascending; empty without a baseline."""
    if instance.baseline is None:
        return ()
    asked = instance.baseline
    kind = next(kind for kind in instance.pool if kind.name == asked.gpu)
    degrees = instance.limits.tp_degrees if asked.tp is None else (asked.tp,)
    if instance.serving is not None:
        return tuple(_try_served(instance, kind, degree) for degree in sorted(degrees))
    model = performance_model(instance)
    return tuple(_try(instance, model, kind, degree) for degree in sorted(degrees))


def stored_tries(run: Mapping[str, Any]) -> tuple[BaselineTry, ...]:
    """Return the tries of the baseline as `run.json` holds them."""
    return tuple(BaselineTry(**tried) for tried in run["baseline"])


def best_baseline(tries: tuple[BaselineTry, ...]) -> BaselineTry | None:
    """Return the try of the lowest $/token among those that fit, None where none does."""
    return min((t for t in tries if t.fits), key=lambda t: t.usd_per_token, default=None)


def why_none(tries: tuple[BaselineTry, ...]) -> str:
    """Say why there is no baseline, where none of its tries fits."""
    if not tries:
        return (
            "No baseline was asked for; baseline: {gpu: NAME} in the config compares with the "
            "whole model on GPUs of that type."
        )
    told = "; ".join(f"TP {tried.tp_degree}: {tried.reason}" for tried in tries)
    return (
        f"There is no baseline to compare with: {tries[0].gpu} cannot run the whole model as a "
        f"single segment. {told}."
    )


def _try(instance: Instance, model: PerformanceModel, kind: GpuType, degree: int) -> BaselineTry:
    layers = np.array([instance.num_layers], dtype=np.float64)
    needed_gb = float(model.stage_memory_gb(kind, degree, layers)[0])
    reason = ""
    if degree > kind.count:
        reason = f"needs {degree} GPUs, the pool has {kind.count}"
    elif needed_gb > kind.memory_gb:
        reason = f"needs {needed_gb:.1f} GB on each GPU, a {kind.name} has {kind.memory_gb:g} GB"
    rate = float(model.stage_tokens_per_s(kind, degree, layers)[0])
    return BaselineTry(kind.name, degree, reason, rate, degree * kind.usd_per_hour)


@lru_cache(maxsize=256)
def _try_served(instance: Instance, kind: GpuType, degree: int) -> BaselineTry:
    """Try a degree under `roofline`: the best load of a single stage."""
    # The roofline search brings the solver along; the report has no need of it otherwise.
    from pipeline.serving.answers import single_stage

    cost = degree * kind.usd_per_hour
    if unsplit := why_not_split(instance.model, degree):
        return BaselineTry(kind.name, degree, unsplit, 0.0, cost)
    rate, needed_gb = single_stage(instance, instance.pool.index(kind), degree)
    reason = ""
    if degree > (kind.gpus_per_node or kind.count):
        reason = f"needs {degree} GPUs, a host or the pool has {kind.gpus_per_node or kind.count}"
    elif degree > kind.count:
        reason = f"needs {degree} GPUs, the pool has {kind.count}"
    elif not rate and single_stage(_in_no_hurry(instance), instance.pool.index(kind), degree)[0]:
        reason = TOO_SLOW
    elif not rate:
        reason = f"no load fits: the fewest requests need {needed_gb:.1f} GB on each GPU"
    return BaselineTry(kind.name, degree, reason, rate, cost)


def _in_no_hurry(instance: Instance) -> Instance:
    """Return an instance without its limits on latency."""
    return replace(instance, limits=replace(instance.limits, max_ttft_s=None, max_tpot_s=None))
