"""From instance and granularity to options: what one segment may be, and what it then does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pipeline.instance import Instance
from pipeline.performance import PerformanceModel, performance_model


@dataclass(frozen=True)
class Option:
    """A segment of `size` layers on a TP group of `degree` GPUs of type number `gpu`."""

    gpu: int
    degree: int
    size: int
    tokens_per_s: float
    memory_gb: float
    usd_per_hour: float


@dataclass(frozen=True)
class SizeBounds:
    """Smallest and largest number of layers of a segment; largest 0 where not one layer fits."""

    smallest: int
    largest: int


def size_bounds(instance: Instance, model: PerformanceModel, gpu: int, degree: int) -> SizeBounds:
    """Return which segment sizes a (type, degree) may have, by memory and limits.

    largest: the most layers k with memory(k) ≤ M.
    smallest: the fewest with memory(k) ≥ u·M, at least 1, and 1 if activations alone reach
    u·M; never above the largest, then never below `min_layers_per_stage`.
    u = `min_memory_utilization`, M = memory of the GPU, GB. Source: the published system.
    """
    kind, limits = instance.pool[gpu], instance.limits
    sizes = np.arange(instance.num_layers + 1, dtype=np.float64)
    memory_gb = model.stage_memory_gb(kind, degree, sizes)
    fitting = int(np.count_nonzero(memory_gb[1:] <= kind.memory_gb))
    wanted_gb = limits.min_memory_utilization * kind.memory_gb
    filling = 1 if memory_gb[0] > wanted_gb else max(1, int(np.argmax(memory_gb >= wanted_gb)))
    if memory_gb[-1] < wanted_gb:
        filling = fitting
    return SizeBounds(max(min(filling, fitting), limits.min_layers_per_stage), fitting)


def stage_options(instance: Instance, sizes: Iterable[int]) -> tuple[Option, ...]:
    """Return every option of the given sizes, ordered by type, degree and size."""
    allowed = np.array(sorted(set(sizes)), dtype=np.float64)
    model = performance_model(instance)
    found: list[Option] = []
    for gpu, kind in enumerate(instance.pool):
        for degree in instance.degrees(gpu):
            bounds = size_bounds(instance, model, gpu, degree)
            fitting = allowed[(allowed >= bounds.smallest) & (allowed <= bounds.largest)]
            if not len(fitting):
                continue
            rows = zip(
                fitting.tolist(),
                model.stage_tokens_per_s(kind, degree, fitting).tolist(),
                model.stage_memory_gb(kind, degree, fitting).tolist(),
                strict=True,
            )
            cost = degree * kind.usd_per_hour
            found += [Option(gpu, degree, int(k), rate, gb, cost) for k, rate, gb in rows]
    return tuple(found)
