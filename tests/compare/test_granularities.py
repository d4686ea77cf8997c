from pathlib import Path
from typing import Any

import pytest

from pipeline.compare import granularity_rows, unplaced
from tests.result_builders import point, segment, write_run


def test_a_coarser_granularity_is_set_against_exact_and_the_baseline(tmp_path: Path) -> None:
    rows = [point("e"), point("c", "coarse", usd_per_million=1.1)]
    coarse, exact = granularity_rows(write_run(tmp_path, rows))
    assert coarse.percent_to_exact == pytest.approx(10.0)
    assert coarse.percent_to_baseline == pytest.approx(100 * (1.1 / 2 - 1))
    assert exact.percent_to_exact == pytest.approx(0.0)


def test_the_speed_up_counts_only_questions_that_both_answered(tmp_path: Path) -> None:
    """Exact: ratio 4 s, and an enumeration that coarse lacks; coarse: ratio 1 s."""
    rows = [
        point("e", build_seconds=1.0, solve_seconds=3.0),
        point("x", method="enumeration", budget_usd_per_hour=5.0, solve_seconds=90.0),
        point("c", "coarse"),
    ]
    coarse, exact = granularity_rows(write_run(tmp_path, rows))
    assert coarse.speed_up_to_exact == pytest.approx(4.0)
    assert exact.speed_up_to_exact == pytest.approx(1.0)


def test_without_exact_there_is_nothing_to_regret(tmp_path: Path) -> None:
    (row,) = granularity_rows(write_run(tmp_path, [point("c", "coarse")]))
    assert row.percent_to_exact is None
    assert row.speed_up_to_exact is None


def test_swept_values_are_compared_apart(tmp_path: Path) -> None:
    field = "workload.batch_size"

    def values(batch_size: int) -> dict[str, Any]:
        return {field: batch_size}

    rows = [
        point("a", usd_per_million=2.0, **values(16)),
        point("b", usd_per_million=1.0, **values(32)),
    ]
    found = granularity_rows(write_run(tmp_path, rows, fields={"sweep.over": {field: [16, 32]}}))
    prices = {row.swept[field]: row.usd_per_token for row in found}
    assert prices == {16: pytest.approx(2e-6), 32: pytest.approx(1e-6)}


def test_the_segments_of_the_best_placement_are_counted(tmp_path: Path) -> None:
    stages = [
        segment("e", 0, end_layer=20, size=20),
        segment("e", 1, start_layer=21, size=20, gpu_ids=(2, 3)),
    ]
    (row,) = granularity_rows(write_run(tmp_path, [point("e")], stages))
    assert [str(use) for use in row.segments_used] == ["2 × 20 layers on A100 TP 2"]


def test_a_granularity_without_placement_is_listed_with_its_commonest_reason(
    tmp_path: Path,
) -> None:
    rows = [
        point("e"),
        *(point(f"c{i}", "coarse", usd_per_million=None) for i in range(2)),
        point("c2", "coarse", usd_per_million=None, message="stages"),
    ]
    results = write_run(tmp_path, rows)
    assert unplaced(results) == [("coarse", 3, "budget: too small")]
    assert [row.granularity for row in granularity_rows(results)] == ["exact"]
