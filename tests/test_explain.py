"""What is said of an answer: what binds, what lies next, what coarser choices give away."""

import math
from dataclasses import replace

import pytest

from pipeline import methods
from pipeline.cli.explanation import explanation_view
from pipeline.curve import CostCurve
from pipeline.explain import (
    Explanation,
    cheaper_percent,
    explain,
    explain_point,
    faster_percent,
    relaxations,
)
from pipeline.granularity import Granularity, granularity
from pipeline.instance import GpuType, Instance, Limits
from pipeline.network import Override, matrix_network, uniform_network
from pipeline.points import Problem, Scales, make_point
from pipeline.settings import SolverSettings
from tests.builders import reference_instance, small_instance


def explained(instance: Instance, name: str = "exact") -> Explanation:
    sizes = granularity(name, instance.num_layers)
    curve = CostCurve(instance, sizes, SolverSettings())
    placement = methods.ratio(curve).placement
    assert placement is not None
    return explain(curve, placement, methods.ratio, cheaper_percent)


def test_the_reference_answer_is_held_back_by_its_v100s_alone() -> None:
    # The optimum runs on all 12 V100 and fills 22.6 of their 24 GB; more memory or more of them
    # is worth 1/21 = 4.8 %: six layers less on the slowest stage would do (DESIGN.md §4's price).
    explanation = explained(reference_instance())
    assert {binding.limit for binding in explanation.bindings} == {
        "memory of V100",
        "count of V100",
    }


def test_the_neighbours_are_the_points_beside_it_on_the_frontier() -> None:
    # Frontier of the reference instance at exact: 11,820.6 for $4.40, 10,132.0 for $3.60 (the
    # lowest $/token), 7,416.9 for $3.00. Source: reference numbers of the published instance.
    explanation = explained(reference_instance())
    assert explanation.cheaper is not None
    assert explanation.faster is not None
    assert round(explanation.cheaper.usd_per_hour, 2) == 3.0
    assert round(explanation.faster.usd_per_hour, 2) == 4.4


def test_regrets_are_what_the_presets_cost_against_exact() -> None:
    # DESIGN.md §4: 1.0575e-7 and 1.0356e-7 against 9.8697e-8 $/token: 7.1 % and 4.9 %.
    regrets = {r.granularity: r.percent for r in explained(reference_instance()).regrets}
    assert list(regrets) == ["coarsest", "coarse", "moderate", "fine"]
    assert math.isclose(regrets["coarsest"] or 0, 100 * (1.0575 / 0.98697 - 1), abs_tol=0.02)
    assert math.isclose(regrets["fine"] or 0, 100 * (1.0356 / 0.98697 - 1), abs_tol=0.02)


def test_a_preset_that_finds_the_same_gives_nothing_away_not_less_than_nothing() -> None:
    # At $5/h `moderate` and `fine` reach the 12,875 tokens/s of `exact` (DESIGN.md, reference).
    def fastest(curve: CostCurve) -> methods.Answer:
        return methods.enumeration(curve, 5.0)

    curve = CostCurve(reference_instance(), granularity("exact", 40), SolverSettings())
    placement = fastest(curve).placement
    assert placement is not None
    regrets = {
        r.granularity: r.percent for r in explain(curve, placement, fastest, faster_percent).regrets
    }
    assert f"{regrets['moderate']:.1f} {regrets['fine']:.1f}" == "0.0 0.0"


def test_a_limit_on_stages_binds_where_one_more_helps() -> None:
    # Two A100 hold three layers each; with one stage only two A100 as one group hold all six at
    # 0.9 of the speed, so a second stage is worth 1/0.9.
    limits = Limits(max_stages=1, tp_degrees=(1, 2))
    instance = small_instance(GpuType("A100", 2, 3.5, 1.0), limits=limits)
    explanation = explained(instance)
    assert "max_stages" in {binding.limit for binding in explanation.bindings}
    gain = {b.limit: b.gain_percent for b in explanation.bindings}["max_stages"]
    assert math.isclose(gain, 10.0, rel_tol=0.1)  # 1 − 0.9, less what moving activations takes


def test_restrictions_say_what_they_cost() -> None:
    free = reference_instance()
    bound = replace(free, limits=replace(free.limits, single_gpu_type=True, equal_sizes=True))
    assert explained(free).restrictions_percent is None
    cost = explained(bound).restrictions_percent
    assert cost is not None
    assert cost >= 0


