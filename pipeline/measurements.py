"""Measured throughput tables: CSV text in, checked records out, all faults at once."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from pipeline.catalogue import (
    Gpu,
    UnknownNameError,
    compute_types,
    engine_names,
    find_engine,
    find_gpu,
)
from pipeline.errors import SourceError, shown
from pipeline.fault_words import reason
from pipeline.model_shape import ModelShape
from pipeline.roofline.cases import PHASES, Case
from pipeline.roofline.compute import Numbers
from pipeline.roofline.constant_files import shipped_table
from pipeline.texts import TextError, check_name, read_text
from pipeline.words import close_names, folded

Row = TypeVar("Row", bound=BaseModel)
OwnGpus = Mapping[str, Gpu]
NONE: OwnGpus = {}
MAX_FILE_BYTES, MAX_ROWS, MAX_COLUMNS = 64 * 1024**2, 100_000, 1_000
# Names of eight letters are so alike when one differs; of `pp` and `ep` either may be meant.
ONE_LETTER = 0.875
# Nothing measured is outside these; arithmetic with what is would end in 0 or infinity.
Whole = Annotated[int, Field(gt=0, le=1_000_000_000)]
Measured = Annotated[float, Field(ge=1e-9, le=1e12)]
# A GPU of more is one whose memory is given in MiB.
MemoryGb = Annotated[float, Field(ge=1e-9, le=4096)]
MOST_FAULTS = 1000
OR_A_FILE = ", or in a file of such entries under --hardware"
Label = Annotated[str, Field(min_length=1), AfterValidator(check_name)]


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


@dataclass(frozen=True)
class _Known:
    """What the cells of a file may name: GPUs described beside it, and engines met so far.

    engines: how each is written, by what its label is without case and outer spaces.
    """

    hardware: OwnGpus
    engines: dict[str, str]


class _Shape(BaseModel):
    """Columns that both files share."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    source: Label
    gpu: Label
    model: Label
    d_model: Whole
    n_heads: Whole
    n_kv_heads: Whole
    head_dim: Whole | None = Field(None, validate_default=True)
    d_ff: Whole
    dtype_bytes: float = Field(ge=1e-9, le=4)
    kv_bytes: float = Field(2.0, ge=1e-9, le=4)
    mem_frac: float = Field(0.9, ge=1e-9, le=1)
    tp: float = Field(ge=1, le=1024)

    @model_validator(mode="before")
    @classmethod
    def _without_empty_cells(cls, row: dict[str, str]) -> dict[str, str]:
        """An empty cell of an optional column is as good as none."""
        optional = {name for name, field in cls.model_fields.items() if not field.is_required()}
        return {name: cell for name, cell in row.items() if name and (cell or name not in optional)}

    @field_validator("*", mode="before")
    @classmethod
    def _without_underscores(cls, cell: Any, given: ValidationInfo) -> Any:
        """Pydantic reads 1_0 as 10; nobody else does, nor do configs."""
        is_text = cls.model_fields[str(given.field_name)].annotation is str
        if isinstance(cell, str) and "_" in cell and not is_text:
            raise ValueError("must be a number without underscores")
        return cell

    @field_validator("gpu")
    @classmethod
    def _known_gpu(cls, value: str, given: ValidationInfo[_Known]) -> str:
        known = given.context.hardware
        return value if value in known else _looked_up(find_gpu, value, OR_A_FILE)

    @field_validator("n_kv_heads")
    @classmethod
    def _divides_heads(cls, value: int, given: ValidationInfo) -> int:
        heads = given.data.get("n_heads")
        if heads and heads % value:
            raise ValueError(f"must divide n_heads {heads}")
        return value

    @field_validator("head_dim")
    @classmethod
    def _divides(cls, value: int | None, given: ValidationInfo) -> int | None:
        width, heads = given.data.get("d_model"), given.data.get("n_heads")
        if value is None and width and heads and width % heads:
            raise ValueError(f"must be given where n_heads {heads} does not divide d_model {width}")
        return value

    @field_validator("tp")
    @classmethod
    def _whole(cls, value: float) -> float:
        if value != int(value):
            raise ValueError("must be a whole number")
        return value


class _Throughput(_Shape):
    gpu_mem_gb: MemoryGb | None = None
    num_layers: Whole
    measured_layers: Whole | None = None
    gated_ffn: int = Field(1, ge=0, le=1)
    vocab: Whole
    compute_dtype: str = "fp16"
    pp: int = Field(1, ge=1, le=1024)
    batch_or_concurrency: Measured
    input_len: Measured
    output_len: float = Field(ge=0, le=1e12)
    phase: str
    runtime: Label
    tokens_per_s_total: Measured

    @field_validator("measured_layers", "pp")
    @classmethod
    def _within_the_model(cls, value: int | None, given: ValidationInfo) -> int | None:
        layers = given.data.get("num_layers")
        if value and layers and value > layers:
            raise ValueError(f"must be at most num_layers {layers}")
        return value

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
    def _known_engine(cls, value: str, given: ValidationInfo[_Known]) -> str:
        _looked_up(find_engine, value)
        known = given.context.engines.setdefault(folded(value), value)
        if known != value:
            where = "as the catalogue, the package's constants or an earlier row have it"
            raise ValueError(f"must be written {shown(known)}, {where}")
        return value


class _Blocks(_Shape):
    gpu_mem_mib: Measured
    layers_on_stage: Whole
    kv_blocks: Measured
    block_tokens: Measured


