"""Instances for tests: one small and replaceable in every part, random ones, the reference one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from pipeline.config import load_config
from pipeline.instance import GpuFigures, GpuType, Instance, Limits, Performance, Workload
from pipeline.model_shape import ModelShape
from pipeline.network import Network, Override, matrix_network, uniform_network
from pipeline.performance.flops import GPU_FIGURES

CONFIGS = Path(__file__).parent.parent / "configs"
REFERENCE_CONFIG = CONFIGS / "medium.yaml"
REAL_CONFIGS = (
    "llama-3.1-70b-cloud",
    "qwen3-32b-cloud",
    "llama-3.1-405b-h100",
    "deepseek-v3",
    "llama-3.1-8b-workstation",
)
"""Names of the configs of real models."""
# Links of the second and third speed can bind for the tiny models below; those of the last cannot.
BANDWIDTHS_GB_PER_S = (0.0, 5.0, 40.0, 600.0)


def reference_instance(fields: Mapping[str, Any] | None = None) -> Instance:
    """Load the reference instance, with fields replaced: `{"pool.T4.max_tp": 4}`."""
    return load_config(REFERENCE_CONFIG, list((fields or {}).items())).instance


def small_model(num_layers: int = 6, layer_weight_gb: float = 1.0) -> ModelShape:
    """Return a tiny decoder; its activations are below a megabyte, so weights decide what fits."""
    return ModelShape(
        name="tiny",
        num_hidden_layers=num_layers,
        hidden_size=64,
        intermediate_size=256,
        num_attention_heads=4,
        num_key_value_heads=4,
        vocab_size=100,
        layer_weight_gb=layer_weight_gb,
    )


def small_instance(
    *pool: GpuType,
    num_layers: int = 6,
    layer_weight_gb: float = 1.0,
    network: Network | None = None,
    limits: Limits | None = None,
    figures: Mapping[str, GpuFigures] | None = None,
) -> Instance:
    """Return an instance of a tiny model; by default two A100 and two T4, all links equal."""
    pool = pool or (GpuType("A100", 2, 4.0, 1.0), GpuType("T4", 2, 2.0, 0.2))
    return Instance(
        name="small",
        model=small_model(num_layers, layer_weight_gb),
        workload=Workload(sequence_length=16, batch_size=2),
        pool=pool,
        network=network or uniform_network(sum(kind.count for kind in pool), 600.0),
        limits=limits or Limits(tp_degrees=(1, 2, 4)),
        performance=Performance("flops", dict(figures or {})),
    )


def random_matrix(seed: int, num_gpus: int, num_kinds: int, symmetric: bool) -> list[list[float]]:
    """Return bandwidths between GPUs of a few kinds, GB/s; some are 0. num_kinds 0: no pattern."""
    chance = np.random.default_rng(seed)
    kind = chance.integers(num_kinds, size=num_gpus) if num_kinds else np.arange(num_gpus)
    size = max(num_kinds, num_gpus)
    matrix = chance.choice(BANDWIDTHS_GB_PER_S, size=(size, size), p=(0.1, 0.2, 0.2, 0.5))
    if symmetric:
        matrix = np.minimum(matrix, matrix.T)
    rows: list[list[float]] = matrix[np.ix_(kind, kind)].tolist()
    return rows


def matrices(num_gpus: int) -> st.SearchStrategy[list[list[float]]]:
    """Draw bandwidth matrices, GB/s: patterned or not, symmetric or not, with links missing."""
    return st.builds(
        random_matrix,
        st.integers(0, 2**32 - 1),
        st.just(num_gpus),
        st.integers(0, 3),
        st.booleans(),
    )


def id_sets(num_gpus: int) -> st.SearchStrategy[frozenset[int]]:
    """Draw sets of GPU ids that are not empty."""
    return st.frozensets(st.integers(0, num_gpus - 1), min_size=1)


def overrides(num_gpus: int) -> st.SearchStrategy[list[Override]]:
    """Draw up to three exceptions to a network's bandwidth, which may contradict each other."""
    ids, speed = id_sets(num_gpus), st.sampled_from(BANDWIDTHS_GB_PER_S)
    return st.lists(st.builds(Override, ids, st.none() | ids, speed), max_size=3)


@st.composite
def networks(draw: st.DrawFn, num_gpus: int, percentiles: Sequence[float] = (0.0,)) -> Network:
    """Draw networks: uniform, with exceptions, or by matrix."""
    percentile = draw(st.sampled_from(percentiles))
    shape = draw(st.sampled_from(["uniform", "overrides", "matrix"]))
    if shape == "matrix":
        return matrix_network(draw(matrices(num_gpus)), percentile)
    exceptions = draw(overrides(num_gpus)) if shape == "overrides" else []
    return uniform_network(num_gpus, draw(st.sampled_from((40.0, 600.0))), exceptions, percentile)


@st.composite
def small_instances(
    draw: st.DrawFn,
    max_types: int = 4,
    max_count: int = 6,
    max_layers: int = 12,
    percentiles: Sequence[float] = (0.0,),
) -> Instance:
    """Draw instances small enough to enumerate: pool, prices, memory, limits and network vary.

    percentiles: of the bandwidth filter; 0 is off.
    """
    names = draw(
        st.lists(st.sampled_from(sorted(GPU_FIGURES)), min_size=2, max_size=max_types, unique=True)
    )
    pool = tuple(
        GpuType(
            name,
            count=draw(st.integers(1, max_count)),
            memory_gb=draw(st.sampled_from((1.0, 2.0, 3.0, 5.0, 8.0))),
            usd_per_hour=draw(st.sampled_from((0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 2.5))),
            max_tp=draw(st.sampled_from((None, None, 1, 2, 4))),
        )
        for name in names
    )
    limits = Limits(
        max_stages=draw(st.integers(1, 6)),
        min_layers_per_stage=draw(st.integers(1, 3)),
        min_memory_utilization=draw(st.sampled_from((0.0, 0.0, 0.3, 0.5, 0.9))),
        tp_degrees=draw(st.sampled_from(((1,), (1, 2), (1, 2, 4), (2, 4), (1, 4), (1, 2, 4, 8)))),
    )
    return small_instance(
        *pool,
        num_layers=draw(st.integers(3, max_layers)),
        layer_weight_gb=draw(st.sampled_from((0.5, 1.0, 1.3))),
        network=draw(networks(sum(kind.count for kind in pool), percentiles)),
        limits=limits,
    )