def test_a_relaxed_count_keeps_every_other_gpu_where_it_stands_in_the_network() -> None:
    pool = (GpuType("A100", 2, 4.0, 1.0), GpuType("T4", 2, 2.0, 0.2))
    network = uniform_network(4, 600.0, [Override(frozenset({2, 3}), None, 5.0)])
    instance = small_instance(*pool, network=network, limits=Limits(tp_degrees=(1,)))
    more = {limit: changed for limit, _, changed in relaxations(instance)}["count of A100"]
    assert [kind.count for kind in more.pool] == [3, 2]
    assert more.network.zone_of == (0, 0, 0, 1, 1)
    assert more.network.between(3, 4) == 5.0
    assert more.network.between(2, 3) == 600.0


def test_a_point_without_placement_has_no_explanation() -> None:
    instance = small_instance(GpuType("T4", 1, 2.0, 0.2), limits=Limits(tp_degrees=(1,)))
    problem = Problem("p", instance, SolverSettings(), Scales(1.0, 1.0, None), {})
    assert explain_point(problem, make_point(problem, "exact", "ratio")) is None


def test_of_a_weighted_answer_better_means_a_higher_score() -> None:
    # With w = 0.2: 21,457.67 tokens/s for $8.00 at exact score 2.1458 − 2.0, and the 6,304.34
    # for $2.40 of coarsest 0.6304 − 0.6. By $/token it would be 2 % that is lost.
    instance, scales = reference_instance(), Scales(10_000.0, 1.0, None)
    problem = Problem("p", instance, SolverSettings(), scales, {})
    explanation = explain_point(problem, make_point(problem, "exact", "weighted", None, 0.2))
    assert explanation is not None
    lost = {regret.granularity: regret.percent for regret in explanation.regrets}
    assert lost["coarsest"] == pytest.approx(100 * (1 - 0.030434 / 0.145767), abs=0.01)


def test_of_a_free_placement_better_means_faster() -> None:
    # Of the free placements, on V100 alone, the fastest at exact makes 10,132 tokens/s and the
    # fastest at coarse 7,355; more V100 would make more, cheaper than nothing they are not.
    instance = reference_instance()
    pool = [replace(k, usd_per_hour=0.0) if k.name == "V100" else k for k in instance.pool]
    instance = replace(instance, pool=tuple(pool))
    problem = Problem("p", instance, SolverSettings(), Scales(1.0, 1.0, None), {})
    explanation = explain_point(problem, make_point(problem, "exact", "ratio"))
    assert explanation is not None
    assert explanation.better == "higher throughput"
    assert [binding.limit for binding in explanation.bindings] == ["count of V100"]
    lost = {regret.granularity: regret.percent for regret in explanation.regrets}
    assert lost["coarse"] == pytest.approx(100 * (1 - 7354.8 / 10132.0), abs=0.1)
    text = "\n".join(map(str, explanation_view(explanation).renderables))
    assert "% higher throughput" in text
    assert "the budget" not in text


def test_restrictions_that_cost_nothing_but_a_last_digit_have_no_sign() -> None:
    told = explanation_view(Explanation((), None, None, (), -1e-14, complete=True))
    assert "Without the restrictions: 0.0 % lower" in "\n".join(map(str, told.renderables))


def test_where_prices_alone_decide_nothing_binds() -> None:
    # One layer on one of many GPUs: no limit is near.
    instance = small_instance(GpuType("A100", 4, 40.0, 1.0), num_layers=1)
    curve = CostCurve(instance, Granularity("exact", (1,)), SolverSettings())
    placement = methods.ratio(curve).placement
    assert placement is not None
    assert explain(curve, placement, methods.ratio, cheaper_percent).bindings == ()


def test_what_time_did_not_allow_to_find_out_is_not_stated() -> None:
    curve = CostCurve(reference_instance(), granularity("exact", 40), SolverSettings())
    placement = methods.ratio(curve).placement
    assert placement is not None
    late = curve.fresh(SolverSettings(time_limit_s=0.0))
    explanation = explain(late, placement, methods.ratio, cheaper_percent)
    assert not explanation.complete
    assert explanation.regrets == ()
    text = "\n".join(map(str, explanation_view(explanation).renderables))
    assert "prices alone" not in text
    assert "Nothing is" not in text
    assert "The time limit passed" in text
    assert explained(reference_instance()).complete


def test_a_new_gpu_beside_one_that_stands_alone_has_its_fastest_link() -> None:
    pool = (GpuType("A100", 1, 4.0, 1.0), GpuType("T4", 2, 2.0, 0.2))
    network = matrix_network([[0, 600.0, 601.0], [600.0, 0, 5.0], [601.0, 5.0, 0]])
    instance = small_instance(*pool, network=network, limits=Limits(tp_degrees=(1,)))
    more = {limit: changed for limit, _, changed in relaxations(instance)}["count of A100"]
    assert more.network.between(0, 1) == 601.0
    assert more.network.between(1, 2) == 600.0
