"""Every method's answer equals an exhaustive search, whatever the network and the limits."""

import math
import random
from dataclasses import replace

import pytest

from pipeline import methods
from pipeline.curve import CostCurve
from pipeline.methods import Answer, AnswerStatus
from pipeline.published import PublishedSearch
from pipeline.restrictions import unrestricted
from pipeline.settings import SolverSettings
from tests import oracle
from tests.random_instances import Shape, random_case

EXACT = 1e-9
BATCH = 60  # instances per test, so that a failure names a short range of seeds


def close(one: float, other: float, tolerance: float = EXACT) -> bool:
    return math.isclose(one, other, rel_tol=tolerance)


def points_of(answers: list[Answer]) -> list[tuple[float, float]]:
    placements = [answer.placement for answer in answers]
    return [(p.tokens_per_s, p.usd_per_hour) for p in placements if p is not None]


def check_frontier_and_ratio(seed: int, shape: Shape) -> bool:
    """Compare one instance; return whether links had to be modelled."""
    instance, sizes = random_case(seed, shape)
    expected = oracle.frontier(instance, sizes.sizes)
    curve = CostCurve(instance, sizes, SolverSettings())
    found = points_of(list(methods.frontier(curve)))
    assert len(found) == len(expected), seed
    for point, wanted in zip(found, expected, strict=True):
        assert close(point[0], wanted[0]), seed
        assert close(point[1], wanted[1]), seed
    answer = methods.ratio(CostCurve(instance, sizes, SolverSettings()))
    if expected:
        lowest = min(cost / (rate * 3600) for rate, cost in expected)
        assert answer.status is AnswerStatus.OPTIMAL, seed
        assert answer.placement is not None
        assert close(answer.placement.usd_per_token, lowest), seed
        assert answer.bound is not None
        assert close(answer.bound, lowest), seed
    else:
        assert answer.status is AnswerStatus.INFEASIBLE, seed
    return curve.effort.path_solves > 0


@pytest.mark.parametrize("first", range(0, 600, BATCH))
def test_frontier_and_ratio_equal_exhaustive_search_on_any_network(first: int) -> None:
    modelled = [check_frontier_and_ratio(s, Shape()) for s in range(first, first + BATCH)]
    assert any(modelled)  # links did matter in some of them
    assert not all(modelled)


@pytest.mark.parametrize("first", range(2000, 2240, BATCH))
def test_frontier_and_ratio_equal_exhaustive_search_under_restrictions(first: int) -> None:
    shape, binding = Shape(max_gpus=8, max_layers=8, restricted=True), 0
    for seed in range(first, first + BATCH):
        check_frontier_and_ratio(seed, shape)
        instance, sizes = random_case(seed, shape)
        free = replace(instance, limits=unrestricted(instance.limits))
        kept = oracle.frontier(instance, sizes.sizes)
        binding += bool(kept) and kept != oracle.frontier(free, sizes.sizes)
    assert binding > 4  # they leave a placement, and are in the way of a better one


@pytest.mark.parametrize("first", range(3000, 3180, BATCH))
def test_enumeration_finds_the_fastest_then_cheapest_then_shortest(first: int) -> None:
    placed = 0
    for seed in range(first, first + BATCH):
        instance, sizes = random_case(seed)
        budget = random.Random(seed).uniform(0.2, 6.0)
        answer = methods.enumeration(CostCurve(instance, sizes, SolverSettings()), budget)
        within = [
            (-f.tokens_per_s, round(f.usd_per_hour, 9), len(f.stages))
            for f in oracle.placements(instance, sizes.sizes)
            if f.usd_per_hour <= budget * (1 + EXACT)
        ]
        if not within:
            assert answer.status is AnswerStatus.INFEASIBLE, seed
            continue
        placed += 1
        rate, cost, stages = min(within)
        assert answer.placement is not None
        assert answer.status is AnswerStatus.OPTIMAL, seed
        assert close(answer.placement.tokens_per_s, -rate), seed
        assert close(answer.placement.usd_per_hour, cost), seed
        assert len(answer.placement.stages) == stages, seed
    assert placed > BATCH // 3


@pytest.mark.parametrize("weight", [0.0, 0.2, 0.7, 1.0])
def test_weighted_finds_the_highest_score(weight: float) -> None:
    for seed in range(4000, 4040):
        instance, sizes = random_case(seed)
        curve = CostCurve(instance, sizes, SolverSettings())
        answer = methods.weighted(curve, weight, 1000.0, 2.0)
        frontier = oracle.frontier(instance, sizes.sizes)
        if not frontier:
            assert answer.status is AnswerStatus.INFEASIBLE, seed
            continue
        assert answer.placement is not None
        rate, cost = answer.placement.tokens_per_s, answer.placement.usd_per_hour
        if weight == 1.0:
            assert close(cost, min(c for _, c in frontier)), seed
            continue
        trade = weight / (1 - weight)
        best = max(r / 1000.0 - trade * c / 2.0 for r, c in frontier)
        assert math.isclose(rate / 1000.0 - trade * cost / 2.0, best, rel_tol=1e-7, abs_tol=1e-9)


@pytest.mark.parametrize(("weight", "seed"), [(0.0, 5056), (0.0, 5079), (1.0, 5080), (1.0, 5081)])
def test_the_published_formulation_breaks_ties_at_the_ends_of_the_weights(
    weight: float, seed: int
) -> None:
    instance, sizes = random_case(seed, Shape(max_types=2, max_gpus=4, max_layers=4))
    found = PublishedSearch(instance, sizes, SolverSettings()).weighted(weight).placement
    frontier = oracle.frontier(instance, sizes.sizes)
    assert found is not None
    expected = max(frontier) if weight == 0 else min(frontier, key=lambda point: point[1])
    assert found.tokens_per_s == pytest.approx(expected[0])
    assert found.usd_per_hour == pytest.approx(expected[1])


@pytest.mark.parametrize("first", range(5000, 5240, BATCH))
def test_the_published_formulation_agrees_on_small_instances(first: int) -> None:
    shape = Shape(max_types=2, max_gpus=4, max_layers=4)
    for seed in range(first, first + BATCH):
        instance, sizes = random_case(seed, shape)
        budget = random.Random(seed).uniform(0.2, 5.0)
        compact = CostCurve(instance, sizes, SolverSettings())
        published = PublishedSearch(instance, sizes, SolverSettings())
        pairs = (
            (methods.enumeration(compact, budget), published.enumeration(budget)),
            (methods.ratio(compact), published.ratio()),
        )
        for ours, theirs in pairs:
            assert (ours.placement is None) == (theirs.placement is None), seed
            if ours.placement is None or theirs.placement is None:
                continue
            assert close(ours.placement.usd_per_token, theirs.placement.usd_per_token, 1e-7), seed
        ours, theirs = pairs[0]
        if ours.placement and theirs.placement:
            assert close(ours.placement.tokens_per_s, theirs.placement.tokens_per_s, 1e-7), seed
            assert len(ours.placement.stages) == len(theirs.placement.stages), seed
