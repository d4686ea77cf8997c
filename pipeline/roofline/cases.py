"""Cases to predict (GPU, model, degrees, requests), and the arrays that the formulas take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.catalogue import Gpu, find_engine, find_gpu
from pipeline.catalogue.records import peak_tflops
from pipeline.model_shape import (
    ModelShape,
    active_ffn_width,
    always_on_ffn_parameters,
    attention_parameters,
    decode_flops_per_pair,
    embedding_parameters,
    expert_parameters,
    kv_elements_per_token,
    prefill_flops_per_pair,
    routed_width,
)
from pipeline.roofline.compute import Numbers
from pipeline.roofline.constants import LEVELS
from pipeline.roofline.memory import MIB
from pipeline.roofline.step import Hardware, LayerWork

Record = TypeVar("Record")
PHASES = ("prefill", "decode", "static", "offline", "online")


@dataclass(frozen=True)
class Case:
    """One configuration and the load on it.

    phase: `prefill` (prompts only), `decode` (one step at context input_len + output_len/2),
    `static` (one batch from start to end), `offline` (all requests queued), `online` (closed
    loop of so many users). layers: how many the figure is for; fewer than the model's leave
    out LM head and host time. memory_gb, link_gb_per_s: None for the catalogue's. gpu: a name of
    the catalogue, or a GPU that it lacks.
    """

    gpu: str | Gpu
    shape: ModelShape
    phase: str
    requests: float
    input_len: float
    output_len: float
    engine: str = "vllm"
    tp: int = 1
    pp: int = 1
    compute_type: str = "fp16"
    bytes_per_kv_element: float = 2.0
    memory_gb: float | None = None
    memory_fraction: float = 0.9
    layers: int | None = None
    link_gb_per_s: float | None = None


@dataclass(frozen=True)
class CaseArrays:
    """Cases as arrays, one entry per case."""

    hardware: Hardware
    work: LayerWork
    labels: Mapping[str, tuple[str, ...]]
    phase: tuple[str, ...]
    tp: Numbers
    pp: Numbers
    layers: Numbers
    whole: Numbers
    requests: Numbers
    input_len: Numbers
    output_len: Numbers
    memory_fraction: Numbers
    fraction_of_free: Numbers


def _column(values: Sequence[float]) -> Numbers:
    return np.array(values, dtype=float)


def _columns(rows: Sequence[Sequence[float]], count: int) -> Numbers:
    """Turn rows of `count` values into columns; a pool may have no TP group, so no row."""
    return np.array(rows, dtype=float).reshape(len(rows), count).T


@cache
def hardware_row(
    named: str | Gpu, compute_type: str, memory_gb: float | None, link_gb_per_s: float | None
) -> tuple[float, ...]:
    """Figures of one GPU in the order of `Hardware`, in base units.

    Memory is what the driver reports, scaled where the pool states another nominal size.
    """
    gpu = find_gpu(named)
    return (
        peak_tflops(gpu, compute_type) * 1e12,
        peak_tflops(gpu, "fp16") * 1e12,
        gpu.bandwidth_gb_per_s.value * 1e9,
        (link_gb_per_s or gpu.link.gb_per_s.value) * 1e9,
        gpu.link.latency_us.value * 1e-6,
        1.0 if gpu.link.kind == "nvlink" else 0.0,
        gpu.reported_mib.value * MIB * (memory_gb or gpu.memory_gb.value) / gpu.memory_gb.value,
    )


@cache
def work_row(shape: ModelShape, tp: int, bytes_per_kv_element: float) -> tuple[float, ...]:
    """Figures of one model's mean layer in the order of `LayerWork`."""
    return (
        attention_parameters(shape) + always_on_ffn_parameters(shape),
        expert_parameters(shape),
        float(shape.num_experts),
        float(shape.experts_per_token),
        shape.bytes_per_weight,
        float(shape.hidden_size),
        active_ffn_width(shape),
        routed_width(shape),
        kv_elements_per_token(shape, tp),
        bytes_per_kv_element,
        prefill_flops_per_pair(shape),
        decode_flops_per_pair(shape, tp),
        float(shape.kv_lora_rank > 0),
        float(shape.sliding_window or np.inf),
        shape.sliding_window_share,
        embedding_parameters(shape),
    )


@cache
def level_members(named: str | Gpu, engine_name: str, compute_type: str) -> tuple[str, ...]:
    """Member of each of `LEVELS` that a case belongs to."""
    gpu, engine = find_gpu(named), find_engine(engine_name)
    return (
        "all",
        gpu.architecture,
        gpu.name,
        gpu.link.kind,
        engine.engine_class,
        engine.family,
        engine.name,
        compute_type,
    )


def case_arrays(cases: Sequence[Case]) -> CaseArrays:
    """Arrays of all cases; raises CatalogueError for a GPU or engine that is not known."""
    hardware = [
        hardware_row(case.gpu, case.compute_type, case.memory_gb, case.link_gb_per_s)
        for case in cases
    ]
    work = [work_row(case.shape, case.tp, case.bytes_per_kv_element) for case in cases]
    members = [level_members(case.gpu, case.engine, case.compute_type) for case in cases]
    layers = [case.layers or case.shape.num_hidden_layers for case in cases]
    whole = [
        float(layer_count >= case.shape.num_hidden_layers)
        for layer_count, case in zip(layers, cases, strict=True)
    ]
    return CaseArrays(
        hardware=Hardware(*_columns(hardware, len(fields(Hardware)))),
        work=LayerWork(*_columns(work, len(fields(LayerWork)))),
        labels={name: tuple(of[level] for of in members) for level, name in enumerate(LEVELS)},
        phase=tuple(case.phase for case in cases),
        tp=_column([case.tp for case in cases]),
        pp=_column([case.pp for case in cases]),
        layers=_column([float(count) for count in layers]),
        whole=_column(whole),
        requests=_column([case.requests for case in cases]),
        input_len=_column([case.input_len for case in cases]),
        output_len=_column([case.output_len for case in cases]),
        memory_fraction=_column([case.memory_fraction for case in cases]),
        fraction_of_free=_column(
            [float(find_engine(case.engine).memory_share_of == "free") for case in cases]
        ),
    )


def picked(record: Record, rows: NDArray[np.intp]) -> Record:
    """Pick rows of a record of arrays; nested records, labels and phases follow along."""

    def pick(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value[rows]
        if isinstance(value, tuple):
            return tuple(value[row] for row in rows)
        if isinstance(value, Mapping):
            return value
        return picked(value, rows)

    parts = {part.name: getattr(record, part.name) for part in fields(record)}  # type: ignore[arg-type]
    return type(record)(**{name: pick(value) for name, value in parts.items()})
