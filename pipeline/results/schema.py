"""The result tables: every column with its type, unit and meaning, and the rows that fill them.

A row is a frozen record whose constructor refuses half-truths: an optimum without a value, a
failure with one, NaN anywhere. Columns of swept fields stand behind the fixed ones, under the
field's dotted name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pyarrow as pa

SCHEMA_VERSION = "1"

# Statuses with a placement, and those without; a time limit may come with or without.
SOLVED = ("optimal", "feasible")
UNSOLVED = ("infeasible", "error")
STATUSES = (*SOLVED, *UNSOLVED, "time_limit")
METHODS = ("ratio", "frontier", "enumeration", "weighted", "iterative")
"""From the one that proves most about $/token to the one that proves nothing."""


@dataclass(frozen=True)
class Column:
    """One column: name with unit, Arrow type, whether it may be null, what it says.

    as_json: values stand there as JSON text, since Arrow has no one type for them.
    """

    name: str
    type: pa.DataType
    nullable: bool
    meaning: str
    as_json: bool = False

    def field(self) -> pa.Field:
        """Return the Arrow field, its meaning in the metadata."""
        metadata = {"meaning": self.meaning} | ({"encoding": "json"} if self.as_json else {})
        return pa.field(self.name, self.type, self.nullable, metadata)


_text, _int, _float, _bool = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_ints = pa.list_(pa.field("item", pa.int32(), nullable=False))

POINT_COLUMNS: tuple[Column, ...] = (
    Column("point_id", _text, False, "hash of everything that decides the answer"),
    Column("instance", _text, False, "name of the instance"),
    Column("granularity", _text, False, "name of the set of allowed segment sizes"),
    Column("sizes", _ints, False, "allowed segment sizes, layers"),
    Column("method", _text, False, "enumeration, weighted, iterative, ratio or frontier"),
    Column("budget_usd_per_hour", _float, True, "upper bound on the cost, where one was set"),
    Column("cost_weight", _float, True, "weight w of the weighted method"),
    Column("pareto_index", _int, True, "position on the frontier, from the fastest, from 0"),
    Column("status", _text, False, "optimal, feasible, infeasible, time_limit or error"),
    Column("message", _text, False, "why there is no placement, or what is to be known of it"),
    Column("throughput_tokens_per_s", _float, True, "throughput of the placement"),
    Column("cost_usd_per_hour", _float, True, "cost of the placement"),
    Column("cost_usd_per_token", _float, True, "cost of a token at full load"),
    Column("bound_throughput_tokens_per_s", _float, True, "no placement here is faster"),
    Column("bound_cost_usd_per_hour", _float, True, "no placement as fast costs less"),
    Column("bound_cost_usd_per_token", _float, True, "no placement has a lower cost per token"),
    Column("bound_weighted_score", _float, True, "no placement has a higher weighted score"),
    Column(
        "mip_gap",
        _float,
        True,
        "largest distance between answer and bounds, relative; 0 is a proof",
    ),
    Column("num_stages", _int, True, "pipeline stages of the placement"),
    Column("num_gpus", _int, True, "GPUs of the placement"),
    Column("target_met", _bool, True, "whether the cost per token is at or below the target"),
    Column("concurrency", _int, True, "requests at once; only the roofline model has any"),
    Column("micro_batches", _int, True, "micro-batches that these requests move in"),
    Column("ttft_s", _float, True, "time to the first token"),
    Column("tpot_s", _float, True, "time per output token after the first"),
    Column("throughput_low_tokens_per_s", _float, True, "10th percentile of the prediction"),
    Column("throughput_high_tokens_per_s", _float, True, "90th percentile of the prediction"),
    Column("cost_low_usd_per_token", _float, True, "cost per token at the high throughput"),
    Column("cost_high_usd_per_token", _float, True, "cost per token at the low throughput"),
    Column("options", _int, True, "options (type, TP degree, size) of the search space"),
    Column("segments", _int, True, "segments of the search space, as published"),
    Column("connections", _int, True, "connections of the search space, as published"),
    Column("binaries", _int, True, "binary variables that the published formulation needs"),
    Column("model_variables", _int, False, "variables of the largest model built"),
    Column("model_constraints", _int, False, "constraints of the largest model built"),
    Column("build_seconds", _float, False, "time to build models and hand them over"),
    Column("solve_seconds", _float, False, "time in the solver"),
    Column("total_seconds", _float, False, "time for the point, all in"),
    Column("num_solves", _int, False, "models solved"),
    Column("baseline_throughput_tokens_per_s", _float, True, "throughput of the baseline"),
    Column("baseline_cost_usd_per_hour", _float, True, "cost of the baseline"),
    Column("baseline_cost_usd_per_token", _float, True, "cost per token of the baseline"),
    Column("ratio_to_baseline", _float, True, "cost per token as a share of the baseline's"),
    Column(
        "links",
        _text,
        True,
        "not_binding: shown not to matter; path: modelled; null where no model was solved",
    ),
    Column("node", _text, False, "host that solved the point"),
    Column("versions", _text, False, "versions of this package, Pyomo and HiGHS"),
    Column("finished_at", pa.timestamp("us", tz="UTC"), False, "when the point was finished"),
)

BOUND_COLUMNS = tuple(c.name for c in POINT_COLUMNS if c.name.startswith("bound_"))
"""What was proven of an answer; which of them a row has is up to its method."""

LOAD_COLUMNS = (
    *("concurrency", "micro_batches", "ttft_s", "tpot_s"),
    *("throughput_low_tokens_per_s", "throughput_high_tokens_per_s"),
    *("cost_low_usd_per_token", "cost_high_usd_per_token"),
)
"""What only the `roofline` model says of a placement; `tpot_s` is null in phase `prefill`."""

SEGMENT_COLUMNS: tuple[Column, ...] = (
    Column("point_id", _text, False, "point that the segment belongs to"),
    Column("stage", _int, False, "position in the pipeline, from 0"),
    Column("gpu", _text, False, "GPU type"),
    Column("tp_degree", _int, False, "GPUs of the TP group"),
    Column("gpu_ids", _ints, False, "ids of these GPUs"),
    Column("start_layer", _int, False, "first layer, from 1"),
    Column("end_layer", _int, False, "last layer"),
    Column("size", _int, False, "layers"),
    Column("throughput_tokens_per_s", _float, False, "throughput of the stage"),
    Column("cost_usd_per_hour", _float, False, "cost of the group"),
    Column("memory_gb", _float, False, "memory taken on each GPU"),
    Column("memory_utilization", _float, False, "share of each GPU's memory taken"),
    Column("is_bottleneck", _bool, False, "whether the stage sets the throughput"),
)


@dataclass(frozen=True)
class PointRow:
    """One row of `points`; `values` by column name, nulls left out."""

    values: Mapping[str, Any]

    def __post_init__(self) -> None:
        status = self.values.get("status")
        if status not in STATUSES:
            raise ValueError(f"status must be one of {', '.join(STATUSES)} (got {status!r})")
        metrics = ("throughput_tokens_per_s", "cost_usd_per_hour", "cost_usd_per_token")
        given = [name for name in metrics if self.values.get(name) is not None]
        if status in SOLVED and len(given) < len(metrics):
            raise ValueError(f"status {status} needs {', '.join(metrics)} (got only {given})")
        if status in UNSOLVED and given:
            raise ValueError(f"status {status} cannot have {', '.join(given)}")
        if given and len(given) < len(metrics):
            raise ValueError(f"{', '.join(metrics)} go together (got only {given})")
        if status in UNSOLVED and not self.values.get("message"):
            raise ValueError(f"status {status} needs a message")
        _refuse_nan(self.values)


@dataclass(frozen=True)
class SegmentRow:
    """One row of `segments`."""

    point_id: str
    stage: int
    gpu: str
    tp_degree: int
    gpu_ids: tuple[int, ...]
    start_layer: int
    end_layer: int
    size: int
    throughput_tokens_per_s: float
    cost_usd_per_hour: float
    memory_gb: float
    memory_utilization: float
    is_bottleneck: bool

    def __post_init__(self) -> None:
        _refuse_nan(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """Return the row by column name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def _refuse_nan(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name} must be finite (got {value})")


