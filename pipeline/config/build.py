"""Turns a checked config into the instance that the search works on."""

from __future__ import annotations

from typing import Any

from pipeline.config.hardware import gpus_of
from pipeline.config.performance_checks import gpu_memory_gb
from pipeline.config.schema import Config, ModelSection, NetworkSection, PerformanceSection
from pipeline.instance import (
    Baseline,
    GpuFigures,
    GpuType,
    Instance,
    Limits,
    Performance,
    Serving,
    Workload,
)
from pipeline.model_shape import ModelShape
from pipeline.network import Network, Override, matrix_network, uniform_network
from pipeline.roofline.constant_files import table_of

DEFAULT_BASELINES = ("V100", "V100-16G", "V100-32G")


def build_instance(config: Config) -> Instance:
    """Build the instance of a config that was checked."""
    pool = build_pool(config)
    limits: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in config.limits.model_dump().items()
    }
    return Instance(
        name=config.name,
        model=model_shape(config.model),
        workload=_workload(config),
        pool=pool,
        network=_network(config.network, sum(kind.count for kind in pool)),
        limits=Limits(**limits),
        performance=_performance(config.performance),
        baseline=_baseline(config),
        serving=_serving(config),
    )


def build_pool(config: Config) -> tuple[GpuType, ...]:
    """Build the pool of a config that was checked; memory that is absent is that of the GPU."""
    hardware = gpus_of(config.performance.hardware)
    return tuple(
        GpuType(
            kind.gpu,
            kind.count,
            float(kind.memory_gb or gpu_memory_gb(kind.gpu, config.performance)),
            float(kind.usd_per_hour),
            kind.max_tp,
            kind.gpus_per_node,
            kind.link_gb_per_s,
            hardware.get(kind.gpu),
        )
        for kind in config.pool
    )


def model_shape(section: ModelSection) -> ModelShape:
    """Return the model's shape; absent key/value heads are as many as query heads."""
    fields = section.model_dump()
    fields["num_key_value_heads"] = section.num_key_value_heads or section.num_attention_heads
    return ModelShape(**fields)


def _workload(config: Config) -> Workload:
    """Return what the `flops` model looks at; under `roofline`, one request."""
    section = config.workload
    if section.sequence_length is None or section.batch_size is None:
        return Workload((section.input_tokens or 0) + (section.output_tokens or 0), 1)
    return Workload(section.sequence_length, section.batch_size)


def _performance(section: PerformanceSection) -> Performance:
    """Return the performance model with what the config states beside its catalogue."""
    figures = {name: GpuFigures(**known.model_dump()) for name, known in section.gpus.items()}
    constants = None if section.constants is None else table_of(section.constants)
    return Performance(section.model, figures, constants)


def _serving(config: Config) -> Serving | None:
    """Return what the `roofline` model looks at, None under another model."""
    section = config.workload
    if section.phase is None or section.input_tokens is None:
        return None
    return Serving(
        phase=section.phase,
        input_tokens=section.input_tokens,
        output_tokens=section.output_tokens or 0,
        concurrency=_chosen(section.concurrency),
        micro_batches=_chosen(section.micro_batches),
        compute_type=section.compute_type,
        kv_bytes=float(section.kv_bytes),
        memory_fraction=float(section.memory_fraction),
        engine=section.engine,
    )


def _chosen(choice: str | list[int]) -> tuple[int, ...]:
    """Return the numbers to choose from; none where the choice is left open."""
    return () if isinstance(choice, str) else tuple(choice)


def _baseline(config: Config) -> Baseline | None:
    """Return the baseline that was asked for, else the V100 where the pool has one."""
    if config.baseline is not None:
        return Baseline(config.baseline.gpu, config.baseline.tp)
    names = {kind.gpu for kind in config.pool}
    default = next((name for name in DEFAULT_BASELINES if name in names), None)
    return None if default is None else Baseline(default)


def _network(section: NetworkSection, num_gpus: int) -> Network:
    if section.rows is not None:
        return matrix_network(section.rows, section.drop_below_percentile)
    if section.gb_per_s is None:
        raise ValueError("a checked network has either a bandwidth or a matrix")
    overrides = [Override(o.gpus, o.to, float(o.gb_per_s)) for o in section.overrides]
    percentile = section.drop_below_percentile
    return uniform_network(num_gpus, float(section.gb_per_s), overrides, percentile)
