"""One placement problem, as plain frozen records: model, workload, pool, network, limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

from pipeline.catalogue import Gpu
from pipeline.model_shape import ModelShape, why_not_split
from pipeline.network import Network
from pipeline.roofline.constant_files import shipped_table
from pipeline.roofline.constants import ConstantTable


@dataclass(frozen=True)
class GpuType:
    """Equal GPUs of a pool. max_tp: largest TP degree allowed, None for no limit.

    gpus_per_node: GPUs of one host, a power of two; ids fill one host after the other, and no
    group leaves its host; None: hosts are not told apart. link_gb_per_s: bandwidth between GPUs
    of one host in one direction, None for the catalogue's. own_hardware: what the `roofline` model
    is to know of a type that its catalogue lacks or gets wrong.
    """

    name: str
    count: int
    memory_gb: float
    usd_per_hour: float
    max_tp: int | None = None
    gpus_per_node: int | None = None
    link_gb_per_s: float | None = None
    own_hardware: Gpu | None = None

    @property
    def hardware(self) -> str | Gpu:
        """What the `roofline` model knows the type by: its own figures, else its name."""
        return self.own_hardware or self.name


@dataclass(frozen=True)
class Workload:
    """What the `flops` model looks at: requests per batch and tokens per request."""

    sequence_length: int
    batch_size: int


@dataclass(frozen=True)
class Serving:
    """What the `roofline` model looks at: what a deployment serves, and with what.

    phase: prefill, decode or mixed. concurrency: requests at once to choose from; micro_batches:
    micro-batches in flight to choose from; empty: what the model chooses from by itself (see
    `serving.decisions`). memory_fraction: share of a GPU's memory that the engine may use.
    """

    phase: str
    input_tokens: int
    output_tokens: int
    concurrency: tuple[int, ...] = ()
    micro_batches: tuple[int, ...] = ()
    compute_type: str = "fp16"
    kv_bytes: float = 2.0
    memory_fraction: float = 0.9
    engine: str = "vllm"


@dataclass(frozen=True)
class Limits:
    """What a placement must respect, beside memory, links and budget.

    max_ttft_s, max_tpot_s: longest time to the first token, and per output token after it;
    only the `roofline` model knows them.
    """

    max_stages: int = 8
    min_layers_per_stage: int = 1
    min_memory_utilization: float = 0.0
    tp_degrees: tuple[int, ...] = (1, 2, 4, 8)
    exclude: tuple[str, ...] = ()
    uniform_tp: bool = False
    single_gpu_type: bool = False
    equal_sizes: bool = False
    max_ttft_s: float | None = None
    max_tpot_s: float | None = None


@dataclass(frozen=True)
class GpuFigures:
    """What the `flops` model knows of a GPU: peak, bandwidth and reachable share of the peak."""

    tflops: float
    gb_per_s: float
    efficiency: float


@dataclass(frozen=True)
class Performance:
    """Which performance model, and what is known to it beside its catalogue.

    gpus: for `flops`, figures of GPUs that its catalogue lacks or gets wrong. constants: for
    `roofline`, fitted constants in place of those that come with the package.
    """

    model: str = "flops"
    gpus: dict[str, GpuFigures] = field(default_factory=dict, hash=False)
    constants: ConstantTable | None = field(default=None, hash=False)

    @property
    def constant_table(self) -> ConstantTable:
        """The fitted constants in force: those given, else those that come with the package."""
        return shipped_table() if self.constants is None else self.constants


@dataclass(frozen=True)
class Baseline:
    """The placement to compare with, one segment on one group.

    Without tp, the group size of the lowest $/token of those that fit.
    """

    gpu: str
    tp: int | None = None


@dataclass(frozen=True)
class Instance:
    """One placement problem. GPU ids are numbered in pool order, from 0.

    workload: for the `flops` model. serving: for the `roofline` model, None under `flops`; the
    workload then holds the tokens of one request.
    """

    name: str
    model: ModelShape
    workload: Workload
    pool: tuple[GpuType, ...]
    network: Network
    limits: Limits
    performance: Performance
    baseline: Baseline | None = None
    serving: Serving | None = None

    @property
    def num_gpus(self) -> int:
        """GPUs of the whole pool."""
        return sum(kind.count for kind in self.pool)

    @property
    def pool_usd_per_hour(self) -> float:
        """Price of all GPUs, $/h: no placement costs more."""
        return sum(kind.count * kind.usd_per_hour for kind in self.pool)

    @property
    def num_layers(self) -> int:
        """Number of decoder layers L."""
        return self.model.num_hidden_layers

    @cached_property
    def first_gpu_ids(self) -> tuple[int, ...]:
        """Lowest GPU id of each type."""
        return tuple(accumulate((gpu.count for gpu in self.pool[:-1]), initial=0))

    @cached_property
    def host_sizes(self) -> dict[int, int]:
        """GPUs of one host by type, for the types whose hosts are told apart."""
        return {
            gpu: kind.gpus_per_node
            for gpu, kind in enumerate(self.pool)
            if kind.gpus_per_node is not None
        }

    def degrees(self, gpu: int) -> tuple[int, ...]:
        """Return the TP degrees that type number `gpu` may use, each once, ascending.

        Under `roofline` they are those that engines can split the model's heads over; `flops`
        knows no heads, as the published system.
        """
        kind = self.pool[gpu]
        if kind.name in self.limits.exclude:
            return ()
        most = min(kind.count, kind.max_tp or kind.count, kind.gpus_per_node or kind.count)
        degrees = sorted({d for d in self.limits.tp_degrees if d <= most})
        if self.serving is None:
            return tuple(degrees)
        return tuple(d for d in degrees if not why_not_split(self.model, d))
