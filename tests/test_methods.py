"""What each method proves, what it says when time or a gap leaves the proof open."""

import math
from dataclasses import replace

import numpy as np
import pytest

from pipeline import methods
from pipeline.bounds import cost_unit, least_costs, rounded_up
from pipeline.cheapest import Found
from pipeline.curve import CostCurve, Progress
from pipeline.granularity import granularity
from pipeline.methods import Answer, AnswerStatus
from pipeline.placement import Placement, Stage
from pipeline.settings import Clock, SolverSettings
from tests.builders import reference_instance
from tests.random_instances import random_case


def curve(settings: SolverSettings = SolverSettings(), name: str = "exact") -> CostCurve:  # noqa: B008
    return CostCurve(reference_instance(), granularity(name, 40), settings)


def placement(tokens_per_s: float, usd_per_hour: float) -> Placement:
    stage = Stage("A100", (0,), 1, 40, tokens_per_s, usd_per_hour, 1.0, 48.0)
    return Placement((stage,), math.inf)


def test_without_time_there_is_a_bound_and_never_an_optimum() -> None:
    no_time = SolverSettings(time_limit_s=0.0)
    for answer in (
        methods.enumeration(curve(no_time), 5.0),
        methods.ratio(curve(no_time)),
        methods.weighted(curve(no_time), 0.5),
    ):
        assert answer.status is AnswerStatus.TIME_LIMIT
        assert answer.placement is None
        assert answer.bound is not None
    # The bounds hold: the optimum at $5 is 12,875 tokens/s; the lowest $/token 9.8697e-8
    # (DESIGN.md §4 and the reference numbers).
    assert (methods.enumeration(curve(no_time), 5.0).bound or 0) >= 12874.6
    assert (methods.ratio(curve(no_time)).bound or 1) <= 9.8698e-8


def test_time_that_runs_out_midway_leaves_the_best_answer_with_its_bound() -> None:
    searched = curve()
    steps = 0
    take = searched.step

    def step_until_late(index: int, at_most: float = math.inf) -> None:
        nonlocal steps
        steps += 1
        take(index, at_most)
        if steps == 2:
            searched.search.clock = Clock(SolverSettings(time_limit_s=0.0))

    searched.step = step_until_late  # type: ignore[method-assign]
    answer = methods.enumeration(searched, 5.0)
    assert answer.status is AnswerStatus.TIME_LIMIT
    assert answer.placement is not None
    assert answer.bound is not None
    assert answer.bound > answer.placement.tokens_per_s
    assert answer.gap == pytest.approx(answer.bound / answer.placement.tokens_per_s - 1)


def test_a_model_that_ran_out_of_time_without_a_bound_proves_nothing() -> None:
    searched = curve()
    searched.step(0)
    before = searched.lower.copy()
    searched._reached[0] = Progress.WITHOUT_LINKS
    searched.search.over_links = lambda *_, **__: Found(-math.inf, None)  # type: ignore[method-assign]
    searched.step(0, at_most=5.0)
    assert searched.lower.tolist() == before.tolist()
    # That there is no placement at all is another matter: then none costs $5 or less.
    searched._reached[0] = Progress.WITHOUT_LINKS
    searched.search.over_links = lambda *_, **__: Found(math.inf, None)  # type: ignore[method-assign]
    searched.step(0, at_most=5.0)
    assert searched.lower.min() > 5.0


def test_a_frontier_without_time_is_not_called_infeasible() -> None:
    answers = list(methods.frontier(curve(SolverSettings(time_limit_s=0.0))))
    assert [(a.status, a.placement) for a in answers] == [(AnswerStatus.TIME_LIMIT, None)]


