"""Ballparks: what relative budgets are multiples of."""

from pathlib import Path

import pytest

from pipeline.ballparks import BallparkSearch, NoBallparkError, ballpark_usd_per_hour
from pipeline.run import failed, run_point
from tests.sweeps import small_problem


def test_the_ballpark_falls_back_to_every_size(tmp_path: Path) -> None:
    # With 3 GB a GPU holds 2 layers: `coarsest` has only sizes 1 and 4, and two GPUs of size 1
    # do not do. At every size 2 and 2 do, on both: $0.75/h.
    pool = [
        {"gpu": "Fast", "count": 1, "memory_gb": 2.5, "usd_per_hour": 0.5},
        {"gpu": "Slow", "count": 1, "memory_gb": 2.5, "usd_per_hour": 0.25},
    ]
    both = small_problem(tmp_path, {"pool": pool})
    assert ballpark_usd_per_hour(BallparkSearch(both), run_point) == pytest.approx(0.75)
    none = small_problem(tmp_path, {"limits.min_layers_per_stage": 5})
    assert ballpark_usd_per_hour(BallparkSearch(none), run_point) is None


def test_a_search_that_runs_out_of_time_tells_no_ballpark(tmp_path: Path) -> None:
    search = BallparkSearch(small_problem(tmp_path, {"solver.time_limit_s": 0.0}))
    with pytest.raises(NoBallparkError, match=r"time ran out before .* coarsest was proven"):
        ballpark_usd_per_hour(search, run_point)


def test_a_placement_that_is_not_proven_tells_no_ballpark(tmp_path: Path) -> None:
    """Another try would find another, and plan other budgets."""
    search = BallparkSearch(small_problem(tmp_path))
    row = dict(run_point(search.problem, search.point).points[0].values)
    assert search.found(row) == pytest.approx(0.5)
    with pytest.raises(NoBallparkError, match="time ran out"):
        search.found({**row, "status": "time_limit"})


def test_a_search_that_fails_tells_why(tmp_path: Path) -> None:
    search = BallparkSearch(small_problem(tmp_path))
    with pytest.raises(NoBallparkError, match="multiples of: HiGHS refused passModel"):
        search.found(
            failed(search.problem, search.point, "HiGHS refused passModel").points[0].values
        )