def swept_column(name: str, values: Sequence[Any]) -> Column:
    """Return the column of a swept field, typed by the values it takes; else as JSON text."""
    kinds = {type(value) for value in values}
    for accepted, arrow in (({bool}, _bool), ({int}, _int), ({int, float}, _float), ({str}, _text)):
        if kinds <= accepted:
            return Column(name, arrow, False, "swept field of the instance")
    return Column(name, _text, False, "swept field of the instance, as JSON", as_json=True)


def column_kind(field: pa.Field) -> str:
    """Name what a swept column holds; columns of one kind can be joined."""
    if (field.metadata or {}).get(b"encoding") == b"json":
        return "values of several kinds"
    if pa.types.is_integer(field.type) or pa.types.is_floating(field.type):
        return "numbers"
    return "true and false" if pa.types.is_boolean(field.type) else "text"


def json_columns(schema: pa.Schema) -> frozenset[str]:
    """Return the columns whose values stand there as JSON text."""
    return frozenset(f.name for f in schema if (f.metadata or {}).get(b"encoding") == b"json")


def arrow_schema(columns: Iterable[Column], extra: Mapping[str, str] | None = None) -> pa.Schema:
    """Return the Arrow schema of a table, with the schema's version in its metadata."""
    metadata = {"schema_version": SCHEMA_VERSION, **(extra or {})}
    return pa.schema([column.field() for column in columns], metadata=metadata)


def arrow_table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Build a table from rows. Raises ValueError for an unknown column or a missing value.

    `pyarrow.Table.from_pylist` would drop the one and let the other pass.
    """
    names = set(schema.names)
    for row in rows:
        if unknown := set(row) - names:
            raise ValueError(f"no such column: {', '.join(sorted(unknown))}")
        for field in schema:
            if not field.nullable and row.get(field.name) is None:
                raise ValueError(f"column {field.name} must not be null in {row.get('point_id')}")
    return pa.Table.from_pylist([dict(row) for row in rows], schema=schema)


def present(value: Any) -> bool:
    """Tell whether a value is there: tables have None or NaN where none is."""
    return value is not None and value == value


def pareto_id(point_id: str, index: int) -> str:
    """Return the id of one point of a frontier."""
    return f"{point_id}-{index}"


def base_id(row_id: str) -> str:
    """Return the id of the point that a row answers, itself or as part of a frontier."""
    return row_id.partition("-")[0]
