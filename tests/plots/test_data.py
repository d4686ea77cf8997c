from pathlib import Path
from typing import Any

import pytest

from pipeline.compare import granularity_rows
from pipeline.plots import data
from tests.result_builders import point, segment, write_run


def test_usage_is_the_share_of_layers_over_the_pareto_placements(tmp_path: Path) -> None:
    """Two placements of 40 layers: one of 40, one of 10 and 30, so 80 layers in all."""
    rows = [point("a"), point("b", tokens_per_s=2000.0), point("c", usd_per_million=9.0)]
    stages = [
        segment("a"),
        segment("b", 0, size=10, end_layer=10),
        segment("b", 1, size=30, start_layer=11, gpu="T4"),
        segment("c", size=20),
    ]
    results = write_run(tmp_path, rows, stages)
    shares = {
        (r["gpu"], r["size"]): r["share"] for r in data.usage_records(results, results.points)
    }
    assert shares == {
        ("A100", 40): pytest.approx(50.0),
        ("A100", 10): pytest.approx(12.5),
        ("T4", 30): pytest.approx(37.5),
    }


def test_times_are_counted_in_bins_that_stack_upon_each_other(tmp_path: Path) -> None:
    """Bins have the ratio 10^(1/5): 1 s and 1.5 s share one from 1 s; 2 s is in the next."""
    rows = [
        point("a", total_seconds=1.0),
        point("b", total_seconds=1.5),
        point("c", method="weighted", total_seconds=1.2),
        point("d", total_seconds=2.0),
        point("e", total_seconds=0.0),
    ]
    found = data.time_records(write_run(tmp_path, rows).points)
    heights = [(r["method"], round(r["from"], 3), r["low"], r["high"]) for r in found]
    assert heights == [("ratio", 1.0, 0, 2), ("weighted", 1.0, 2, 3), ("ratio", 1.585, 0, 1)]


def test_a_logarithmic_axis_has_ticks_where_people_look_for_them() -> None:
    assert data.log_ticks(0.004, 0.63) == [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5]
    assert data.log_ticks(1.0, 1.6) == [1.0]
    assert data.log_ticks(0.002, 400.0) == [0.01, 0.1, 1.0, 10.0, 100.0]
    assert data.log_ticks(0.25, 0.4) == [0.25, 0.4], "none of them lies within"


def test_only_enumeration_is_drawn_against_its_budgets(tmp_path: Path) -> None:
    rows = [
        point("a", method="enumeration", budget_usd_per_hour=4.0),
        point("b", method="enumeration", usd_per_million=None, budget_usd_per_hour=1.0),
        point("c"),
    ]
    found = data.budget_records(write_run(tmp_path, rows).points, ["exact"])
    assert [(r["budget"], r["price"]) for r in found] == [(4.0, pytest.approx(1.0))]


def test_a_stage_covers_its_layers_on_the_axis(tmp_path: Path) -> None:
    results = write_run(tmp_path, [point("a")], [segment("a", start_layer=1, end_layer=40)])
    (stage,) = data.stage_records(results.placement("a"))
    assert (stage["from"], stage["to"], stage["memory"]) == (0.5, 40.5, 50.0)
    assert stage["stage"] == 0, "as in the column of the table"


def test_a_swept_value_that_is_no_number_is_shown_as_text(tmp_path: Path) -> None:
    fields = {"sweep.over": {"limits.tp_degrees": [[1], [1, 2]]}}
    swept: dict[str, Any] = {"limits.tp_degrees": [1]}
    rows = [point("a", **swept)]
    found = data.swept_records(
        granularity_rows(write_run(tmp_path, rows, fields=fields)), "limits.tp_degrees"
    )
    assert [r["value"] for r in found] == ["[1]"]


def test_panels_name_swept_fields_in_full_where_two_end_alike(tmp_path: Path) -> None:
    """Also where the other of the two is the field that the plot is over."""
    swept = {"pool.A100.usd_per_hour": 1.5, "pool.T4.usd_per_hour": 0.1, "workload.batch_size": 8}
    fields = {"sweep.over": {name: [value] for name, value in swept.items()}}
    rows: dict[str, Any] = dict(swept)
    results = write_run(tmp_path, [point("a", **rows)], fields=fields)
    (found,) = data.swept_records(granularity_rows(results), "pool.A100.usd_per_hour")
    assert found["panel"] == "pool.T4.usd_per_hour 0.1, batch_size 8"
