"""The plan of a sweep: which points a config asks for."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from pipeline import sweep
from pipeline.ballparks import BallparkSearch
from pipeline.config import LoadedConfig, load_config
from pipeline.config.counts import num_points
from pipeline.errors import InputError
from pipeline.sweep import check_combinations, missing_tasks, problem_id, run_record
from tests.sweeps import ANSWERS, REFERENCE, small_config, without_searches


def planned(loaded: LoadedConfig, done: frozenset[str] = frozenset()) -> list[Any]:
    """Return the questions of a sweep's points, in order."""
    return [point for _, point in without_searches(missing_tasks(loaded, done))]


def test_the_reference_sweep_asks_for_45_points() -> None:
    # Five granularities, each at the 8 budgets of `wide` and once for the lowest ratio.
    loaded = load_config(REFERENCE)
    assert num_points(loaded.config.sweep) == 45
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
    rest = list(missing_tasks(loaded, done, lambda: skipped.append(None)))
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
    search, *others = missing_tasks(loaded, set())
    assert isinstance(search, BallparkSearch)
    # What does not wait for it is asked at once.
    assert [point.method for _, point in without_searches(iter(others))] == ["ratio"] * 2
    asked = [(p.granularity, p.budget_usd_per_hour) for _, p in search.then(1.0)]
    budgets = [0.4, 0.7, 0.9, 1.0, 1.2, 1.5]
    assert asked == [(name, budget) for name in ("exact", "1+3") for budget in budgets]


def test_a_ballpark_that_is_known_is_not_searched_again(tmp_path: Path) -> None:
    loaded = small_config(tmp_path, {"sweep.budgets_usd_per_hour": "around_coarse"})
    known = {problem_id(loaded.config): 2.0}
    tasks = list(missing_tasks(loaded, set(), ballparks=known))
    assert not any(isinstance(task, BallparkSearch) for task in tasks)
    budgets = [p.budget_usd_per_hour for _, p in without_searches(iter(tasks))][:6]
    assert budgets == [0.8, 1.4, 1.8, 2.0, 2.4, 3.0]


def test_without_a_ballpark_one_point_will_say_why(tmp_path: Path) -> None:
    changes = {"sweep.budgets_usd_per_hour": "around_fine", "limits.min_layers_per_stage": 5}
    loaded = small_config(tmp_path, changes)
    enumerations = [p for p in planned(loaded) if p.method == "enumeration"]
    assert [p.budget_usd_per_hour for p in enumerations] == [None, None]


def test_swept_fields_are_crossed(tmp_path: Path) -> None:
    over = {"pool.Fast.usd_per_hour": [0.5, 1.0], "workload.batch_size": [1, 2, 4]}
    loaded = small_config(tmp_path, {"sweep.over": over})
    tasks = list(without_searches(missing_tasks(loaded, set())))
    assert len(tasks) == num_points(loaded.config.sweep) == 2 * 3 * 10
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
    "changes",
    [
        {"name": "another"},
        {"solver.threads": 2},
        {"sweep.granularities": ["coarse"]},
        {"limits.uniform_tp": False, "solver.mip_gap": 0.0},
    ],
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


def test_swept_values_that_do_not_go_together_are_told_before_the_sweep(tmp_path: Path) -> None:
    # 2 heads divide a hidden size of 2 and of 4, 4 heads only the latter; 1 divides both.
    over: dict[str, list[Any]]
    over = {"model.num_attention_heads": [1, 2, 4], "model.hidden_size": [4, 2]}
    # What does not go together does so with whatever else is swept, and is told once.
    further = {**over, "workload.batch_size": [1, 2]}
    loaded = small_config(tmp_path, {"sweep.over": further, "model.hidden_size": 4})
    with pytest.raises(InputError) as error:
        check_combinations(loaded)
    assert str(error.value).partition(": sweep.over.")[2] == (
        "model.num_attention_heads: must divide hidden_size 2, unless head_dim is given; "
        "swept with model.hidden_size 2 and workload.batch_size 1 (got 4)"
    )
    over["model.num_attention_heads"] = [1, 2]
    sound = small_config(tmp_path, {"sweep.over": over, "model.hidden_size": 4})
    check_combinations(sound)
    assert len(planned(sound)) == 4 * 10


def test_of_too_many_combinations_an_even_selection_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = {"workload.batch_size": [1, 2, 3], "limits.max_stages": [1, 2, 3, 4]}
    loaded = small_config(tmp_path, {"sweep.over": over})
    seen: list[list[Any]] = []
    swept = LoadedConfig.swept

    def counted(self: LoadedConfig, values: Any) -> LoadedConfig:
        seen.append([value for _, value in values])
        return swept(self, values)

    monkeypatch.setattr(LoadedConfig, "swept", counted)
    check_combinations(loaded)
    assert seen == [list(pair) for pair in itertools.product(*over.values())]
    seen.clear()
    monkeypatch.setattr(sweep, "MAX_COMBINATIONS_CHECKED", 5)
    check_combinations(loaded)
    # Every third of twelve.
    assert seen == [[1, 1], [1, 4], [2, 3], [3, 2]]
