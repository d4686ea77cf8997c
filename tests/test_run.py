"""One point, from question to rows, without Ray."""

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import run
from pipeline.config import load_config
from pipeline.curve import CostCurve
from pipeline.placement import Placement, Stage
from pipeline.points import Problem, Scales, make_point
from pipeline.run import PointRows, failed, run_point
from pipeline.serving.decisions import Decision
from pipeline.serving.placement import ServedPlacement
from pipeline.settings import SolverSettings
from pipeline.sweep import problem_of
from tests.builders import REFERENCE_CONFIG
from tests.random_instances import Shape, random_case
from tests.sweeps import ANSWERS, SMALL, small_problem

# Prices of the three placements, $/token.
SLOW_ALONE, FAST_ALONE, BOTH = (
    usd / (rate * 3600) for rate, usd in ((100, 0.25), (300, 0.5), (400, 0.75))
)


@pytest.fixture
def problem(tmp_path: Path) -> Problem:
    return small_problem(tmp_path)


def ask(problem: Problem, *question: Any) -> PointRows:
    return run_point(problem, make_point(problem, *question))


def placements(rows: PointRows) -> list[tuple[float, float]]:
    return [
        (r.values["throughput_tokens_per_s"], r.values["cost_usd_per_hour"]) for r in rows.points
    ]


@pytest.mark.parametrize(("question", "answer"), ANSWERS.items())
def test_a_point_has_the_answer_found_by_hand(
    problem: Problem, question: tuple[Any, ...], answer: tuple[float, float] | None
) -> None:
    rows = ask(problem, *question)
    values = rows.points[0].values
    if answer is None:
        assert values["status"] == "infeasible"
        assert rows.segments == ()
        return
    assert values["status"] == "optimal"
    assert placements(rows) == [pytest.approx(answer)]
    assert values["cost_usd_per_token"] == pytest.approx(answer[1] / (answer[0] * 3600))
    assert values["mip_gap"] == 0
    assert values["num_stages"] == len(rows.segments) == (2 if answer[0] == 400 else 1)


def test_a_point_without_placement_says_what_the_cheapest_costs(problem: Problem) -> None:
    reason = ask(problem, "1+3", "enumeration", 0.5).points[0].values["message"]
    assert reason == "budget: $0.5/h is below the cheapest placement, $0.75/h"


