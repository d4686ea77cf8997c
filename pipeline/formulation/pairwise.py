"""The published model: a binary per segment and per pair of segments that can follow each other.

It is the yardstick and the check on small cases: with throughput as a variable behind big-M rows
its relaxation says little, and its size grows with the square of the segments.

    maximise    α · t/τ_max − β · Σ_i c_i · x_i − γ · Σ_i x_i             (objective)
    subject to  Σ_{i covers l} x_i = 1             for every layer l      (layers)
                Σ_{i uses p} x_i ≤ 1               for every GPU p        (gpus)
                Σ_i x_i ≤ S                                               (stages)
                Σ_j y_ij = x_i                     unless i ends at L     (departures)
                Σ_i y_ij = x_j                     unless j starts at 1   (arrivals)
                t ≤ τ_i + τ_max · (1 − x_i)        for every segment      (segment throughput)
                t ≤ λ_ij + τ_max · (1 − y_ij)      for every connection   (link throughput)
                Σ_i c_i · x_i ≤ B                                         (budget)

x_i, y_ij binary; τ_i throughput and c_i cost of segment i, λ_ij throughput of the link of a
connection, τ_max the largest τ. Source: the published system.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pyomo.core as pyo

from pipeline.formulation.compact import plain_sum, weighted_sum, within


@dataclass(frozen=True)
class Segment:
    """`size` layers from `start`, counted from 1, on the group of a class at a lowest GPU id."""

    group_class: int
    gpu_ids: tuple[int, ...]
    start: int
    size: int
    tokens_per_s: float
    usd_per_hour: float

    @property
    def end(self) -> int:
        """Last layer."""
        return self.start + self.size - 1


@dataclass(frozen=True)
class Connection:
    """Two segments, by index, of which the second follows the first, and their link."""

    one: int
    other: int
    tokens_per_s: float


@dataclass(frozen=True)
class PairwiseProblem:
    """Everything that the model is built from."""

    segments: tuple[Segment, ...]
    connections: tuple[Connection, ...]
    num_layers: int
    num_gpus: int
    max_stages: int

    @property
    def fastest(self) -> float:
        """The largest throughput of any segment, tokens/s."""
        return max(segment.tokens_per_s for segment in self.segments)


@dataclass(frozen=True)
class Weights:
    """What to seek: the weight of throughput (as a share of the largest), cost and stages."""

    throughput: float = 0.0
    cost: float = 0.0
    stages: float = 0.0


def build(
    problem: PairwiseProblem,
    weights: Weights,
    max_usd_per_hour: float = math.inf,
    min_tokens_per_s: float = 0.0,
) -> pyo.ConcreteModel:
    """Build the model; its objective is minimised, so it is the negative of the one above."""
    model = pyo.ConcreteModel()
    model.segment = pyo.Var(range(len(problem.segments)), domain=pyo.Binary)
    model.connection = pyo.Var(range(len(problem.connections)), domain=pyo.Binary)
    model.throughput = pyo.Var(bounds=(min_tokens_per_s / problem.fastest, 1.0))
    chosen = list(model.segment.values())
    followed = list(model.connection.values())
    add_layers(model, problem, chosen)
    add_gpus(model, problem, chosen)
    model.stages = pyo.Constraint(expr=plain_sum(chosen) <= problem.max_stages)
    add_arrivals_and_departures(model, problem, chosen, followed)
    add_throughput(model, problem, chosen, followed)
    costs = [segment.usd_per_hour for segment in problem.segments]
    if math.isfinite(max_usd_per_hour):
        limit = within(max_usd_per_hour)
        model.budget = pyo.Constraint(expr=weighted_sum(costs, chosen) <= limit)
    per_segment = [weights.cost * cost + weights.stages for cost in costs]
    objective = weighted_sum([*per_segment, -weights.throughput], [*chosen, model.throughput])
    model.objective = pyo.Objective(expr=objective)
    return model


def add_layers(model: pyo.ConcreteModel, problem: PairwiseProblem, chosen: list[pyo.Var]) -> None:
    """Cover every layer once: Σ_{i covers l} x_i = 1."""
    covering: list[list[pyo.Var]] = [[] for _ in range(problem.num_layers)]
    for variable, segment in zip(chosen, problem.segments, strict=True):
        for layer in range(segment.start, segment.end + 1):
            covering[layer - 1].append(variable)
    model.layers = pyo.ConstraintList()
    for variables in covering:
        model.layers.add(plain_sum(variables) == 1)


def add_gpus(model: pyo.ConcreteModel, problem: PairwiseProblem, chosen: list[pyo.Var]) -> None:
    """Use every GPU at most once: Σ_{i uses p} x_i ≤ 1."""
    using: list[list[pyo.Var]] = [[] for _ in range(problem.num_gpus)]
    for variable, segment in zip(chosen, problem.segments, strict=True):
        for gpu in segment.gpu_ids:
            using[gpu].append(variable)
    model.gpus = pyo.ConstraintList()
    for variables in using:
        if len(variables) > 1:
            model.gpus.add(plain_sum(variables) <= 1)


def add_arrivals_and_departures(
    model: pyo.ConcreteModel,
    problem: PairwiseProblem,
    chosen: list[pyo.Var],
    followed: list[pyo.Var],
) -> None:
    """Join chosen segments: Σ_j y_ij = x_i unless i ends at L, Σ_i y_ij = x_j unless j starts."""
    leaving: list[list[pyo.Var]] = [[] for _ in chosen]
    entering: list[list[pyo.Var]] = [[] for _ in chosen]
    for variable, connection in zip(followed, problem.connections, strict=True):
        leaving[connection.one].append(variable)
        entering[connection.other].append(variable)
    model.joints = pyo.ConstraintList()
    for index, segment in enumerate(problem.segments):
        sides = [leaving[index]] * (segment.end < problem.num_layers)
        sides += [entering[index]] * (segment.start > 1)
        for side in sides:
            row = weighted_sum([1.0] * len(side) + [-1.0], [*side, chosen[index]])
            model.joints.add(row == 0)


def add_throughput(
    model: pyo.ConcreteModel,
    problem: PairwiseProblem,
    chosen: list[pyo.Var],
    followed: list[pyo.Var],
) -> None:
    """Hold the throughput below every chosen segment and link: t + M·x_i ≤ τ_i + M, M = τ_max.

    In units of τ_max; links at least as fast as every segment need no row.
    """
    model.rates = pyo.ConstraintList()
    rated = [(v, s.tokens_per_s) for v, s in zip(chosen, problem.segments, strict=True)]
    rated += [(v, c.tokens_per_s) for v, c in zip(followed, problem.connections, strict=True)]
    for variable, rate in rated:
        share = rate / problem.fastest
        if share < 1:
            row = weighted_sum([1.0, 1.0], [model.throughput, variable])
            model.rates.add(row <= share + 1.0)


def chosen_segments(model: pyo.ConcreteModel, problem: PairwiseProblem) -> Sequence[Segment]:
    """Return the incumbent's segments in pipeline order."""
    picked = (i for i, variable in model.segment.items() if pyo.value(variable) > 0.5)
    return sorted((problem.segments[i] for i in picked), key=lambda segment: segment.start)
