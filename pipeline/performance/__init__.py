"""Performance models: what a TP group makes of a number of layers, and a link of a hop."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.instance import GpuType, Instance
from pipeline.performance import flops

FloatArray = NDArray[np.float64]


class PerformanceModel(Protocol):
    """What the search asks of a performance model; sizes are layers of one segment."""

    def stage_tokens_per_s(self, gpu: GpuType, degree: int, sizes: FloatArray) -> FloatArray:
        """Return the throughput of segments of the given sizes on one group, tokens/s."""

    def stage_memory_gb(self, gpu: GpuType, degree: int, sizes: FloatArray) -> FloatArray:
        """Return the memory that such segments take on each GPU of the group, GB."""

    def link_tokens_per_s(self, gb_per_s: FloatArray) -> FloatArray:
        """Return the throughput of hops over links of the given bandwidths, tokens/s."""


def performance_model(instance: Instance) -> PerformanceModel:
    """Return the performance model that an instance asks for.

    Raises ValueError for `roofline`, whose throughput is one of whole pipelines (`serving`).
    """
    if instance.serving is not None:
        raise ValueError("only the flops model gives every stage a throughput of its own")
    return flops.FlopsModel(instance.model, instance.workload, instance.performance.gpus)
