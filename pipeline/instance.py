"""One placement problem, as plain frozen records: model, workload, pool, network, limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

from pipeline.model_shape import ModelShape
from pipeline.network import Network


@dataclass(frozen=True)
class GpuType:
    """Equal GPUs of a pool. max_tp: largest TP degree allowed, None for no limit."""

    name: str
    count: int
    memory_gb: float
    usd_per_hour: float
    max_tp: int | None = None


@dataclass(frozen=True)
class Workload:
    """What the model serves: requests per batch and tokens per request."""

    sequence_length: int
    batch_size: int


@dataclass(frozen=True)
class Limits:
    """What a placement must respect, beside memory, links and budget."""

    max_stages: int = 8
    min_layers_per_stage: int = 1
    min_memory_utilization: float = 0.0
    tp_degrees: tuple[int, ...] = (1, 2, 4, 8)
    exclude: tuple[str, ...] = ()
    uniform_tp: bool = False
    single_gpu_type: bool = False
    equal_sizes: bool = False


@dataclass(frozen=True)
class GpuFigures:
    """What the `flops` model knows of a GPU: peak, bandwidth and reachable share of the peak."""

    tflops: float
    gb_per_s: float
    efficiency: float


@dataclass(frozen=True)
class Performance:
    """Which performance model, with figures for GPUs that its catalogue lacks or gets wrong."""

    model: str = "flops"
    gpus: dict[str, GpuFigures] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Baseline:
    """The placement to compare with: one segment on one group; tp None: the cheapest that fits."""

    gpu: str
    tp: int | None = None


@dataclass(frozen=True)
class Instance:
    """One placement problem. GPU ids are numbered in pool order, from 0."""

    name: str
    model: ModelShape
    workload: Workload
    pool: tuple[GpuType, ...]
    network: Network
    limits: Limits
    performance: Performance
    baseline: Baseline | None = None

    @property
    def num_layers(self) -> int:
        """Number of decoder layers L."""
        return self.model.num_hidden_layers

    @cached_property
    def first_gpu_ids(self) -> tuple[int, ...]:
        """Lowest GPU id of each type."""
        return tuple(accumulate((gpu.count for gpu in self.pool[:-1]), initial=0))

    def degrees(self, gpu: int) -> tuple[int, ...]:
        """Return the TP degrees that type number `gpu` may use, each once, ascending."""
        kind = self.pool[gpu]
        if kind.name in self.limits.exclude:
            return ()
        most = kind.count if kind.max_tp is None else min(kind.count, kind.max_tp)
        return tuple(sorted({d for d in self.limits.tp_degrees if d <= most}))
