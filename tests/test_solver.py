"""HiGHS behind one module: typed answers, checked options, and no trust in its presolve."""

import math

import pyomo.environ as pyo
import pytest

from pipeline.errors import SolverError
from pipeline.settings import SolverSettings
from pipeline.solver import Solution, SolveStatus, solve


def knapsack(values: list[float], weights: list[float], room: float) -> pyo.ConcreteModel:
    """Minimise minus the value of what is packed."""
    model = pyo.ConcreteModel()
    model.taken = pyo.Var(range(len(values)), domain=pyo.Binary)
    packed = sum(w * x for w, x in zip(weights, model.taken.values(), strict=True))
    model.room = pyo.Constraint(expr=packed <= room)
    worth = sum(-v * x for v, x in zip(values, model.taken.values(), strict=True))
    model.objective = pyo.Objective(expr=worth)
    return model


def two_offers() -> pyo.ConcreteModel:
    """One of two offers must be taken: cost 0.8 at rate 0.54, or cost 1.67 at rate 0.75.

    HiGHS 1.16.0 with presolve calls the second one optimal.
    """
    model = pyo.ConcreteModel()
    model.x = pyo.Var(range(3), domain=pyo.Binary)
    model.t = pyo.Var(bounds=(0, 1))
    model.one = pyo.Constraint(expr=sum(model.x.values()) == 1)
    model.rates = pyo.ConstraintList()
    for x, rate in zip(model.x.values(), (0.54, 0.75, 0.75), strict=True):
        model.rates.add(model.t + x <= 1 + rate)
    cost = 0.8 * model.x[0] + 1.67 * model.x[1] + 1.67 * model.x[2]
    model.objective = pyo.Objective(expr=cost - 2.2266 * model.t)
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


def test_the_cheaper_of_two_offers_is_found_where_presolve_would_miss_it() -> None:
    # 0.8 − 2.2266·0.54 = −0.402; 1.67 − 2.2266·0.75 = 0.00005.
    solution = solve(two_offers(), SolverSettings())
    assert solution.objective == pytest.approx(0.8 - 2.2266 * 0.54)


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


def test_a_time_limit_is_an_answer_and_never_called_optimal() -> None:
    values = [float(7 * i % 31 + i) for i in range(60)]
    weights = [float(5 * i % 29 + i + 1) for i in range(60)]
    solution = solve(knapsack(values, weights, 700.0), SolverSettings(time_limit_s=0.0))
    assert solution.status is SolveStatus.TIME_LIMIT


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
