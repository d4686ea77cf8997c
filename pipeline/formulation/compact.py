"""The compact model: the cheapest pipeline that reaches a given throughput, links aside.

All layers are alike, and so are the groups of one class; so neither the start layer nor the
group's identity matters, only how many groups of which class take how many layers. With the
throughput T fixed, options below T are out, and what remains is

    minimise    Σ_r c_r · n_r                                    (cost)
    subject to  Σ_r lo_r · n_r ≤ L ≤ Σ_r hi_r · n_r              (layers)
                Σ_r n_r ≤ S                                      (stages)
                Σ_{r of class c} n_r + Σ_{a around c} m_ac · Σ_{r of class a} n_r ≤ N_c   (groups)
                Σ_a z_a = 1,  n_r ≤ u_r · Σ_{a ∋ r} z_a                  (alternatives)
                n_r integer, ≥ 0; z_a binary

where r runs over the runs of sizes that reach T (see `runs`), lo_r and hi_r are their smallest
and largest size, c_r the price of a group in $/h, L the layers, S the most stages, N_c the
groups of class c, and m_ac how many blocks of class c lie inside one block of class a. The
alternatives are there only under limits such as one TP degree for all stages.

A fixed T needs no big-M row, and T takes only the options' own values. That integers within
these rows always unfold to disjoint aligned groups is shown in docs/formulation.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import TypeVar

import numpy as np
import pyomo.core as pyo
from numpy.typing import NDArray
from pyomo.core.expr import LinearExpression

from pipeline.groups import GroupClasses
from pipeline.runs import Run

# Objectives are kept in whole numbers where prices allow it: the solver then rounds its bound up
# and proves optimality in far fewer steps. Beyond this the coefficients lose precision instead.
MAX_SCALE = 1_000_000
# Whole numbers of more digits have no halves between them.
MAX_WHOLE = 2.0**52

Cost = TypeVar("Cost", float, NDArray[np.float64])


class Goal(Enum):
    """What to minimise."""

    COST = "cost"
    STAGES = "stages"


@dataclass(frozen=True)
class CompactProblem:
    """What the compact model needs: runs over the groups' classes, layers and stages.

    alternatives: sets of runs, by index, of which a placement may use only one; none: all.
    """

    groups: GroupClasses
    runs: tuple[Run, ...]
    num_layers: int
    max_stages: int
    alternatives: tuple[frozenset[int], ...] = ()


@dataclass(frozen=True)
class CompactModel:
    """A built model and the factor between its objective and $/h."""

    model: pyo.ConcreteModel
    cost_scale: int

    def counts(self) -> list[int]:
        """Return the number of groups of each run in the incumbent."""
        return group_counts(self.model)


def build(
    problem: CompactProblem, goal: Goal = Goal.COST, max_usd_per_hour: float = math.inf
) -> CompactModel:
    """Build the model. max_usd_per_hour: most that the placement may cost."""
    model = pyo.ConcreteModel()
    model.groups_used = pyo.Var(range(len(problem.runs)), domain=pyo.NonNegativeIntegers)
    used = list(model.groups_used.values())
    for variable, run in zip(used, problem.runs, strict=True):
        variable.setub(most_groups(problem, run))
    scale = cost_scale(run.usd_per_hour for run in problem.runs)
    add_layers(model, problem, used)
    add_stages(model, problem, used)
    add_groups(model, problem, used)
    if problem.alternatives:
        add_alternatives(model, problem, used)
    if math.isfinite(max_usd_per_hour):
        add_budget(model, problem, used, max_usd_per_hour, scale)
    costs = scaled_prices(problem, scale) if goal is Goal.COST else [1.0] * len(used)
    model.objective = pyo.Objective(expr=weighted_sum(costs, used))
    return CompactModel(model, scale)


def add_layers(model: pyo.ConcreteModel, problem: CompactProblem, used: list[pyo.Var]) -> None:
    """Cover all layers, none twice: Σ lo·n ≤ L ≤ Σ hi·n; one equation where lo = hi throughout."""
    fewest = weighted_sum([float(run.smallest) for run in problem.runs], used)
    most = weighted_sum([float(run.largest) for run in problem.runs], used)
    if all(run.smallest == run.largest for run in problem.runs):
        model.layers = pyo.Constraint(expr=fewest == problem.num_layers)
        return
    model.fewest_layers = pyo.Constraint(expr=fewest <= problem.num_layers)
    model.most_layers = pyo.Constraint(expr=most >= problem.num_layers)


def add_stages(model: pyo.ConcreteModel, problem: CompactProblem, used: list[pyo.Var]) -> None:
    """Use no more stages than allowed: Σ n ≤ S."""
    model.stages = pyo.Constraint(expr=plain_sum(used) <= problem.max_stages)


def add_groups(model: pyo.ConcreteModel, problem: CompactProblem, used: list[pyo.Var]) -> None:
    """Use no GPU twice: n_c + Σ_a m_ac·n_a ≤ N_c for every class c.

    n_c: groups used of class c. m_ac: blocks of class c inside one block of class a. N_c: groups
    of class c. A block used as a group takes all blocks inside it.
    """
    of_class: dict[int, list[pyo.Var]] = {}
    for variable, run in zip(used, problem.runs, strict=True):
        of_class.setdefault(run.group_class, []).append(variable)
    around: dict[int, list[tuple[int, int]]] = {}
    for (outer, inner), inside in problem.groups.contained.items():
        if outer in of_class:
            around.setdefault(inner, []).append((outer, inside))
    model.groups = pyo.ConstraintList()
    for index, group_class in enumerate(problem.groups):
        terms = [(1.0, v) for v in of_class.get(index, ())]
        terms += [(float(m), v) for outer, m in around.get(index, ()) for v in of_class[outer]]
        available = len(group_class.first_gpu_ids)
        can_bind = max((f for f, _ in terms), default=0.0) * problem.max_stages > available
        if can_bind:
            model.groups.add(
                weighted_sum([f for f, _ in terms], [v for _, v in terms]) <= available
            )


def add_alternatives(
    model: pyo.ConcreteModel, problem: CompactProblem, used: list[pyo.Var]
) -> None:
    """Use runs of one alternative only: Σ_a z_a = 1, n_r ≤ u_r · Σ_{a ∋ r} z_a.

    z_a binary: whether alternative a is the one. u_r: most groups of run r.
    """
    chosen = pyo.Var(range(len(problem.alternatives)), domain=pyo.Binary)
    model.alternative = chosen
    model.one_alternative = pyo.Constraint(expr=plain_sum(list(chosen.values())) == 1)
    model.within_alternative = pyo.ConstraintList()
    for index, (variable, run) in enumerate(zip(used, problem.runs, strict=True)):
        allowing = [chosen[a] for a, runs in enumerate(problem.alternatives) if index in runs]
        most = float(most_groups(problem, run))
        factors = [1.0] + [-most] * len(allowing)
        model.within_alternative.add(weighted_sum(factors, [variable, *allowing]) <= 0)


def add_budget(
    model: pyo.ConcreteModel,
    problem: CompactProblem,
    used: list[pyo.Var],
    max_usd_per_hour: float,
    scale: int,
) -> None:
    """Stay within a cost: Σ c·n ≤ B, both sides in units of the scaled objective.

    Whole prices have whole sums: B is then moved between two of them, far from either, so that no
    tolerance of the solver lets one pass that is a little above it.
    """
    prices, limit = scaled_prices(problem, scale), within(max_usd_per_hour) * scale
    if all(price.is_integer() for price in prices) and limit < MAX_WHOLE:
        limit = math.floor(limit) + 0.5
    model.budget = pyo.Constraint(expr=weighted_sum(prices, used) <= limit)


def within(usd_per_hour: Cost) -> Cost:
    """Return a cost, or costs, with the tolerance that sums of decimals need: 1e-9, relative."""
    return usd_per_hour * (1 + 1e-9)


def cost_scale(prices: Iterable[float]) -> int:
    """Return a factor that makes all prices whole numbers, where one up to a million does.

    The denominators are those of the prices as written, 0.35 = 7/20.
    """
    denominators = {Fraction(repr(price)).denominator for price in prices}
    return min(math.lcm(*denominators), MAX_SCALE)


def unscaled(bound: float, scale: int, goal: Goal) -> float:
    """Return a bound on the scaled objective in $/h, or in stages."""
    return bound / scale if goal is Goal.COST else bound


def scaled_prices(problem: CompactProblem, scale: int) -> list[float]:
    """Return the groups' prices in units of the scaled objective, whole where they can be."""
    return [float(Fraction(repr(run.usd_per_hour)) * scale) for run in problem.runs]


def most_groups(problem: CompactProblem, run: Run) -> int:
    """Bound the groups of a run by members, stages and layers."""
    members = len(problem.groups.classes[run.group_class].first_gpu_ids)
    return min(members, problem.max_stages, problem.num_layers // run.smallest)


def weighted_sum(factors: list[float], variables: list[pyo.Var]) -> LinearExpression:
    """Return Σ factor · variable, in the form that Pyomo compiles fastest."""
    return LinearExpression(linear_coefs=factors, linear_vars=variables)


def plain_sum(variables: list[pyo.Var]) -> LinearExpression:
    """Return Σ variable, in the same form."""
    return weighted_sum([1.0] * len(variables), variables)


def group_counts(model: pyo.ConcreteModel) -> list[int]:
    """Return the number of groups of each run in a model's incumbent."""
    return [round(pyo.value(variable)) for variable in model.groups_used.values()]
