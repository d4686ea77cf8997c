"""The plan of a sweep: which points a config asks for."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.config import LoadedConfig, load_config
from pipeline.points import Problem
from pipeline.run import ballpark_usd_per_hour
from pipeline.sweep import count_points, missing_tasks, problem_id, run_record
from tests.sweeps import ANSWERS, REFERENCE, small_config


def planned(loaded: LoadedConfig, done: frozenset[str] = frozenset()) -> list[Any]:
    """Return the questions of a sweep's points, in order."""
    tasks = missing_tasks(loaded, done, lambda: None, ballpark_usd_per_hour)
    return [point for _, point in tasks]


def test_the_reference_sweep_asks_for_45_points() -> None:
    # Five granularities, each at the 8 budgets of `wide` and once for the lowest ratio.
    loaded = load_config(REFERENCE)
    assert count_points(loaded) == 45
    points = planned(loaded)
    assert len({point.point_id for point in points}) == 45
    assert sum(point.method == "ratio" for point in points) == 5


def test_a_point_is_asked_for_every_method_granularity_and_budget(tmp_path: Path) -> None:
    found = [
        (p.granularity, p.method, p.budget_usd_per_hour) for p in planned(small_config(tmp_path))
    ]
    assert sorted(map(str, found)) == sorted(map(str, ANSWERS))


def test_what_is_done_is_skipped_and_counted(tmp_path: Path) -> None:
    loaded = small_config(tmp_path)
    done = {point.point_id for point in planned(loaded)[:7]}
    skipped: list[None] = []
    rest = list(missing_tasks(loaded, done, lambda: skipped.append(None), ballpark_usd_per_hour))
    assert (len(rest), len(skipped)) == (3, 7)


def test_a_budget_that_is_listed_twice_is_asked_once(tmp_path: Path) -> None:
    loaded = small_config(tmp_path, {"sweep.budgets_usd_per_hour": [0.5, 0.5, 0.75]})
    assert len(planned(loaded)) == 2 * (2 + 1)


def test_relative_budgets_are_multiples_of_the_cheapest_tokens_at_coarsest(tmp_path: Path) -> None:
    # At coarsest, sizes 1 and 4, the lowest $/token is all layers on Fast for $0.5/h.
    loaded = small_config(
        tmp_path,
        {"sweep.budgets_usd_per_hour": "around_coarse", "sweep.methods": ["enumeration"]},
    )
    budgets = [point.budget_usd_per_hour for point in planned(loaded)][:6]
    assert budgets == pytest.approx([0.2, 0.35, 0.45, 0.5, 0.6, 0.75])


def test_the_ballpark_is_found_once_for_all_granularities(tmp_path: Path) -> None:
    loaded = small_config(tmp_path, {"sweep.budgets_usd_per_hour": "around_coarse"})
    asked: list[Problem] = []

    def ballpark(problem: Problem) -> float:
        asked.append(problem)
        return 1.0

    list(missing_tasks(loaded, set(), lambda: None, ballpark))
    assert len(asked) == 1


def test_without_a_ballpark_one_point_will_say_why(tmp_path: Path) -> None:
    changes = {"sweep.budgets_usd_per_hour": "around_fine", "limits.min_layers_per_stage": 5}
    loaded = small_config(tmp_path, changes)
    enumerations = [p for p in planned(loaded) if p.method == "enumeration"]
    assert [p.budget_usd_per_hour for p in enumerations] == [None, None]


def test_swept_fields_are_crossed(tmp_path: Path) -> None:
    over = {"pool.Fast.usd_per_hour": [0.5, 1.0], "workload.batch_size": [1, 2, 4]}
    loaded = small_config(tmp_path, {"sweep.over": over})
    tasks = list(missing_tasks(loaded, set(), lambda: None, ballpark_usd_per_hour))
    assert len(tasks) == count_points(loaded) == 2 * 3 * 10
    prices = {
        (p.swept["pool.Fast.usd_per_hour"], p.instance.pool[0].usd_per_hour) for p, _ in tasks
    }
    assert prices == {(0.5, 0.5), (1.0, 1.0)}
    assert len({point.point_id for _, point in tasks}) == 60


@pytest.mark.parametrize(
    "changes",
    [
        {"network.gb_per_s": 50},
        {"limits.max_stages": 3},
        {"solver.time_limit_s": 1.0},
        {"sweep.target_usd_per_million_tokens": 1.0},
        {"model.layer_weight_gb": 0.5},
    ],
)
def test_what_decides_an_answer_decides_the_id_of_the_problem(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    one, other = small_config(tmp_path / "a"), small_config(tmp_path / "b", changes)
    assert problem_id(one.config) != problem_id(other.config)


@pytest.mark.parametrize(
    "changes", [{"name": "another"}, {"solver.threads": 2}, {"sweep.granularities": ["coarse"]}]
)
def test_what_decides_no_answer_leaves_the_id_of_the_problem(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    one, other = small_config(tmp_path / "a"), small_config(tmp_path / "b", changes)
    assert problem_id(one.config) == problem_id(other.config)


def test_the_record_of_a_run_says_what_was_run_with_what(tmp_path: Path) -> None:
    record = run_record(small_config(tmp_path))
    assert record["granularities"] == ["exact", "1+3"]
    assert record["config"]["name"] == "small"
    assert "highspy" in record["versions"]
    # 4 layers on one Slow: 400/4 tokens/s for $0.25/h.
    assert [(t["tokens_per_s"], t["usd_per_hour"]) for t in record["baseline"]] == [
        (pytest.approx(100), 0.25)
    ]
