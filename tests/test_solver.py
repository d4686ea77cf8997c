"""HiGHS behind one module: typed answers, checked options, and no trust in its presolve."""

import math
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pyomo.core as pyo
import pytest

from pipeline import solver
from pipeline.errors import SolverError
from pipeline.formulation.pairwise import Weights, build
from pipeline.published import PublishedSearch
from pipeline.settings import SolverSettings
from pipeline.solver import Solution, SolveStatus, shadow_prices, solve
from tests.random_instances import Shape, random_case


def knapsack(values: list[float], weights: list[float], room: float) -> pyo.ConcreteModel:
    """Minimise minus the value of what is packed."""
    model = pyo.ConcreteModel()
    model.taken = pyo.Var(range(len(values)), domain=pyo.Binary)
    packed = sum(w * x for w, x in zip(weights, model.taken.values(), strict=True))
    model.room = pyo.Constraint(expr=packed <= room)
    worth = sum(-v * x for v, x in zip(values, model.taken.values(), strict=True))
    model.objective = pyo.Objective(expr=worth)
    return model


def test_an_optimum_comes_with_objective_bound_and_values() -> None:
    # Of weights 2, 3, 4 two fit into 6 with value 5 + 3 (2 and 4); 3 + 4 do not fit.
    model = knapsack([5, 4, 3], [2, 3, 4], 6)
    solution = solve(model, SolverSettings())
    assert solution.status is SolveStatus.OPTIMAL
    assert solution.objective == pytest.approx(-9)  # 2 + 3 weigh 5: values 5 + 4
    assert solution.bound == pytest.approx(-9)
    assert [round(pyo.value(x)) for x in model.taken.values()] == [1, 1, 0]
    assert (solution.variables, solution.constraints) == (3, 1)


def test_the_answer_is_right_where_presolve_would_call_another_point_optimal() -> None:
    # One group must take all layers: at $0.80/h and 478,974 tokens/s, or at $1.66949686/h and
    # 661,245 tokens/s. Per token the first is cheaper, 1.67e-6 against 2.52e-6 $·s/(h·token), so
    # its score 0.8 − p·478,974 is negative at the price p of the second, whose own score is 0.
    # HiGHS 1.16.0 with presolve answers 0.
    instance, sizes = random_case(5197, Shape(max_types=2, max_gpus=4, max_layers=4))
    problem = PublishedSearch(instance, sizes, SolverSettings()).problem
    price = 1.66949686 / 661244.5056398675
    model = build(problem, Weights(throughput=price * problem.fastest, cost=1.0))
    solution = solve(model, SolverSettings())
    assert solution.objective == pytest.approx(0.8 - price * 478974.2977601889)


def test_infeasible_is_a_status_whether_the_solver_or_the_compiler_sees_it() -> None:
    model = knapsack([1.0], [1.0], 1.0)
    model.more = pyo.Constraint(expr=model.taken[0] >= 2)
    assert solve(model, SolverSettings()).status is SolveStatus.INFEASIBLE
    trivial = pyo.ConcreteModel()
    trivial.x = pyo.Var(bounds=(0, 1))
    trivial.never = pyo.Constraint(expr=0 * trivial.x >= 1)
    trivial.objective = pyo.Objective(expr=trivial.x)
    solution = solve(trivial, SolverSettings())
    assert solution.status is SolveStatus.INFEASIBLE
    assert solution.bound == math.inf


