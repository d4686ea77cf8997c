"""The comparison's figures, worked out by hand from the small sweep."""

from pathlib import Path

import pytest

from pipeline.compare import granularity_rows, unplaced
from pipeline.compare.granularities import segment_usage
from pipeline.results import load
from pipeline.results.frames import Results
from tests.sweeps import run_without_ray, small_config


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    directory = tmp_path_factory.mktemp("compare")
    run_without_ray(small_config(directory), directory / "run")
    return load(directory / "run")


def test_every_granularity_has_its_lowest_price_in_the_order_swept(results: Results) -> None:
    exact, listed = granularity_rows(results)
    assert (exact.granularity, listed.granularity) == ("exact", "1+3")
    assert (exact.tokens_per_s, exact.usd_per_hour) == pytest.approx((300, 0.5))
    assert (listed.tokens_per_s, listed.usd_per_hour) == pytest.approx((400, 0.75))
    assert exact.usd_per_token == pytest.approx(0.5 / (300 * 3600))


def test_distances_are_percent_of_the_price_compared_with(results: Results) -> None:
    exact, listed = granularity_rows(results)
    # In $/h per token/s: exact .5/300, 1+3 .75/400, baseline .25/100.
    assert exact.percent_to_exact == pytest.approx(0, abs=1e-9)
    assert listed.percent_to_exact == pytest.approx(100 * ((0.75 / 400) / (0.5 / 300) - 1))
    assert listed.percent_to_exact == pytest.approx(12.5)
    assert exact.percent_to_baseline == pytest.approx(100 * (2 / 3 - 1))
    assert listed.percent_to_baseline == pytest.approx(-25)


def test_the_method_named_is_the_one_that_proved_the_price(results: Results) -> None:
    # Enumeration finds the same at $0.50/h, but proves something else.
    assert [row.method for row in granularity_rows(results)] == ["ratio", "ratio"]


def test_effort_is_summed_over_the_points_of_a_granularity(results: Results) -> None:
    for row in granularity_rows(results):
        points = results.points[results.points.granularity == row.granularity]
        assert row.points == 5
        assert row.failed == 0
        spent = sum(points.build_seconds) + sum(points.solve_seconds)
        assert row.solve_seconds == pytest.approx(spent)
        assert row.total_seconds == pytest.approx(sum(points.total_seconds))


def test_the_search_space_is_that_of_the_granularity(results: Results) -> None:
    exact, listed = granularity_rows(results)
    # Sizes 1 to 4, or 1 and 3, on one GPU of each of two types.
    assert (exact.options, listed.options) == (8, 4)
    # A segment of k layers can start at 4 − k + 1 layers, on either GPU.
    assert exact.segments == 2 * (4 + 3 + 2 + 1)
    assert listed.segments == 2 * (4 + 2)
    for row in (exact, listed):
        assert row.binaries == row.segments + row.connections


def test_segments_are_counted_by_size_gpu_and_degree(results: Results) -> None:
    exact, listed = granularity_rows(results)
    assert [str(use) for use in exact.segments_used] == ["1 × 4 layers on Fast TP 1"]
    assert sorted(str(use) for use in listed.segments_used) == [
        "1 × 1 layer on Slow TP 1",
        "1 × 3 layers on Fast TP 1",
    ]


def test_equal_segments_are_counted_together() -> None:
    stages = [{"size": 10, "gpu": gpu, "tp_degree": 4} for gpu in ("V100", "V100", "T4", "V100")]
    assert [str(use) for use in segment_usage(stages)] == [
        "3 × 10 layers on V100 TP 4",
        "1 × 10 layers on T4 TP 4",
    ]


def test_without_exact_there_is_no_distance_to_it(tmp_path: Path) -> None:
    loaded = small_config(tmp_path, {"sweep.granularities": ["coarse"], "baseline": None})
    run_without_ray(loaded, tmp_path / "run")
    (row,) = granularity_rows(load(tmp_path / "run"))
    assert (row.percent_to_exact, row.percent_to_baseline) == (None, None)


def test_a_granularity_without_placement_is_listed_with_its_reason(tmp_path: Path) -> None:
    changes = {"sweep.budgets_usd_per_hour": [0.25, 0.5], "sweep.methods": ["enumeration"]}
    run_without_ray(small_config(tmp_path, changes), tmp_path / "run")
    results = load(tmp_path / "run")
    assert [row.granularity for row in granularity_rows(results)] == ["exact"]
    ((name, points, reason),) = unplaced(results)
    assert (name, points) == ("1+3", 2)
    assert reason.endswith("is below the cheapest placement, $0.75/h")


def test_each_set_of_swept_values_is_compared_by_itself(tmp_path: Path) -> None:
    # At $0.1/h for Slow, all layers there are the cheapest tokens: .1/100 against .5/300.
    over = {"pool.Slow.usd_per_hour": [0.1, 0.25]}
    loaded = small_config(tmp_path, {"sweep.over": over, "sweep.granularities": ["exact"]})
    run_without_ray(loaded, tmp_path / "run")
    cheap, dear = granularity_rows(load(tmp_path / "run"))
    assert cheap.swept == {"pool.Slow.usd_per_hour": 0.1}
    assert (cheap.tokens_per_s, cheap.usd_per_hour) == pytest.approx((100, 0.1))
    assert cheap.percent_to_baseline == pytest.approx(0, abs=1e-9)
    assert (dear.tokens_per_s, dear.usd_per_hour) == pytest.approx((300, 0.5))


def test_a_reason_names_the_swept_values_it_belongs_to(tmp_path: Path) -> None:
    over = {"limits.min_layers_per_stage": [1, 4]}
    changes = {"sweep.over": over, "sweep.granularities": [[1, 3]]}
    run_without_ray(small_config(tmp_path, changes), tmp_path / "run")
    ((name, points, _),) = unplaced(load(tmp_path / "run"))
    assert (name, points) == ("1+3, limits.min_layers_per_stage = 4", 5)
