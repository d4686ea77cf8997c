"""Measured throughput tables: CSV text in, checked records out, all faults at once."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pipeline.catalogue import CatalogueError, compute_types, find_engine, find_gpu
from pipeline.errors import Fault, SourceError
from pipeline.model_shape import ModelShape
from pipeline.roofline.cases import PHASES, Case
from pipeline.roofline.compute import Numbers
from pipeline.texts import TextError, read_text

Row = TypeVar("Row", bound=BaseModel)
MAX_FILE_BYTES, MAX_ROWS = 64 * 1024**2, 100_000
# Nothing measured is outside these; arithmetic with what is would end in 0 or infinity.
Whole = Annotated[int, Field(gt=0, le=1_000_000_000)]
Measured = Annotated[float, Field(ge=1e-9, le=1e12)]
Label = Annotated[str, Field(min_length=1, max_length=200)]


class MeasurementError(SourceError, ValueError):
    """A measurement file that cannot be read; carries every fault, `file: field: reason`."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


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


class _Shape(BaseModel):
    """Columns that both files share."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    source: Label
    gpu: Label
    model: Label
    d_model: Whole
    n_heads: Whole
    n_kv_heads: Whole
    head_dim: Whole
    d_ff: Whole
    dtype_bytes: float = Field(ge=1e-9, le=4)
    kv_bytes: float = Field(ge=1e-9, le=4)
    mem_frac: float = Field(ge=1e-9, le=1)
    tp: float = Field(ge=1, le=1024)

    @field_validator("gpu")
    @classmethod
    def _known_gpu(cls, value: str) -> str:
        return _looked_up(find_gpu, value)

    @field_validator("tp")
    @classmethod
    def _whole(cls, value: float) -> float:
        if value != int(value):
            raise ValueError("must be a whole number")
        return value


class _Throughput(_Shape):
    gpu_mem_gb: Measured
    num_layers: Whole
    measured_layers: Whole
    gated_ffn: int = Field(ge=0, le=1)
    vocab: Whole
    compute_dtype: str
    pp: int = Field(ge=1, le=1024)
    batch_or_concurrency: Measured
    input_len: Measured
    output_len: float = Field(ge=0, le=1e12)
    phase: str
    runtime: Label
    tokens_per_s_total: Measured

    @field_validator("phase")
    @classmethod
    def _known_phase(cls, value: str) -> str:
        if value not in PHASES:
            raise ValueError(f"must be one of {', '.join(PHASES)}")
        return value

    @field_validator("compute_dtype")
    @classmethod
    def _known_type(cls, value: str) -> str:
        if value not in compute_types():
            raise ValueError(f"must be one of {', '.join(compute_types())}")
        return value

    @field_validator("runtime")
    @classmethod
    def _known_engine(cls, value: str) -> str:
        return _looked_up(find_engine, value)


class _Blocks(_Shape):
    gpu_mem_mib: Measured
    layers_on_stage: Whole
    kv_blocks: Measured
    block_tokens: Measured


def _looked_up(find: Callable[[str], object], value: str) -> str:
    """Return the name where the catalogue knows it; raise its error as a fault otherwise."""
    try:
        find(value)
    except CatalogueError as error:
        raise ValueError(str(error)) from error
    return value


def _rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file; raises MeasurementError when it cannot be read as one."""
    try:
        text = read_text(path, MAX_FILE_BYTES)
        rows = list(islice(csv.DictReader(io.StringIO(text, newline="")), MAX_ROWS + 1))
    except TextError as error:
        raise MeasurementError([f"{path.name}: file: {error}"]) from error
    except csv.Error as error:
        raise MeasurementError([f"{path.name}: file: cannot be read (got {error})"]) from error
    if not rows:
        raise MeasurementError([f"{path.name}: file: holds no rows (got nothing)"])
    if len(rows) > MAX_ROWS:
        raise MeasurementError([f"{path.name}: file: holds more than {MAX_ROWS} rows"])
    return rows


def _missing(path: Path, columns: Sequence[str], model: type[BaseModel]) -> list[str]:
    """Faults for required columns that the file does not have."""
    return [
        f"{path.name}: {name}: column is required (got nothing)"
        for name in model.model_fields
        if name not in columns
    ]


def _checked(path: Path, model: type[Row]) -> list[Row]:
    """All rows of a file against its form; raises MeasurementError listing every fault."""
    rows = _rows(path)
    faults = _missing(path, list(rows[0]), model)
    if faults:
        raise MeasurementError(faults)
    records: list[Row] = []
    for number, row in enumerate(rows, start=2):
        try:
            records.append(model.model_validate(row))
        except ValidationError as error:
            faults += [
                str(Fault(path.name, f"line {number}, {fault['loc'][0]}", fault["msg"], given))
                for fault in error.errors()
                for given in [fault["input"]]
            ]
    if faults:
        raise MeasurementError(faults)
    return records


def _shape(row: _Throughput) -> ModelShape:
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


def _measurement(row: _Throughput) -> Measurement:
    case = Case(
        gpu=row.gpu,
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


def _kv_blocks(row: _Blocks) -> KvBlocks:
    gpu = find_gpu(row.gpu)
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
        gpu=row.gpu,
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


def read_measurements(path: str | Path) -> tuple[Measurement, ...]:
    """Measurements of a throughput CSV; raises MeasurementError listing every fault."""
    return tuple(_measurement(row) for row in _checked(Path(path), _Throughput))


def read_kv_blocks(path: str | Path) -> tuple[KvBlocks, ...]:
    """Block counts of a KV-cache CSV; raises MeasurementError listing every fault."""
    return tuple(_kv_blocks(row) for row in _checked(Path(path), _Blocks))


def measured_tokens_per_s(measurements: Sequence[Measurement]) -> Numbers:
    """Measured values as an array."""
    return np.array([entry.tokens_per_s for entry in measurements])


def group_labels(measurements: Sequence[Measurement]) -> Mapping[str, tuple[str, ...]]:
    """Names by which scores are broken down, one entry per measurement and dimension."""
    cases = [entry.case for entry in measurements]
    return {
        "source": tuple(entry.source for entry in measurements),
        "gpu": tuple(case.gpu for case in cases),
        "model": tuple(case.shape.name for case in cases),
        "phase": tuple(case.phase for case in cases),
        "tp x pp": tuple(f"{case.tp} x {case.pp}" for case in cases),
        "engine": tuple(case.engine for case in cases),
    }