def test_a_frontier_that_time_cut_short_is_not_called_optimal() -> None:
    searched = curve()
    settle, settled = searched.settle, 0

    def settle_until_late(index: int) -> None:
        nonlocal settled
        settled += 1
        settle(index)
        if settled == 4:
            searched.search.clock = Clock(SolverSettings(time_limit_s=0.0))

    searched.settle = settle_until_late  # type: ignore[method-assign]
    found = list(methods.frontier(searched))
    assert found
    assert {answer.status for answer in found} == {AnswerStatus.TIME_LIMIT}


def test_a_gap_that_was_asked_for_is_within_it_and_not_called_optimal() -> None:
    answer = methods.ratio(curve(SolverSettings(mip_gap=0.05)))
    exact = methods.ratio(curve())
    assert answer.placement is not None
    assert exact.placement is not None
    assert answer.placement.usd_per_token <= exact.placement.usd_per_token * 1.05
    assert (answer.bound or 1) <= exact.placement.usd_per_token * (1 + 1e-9)


def test_the_lowest_cost_is_optimal_only_where_it_is_proven(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert methods.weighted(curve(), 1.0).status is AnswerStatus.OPTIMAL
    # What is left open of the cost stays open, though the throughput at that cost is proven.
    cheapest = Answer(AnswerStatus.FEASIBLE, placement(6304.0, 2.4), 2.0, 1 / 6)
    monkeypatch.setattr(methods, "_lowest", lambda *_: cheapest)
    answer = methods.weighted(curve(), 1.0)
    assert (answer.status, answer.bound, answer.gap) == (AnswerStatus.FEASIBLE, -2.0, 1 / 6)


def test_without_a_budget_the_fastest_placement_is_found() -> None:
    # The frontier's first row: 21,457.672 tokens/s for $8 (reference numbers).
    answer = methods.enumeration(curve())
    assert answer.status is AnswerStatus.OPTIMAL
    assert answer.placement is not None
    assert answer.placement.tokens_per_s == pytest.approx(21457.672, rel=1e-6)
    assert answer.placement.usd_per_hour == pytest.approx(8.0)


def test_a_budget_of_exactly_a_placements_cost_affords_it() -> None:
    # Eight V100 cost 8 · 0.3, which is 2.4000000000000004 in binary.
    answer = methods.enumeration(curve(), 2.4)
    assert answer.placement is not None
    assert answer.placement.tokens_per_s == pytest.approx(6304.337, rel=1e-6)


def test_of_free_placements_the_lowest_price_is_that_of_the_fastest() -> None:
    owned = reference_instance()
    owned = replace(owned, pool=tuple(replace(kind, usd_per_hour=0.0) for kind in owned.pool))
    answer = methods.ratio(CostCurve(owned, granularity("exact", 40), SolverSettings()))
    assert answer.placement is not None
    assert (answer.status, answer.placement.usd_per_hour) == (AnswerStatus.OPTIMAL, 0.0)
    # The fastest of all, as above.
    assert answer.placement.tokens_per_s == pytest.approx(21457.672, rel=1e-6)


def test_iterative_is_the_published_search_and_proves_nothing() -> None:
    asked: list[float] = []
    prices = {math.inf: placement(1000.0, 3.6), 0.95 * 3.6: placement(900.0, 2.7)}

    def fastest_within(budget: float) -> Answer:
        asked.append(budget)
        found = next((p for b, p in prices.items() if math.isclose(b, budget)), None)
        return Answer(AnswerStatus.OPTIMAL if found else AnswerStatus.INFEASIBLE, found, None, None)

    answer = methods.iterative(fastest_within)
    # After 3.6 $/h for 1,000 tokens/s the budget is .95 · 3.6; after 2.7 for 900 it is .95 · 2.7.
    assert asked == pytest.approx([math.inf, 0.95 * 3.6, 0.95 * 2.7])
    assert answer.placement is not None
    assert answer.placement.usd_per_hour == 2.7
    assert answer.status is AnswerStatus.FEASIBLE
    assert answer.bound is None


def test_iterative_stops_at_its_target() -> None:
    asked: list[float] = []

    def fastest_within(budget: float) -> Answer:
        asked.append(budget)
        return Answer(AnswerStatus.OPTIMAL, placement(1000.0, 3.6), None, None)

    methods.iterative(fastest_within, target_usd_per_token=1.1e-6)  # 3.6/(1000·3600) = 1e-6
    assert asked == [math.inf]


@pytest.mark.parametrize("seed", range(40))
def test_the_first_bounds_never_exceed_the_least_cost(seed: int) -> None:
    instance, sizes = random_case(seed)
    searched = CostCurve(instance, sizes, SolverSettings())
    first = least_costs(instance, searched.options, searched.thresholds)
    assert np.all(first[:-1] <= first[1:])
    list(methods.frontier(searched))
    assert np.all(first <= searched.lower * (1 + 1e-9))
    assert np.all(first <= searched.upper * (1 + 1e-9))


def test_bounds_are_rounded_up_to_the_common_unit_of_the_prices() -> None:
    assert cost_unit([0.3, 0.5, 0.7]) == pytest.approx(0.1)
    assert cost_unit([1.2, 0.8]) == pytest.approx(0.4)
    assert cost_unit([0.123456789, 0.1]) == 0.0  # no useful unit
    costs = np.array([0.31, 0.30000000001, math.inf])
    assert rounded_up(costs, 0.1) == pytest.approx([0.4, 0.3, math.inf])
    assert rounded_up(costs, 0.0) is costs


def test_one_threshold_speaks_for_its_neighbours() -> None:
    searched = curve()
    middle = len(searched.thresholds) // 2
    rate = float(searched.thresholds[middle])
    searched._learn(middle, Found(3.0, placement(rate, 4.0)))
    assert np.all(searched.lower[middle:] >= 3.0)
    assert np.all(searched.upper[: middle + 1] == 4.0)
    assert np.all(np.isinf(searched.upper[middle + 1 :]))


def test_every_method_counts_what_it_took() -> None:
    searched = curve()
    methods.ratio(searched)
    effort = searched.effort
    assert effort.num_solves > 0
    assert effort.variables > 0
    assert effort.solve_seconds > 0
    assert effort.path_solves == 0  # 550 GB/s and more carry 3.4e7 tokens/s: links cannot bind


def test_a_missing_link_makes_the_path_model_decide() -> None:
    instance = reference_instance()
    apart = reference_instance(
        {"network.overrides": [{"gpus": "0-31", "to": "32-63", "gb_per_s": 0}]}
    )
    searched = CostCurve(apart, granularity("exact", 40), SolverSettings())
    answer = methods.ratio(searched)
    free = methods.ratio(CostCurve(instance, granularity("exact", 40), SolverSettings()))
    # The free optimum uses V100 alone, all on one side of the cut.
    assert answer.placement is not None
    assert free.placement is not None
    assert answer.placement.usd_per_token == pytest.approx(free.placement.usd_per_token)
    assert answer.status is AnswerStatus.OPTIMAL


def test_restrictions_never_make_an_answer_better() -> None:
    instance = reference_instance()
    free = methods.ratio(CostCurve(instance, granularity("exact", 40), SolverSettings()))
    assert free.placement is not None
    for restriction in ("uniform_tp", "single_gpu_type", "equal_sizes"):
        limits = replace(instance.limits, **{restriction: True})  # type: ignore[arg-type]
        bound = replace(instance, limits=limits)
        answer = methods.ratio(CostCurve(bound, granularity("exact", 40), SolverSettings()))
        assert answer.placement is not None
        assert answer.placement.usd_per_token >= free.placement.usd_per_token * (1 - 1e-9)
        stages = answer.placement.stages
        if restriction == "uniform_tp":
            assert len({stage.tp_degree for stage in stages}) == 1
        if restriction == "single_gpu_type":
            assert len({stage.gpu for stage in stages}) == 1
        if restriction == "equal_sizes":
            sizes = [stage.size for stage in stages]
            assert max(sizes) - min(sizes) <= 1
