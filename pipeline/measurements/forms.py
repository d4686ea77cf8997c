"""The columns of measurement files: what each cell may hold, and whether the names are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from pipeline.catalogue import (
    MOST_MEMORY_GB,
    Gpu,
    UnknownNameError,
    compute_types,
    engine_names,
    find_engine,
    find_gpu,
)
from pipeline.errors import shown
from pipeline.roofline.cases import PHASES
from pipeline.roofline.constant_files import shipped_table
from pipeline.texts import check_name
from pipeline.words import folded

OwnGpus = Mapping[str, Gpu]
NONE: OwnGpus = {}
# Nothing measured is outside these; arithmetic with what is would end in 0 or infinity.
Whole = Annotated[int, Field(gt=0, le=1_000_000_000)]
Measured = Annotated[float, Field(ge=1e-9, le=1e12)]
MemoryGb = Annotated[float, Field(ge=1e-9, le=MOST_MEMORY_GB)]
OR_A_FILE = ", or in a file of such entries under --hardware"
Label = Annotated[str, Field(min_length=1), AfterValidator(check_name)]


@dataclass(frozen=True)
class Known:
    """What the cells of a file may name: GPUs described beside it, and engines met so far.

    engines: how each is written, by what its label is without case and outer spaces.
    """

    hardware: OwnGpus
    engines: dict[str, str]


class _SharedForm(BaseModel):
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
        return {name: cell for name, cell in row.items() if cell or name not in optional}

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
    def _known_gpu(cls, value: str, given: ValidationInfo[Known]) -> str:
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


class ThroughputForm(_SharedForm):
    """Columns of a file of throughputs, one row per measured configuration."""

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
    def _known_engine(cls, value: str, given: ValidationInfo[Known]) -> str:
        _looked_up(find_engine, value)
        known = given.context.engines.setdefault(folded(value), value)
        if known != value:
            where = "as the catalogue, the package's constants or an earlier row have it"
            raise ValueError(f"must be written {shown(known)}, {where}")
        return value


class BlocksForm(_SharedForm):
    """Columns of a file of KV-cache blocks, one row per stage of an engine that was started."""

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


def known_names(hardware: OwnGpus) -> Known:
    """Return what is known before the first row: engine families, and engines of the package."""
    labels = (*engine_names(), *sorted(shipped_table().seen("engine")))
    return Known(hardware, {folded(label): label for label in labels})
