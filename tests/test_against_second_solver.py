"""CP-SAT, another solver with another model, finds the same optima as HiGHS.

Its model has a binary for every concrete block of GPUs and size; throughputs and memory come from
the oracle's scalar formulas; prices are whole numbers of 10^-9 $/h.
"""

import math
import random

import pytest

import pipeline.solver  # noqa: F401  (OR-tools carries a HiGHS of its own: highspy must be first)

from ortools.sat.python import cp_model  # isort: skip

from pipeline import methods
from pipeline.curve import CostCurve
from pipeline.granularity import Granularity, granularity
from pipeline.instance import Instance
from pipeline.methods import AnswerStatus
from pipeline.performance.flops import GPU_FIGURES
from pipeline.settings import SolverSettings
from tests import oracle
from tests.builders import reference_instance
from tests.random_instances import Shape, random_case

NANO = 10**9
Best = tuple[float, float]


def figured(instance: Instance) -> Instance:
    """Put the catalogue's figures where the oracle reads them."""
    figures = {kind.name: GPU_FIGURES[kind.name] for kind in instance.pool}
    instance.performance.gpus.update(figures)
    return instance


def fastest_then_cheapest(instance: Instance, sizes: Granularity, budget: float) -> Best | None:
    """Solve with CP-SAT: highest throughput within a budget, then lowest cost, in $/h."""
    model = cp_model.CpModel()
    choices = []
    for group in oracle.all_groups(instance):
        kind = instance.pool[group.kind]
        price = round(group.degree * round(kind.usd_per_hour * NANO))
        for size in oracle.allowed_sizes(instance, kind, group.degree, sizes.sizes):
            rate = oracle.stage_rate(instance, kind, group.degree, size)
            choices.append((model.new_bool_var(""), group, size, rate, price))
    rates = sorted({rate for *_, rate, _ in choices})
    rank = model.new_int_var(0, max(len(rates) - 1, 0), "rank")
    for gpu in range(sum(kind.count for kind in instance.pool)):
        model.add_at_most_one(x for x, group, *_ in choices if gpu in group.gpu_ids)
    model.add(sum(size * x for x, _, size, _, _ in choices) == instance.num_layers)
    model.add(sum(x for x, *_ in choices) <= instance.limits.max_stages)
    cost = sum(price * x for x, *_, price in choices)
    model.add(cost <= math.floor(budget * NANO + 0.5))
    for x, _, _, rate, _ in choices:
        model.add(rank <= rates.index(rate)).only_enforce_if(x)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    model.maximize(rank)
    if solver.solve(model) != cp_model.OPTIMAL:
        return None
    reached = solver.value(rank)
    model.add(rank == reached)
    model.clear_objective()  # type: ignore[no-untyped-call]
    model.minimize(cost)
    assert solver.solve(model) == cp_model.OPTIMAL
    return rates[reached], solver.objective_value / NANO


def check(instance: Instance, sizes: Granularity, budget: float) -> bool:
    """Compare one point; return whether it has a placement."""
    expected = fastest_then_cheapest(instance, sizes, budget)
    answer = methods.enumeration(CostCurve(instance, sizes, SolverSettings()), budget)
    if expected is None:
        assert answer.status is AnswerStatus.INFEASIBLE
        return False
    assert answer.status is AnswerStatus.OPTIMAL
    assert answer.placement is not None
    assert math.isclose(answer.placement.tokens_per_s, expected[0], rel_tol=1e-9)
    assert math.isclose(answer.placement.usd_per_hour, expected[1], rel_tol=1e-9)
    return True


@pytest.mark.parametrize("first", range(0, 210, 70))
def test_the_second_solver_agrees_on_pools_beyond_exhaustive_search(first: int) -> None:
    shape = Shape(max_types=4, max_gpus=12, max_layers=16, linked=False, filtered=False)
    placed = 0
    for seed in range(first, first + 70):
        instance, sizes = random_case(seed, shape)
        budget = round(random.Random(seed).uniform(0.5, 12.0), random.Random(seed).randint(0, 9))
        placed += check(instance, sizes, budget)
    assert placed > 20  # most of them are no empty questions


@pytest.mark.parametrize("name", ["coarsest", "coarse", "moderate", "fine"])
@pytest.mark.parametrize("budget", [2.4, 3.6, 5.4])
def test_the_second_solver_agrees_on_the_reference_instance(name: str, budget: float) -> None:
    assert check(figured(reference_instance()), granularity(name, 40), budget)
