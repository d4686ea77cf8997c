from pathlib import Path

import pytest

from pipeline.compare import method_rows
from tests.result_builders import point, write_run


def test_a_method_is_measured_against_the_proven_optimum_of_its_granularity(
    tmp_path: Path,
) -> None:
    rows = [
        point("r"),
        point("w", method="weighted", usd_per_million=1.25),
        *(
            point(f"e{i}", method="enumeration", usd_per_million=price, budget_usd_per_hour=1.0 + i)
            for i, price in enumerate([1.5, 1.1, None])
        ),
    ]
    ratio, enumeration, weighted = method_rows(write_run(tmp_path, rows))
    assert ratio.percent_to_optimum == 0.0
    assert enumeration.percent_to_optimum == pytest.approx(10.0)
    assert weighted.percent_to_optimum == pytest.approx(25.0)
    assert (enumeration.points, enumeration.placed, enumeration.infeasible) == (3, 2, 1)
    assert enumeration.models == 9
    assert enumeration.solve_seconds == pytest.approx(3.0)
    assert enumeration.point_id == "e1"


def test_without_a_proof_there_is_no_distance(tmp_path: Path) -> None:
    (row,) = method_rows(write_run(tmp_path, [point("w", method="weighted")]))
    assert row.percent_to_optimum is None


def test_a_method_that_found_nothing_is_a_row_too(tmp_path: Path) -> None:
    rows = [
        point("r"),
        point("i", method="iterative", usd_per_million=None, status="error", message="KeyError: 1"),
    ]
    _, iterative = method_rows(write_run(tmp_path, rows))
    assert iterative.usd_per_token is None
    assert iterative.point_id is None
    assert iterative.failed == 1
