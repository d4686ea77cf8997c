"""Loads, bounds and dealt layers, each against values worked out by hand or by trying all."""

import itertools
import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pyomo.core as pyo
import pytest

from pipeline.cli.serving_views import robustness_view
from pipeline.granularity import granularity
from pipeline.instance import Serving
from pipeline.roofline.constant_files import shipped_table
from pipeline.roofline.pipelines import drawn_table
from pipeline.serving import methods, uncertainty
from pipeline.serving.bounds import largest_within
from pipeline.serving.decisions import MICRO_BATCHES_OF, Decision, decisions
from pipeline.serving.picks import Groups
from pipeline.serving.search import ServingSearch
from pipeline.serving.tables import FloatArray, IntArray
from pipeline.serving.uncertainty import in_words, robustness
from pipeline.settings import Clock, SolverSettings
from pipeline.solver import Solution, SolveStatus, solve
from tests.serving.test_against_oracle import random_instance, search_of


def test_a_stated_concurrency_is_paired_with_the_micro_batches_that_divide_it() -> None:
    found = decisions(Serving("decode", 10, 10, (6, 4), (2, 3)), 8)
    assert found == (Decision(4, 2), Decision(6, 2), Decision(6, 3))
    assert [load.micro_batch for load in found] == [2, 3, 2]


def test_an_open_load_runs_over_both_lists() -> None:
    found = decisions(Serving("decode", 10, 10), 3)
    assert len(found) == 3 * len(MICRO_BATCHES_OF)
    assert Decision(1536, 3) in found


@pytest.mark.parametrize("phase", ["decode", "mixed", "prefill"])
@pytest.mark.parametrize("seed", [0, 3, 10])
def test_no_placement_costs_less_than_its_bound(phase: str, seed: int) -> None:
    search = search_of(random_instance(seed, phase), "exact")
    fresh = search_of(random_instance(seed, phase), "exact")
    found = [a.placement for a in methods.frontier(search)]
    assert search.known.best or not found
    for pick in search.known.best:
        rate, load = pick.tokens_per_s * (1 - 1e-9), np.array([pick.decision])
        fresh.raise_bound(pick.decision, rate, enough=0.0)
        bound = fresh.bounds(rate, load)[0]
        assert bound <= pick.usd_per_hour * (1 + 1e-9)
        assert bound == pytest.approx(fresh.bounds(rate)[pick.decision], rel=1e-12)


@pytest.mark.parametrize("phase", ["decode", "mixed", "prefill"])
def test_layers_are_dealt_as_well_as_any_other_way(phase: str) -> None:
    base = random_instance(0, phase)
    limits = replace(base.limits, min_layers_per_stage=1, equal_sizes=False, max_stages=3)
    instance = replace(base, limits=replace(limits, max_ttft_s=None, max_tpot_s=None))
    search = search_of(instance, "exact")
    counts = {0: 1, len(search.tables.groups) - 1: 1}
    best = search.known.deal(counts).tokens_per_s
    for decision in range(len(search.tables.decisions)):
        rates = [
            search.known.pick(tuple(zip(counts, sizes, strict=True)), decision).tokens_per_s
            for sizes in itertools.product(range(1, 6), repeat=2)
            if sum(sizes) == 5
            and all(
                size <= search.tables.largest[c, decision]
                for c, size in zip(counts, sizes, strict=True)
            )
        ]
        assert (best[decision] > 0) == bool(rates)
        if rates:
            assert best[decision] == pytest.approx(max(rates), rel=1e-12)


def test_loads_that_are_dealt_in_parts_are_dealt_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    search = search_of(random_instance(0, "mixed"), "exact")
    counts = {0: 1, len(search.tables.groups) - 1: 1}
    whole = search.known.deal(counts)
    monkeypatch.setattr("pipeline.serving.deal.MOST_ENTRIES", 1)
    parts = search.fresh(SolverSettings()).known.deal(counts)
    assert len(whole.tokens_per_s) > 1
    for name in ("tokens_per_s", "classes", "layers"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))


