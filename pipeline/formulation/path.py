"""The path model: the compact model where links matter, so that the order of groups does too.

Nodes are the group classes that the network tells apart; a pipeline is a walk over classes that
visits class c once per group used of it. To the compact model's rows it adds, with v_c the
groups used of class c,

    s_c + Σ_a f_ac = v_c        every visit is the start or comes over a link   (arrivals)
    e_c + Σ_b f_cb = v_c        every visit is the end or leaves over a link    (departures)
    Σ_c s_c = Σ_c e_c = 1       one start, one end                              (ends)
    S·s_c + Σ_a g_ac − Σ_b g_cb ≥ v_c,   0 ≤ g_ab ≤ (S−1)·f_ab                  (supply)

f_ab integer ≥ 0: hops from class a to class b, only where such a link carries T. g_ab: what the
start sends over these hops. Integers that keep the first three rows form one walk and, possibly,
closed loops apart from it (Euler); a loop apart would get no supply, so the fourth leaves none.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyomo.core as pyo
from numpy.typing import NDArray

from pipeline.formulation.compact import CompactModel, CompactProblem, plain_sum, weighted_sum

Arc = tuple[int, int]


@dataclass(frozen=True)
class PathModel:
    """A compact model with hops; the classes are those that its runs use."""

    compact: CompactModel
    problem: CompactProblem

    def hops(self) -> dict[Arc, int]:
        """Return the hops between classes in the incumbent, with how often each is taken."""
        taken = ((arc, round(pyo.value(flow))) for arc, flow in self.model.hops.items())
        return {arc: count for arc, count in taken if count}

    @property
    def model(self) -> pyo.ConcreteModel:
        """The Pyomo model."""
        return self.compact.model

    def start(self) -> int:
        """Return the class at which the incumbent's walk starts."""
        return next(int(c) for c, start in self.model.starts.items() if pyo.value(start) > 0.5)


def add_hops(built: CompactModel, problem: CompactProblem, linked: NDArray[np.bool_]) -> PathModel:
    """Add the walk to a compact model.

    linked: shape (classes, classes), whether a link from row to column carries T.
    """
    model = built.model
    classes = sorted({run.group_class for run in problem.runs})
    arcs = [(a, b) for a in classes for b in classes if linked[a, b]]
    most = {c: _most_visits(problem, c) for c in classes}
    model.hops = pyo.Var(arcs, domain=pyo.NonNegativeIntegers)
    for (a, b), flow in model.hops.items():
        flow.setub(min(most[a], most[b]))
    model.starts = pyo.Var(classes, domain=pyo.Binary)
    model.ends = pyo.Var(classes, domain=pyo.Binary)
    add_arrivals(model, problem, classes)
    add_departures(model, problem, classes)
    add_ends(model)
    add_supply(model, problem, classes)
    return PathModel(built, problem)


def add_arrivals(model: pyo.ConcreteModel, problem: CompactProblem, classes: list[int]) -> None:
    """Let every visit be the start or come over a link: s_c + Σ_a f_ac − v_c = 0."""
    into: dict[int, list[pyo.Var]] = {c: [model.starts[c]] for c in classes}
    for (_, b), flow in model.hops.items():
        into[b].append(flow)
    _balance(model, problem, "arrivals", into)


def add_departures(model: pyo.ConcreteModel, problem: CompactProblem, classes: list[int]) -> None:
    """Let every visit be the end or leave over a link: e_c + Σ_b f_cb − v_c = 0."""
    out_of: dict[int, list[pyo.Var]] = {c: [model.ends[c]] for c in classes}
    for (a, _), flow in model.hops.items():
        out_of[a].append(flow)
    _balance(model, problem, "departures", out_of)


def add_ends(model: pyo.ConcreteModel) -> None:
    """Let the walk start once and end once: Σ s = 1, Σ e = 1."""
    model.one_start = pyo.Constraint(expr=plain_sum(list(model.starts.values())) == 1)
    model.one_end = pyo.Constraint(expr=plain_sum(list(model.ends.values())) == 1)


def add_supply(model: pyo.ConcreteModel, problem: CompactProblem, classes: list[int]) -> None:
    """Tie every visit to the start: S·s_c + Σ_a g_ac − Σ_b g_cb ≥ v_c, g_ab ≤ (S−1)·f_ab."""
    supply = float(problem.max_stages)
    arcs = [(a, b) for a, b in model.hops if a != b]
    model.sent = pyo.Var(arcs, domain=pyo.NonNegativeReals)
    model.sent_over_hops = pyo.ConstraintList()
    received: dict[int, tuple[list[float], list[pyo.Var]]] = {
        c: ([supply], [model.starts[c]]) for c in classes
    }
    for (a, b), sent in model.sent.items():
        over_hop = weighted_sum([1.0, 1.0 - supply], [sent, model.hops[a, b]])
        model.sent_over_hops.add(over_hop <= 0)
        for c, sign in ((b, 1.0), (a, -1.0)):
            received[c][0].append(sign)
            received[c][1].append(sent)
    model.supply = pyo.ConstraintList()
    for c, (factors, variables) in received.items():
        visits = _visits(model, problem, c)
        row = weighted_sum([*factors, *([-1.0] * len(visits))], [*variables, *visits])
        model.supply.add(row >= 0)


def walk(path: PathModel) -> list[int]:
    """Return the classes of the incumbent in pipeline order (Hierholzer's algorithm).

    Every hop is taken exactly as often as the model counted it.
    """
    left = Counter(path.hops())
    trail: list[int] = []
    stack = [path.start()]
    while stack:
        onward = next((arc for arc in sorted(left) if arc[0] == stack[-1] and left[arc]), None)
        if onward is None:
            trail.append(stack.pop())
        else:
            left[onward] -= 1
            stack.append(onward[1])
    return trail[::-1]


def _most_visits(problem: CompactProblem, group_class: int) -> int:
    """Return the most groups of a class that a pipeline can use."""
    return min(len(problem.groups.classes[group_class].first_gpu_ids), problem.max_stages)


def _visits(model: pyo.ConcreteModel, problem: CompactProblem, group_class: int) -> list[pyo.Var]:
    """Return the variables that count the groups used of a class."""
    return [
        model.groups_used[index]
        for index, run in enumerate(problem.runs)
        if run.group_class == group_class
    ]


def _balance(
    model: pyo.ConcreteModel, problem: CompactProblem, name: str, sides: dict[int, list[pyo.Var]]
) -> None:
    rows = pyo.ConstraintList()
    model.add_component(name, rows)
    for c, variables in sides.items():
        visits = _visits(model, problem, c)
        factors = [1.0] * len(variables) + [-1.0] * len(visits)
        rows.add(weighted_sum(factors, [*variables, *visits]) == 0)
