"""What a sweep will take: its points by kind, and a time that rests on samples."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.plan import (
    SECONDS_FOR_WORKERS,
    SECONDS_PER_TASK,
    SECONDS_TO_START,
    plan,
)
from pipeline.points import Point, Problem
from pipeline.run import PointRows, Solve, failed, run_point
from tests.sweeps import small_config

clock = SimpleNamespace(now=0.0)


def test_points_are_counted_by_method_and_granularity_over_all_swept_values(
    tmp_path: Path,
) -> None:
    over = {"workload.batch_size": [1, 2, 4], "limits.max_stages": [2, 4]}
    planned = plan(small_config(tmp_path, {"sweep.over": over}), cpus=2)
    counts = {(line.method, line.granularity): line.points for line in planned.lines}
    # Four budgets and one ratio for each of two granularities, times six problems.
    assert counts == {
        ("enumeration", "exact"): 24,
        ("enumeration", "1+3"): 24,
        ("ratio", "exact"): 6,
        ("ratio", "1+3"): 6,
    }
    assert (planned.points, planned.problems) == (60, 6)
    assert planned.swept == {"workload.batch_size": 3, "limits.max_stages": 2}


def taking(seconds: Callable[[Point], float], asked: list[Point]) -> Solve:
    """Return what takes so long for a point, by a clock that only it moves."""

    def solve(problem: Problem, point: Point) -> PointRows:
        asked.append(point)
        clock.now += seconds(point)
        return run_point(problem, point)

    return solve


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the time of samples be what a test says."""
    clock.now = 0.0
    monkeypatch.setattr("pipeline.plan.perf_counter", lambda: clock.now)


def test_points_of_each_kind_are_timed_and_the_cpus_share_the_work(tmp_path: Path) -> None:
    """A budget of b $/h takes b/10 s here, of which the first, a middle and the last are tried."""
    asked: list[Point] = []
    solve = taking(lambda p: (p.budget_usd_per_hour or 1.0) / 10, asked)
    planned = plan(small_config(tmp_path), cpus=2, solve=solve)
    kinds = Counter((p.method, p.granularity) for p in asked)
    assert set(kinds.values()) == {1, 3}
    budgets = [p.budget_usd_per_hour for p in asked if p.granularity == "exact"][:3]
    assert sorted(budgets, key=str) == [0.1, 0.5, 0.75]
    # Ten tasks; per granularity 4 points of 0.01 to 0.075 s, and one of 0.1 s.
    own = 10 * SECONDS_PER_TASK
    low, high = planned.range_s
    assert low == pytest.approx(SECONDS_FOR_WORKERS + (own + 2 * (4 * 0.01 + 0.1)) / 2)
    assert high == pytest.approx(SECONDS_FOR_WORKERS + (own + 2 * (4 * 0.075 + 0.1)) / 2)
    mean = (0.01 + 0.05 + 0.075) / 3
    work = own + 2 * (4 * mean + 0.1)
    assert planned.points_s == pytest.approx(SECONDS_FOR_WORKERS + work / 2)
    assert planned.seconds == pytest.approx(SECONDS_TO_START + planned.points_s)
    assert not planned.is_lower_bound


def test_a_point_that_takes_long_is_timed_once(tmp_path: Path) -> None:
    asked: list[Point] = []
    plan(small_config(tmp_path), cpus=2, solve=taking(lambda _: 2.0, asked))
    assert len(asked) == 4


def test_a_point_of_several_threads_takes_as_many_cpus(tmp_path: Path) -> None:
    solve = taking(lambda _: 0.1, [])
    planned = plan(small_config(tmp_path, {"solver.threads": 3}), cpus=8, solve=solve)
    work = 10 * (0.1 + SECONDS_PER_TASK)
    assert planned.points_s == pytest.approx(SECONDS_FOR_WORKERS + work / 2)


def test_no_sweep_takes_less_than_its_slowest_point(tmp_path: Path) -> None:
    planned = plan(small_config(tmp_path), cpus=100, solve=taking(lambda _: 0.9, []))
    assert planned.points_s == pytest.approx(SECONDS_FOR_WORKERS + 0.9)


def test_every_problem_has_its_ballpark_searched(tmp_path: Path) -> None:
    changes = {
        "sweep.budgets_usd_per_hour": "around_coarse",
        "sweep.methods": ["enumeration"],
        "sweep.over": {"workload.batch_size": [1, 2, 4]},
    }
    solve = taking(lambda p: 0.5 if p.method == "ratio" else 0.0, [])
    planned = plan(small_config(tmp_path, changes), cpus=1, solve=solve)
    tasks = (36 + 3) * SECONDS_PER_TASK
    assert planned.points_s == pytest.approx(SECONDS_FOR_WORKERS + 3 * 0.5 + tasks)


def test_a_sample_that_is_cut_off_makes_the_estimate_a_lower_bound(tmp_path: Path) -> None:
    limits: list[float] = []

    def solve(problem: Problem, point: Point) -> PointRows:
        limits.append(problem.settings.time_limit_s)
        return failed(problem, point, "too hard")

    assert plan(small_config(tmp_path), cpus=1, solve=solve).is_lower_bound
    assert set(limits) == {10.0}


def test_a_ballpark_is_searched_no_longer_than_a_sample_and_its_budgets_are_counted(
    tmp_path: Path,
) -> None:
    limits: list[float] = []

    def solve(problem: Problem, point: Point) -> PointRows:
        if point.method == "ratio":
            limits.append(problem.settings.time_limit_s)
            return failed(problem, point, "too hard")
        return run_point(problem, point)

    changes = {"sweep.budgets_usd_per_hour": "around_coarse", "sweep.methods": ["enumeration"]}
    planned = plan(small_config(tmp_path, changes), cpus=1, solve=solve)
    assert limits == [10.0]
    assert [line.points for line in planned.lines] == [6, 6]
    assert planned.is_lower_bound


def test_what_fails_is_told_in_the_words_of_its_row(tmp_path: Path) -> None:
    def solve(problem: Problem, point: Point) -> PointRows:
        if point.granularity == "exact":
            return failed(problem, point, "InputError: small: limits.max_stages: too many")
        return run_point(problem, point)

    planned = plan(small_config(tmp_path), cpus=1, solve=solve)
    assert planned.errors == ("exact: InputError: small: limits.max_stages: too many",)
    assert not any(line.error for line in planned.lines if line.granularity == "1+3")
