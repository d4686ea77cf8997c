"""Turns a checked config into the instance that the search works on."""

from __future__ import annotations

from typing import Any

from pipeline.config.schema import Config, ModelSection, NetworkSection
from pipeline.instance import (
    Baseline,
    GpuFigures,
    GpuType,
    Instance,
    Limits,
    Performance,
    Workload,
)
from pipeline.model_shape import ModelShape
from pipeline.network import Network, Override, matrix_network, uniform_network

DEFAULT_BASELINE = "V100"


def build_instance(config: Config) -> Instance:
    """Build the instance of a config that was checked."""
    pool = tuple(
        GpuType(kind.gpu, kind.count, float(kind.memory_gb), float(kind.usd_per_hour), kind.max_tp)
        for kind in config.pool
    )
    limits: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in config.limits.model_dump().items()
    }
    figures = {
        name: GpuFigures(**section.model_dump())
        for name, section in config.performance.gpus.items()
    }
    return Instance(
        name=config.name,
        model=model_shape(config.model),
        workload=Workload(**config.workload.model_dump()),
        pool=pool,
        network=_network(config.network, sum(kind.count for kind in pool)),
        limits=Limits(**limits),
        performance=Performance(config.performance.model, figures),
        baseline=_baseline(config),
    )


def model_shape(section: ModelSection) -> ModelShape:
    """Return the model's shape; absent key/value heads are as many as query heads."""
    fields = section.model_dump()
    fields["num_key_value_heads"] = section.num_key_value_heads or section.num_attention_heads
    return ModelShape(**fields)


def _baseline(config: Config) -> Baseline | None:
    """Return the baseline that was asked for, else the V100 where the pool has one."""
    if config.baseline is not None:
        return Baseline(config.baseline.gpu, config.baseline.tp)
    has_default = any(kind.gpu == DEFAULT_BASELINE for kind in config.pool)
    return Baseline(DEFAULT_BASELINE) if has_default else None


def _network(section: NetworkSection, num_gpus: int) -> Network:
    if section.rows is not None:
        return matrix_network(section.rows, section.drop_below_percentile)
    if section.gb_per_s is None:
        raise ValueError("a checked network has either a bandwidth or a matrix")
    overrides = [Override(o.gpus, o.to, float(o.gb_per_s)) for o in section.overrides]
    percentile = section.drop_below_percentile
    return uniform_network(num_gpus, float(section.gb_per_s), overrides, percentile)