def _looked_up(find: Callable[[str], object], value: str, also: str = "") -> str:
    """Return the name where the catalogue knows it; raise its error as a fault otherwise.

    also: what does instead here, beside what the catalogue advises.
    """
    try:
        find(value)
    except UnknownNameError as error:
        raise ValueError(f"{error.reason}. {error.advice}{also}") from error
    return value


def _known(hardware: OwnGpus) -> _Known:
    """Return what is known before the first row: engine families, and engines of the package."""
    labels = (*engine_names(), *sorted(shipped_table().seen("engine")))
    return _Known(hardware, {folded(label): label for label in labels})


def _rows(path: Path) -> dict[int, dict[str, str]]:
    """Rows of a CSV file by their line; raises MeasurementError when it cannot be read as one."""
    try:
        text = read_text(path, MAX_FILE_BYTES)
        reader = csv.DictReader(io.StringIO(text, newline=""))
        # Lines that are empty make no row, and a row may have several.
        numbered = [(reader.line_num, row) for row in islice(reader, MAX_ROWS + 1)]
        rows, columns = dict(numbered), list(reader.fieldnames or ())
    except TextError as error:
        raise MeasurementError([f"{path.name}: file: {error}"]) from error
    except csv.Error as error:
        raise MeasurementError([f"{path.name}: file: cannot be read (got {error})"]) from error
    if len(columns) > MAX_COLUMNS:
        raise MeasurementError([f"{path.name}: line 1: holds more than {MAX_COLUMNS} columns"])
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise MeasurementError([f"{path.name}: {name}: column stands twice" for name in twice])
    if len(columns) == 1 and (";" in columns[0] or "\t" in columns[0]):
        told = "must separate its columns by commas"
        raise MeasurementError([f"{path.name}: line 1: {told} (got {columns[0]!r:.60})"])
    if not rows:
        raise MeasurementError([f"{path.name}: file: holds no rows"])
    if len(rows) > MAX_ROWS:
        raise MeasurementError([f"{path.name}: file: holds more than {MAX_ROWS} rows"])
    uneven = [line for line, row in rows.items() if _is_uneven(row)]
    if uneven:
        told = f"must have as many cells as the header, {len(columns)}"
        raise MeasurementError([f"{path.name}: {_where(uneven)}: {told}"])
    return rows


def _is_uneven(row: Mapping[str | None, Any]) -> bool:
    """Tell whether a row has too few cells, or filled ones beyond the last column."""
    return None in row.values() or any(row.get(None, ()))


def _header_faults(path: Path, columns: Sequence[str], model: type[BaseModel]) -> list[str]:
    """Faults for columns that are written otherwise, and required ones that are not there."""
    absent = [name for name in model.model_fields if name not in columns]
    meant = {name: _meant(name, absent) for name in columns if name not in model.model_fields}
    misspelt = [
        f"{path.name}: line 1: is not a known column, did you mean {known}? (got {shown(name)})"
        for name, known in meant.items()
        if known
    ]
    required = [
        name
        for name in absent
        if model.model_fields[name].is_required() and name not in meant.values()
    ]
    if not required:
        return misspelt
    told = f"must have the columns {', '.join(required)}; docs/measured-format.md has an example"
    return [*misspelt, f"{path.name}: line 1: {told}"]


def _meant(column: str, absent: Sequence[str]) -> str | None:
    """Return the absent column that another is but for case, spaces or one letter, if any."""
    near = close_names(column.strip().casefold(), absent, n=1, cutoff=ONE_LETTER)
    return near[0] if near else None


def _checked(path: Path, model: type[Row], hardware: OwnGpus) -> list[Row]:
    """All rows of a file against its form; raises MeasurementError listing every fault."""
    rows = _rows(path)
    faults = _header_faults(path, [name for name in next(iter(rows.values())) if name], model)
    if faults:
        raise MeasurementError(faults)
    records: list[Row] = []
    known = _known(hardware)
    lines: dict[tuple[str, str], list[int]] = {}
    for line, row in rows.items():
        if len(lines) >= MOST_FAULTS:
            break  # each that is told takes time, and nobody mends more at once
        try:
            records.append(model.model_validate(row, context=known))
        except ValidationError as error:
            for fault in error.errors():
                lines.setdefault(_told(fault), []).append(line)
    if lines:
        raise MeasurementError(
            [
                f"{path.name}: {_where(found)}, {name}: {text}"
                for (name, text), found in lines.items()
            ]
        )
    return records


def _told(fault: ErrorDetails) -> tuple[str, str]:
    """Name the column of a fault and say what is wrong with its value."""
    return str(fault["loc"][0]), f"{reason(fault)} (got {shown(fault['input'])})"


def _where(lines: Sequence[int], most: int = 3) -> str:
    """Name the lines of one and the same fault, the first of them where there are many."""
    if len(lines) == 1:
        return f"line {lines[0]}"
    more = f" and {len(lines) - most} more" if len(lines) > most else ""
    return f"lines {', '.join(map(str, lines[:most]))}{more}"


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


def _measurement(row: _Throughput, hardware: OwnGpus) -> Measurement:
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


def _kv_blocks(row: _Blocks, hardware: OwnGpus) -> KvBlocks:
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
    rows = _checked(Path(path), _Throughput, hardware)
    return tuple(_measurement(row, hardware) for row in rows)


def read_kv_blocks(path: str | Path, hardware: OwnGpus = NONE) -> tuple[KvBlocks, ...]:
    """Block counts of a KV-cache CSV; raises MeasurementError listing every fault."""
    rows = _checked(Path(path), _Blocks, hardware)
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
