"""What is reckoned for many cores follows from what was measured on few, worked out by hand."""

from pathlib import Path

import pytest

from pipeline.audit import audit
from tests.scaling import Costs, driver_limit_cores, reckoned
from tests.scaling_measures import SMALLEST_BUDGET, sample_rows, stored, sweep_of

# A task costs its worker 2 ms and the driver 1 ms; a row costs 1 ms at the end.
COSTS = Costs(worker_s=0.002, driver_s=0.001, end_s=0.001)


def test_few_cores_are_the_limit_and_the_end_comes_on_top() -> None:
    # 10 cores at 100 ms a point: 100/s, so 10 ms a point and 1 ms at its end: 1/11 ms.
    found = reckoned(0.098, 10, COSTS, usd_per_core_hour=0.36)
    assert found.limit == "cores"
    assert found.points_per_s == pytest.approx(1 / 0.011)
    # 11 cores at $0.36/h are $0.0011 a second.
    assert found.points_per_usd == pytest.approx(1 / 0.011 / 0.0011)
    # 90.9 points of 98 ms in a second, of 10 core seconds.
    assert found.utilization == pytest.approx(0.098 / 0.011 / 10)


def test_more_cores_than_the_driver_feeds_bring_no_more() -> None:
    # The driver feeds (98 + 2)/1 = 100 cores, at 1,000 points/s.
    assert driver_limit_cores(0.098, COSTS) == pytest.approx(100)
    costs = Costs(0.002, 0.001, end_s=0.0)
    rates = {cores: reckoned(0.098, cores, costs, 0.05) for cores in (50, 100, 1000)}
    assert [found.limit for found in rates.values()] == ["cores", "cores", "driver"]
    assert [found.points_per_s for found in rates.values()] == pytest.approx([500, 1000, 1000])
    assert rates[1000].points_per_usd < rates[50].points_per_usd


def test_an_end_that_takes_longer_than_the_sweep_is_the_limit() -> None:
    found = reckoned(0.098, 1000, Costs(0.002, 0.001, end_s=0.003), 0.05)
    assert found.limit == "end of the sweep"
    assert found.points_per_s == pytest.approx(1 / 0.004)


def test_every_row_of_a_frontier_counts_at_the_end() -> None:
    # 10 ms a point while it runs, and ten rows of 1 ms at its end.
    found = reckoned(0.098, 10, COSTS, usd_per_core_hour=0.36, rows=10)
    assert found.points_per_s == pytest.approx(1 / 0.020)


def test_made_up_rows_are_as_many_as_asked_for_and_hold_when_verified(tmp_path: Path) -> None:
    written = stored(tmp_path, 250)
    found = audit(tmp_path)
    assert (written.rows, found.points, found.mismatches) == (250, 250, ())
    assert written.bytes > 0


def test_the_answer_that_stands_for_all_points_fits_their_budgets_and_uses_no_swept_gpu() -> None:
    sample = sample_rows()
    assert sample.points[0].values["cost_usd_per_hour"] <= SMALLEST_BUDGET
    assert {segment.gpu for segment in sample.segments}.isdisjoint({"L20"})
    assert list(sweep_of(200).config.sweep.over) == ["pool.L20.usd_per_hour"]