@pytest.mark.parametrize("phase", ["decode", "mixed", "prefill"])
@pytest.mark.parametrize("seed", [0, 1, 3])
def test_few_sizes_of_many_are_tried_and_no_other_is_better(
    phase: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 10,000 layers under thousands of loads, to try them all took minutes."""
    base = random_instance(seed, phase)
    pool = tuple(replace(kind, memory_gb=640.0) for kind in base.pool)
    limits = replace(base.limits, equal_sizes=False, max_ttft_s=None, max_tpot_s=None)
    limits = replace(limits, min_layers_per_stage=1)
    model = replace(base.model, num_hidden_layers=300)
    assert base.serving is not None
    serving = replace(base.serving, concurrency=(8, 24), micro_batches=(1, 2, 4, 8))
    deep = replace(base, model=model, pool=pool, limits=limits, serving=serving)
    search, tried = search_of(deep, "exact"), 0
    classes = range(len(search.tables.groups))
    counts = {0: 1, len(classes) - 1: 1}

    def watched(longest_s: FloatArray, *rest: Any) -> IntArray:
        nonlocal tried
        tried += longest_s.size
        return largest_within(longest_s, *rest)

    monkeypatch.setattr("pipeline.serving.deal.largest_within", watched)
    found = search.known.deal(counts).tokens_per_s
    every = int(search.tables.largest[[*counts]].sum())
    assert 0 < tried < every / 5
    slow, fast = sorted(counts, key=lambda c: -search.tables.pass_s[c, 0])
    for load, best in enumerate(found.tolist()):
        splits = [
            search.known.pick(((slow, size), (fast, 300 - size)), load).tokens_per_s
            for size in range(1, 300)
            if size <= search.tables.largest[slow, load]
            and 300 - size <= search.tables.largest[fast, load]
        ]
        assert best == pytest.approx(max(splits, default=0.0), rel=1e-12)


def test_without_time_there_is_no_claim() -> None:
    instance = random_instance(0, "decode")
    search = ServingSearch(
        instance, granularity("exact", 5), SolverSettings(time_limit_s=0.0), shipped_table()
    )
    answer = methods.ratio(search)
    assert (answer.status, answer.placement) == ("time_limit", None)


def test_a_model_that_ran_out_of_time_without_a_bound_proves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search = search_of(random_instance(0, "decode"), "exact")
    rate = search.rates.lowest
    before = search.bounds(rate)[0]
    assert 0 < before < 5.0
    nothing = Solution(SolveStatus.TIME_LIMIT, None, -math.inf, 0, 0, 0.0, 0.0)
    monkeypatch.setattr("pipeline.serving.search.solve", lambda *_: nothing)
    assert search.cheapest(0, rate, at_most=5.0) is None
    assert search.bounds(rate)[0] == before
    # That there is no placement at all is another matter: then none costs $5 or less.
    nothing = Solution(SolveStatus.INFEASIBLE, None, math.inf, 0, 0, 0.0, 0.0)
    assert search.cheapest(0, rate, at_most=5.0) is None
    assert search.bounds(rate)[0] > 5.0


def test_what_a_model_met_until_time_ran_out_is_not_called_the_cheapest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search = search_of(random_instance(0, "decode"), "exact")
    rate = search.rates.lowest

    def stopped(model: pyo.ConcreteModel, settings: SolverSettings) -> Solution:
        met = solve(model, settings)
        monkeypatch.setattr(Clock, "out_of_time", True)
        return replace(met, status=SolveStatus.TIME_LIMIT, bound=0.0)

    monkeypatch.setattr("pipeline.serving.search.solve", stopped)
    assert search.cheapest(0, rate) is None
    assert search.known.cheapest(rate) is not None  # it is kept all the same


def test_the_lowest_cost_is_a_score_below_zero_and_optimal_only_where_it_is_proven(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    instance, lower_cost = random_instance(0, "decode"), methods._lower_cost
    answer = methods.weighted(search_of(instance, "exact"), 1.0, cost_scale=0.5)
    assert answer.placement is not None
    cost = answer.placement.usd_per_hour
    assert answer.status == "optimal"
    assert answer.bound == pytest.approx(-cost / 0.5)
    # A quarter below is all that is known of the cost; the throughput at it is proven as before.
    left = [0.75]
    monkeypatch.setattr(
        methods, "_lower_cost", lambda *a: lower_cost(*a) * (left.pop() if left else 1.0)
    )
    answer = methods.weighted(search_of(instance, "exact"), 1.0, cost_scale=0.5)
    assert answer.status == "feasible"
    assert answer.gap == pytest.approx(0.25)
    assert answer.bound == pytest.approx(-0.75 * cost / 0.5)


def test_what_time_left_without_a_finite_bound_has_none() -> None:
    small = random_instance(0, "decode")
    pool = tuple(replace(kind, memory_gb=0.1) for kind in small.pool)
    settings, name = SolverSettings(time_limit_s=0.0), granularity("exact", 5)
    search = ServingSearch(replace(small, pool=pool), name, settings, shipped_table())
    assert methods.ratio(search).bound is None
    assert methods.weighted(search, 0.5).bound is None


def test_a_lone_candidate_wins_every_draw() -> None:
    search = search_of(random_instance(0, "decode"), "exact")
    methods.ratio(search)
    found = robustness(search, draws=3, most=1)
    assert found is not None
    assert (found.winner_share, found.runner_up, found.worst_regret) == (1.0, None, 0.0)


def test_draws_are_the_same_every_time() -> None:
    search = search_of(random_instance(0, "mixed"), "exact")
    methods.ratio(search)
    one, other = robustness(search, draws=4), robustness(search, draws=4)
    assert one == other
    assert one is not None
    assert math.isfinite(one.worst_regret)
    assert np.isclose(one.winner_share + one.runner_up_share, 1.0) or one.runner_up_share < 1.0


def test_of_free_groups_the_fastest_is_the_winner_and_others_are_slower() -> None:
    base = random_instance(0, "mixed")
    free = replace(base, pool=tuple(replace(kind, usd_per_hour=0.0) for kind in base.pool))
    search = search_of(free, "exact")
    answer = methods.ratio(search)
    assert answer.placement is not None
    found = robustness(search, draws=4)
    assert found is not None
    assert found.is_free
    used = Counter(f"{stage.gpu} TP {stage.tp_degree}" for stage in answer.placement.stages)
    words = [name if n == 1 else f"{n} × {name}" for name, n in used.items()]
    assert sorted(found.winner.split(" + ")) == sorted(words)
    told = robustness_view(found).plain
    assert "stays the fastest of what is free in" in told
    assert "% slower than each time's fastest" in told


def test_draws_in_which_the_winner_serves_nothing_are_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search, loss = search_of(random_instance(0, "mixed"), "exact"), uncertainty._loss
    methods.ratio(search)
    calm = robustness(search, draws=4)
    assert calm is not None
    assert calm.unserved_share == 0.0

    def loss_or_none(drawn: ServingSearch, groups: Groups) -> uncertainty.Loss | None:
        is_winner = in_words(search, groups) == calm.winner
        return None if is_winner and drawn is not search else loss(drawn, groups)

    monkeypatch.setattr(uncertainty, "_loss", loss_or_none)
    found = robustness(search, draws=4)
    assert found is not None
    assert (found.winner_share, found.unserved_share, found.mean_regret) == (0.0, 1.0, 0.0)
    assert "In 4 of 4 it can serve no load" in robustness_view(found).plain


def test_draws_in_which_no_candidate_serves_anything_count_as_such(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search, loss = search_of(random_instance(0, "mixed"), "exact"), uncertainty._loss
    methods.ratio(search)
    barren = drawn_table(search.table, 0)

    def loss_or_none(drawn: ServingSearch, groups: Groups) -> uncertainty.Loss | None:
        return None if drawn.table == barren else loss(drawn, groups)

    monkeypatch.setattr(uncertainty, "_loss", loss_or_none)
    found = robustness(search, draws=4, most=1)
    assert found is not None
    assert (found.winner_share, found.unserved_share) == (0.75, 0.25)
    told = robustness_view(found).plain
    assert "in 3 of 4" in told
    assert "In 1 of 4 it can serve no load" in told


def test_a_choice_that_the_constants_leave_open_comes_with_what_to_do() -> None:
    lost = uncertainty.Robustness(
        draws=20,
        candidates=12,
        winner="A TP 8",
        winner_share=0.0,
        unserved_share=0.0,
        runner_up="A TP 4",
        runner_up_share=0.35,
        mean_regret=0.053,
        worst_regret=0.168,
        is_free=False,
    )
    told = robustness_view(lost).plain
    assert "A TP 8 stays the cheapest per token in 0 of 20, A TP 4 becomes it in 7" in told
    assert "costs 5.3 % more than each time's cheapest on average, 16.8 % at worst" in told
    assert "Measure both on your GPUs" in told
    kept = robustness_view(replace(lost, winner_share=0.65)).plain
    assert "in 13 of 20" in kept
    assert "Measure" not in kept


def test_nothing_is_decided_again_once_the_time_limit_has_passed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search = search_of(random_instance(0, "mixed"), "exact")
    methods.ratio(search)
    asked = itertools.count()
    # The first prices, those of the groups met, are still in time.
    limit = len(search.known.dealt_groups) + 3
    monkeypatch.setattr(Clock, "out_of_time", property(lambda _: next(asked) >= limit))
    assert robustness(search) is None
    assert next(asked) == limit + 1