@pytest.mark.parametrize("objective", [None, -100.0])
def test_a_second_run_finds_what_the_first_called_infeasible_or_not_the_best(
    objective: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against an infeasible first run the second was compared with infinity less infinity."""
    answered, right = solver._answer, []

    def wrong_at_first(*args: Any) -> Solution:
        found = answered(*args)
        right.append(found)
        if len(right) > 1:
            return found
        status = SolveStatus.INFEASIBLE if objective is None else SolveStatus.OPTIMAL
        return replace(found, status=status, objective=objective, bound=objective or math.inf)

    chance = np.random.default_rng(4)
    values, weights = (chance.integers(10, 99, 20).astype(float).tolist() for _ in range(2))
    model = knapsack(values, weights, 0.4 * sum(weights) + 0.5)  # takes ten nodes
    monkeypatch.setattr(solver, "_answer", wrong_at_first)
    solution = solve(model, SolverSettings())
    assert len(right) == 2
    assert solution.status is SolveStatus.OPTIMAL
    assert solution.objective == pytest.approx(right[0].objective)
    assert solution.bound == pytest.approx(right[0].bound)


def test_a_time_limit_is_an_answer_and_never_called_optimal() -> None:
    values = [float(7 * i % 31 + i) for i in range(60)]
    weights = [float(5 * i % 29 + i + 1) for i in range(60)]
    solution = solve(knapsack(values, weights, 700.0), SolverSettings(time_limit_s=0.0))
    assert solution.status is SolveStatus.TIME_LIMIT


def test_a_program_without_integers_that_ran_out_of_time_has_no_bound() -> None:
    # The optimum is −10 (x = 10); without time HiGHS is left at x = 0, whose 0 bounds nothing.
    model = pyo.ConcreteModel()
    model.x = pyo.Var(bounds=(0, 20))
    model.room = pyo.Constraint(expr=2 * model.x <= 20)
    model.objective = pyo.Objective(expr=-model.x)
    solution = solve(model, SolverSettings(time_limit_s=0.0))
    assert solution.status is SolveStatus.TIME_LIMIT
    assert solution.bound == -math.inf
    assert solve(model, SolverSettings()).bound == pytest.approx(-10)


def test_a_gap_that_was_asked_for_is_feasible_and_not_optimal() -> None:
    solution = solve(knapsack([5, 4, 3], [2, 3, 4], 6), SolverSettings(mip_gap=0.05))
    assert solution.status is SolveStatus.FEASIBLE


def test_a_misspelt_option_is_refused() -> None:
    settings = SolverSettings(highs_options={"mip_rel_gpa": 0.1})
    with pytest.raises(SolverError, match="mip_rel_gpa"):
        solve(knapsack([1.0], [1.0], 1.0), settings)


def test_an_optimum_without_an_objective_cannot_be_made() -> None:
    with pytest.raises(SolverError, match="without an objective"):
        Solution(SolveStatus.OPTIMAL, None, 0.0, 1, 1, 0.0, 0.0)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    solve(knapsack([1.0], [1.0], 1.0), SolverSettings())
    assert capfd.readouterr() == ("", "")


ONE_SOLVE = """
import pyomo.core as pyo
from pipeline.settings import SolverSettings
from pipeline.solver import solve
model = pyo.ConcreteModel()
model.x = pyo.Var(bounds=(0, 3), domain=pyo.Integers)
model.row = pyo.Constraint(expr=2 * model.x >= 3)
model.objective = pyo.Objective(expr=model.x)
assert solve(model, SolverSettings()).objective == 2
"""
A_COMMAND = """
import sys
from pipeline.cli import main
sys.argv = ["placement", "solve", "medium", "--granularity", "coarsest", "--json"]
try:
    main()
except SystemExit as ended:
    assert not ended.code
"""


@pytest.mark.parametrize("solves", [ONE_SOLVE, A_COMMAND], ids=["one model", "a command"])
def test_a_process_that_solves_imports_no_more_than_it_needs(solves: str) -> None:
    """Together these would take longer than all other imports."""
    unneeded = ("scipy.stats", "pandas", "pyomo.environ", "ray", "altair")
    program = f"{solves}\nimport sys\nprint([n for n in {unneeded!r} if n in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stdout.splitlines()[-1:] == ["[]"], ended.stderr


def test_a_shadow_price_is_what_one_more_of_a_limit_saves() -> None:
    # Of ten, x costs 2 and y costs 5; at most three x: 3·2 + 7·5. A fourth x saves 3.
    costs, rows = np.array([2.0, 5.0]), np.array([[1.0, 0.0], [0.0, 1.0]])
    prices = shadow_prices(costs, rows, np.array([3.0, 20.0]), total=10.0)
    assert prices.tolist() == [3.0, 0.0]


def test_a_program_that_no_point_satisfies_has_no_prices() -> None:
    with pytest.raises(SolverError, match="Infeasible"):
        shadow_prices(np.array([1.0]), np.array([[1.0]]), np.array([3.0]), total=10.0)
