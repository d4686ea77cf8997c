"""From a throughput to the cheapest pipeline that reaches it: builds and solves one model.

Two models give the answer. The compact one looks at no link; its cost is always a lower bound,
and exact where no link can be slower than the throughput asked for. The path one orders the
groups over the links that are fast enough; it is exact wherever links matter.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

from pipeline.formulation import compact, path
from pipeline.formulation.compact import CompactModel, CompactProblem, Goal, unscaled
from pipeline.formulation.path import PathModel
from pipeline.groups import GroupClasses, group_classes
from pipeline.instance import Instance
from pipeline.links import stage_links
from pipeline.options import Option
from pipeline.placement import ChosenGroup, Placement, place
from pipeline.restrictions import alternatives
from pipeline.runs import Run, deal_layers, size_runs
from pipeline.settings import Clock, SolverSettings
from pipeline.solver import Solution, solve


@dataclass
class Effort:
    """What the search took so far; sizes are those of the largest model built."""

    num_solves: int = 0
    variables: int = 0
    constraints: int = 0
    build_seconds: float = 0.0
    solve_seconds: float = 0.0
    path_solves: int = 0

    def add(self, solution: Solution, build_seconds: float) -> None:
        """Count one model that was built and solved."""
        self.num_solves += 1
        self.variables = max(self.variables, solution.variables)
        self.constraints = max(self.constraints, solution.constraints)
        self.build_seconds += build_seconds + solution.build_seconds
        self.solve_seconds += solution.solve_seconds


@dataclass(frozen=True)
class Found:
    """A solver's answer in the problem's terms.

    bound: no pipeline that was asked for has less cost in $/h (or fewer stages); infinity: there
    is none; minus infinity: nothing was proven. placement: None where none was found; its links
    may be slower than was asked for if the compact model gave it.
    """

    bound: float
    placement: Placement | None


class PipelineSearch:
    """Finds the cheapest pipelines of one instance and its options, within one time limit."""

    def __init__(
        self, instance: Instance, options: Sequence[Option], settings: SolverSettings
    ) -> None:
        self.instance = instance
        self.options = options
        self.links = stage_links(instance, options)
        self.groups = group_classes(instance, by_network=False)
        self._begin(settings)

    def fresh(self, settings: SolverSettings) -> PipelineSearch:
        """Return this search with no effort spent yet and its whole time limit before it."""
        search = copy(self)
        search._begin(settings)
        return search

    def _begin(self, settings: SolverSettings) -> None:
        self.effort = Effort()
        self.clock = Clock(settings)

    def links_bind(self, tokens_per_s: float) -> bool:
        """Tell whether some link between groups that reach a throughput does not carry it."""
        kinds = {(o.gpu, o.degree) for o in self.options if o.tokens_per_s >= tokens_per_s}
        return self.links.slowest_between(kinds) < tokens_per_s

    def without_links(
        self, tokens_per_s: float, goal: Goal = Goal.COST, max_usd_per_hour: float = math.inf
    ) -> Found:
        """Solve the compact model: links are not looked at."""
        problem = self._problem(self.groups, tokens_per_s)
        if not problem.runs:
            return Found(math.inf, None)
        started = time.perf_counter()
        built = compact.build(problem, goal, max_usd_per_hour)
        solution = self._solve(built, started)
        bound = unscaled(solution.bound, built.cost_scale, goal)
        if solution.objective is None:
            return Found(bound, None)
        chosen = self._deal(problem.runs, built.counts(), self.groups)
        return Found(bound, self._place(chosen, self.groups))

    def over_links(
        self, tokens_per_s: float, goal: Goal = Goal.COST, max_usd_per_hour: float = math.inf
    ) -> Found:
        """Solve the path model: every hop is over a link that carries the throughput."""
        groups = self.links.groups
        problem = self._problem(groups, tokens_per_s)
        if not problem.runs:
            return Found(math.inf, None)
        started = time.perf_counter()
        built = compact.build(problem, goal, max_usd_per_hour)
        linked = self.links.possible & (self.links.tokens_per_s >= tokens_per_s)
        ordered = path.add_hops(built, problem, linked)
        solution = self._solve(built, started)
        self.effort.path_solves += 1
        bound = unscaled(solution.bound, built.cost_scale, goal)
        if solution.objective is None:
            return Found(bound, None)
        return Found(bound, self._place(self._in_order(problem, ordered), groups))

    def _problem(self, groups: GroupClasses, tokens_per_s: float) -> CompactProblem:
        limits = self.instance.limits
        runs = size_runs(groups, self.options, tokens_per_s, split=limits.equal_sizes)
        return CompactProblem(
            groups=groups,
            runs=runs,
            num_layers=self.instance.num_layers,
            max_stages=limits.max_stages,
            alternatives=alternatives(limits, groups, runs),
        )

    def _solve(self, built: CompactModel, started: float) -> Solution:
        """Solve a model in the time that is left. started: when building it began."""
        build_seconds = time.perf_counter() - started
        settings = self.clock.settings_now
        solution = solve(built.model, settings)
        self.effort.add(solution, build_seconds)
        return solution

    def _deal(
        self, runs: Sequence[Run], counts: Sequence[int], groups: GroupClasses
    ) -> list[ChosenGroup]:
        """Deal the layers to the groups chosen of each run."""
        rates = {(o.gpu, o.degree, o.size): o.tokens_per_s for o in self.options}

        def rate(group_class: int, size: int) -> float:
            c = groups.classes[group_class]
            return rates[c.gpu, c.degree, size]

        dealt = deal_layers(runs, counts, self.instance.num_layers, rate)
        return [ChosenGroup(runs[run].group_class, size) for run, size in dealt]

    def _in_order(self, problem: CompactProblem, ordered: PathModel) -> list[ChosenGroup]:
        """Put the groups of a path model's incumbent into the order of its walk."""
        dealt = self._deal(problem.runs, ordered.compact.counts(), problem.groups)
        sizes: dict[int, list[int]] = {}
        for group in dealt:
            sizes.setdefault(group.group_class, []).append(group.size)
        return [ChosenGroup(c, sizes[c].pop()) for c in path.walk(ordered)]

    def _place(self, chosen: Sequence[ChosenGroup], groups: GroupClasses) -> Placement:
        return place(self.instance, groups, self.options, chosen, self.links)