def test_a_reason_has_what_is_left_of_the_points_time_and_a_second(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_s, solve_point = [], run.solve_point

    def slow(*question: Any) -> run.Solved:
        time.sleep(0.5)
        return solve_point(*question)

    def watched(curve: CostCurve, _budget: float | None) -> str:
        left_s.append(curve.search.clock.remaining_seconds)
        return "known"

    monkeypatch.setattr(run, "solve_point", slow)
    monkeypatch.setattr(run, "why_infeasible", watched)
    for limit_s in (50.0, 0.5):
        hurried = replace(problem, settings=replace(problem.settings, time_limit_s=limit_s))
        ask(hurried, "1+3", "enumeration", 0.5)
    assert 49 < left_s[0] <= 50.5
    assert 0.9 < left_s[1] <= 1.0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model.layer_weight_gb": 5.0}, "memory: no allowed size fits any group"),
        ({"model.layer_weight_gb": 2.0}, "stages: at least 2 are needed, max_stages is 1"),
        ({"model.layer_weight_gb": 3.0}, "memory: the whole pool holds at most 2 of 4 layers"),
    ],
)
def test_a_reason_names_what_is_in_the_way(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    stages = 1 if "stages" in reason else 4
    problem = small_problem(tmp_path, {**changes, "limits.max_stages": stages})
    values = ask(problem, "exact", "ratio").points[0].values
    assert values["status"] == "infeasible"
    assert values["message"].startswith(reason)


def test_sizes_below_the_fewest_layers_are_told_to_be_in_the_way(tmp_path: Path) -> None:
    problem = small_problem(tmp_path, {"limits.min_layers_per_stage": 2})
    values = ask(problem, "1+3", "ratio").points[0].values
    assert values["message"] == ("sizes: 1+3 cannot sum to 4 layers with min_layers_per_stage at 2")


def test_a_row_carries_the_baseline_and_the_distance_to_it(problem: Problem) -> None:
    # The baseline is one Slow; all layers on Fast cost two thirds of that per token.
    values = ask(problem, "exact", "ratio").points[0].values
    assert values["baseline_throughput_tokens_per_s"] == pytest.approx(100)
    assert values["baseline_cost_usd_per_token"] == pytest.approx(SLOW_ALONE)
    assert values["ratio_to_baseline"] == pytest.approx(2 / 3)


def test_a_row_says_what_it_took_and_where(problem: Problem) -> None:
    values = ask(problem, "exact", "ratio").points[0].values
    # Sizes 1 to 4 on each of two types fit, one GPU each.
    assert values["options"] == 8
    assert values["num_solves"] >= 1
    assert values["total_seconds"] >= values["build_seconds"] + values["solve_seconds"] > 0
    assert "pyomo" in values["versions"]
    assert values["node"]


def test_segments_cover_the_layers_and_mark_the_slowest(problem: Problem) -> None:
    rows = ask(problem, "exact", "enumeration", 0.75)
    assert {(s.gpu, s.size, s.gpu_ids) for s in rows.segments} == {
        ("Fast", 3, (0,)),
        ("Slow", 1, (1,)),
    }
    assert [s.start_layer for s in rows.segments] == [1, 1 + rows.segments[0].size]
    # 1200/3 and 400/1 are equally slow.
    assert [s.is_bottleneck for s in rows.segments] == [True, True]
    assert sum(s.cost_usd_per_hour for s in rows.segments) == pytest.approx(0.75)


@pytest.mark.parametrize(("seed", "budget"), [(9, 3.6), (9, 1.44), (48, 2.2582), (48, 0.9032)])
def test_a_gap_loses_no_placement_within_a_budget_and_changes_no_reason(
    seed: int, budget: float
) -> None:
    """A placement above the budget is none, however near to the cheapest a gap lets it be."""
    instance, sizes = random_case(seed, Shape(max_gpus=10, max_layers=12))
    name = "+".join(map(str, sizes.sizes))
    told = []
    for gap in (0.0, 0.05, 0.3, 0.5):
        settings = SolverSettings(mip_gap=gap)
        problem = Problem(f"gap {gap}", instance, settings, Scales(1e4, 1.0, None), {})
        (row,) = run_point(problem, make_point(problem, name, "enumeration", budget)).points
        told.append((row.values.get("throughput_tokens_per_s") is None, row.values["message"]))
    assert "below the cheapest placement, " in told[0][1] or not told[0][0]
    assert set(told) == {told[0]}


def test_stages_that_differ_in_the_last_digit_alone_are_equally_slow() -> None:
    rates = (240.0, 240.00000000000003, 240.001)
    stages = tuple(Stage("Fast", (i,), 1, 1, rate, 1.0, 1.0, 2.0) for i, rate in enumerate(rates))
    pipeline = Placement(stages, math.inf)
    assert [pipeline.is_bottleneck(stage) for stage in stages] == [True, True, False]
    served = ServedPlacement(stages, math.inf, 200.0, 1.0, 0.01, Decision(1, 1))
    assert [served.is_bottleneck(stage) for stage in stages] == [True, True, False]


def test_a_frontier_has_a_row_for_every_pareto_point_fastest_first(problem: Problem) -> None:
    point = make_point(problem, "exact", "frontier")
    rows = run_point(problem, point)
    assert placements(rows) == [
        pytest.approx((400, 0.75)),
        pytest.approx((300, 0.5)),
        pytest.approx((100, 0.25)),
    ]
    assert [r.values["pareto_index"] for r in rows.points] == [0, 1, 2]
    assert [r.values["point_id"] for r in rows.points] == [
        f"{point.point_id}-{i}" for i in (0, 1, 2)
    ]
    assert {s.point_id for s in rows.segments} == {r.values["point_id"] for r in rows.points}


@pytest.mark.parametrize(
    ("weight", "answer", "score"),
    [
        # t/100 − w/(1−w)·cost/0.25: 4 − 3w', 3 − 2w', 1 − w' with w' = w/(1−w)
        pytest.param(0.0, (400, 0.75), 4.0),
        (0.5, (300, 0.5), 1.0),
        (2 / 3, (100, 0.25), -1.0),
    ],
)
def test_a_weight_trades_throughput_against_cost(
    tmp_path: Path, weight: float, answer: tuple[float, float], score: float
) -> None:
    scales = {"throughput_tokens_per_s": 100.0, "cost_usd_per_hour": 0.25}
    problem = small_problem(tmp_path, {"sweep.normalization": scales})
    rows = ask(problem, "exact", "weighted", None, weight)
    values = rows.points[0].values
    assert values["bound_weighted_score"] == pytest.approx(score)
    best = [(400, 0.75), (300, 0.5), (100, 0.25)]
    ratio = weight / (1 - weight)
    ties = [p for p in best if abs(p[0] / 100 - ratio * p[1] / 0.25 - score) < 1e-9]
    assert answer in ties
    assert any(placements(rows)[0] == pytest.approx(tie) for tie in ties)


def test_the_published_search_stops_when_tokens_get_no_cheaper(problem: Problem) -> None:
    # No budget: $0.75/h. Then .95 of it: $0.50/h, cheaper. Then $0.25/h, dearer: it stops.
    rows = ask(problem, "exact", "iterative")
    assert placements(rows) == [pytest.approx((300, 0.5))]
    assert rows.points[0].values["status"] == "feasible"


def test_the_published_search_without_time_claims_no_bound(problem: Problem) -> None:
    late = replace(problem, settings=replace(problem.settings, time_limit_s=0.0))
    values = ask(late, "exact", "iterative").points[0].values
    assert values["status"] == "time_limit"
    assert values["bound_cost_usd_per_token"] is None


@pytest.mark.parametrize(("usd_per_million", "met"), [(0.5, True), (0.4, False)])
def test_a_row_says_whether_the_target_was_met(
    tmp_path: Path, usd_per_million: float, met: bool
) -> None:
    # 0.5 / (300·3600) is $0.463 per million tokens.
    assert pytest.approx(0.463e-6, rel=1e-3) == FAST_ALONE
    problem = small_problem(tmp_path, {"sweep.target_usd_per_million_tokens": usd_per_million})
    assert ask(problem, "exact", "ratio").points[0].values["target_met"] is met


def test_what_a_point_raises_becomes_a_row(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: Any) -> None:
        raise ZeroDivisionError("no layers left")

    monkeypatch.setattr(run, "answers", broken)
    rows = ask(problem, "exact", "ratio")
    assert rows.points[0].values["status"] == "error"
    assert rows.points[0].values["message"] == "ZeroDivisionError: no layers left"
    assert rows.segments == ()


def test_a_failed_point_keeps_its_question(problem: Problem) -> None:
    point = make_point(problem, "1+3", "enumeration", 0.5)
    values = failed(problem, point, "its worker died").points[0].values
    assert (values["point_id"], values["budget_usd_per_hour"]) == (point.point_id, 0.5)
    assert values["sizes"] == [1, 3]


def test_the_time_limit_is_no_proof_of_anything(tmp_path: Path) -> None:
    problem = small_problem(tmp_path, {"solver.time_limit_s": 0.0})
    values = ask(problem, "exact", "ratio").points[0].values
    assert values["status"] == "time_limit"
    assert values["message"]


def test_a_point_comes_out_the_same_whatever_was_asked_before_it(problem: Problem) -> None:
    budgets = (0.1, 0.25, 0.5, 0.75)

    def asked(order: tuple[float, ...]) -> dict[float, tuple[Any, ...]]:
        values = {b: ask(problem, "exact", "enumeration", b).points[0].values for b in order}
        names = ("status", "throughput_tokens_per_s", "num_solves", "options", "connections")
        return {b: tuple(row.get(name) for name in names) for b, row in values.items()}

    assert asked(budgets) == asked(budgets[::-1])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"network.gb_per_s": 0}, "network: no groups that hold all layers are linked"),
        ({"limits.single_gpu_type": True}, "restrictions: without single_gpu_type there is"),
        ({"limits.min_layers_per_stage": 50}, "sizes: min_layers_per_stage is 50, the model has 4"),
        ({"limits.min_layers_per_stage": 4}, "memory: no group holds the 4 layers of min_layers"),
    ],
)
def test_restrictions_links_and_smallest_segments_are_named_too(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    # Three layers fit on either GPU, so the four of the model need both.
    pool = [{**kind, "memory_gb": 3.5} for kind in SMALL["pool"]]
    problem = small_problem(tmp_path, {"pool": pool, **change})
    values = run_point(problem, make_point(problem, "exact", "ratio")).points[0].values
    assert values["status"] == "infeasible"
    assert values["message"].startswith(reason)


def test_where_only_the_throughput_is_proven_the_gap_is_that_of_the_cost() -> None:
    kinds = [("A100", 4, 16, 0.35), ("T4", 6, 24, 0.2), ("V100", 2, 16, 0.2)]
    names = ("gpu", "count", "memory_gb", "usd_per_hour")
    changes = {
        "pool": [dict(zip(names, kind, strict=True)) for kind in kinds],
        "model.num_hidden_layers": 20,
        "network": {"gb_per_s": 600},
        "limits.max_stages": 8,
        "limits.min_layers_per_stage": 1,
    }

    def asked(mip_gap: float) -> Any:
        loaded = load_config(REFERENCE_CONFIG, [*changes.items(), ("solver.mip_gap", mip_gap)])
        problem = problem_of(loaded, {})
        return run_point(problem, make_point(problem, "exact", "enumeration", 2.0)).points[0].values

    rough, proven = asked(0.6), asked(0.0)
    assert rough["status"] == "feasible"
    assert rough["bound_throughput_tokens_per_s"] == rough["throughput_tokens_per_s"]
    least, cost = rough["bound_cost_usd_per_hour"], rough["cost_usd_per_hour"]
    assert least <= proven["cost_usd_per_hour"] < cost
    assert rough["mip_gap"] == pytest.approx(1 - least / cost)


@pytest.mark.parametrize(
    ("changes", "links"),
    [
        ({}, "not_binding"),
        ({"network.gb_per_s": 1e-6}, "path"),
        ({"solver.formulation": "pairwise"}, "path"),
        ({"limits.min_layers_per_stage": 5}, None),
        ({"solver.time_limit_s": 0.0}, None),
    ],
)
def test_a_row_says_how_links_were_taken_into_account(
    tmp_path: Path, changes: dict[str, Any], links: str | None
) -> None:
    values = ask(small_problem(tmp_path, changes), "1+3", "ratio").points[0].values
    assert values.get("links") == links
