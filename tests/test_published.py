"""What the published model's answers prove, and what they leave open where time runs out."""

import math

import pyomo.core as pyo
import pytest

from pipeline import published
from pipeline.methods import AnswerStatus
from pipeline.published import PublishedSearch
from pipeline.settings import SolverSettings
from pipeline.solver import Solution, SolveStatus, solve
from tests.random_instances import Shape, random_case

NO_TIME = Solution(SolveStatus.TIME_LIMIT, None, -math.inf, 0, 0, 0.0, 0.0)


def search() -> PublishedSearch:
    instance, sizes = random_case(5197, Shape(max_types=2, max_gpus=4, max_layers=4))
    return PublishedSearch(instance, sizes, SolverSettings())


def test_a_throughput_whose_least_cost_is_not_known_is_not_called_optimal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proven = search().enumeration()
    assert proven.status is AnswerStatus.OPTIMAL
    left = [True]

    def until_late(model: pyo.ConcreteModel, settings: SolverSettings) -> Solution:
        return solve(model, settings) if left and left.pop() else NO_TIME

    monkeypatch.setattr(published, "solve", until_late)
    answer = search().enumeration()
    assert answer.status is AnswerStatus.TIME_LIMIT
    # The throughput itself is proven, so the bound is what it was.
    assert answer.bound == pytest.approx(proven.bound)
    assert answer.gap == pytest.approx(0.0, abs=1e-9)


def test_an_answer_without_a_bound_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def incumbent_alone(model: pyo.ConcreteModel, settings: SolverSettings) -> Solution:
        found = solve(model, settings)
        size = (found.variables, found.constraints, 0.0, 0.0)
        return Solution(SolveStatus.TIME_LIMIT, found.objective, -math.inf, *size)

    monkeypatch.setattr(published, "solve", incumbent_alone)
    for answer in (search().enumeration(), search().weighted(0.5), search().ratio()):
        assert answer.status is AnswerStatus.TIME_LIMIT
        assert answer.placement is not None
        assert (answer.bound, answer.gap) == (None, None)
