"""Rows that cannot be half right, and tables that take nothing they do not know."""

import math
from typing import Any

import pyarrow as pa
import pytest

from pipeline.results.schema import (
    POINT_COLUMNS,
    SCHEMA_VERSION,
    SEGMENT_COLUMNS,
    PointRow,
    arrow_schema,
    arrow_table,
    base_id,
    pareto_id,
    swept_column,
)
from tests.results.builders import error_row, point_row, point_values, segment_row

# DESIGN.md, section 10, with the type that each column must have.
DESIGNED_POINTS: dict[str, pa.DataType] = {
    "point_id": pa.string(),
    "instance": pa.string(),
    "granularity": pa.string(),
    "method": pa.string(),
    "budget_usd_per_hour": pa.float64(),
    "cost_weight": pa.float64(),
    "status": pa.string(),
    "message": pa.string(),
    "throughput_tokens_per_s": pa.float64(),
    "cost_usd_per_hour": pa.float64(),
    "cost_usd_per_token": pa.float64(),
    "bound_throughput_tokens_per_s": pa.float64(),
    "bound_cost_usd_per_token": pa.float64(),
    "mip_gap": pa.float64(),
    "num_stages": pa.int64(),
    "options": pa.int64(),
    "segments": pa.int64(),
    "connections": pa.int64(),
    "binaries": pa.int64(),
    "model_variables": pa.int64(),
    "model_constraints": pa.int64(),
    "build_seconds": pa.float64(),
    "solve_seconds": pa.float64(),
    "total_seconds": pa.float64(),
    "num_solves": pa.int64(),
    "baseline_throughput_tokens_per_s": pa.float64(),
    "baseline_cost_usd_per_hour": pa.float64(),
    "baseline_cost_usd_per_token": pa.float64(),
    "ratio_to_baseline": pa.float64(),
    "node": pa.string(),
    "versions": pa.string(),
}
DESIGNED_SEGMENTS: dict[str, pa.DataType] = {
    "point_id": pa.string(),
    "stage": pa.int64(),
    "gpu": pa.string(),
    "tp_degree": pa.int64(),
    "start_layer": pa.int64(),
    "end_layer": pa.int64(),
    "size": pa.int64(),
    "throughput_tokens_per_s": pa.float64(),
    "cost_usd_per_hour": pa.float64(),
    "memory_gb": pa.float64(),
    "memory_utilization": pa.float64(),
    "is_bottleneck": pa.bool_(),
}


@pytest.mark.parametrize(
    ("columns", "designed"),
    [(POINT_COLUMNS, DESIGNED_POINTS), (SEGMENT_COLUMNS, DESIGNED_SEGMENTS)],
    ids=["points", "segments"],
)
def test_the_designed_columns_exist_with_their_types(
    columns: Any, designed: dict[str, pa.DataType]
) -> None:
    schema = arrow_schema(columns)
    assert {name: schema.field(name).type for name in designed} == designed


def test_sizes_and_gpu_ids_are_lists_of_whole_numbers() -> None:
    for columns, name in ((POINT_COLUMNS, "sizes"), (SEGMENT_COLUMNS, "gpu_ids")):
        kind = arrow_schema(columns).field(name).type
        assert pa.types.is_list(kind)
        assert pa.types.is_integer(kind.value_type)


def test_every_column_says_what_it_means_and_the_table_which_version_it_is() -> None:
    for columns in (POINT_COLUMNS, SEGMENT_COLUMNS):
        schema = arrow_schema(columns)
        assert schema.metadata[b"schema_version"] == SCHEMA_VERSION.encode()
        assert all(field.metadata[b"meaning"] for field in schema)


def test_columns_of_quantities_carry_their_unit_in_the_name() -> None:
    units = ("_per_s", "_per_hour", "_per_token", "_seconds", "_gb", "_s")
    bare = {"cost_weight", "bound_weighted_score", "mip_gap", "ratio_to_baseline"}
    bare |= {"memory_utilization"}
    for column in (*POINT_COLUMNS, *SEGMENT_COLUMNS):
        if column.type == pa.float64():
            assert column.name.endswith(units) or column.name in bare


@pytest.mark.parametrize("status", ["optimal", "feasible"])
@pytest.mark.parametrize(
    "metric", ["throughput_tokens_per_s", "cost_usd_per_hour", "cost_usd_per_token"]
)
def test_an_answer_without_a_value_is_refused(status: str, metric: str) -> None:
    with pytest.raises(ValueError, match=f"status {status} needs"):
        PointRow({**point_row().values, "status": status, metric: None})


@pytest.mark.parametrize("status", ["infeasible", "error"])
def test_a_failure_with_a_value_is_refused(status: str) -> None:
    with pytest.raises(ValueError, match=f"status {status} cannot have cost_usd_per_hour"):
        error_row(status=status, cost_usd_per_hour=1.0)


@pytest.mark.parametrize("status", ["infeasible", "error"])
def test_a_failure_without_a_reason_is_refused(status: str) -> None:
    with pytest.raises(ValueError, match="needs a message"):
        error_row(status=status, message="")


def test_a_time_limit_comes_with_all_values_or_with_none() -> None:
    point_row(status="time_limit")
    error_row(status="time_limit")
    with pytest.raises(ValueError, match="go together"):
        point_row(status="time_limit", cost_usd_per_hour=None)


def test_an_unknown_status_is_refused() -> None:
    with pytest.raises(ValueError, match=r"status must be one of .* \(got 'done'\)"):
        point_row(status="done")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused_anywhere(value: float) -> None:
    with pytest.raises(ValueError, match="mip_gap must be finite"):
        point_row(mip_gap=value)
    with pytest.raises(ValueError, match="memory_gb must be finite"):
        segment_row(memory_gb=value)


def test_an_unknown_column_is_refused() -> None:
    row = point_values(troughput_tokens_per_s=1.0)
    with pytest.raises(ValueError, match="no such column: troughput_tokens_per_s"):
        arrow_table([row], arrow_schema(POINT_COLUMNS))


def test_a_missing_value_in_a_column_that_needs_one_is_refused() -> None:
    for changes in ({"node": None}, {"sizes": None}):
        row = point_values("p7", **changes)
        with pytest.raises(ValueError, match="must not be null in p7"):
            arrow_table([row], arrow_schema(POINT_COLUMNS))


@pytest.mark.parametrize(
    ("values", "kind", "as_json"),
    [
        ([16, 32], pa.int64(), False),
        ([0.5, 1], pa.float64(), False),
        (["V100", "T4"], pa.string(), False),
        ([True, False], pa.bool_(), False),
        ([[1, 2], [4]], pa.string(), True),
        ([None, 4], pa.string(), True),
        ([True, 4], pa.string(), True),
    ],
)
def test_the_column_of_a_swept_field_has_the_type_of_its_values(
    values: list[Any], kind: pa.DataType, as_json: bool
) -> None:
    column = swept_column("some.field", values)
    assert (column.type, column.as_json) == (kind, as_json)


def test_the_id_of_a_pareto_point_leads_back_to_its_question() -> None:
    assert base_id(pareto_id("abc", 3)) == "abc"
    assert base_id("abc") == "abc"
