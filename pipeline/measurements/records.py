"""Rows of measurement files made into cases to predict, with what was measured of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.catalogue import find_gpu
from pipeline.measurements.csv_rows import MeasurementError, checked_rows
from pipeline.measurements.forms import NONE, BlocksForm, OwnGpus, ThroughputForm, known_names
from pipeline.model_shape import ModelShape
from pipeline.roofline.cases import Case
from pipeline.roofline.compute import Numbers

# Each source, GPU, model and engine is left out of a fit, and each has figures of its own.
MAX_MEMBERS = 500


@dataclass(frozen=True)
class Measurement:
    """One measured configuration: where it comes from, what ran, and the tokens/s it reached."""

    source: str
    case: Case
    tokens_per_s: float


@dataclass(frozen=True)
class KvBlocks:
    """KV-cache blocks that an engine could allocate for a pipeline stage."""

    source: str
    case: Case
    blocks: float
    block_tokens: float


def _shape(row: ThroughputForm) -> ModelShape:
    return ModelShape(
        name=row.model,
        num_hidden_layers=row.num_layers,
        hidden_size=row.d_model,
        intermediate_size=row.d_ff,
        num_attention_heads=row.n_heads,
        num_key_value_heads=row.n_kv_heads,
        vocab_size=row.vocab,
        bytes_per_weight=row.dtype_bytes,
        head_dim=row.head_dim,
        gated_ffn=bool(row.gated_ffn),
    )


def _measurement(row: ThroughputForm, hardware: OwnGpus) -> Measurement:
    case = Case(
        gpu=hardware.get(row.gpu, row.gpu),
        shape=_shape(row),
        phase=row.phase,
        requests=row.batch_or_concurrency,
        input_len=row.input_len,
        output_len=row.output_len,
        engine=row.runtime,
        tp=int(row.tp),
        pp=row.pp,
        compute_type=row.compute_dtype,
        bytes_per_kv_element=row.kv_bytes,
        memory_gb=row.gpu_mem_gb,
        memory_fraction=row.mem_frac,
        layers=row.measured_layers,
    )
    return Measurement(row.source, case, row.tokens_per_s_total)


def _kv_blocks(row: BlocksForm, hardware: OwnGpus) -> KvBlocks:
    gpu = find_gpu(hardware.get(row.gpu, row.gpu))
    shape = ModelShape(
        name=row.model,
        num_hidden_layers=row.layers_on_stage + 1,
        hidden_size=row.d_model,
        intermediate_size=row.d_ff,
        num_attention_heads=row.n_heads,
        num_key_value_heads=row.n_kv_heads,
        vocab_size=1,
        bytes_per_weight=row.dtype_bytes,
        head_dim=row.head_dim,
    )
    case = Case(
        gpu=gpu,
        shape=shape,
        phase="decode",
        requests=1.0,
        input_len=1.0,
        output_len=0.0,
        tp=int(row.tp),
        bytes_per_kv_element=row.kv_bytes,
        memory_gb=gpu.memory_gb.value * row.gpu_mem_mib / gpu.reported_mib.value,
        memory_fraction=row.mem_frac,
        layers=row.layers_on_stage,
    )
    return KvBlocks(row.source, case, row.kv_blocks, row.block_tokens)


def read_measurements(path: str | Path, hardware: OwnGpus = NONE) -> tuple[Measurement, ...]:
    """Measurements of a throughput CSV; raises MeasurementError listing every fault.

    hardware: GPUs that the catalogue lacks or gets wrong, by the name that the file has for them.
    """
    rows = checked_rows(Path(path), ThroughputForm, known_names(hardware))
    found = tuple(_measurement(row, hardware) for row in rows)
    for dimension, labels in group_labels(found).items():
        if (members := len(set(labels))) > MAX_MEMBERS:
            told = f"may have at most {MAX_MEMBERS} different ones (got {members})"
            raise MeasurementError([f"{Path(path).name}: {dimension}: {told}"])
    return found


def read_kv_blocks(path: str | Path, hardware: OwnGpus = NONE) -> tuple[KvBlocks, ...]:
    """Block counts of a KV-cache CSV; raises MeasurementError listing every fault."""
    rows = checked_rows(Path(path), BlocksForm, known_names(hardware))
    return tuple(_kv_blocks(row, hardware) for row in rows)


def measured_tokens_per_s(measurements: Sequence[Measurement]) -> Numbers:
    """Measured values as an array."""
    return np.array([entry.tokens_per_s for entry in measurements])


def group_labels(measurements: Sequence[Measurement]) -> Mapping[str, tuple[str, ...]]:
    """Names by which scores are broken down, one entry per measurement and dimension."""
    cases = [entry.case for entry in measurements]
    return {
        "source": tuple(entry.source for entry in measurements),
        "gpu": tuple(find_gpu(case.gpu).name for case in cases),
        "model": tuple(case.shape.name for case in cases),
        "phase": tuple(case.phase for case in cases),
        "tp x pp": tuple(f"{case.tp} x {case.pp}" for case in cases),
        "engine": tuple(case.engine for case in cases),
    }
