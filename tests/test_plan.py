"""What a sweep will take: its points by kind, and a time that rests on samples."""

from pathlib import Path

import pytest

from pipeline.plan import SECONDS_PER_TASK, SECONDS_TO_START, plan
from pipeline.points import Point, Problem
from pipeline.run import PointRows, failed, run_point
from tests.sweeps import small_config


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


def test_one_point_of_each_kind_is_timed_and_the_cpus_share_the_work(tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []

    def solve(problem: Problem, point: Point) -> PointRows:
        asked.append((point.method, point.granularity))
        return run_point(problem, point)

    planned = plan(small_config(tmp_path), cpus=2, solve=solve)
    assert len(asked) == len(set(asked)) == 4
    work = sum(n.points * (n.seconds_per_point + SECONDS_PER_TASK) for n in planned.lines)
    assert planned.seconds == pytest.approx(SECONDS_TO_START + work / 2)
    assert not planned.is_lower_bound


def test_a_point_of_several_threads_takes_as_many_cpus(tmp_path: Path) -> None:
    planned = plan(small_config(tmp_path, {"solver.threads": 3}), cpus=8)
    work = sum(n.points * (n.seconds_per_point + SECONDS_PER_TASK) for n in planned.lines)
    assert planned.seconds == pytest.approx(SECONDS_TO_START + work / 2)


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
