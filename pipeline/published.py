"""Answers the methods with the published pairwise model, for small cases and as a yardstick."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import pyomo.core as pyo

from pipeline.cheapest import Effort
from pipeline.errors import InputError, missing
from pipeline.formulation import pairwise
from pipeline.formulation.pairwise import Connection, PairwiseProblem, Segment, Weights
from pipeline.granularity import Granularity
from pipeline.instance import Instance
from pipeline.links import Links, stage_links
from pipeline.methods import RELATIVE_TOLERANCE, Answer, AnswerStatus
from pipeline.options import Option, stage_options
from pipeline.placement import SECONDS_PER_HOUR, ChosenGroup, Placement, place
from pipeline.search_space import search_space
from pipeline.settings import Clock, SolverSettings
from pipeline.solver import Solution, SolveStatus, solve

# Python objects are made for each: the reference instance at six sizes has 166,106.
MAX_BINARIES = 300_000


class PublishedSearch:
    """The pairwise model of one instance and granularity, asked within one time limit."""

    def __init__(
        self, instance: Instance, granularity: Granularity, settings: SolverSettings
    ) -> None:
        self.instance = instance
        self.options = stage_options(instance, granularity.sizes)
        self.links = stage_links(instance, self.options)
        self.effort = Effort()
        _check_size(instance, self.options, self.links)
        self._clock = Clock(settings)
        self.problem = pairwise_problem(instance, self.options, self.links)

    def enumeration(self, budget_usd_per_hour: float = math.inf) -> Answer:
        """Find the highest throughput at a budget, then its lowest cost, then fewest stages."""
        solution, fastest = self._best(Weights(throughput=1.0), budget_usd_per_hour)
        if fastest is None:
            return _unanswered(solution)
        bound = -solution.bound * self.problem.fastest
        rate = fastest.tokens_per_s
        costed, cheapest = self._best(Weights(cost=1.0), budget_usd_per_hour, rate)
        placement = cheapest or fastest
        _, fewest = self._best(Weights(stages=1.0), placement.usd_per_hour, rate)
        placement = fewest or placement
        answer = _answer(solution, placement, bound, bound / placement.tokens_per_s - 1)
        if answer.status is not AnswerStatus.OPTIMAL or costed.status is SolveStatus.OPTIMAL:
            return answer
        late = costed.status is SolveStatus.TIME_LIMIT
        return replace(answer, status=AnswerStatus.TIME_LIMIT if late else AnswerStatus.FEASIBLE)

    def weighted(
        self, cost_weight: float, throughput_scale: float = 10000.0, cost_scale: float = 1.0
    ) -> Answer:
        """Find the highest t/t_norm − w/(1−w)·cost/cost_norm; −cost/cost_norm for w = 1.

        Where only one of the two counts, the better of the other is taken among equal scores.
        """
        cost = 1.0 if cost_weight == 1 else cost_weight / (1 - cost_weight)
        rate = 0.0 if cost_weight == 1 else self._fastest() / throughput_scale
        solution, placement = self._best(Weights(throughput=rate, cost=cost / cost_scale))
        if placement is None:
            return _unanswered(solution)
        if cost_weight in (0, 1):
            equal = self.enumeration(placement.usd_per_hour if cost_weight == 1 else math.inf)
            if equal.status is AnswerStatus.OPTIMAL and equal.placement is not None:
                placement = equal.placement
        score, bound = -_value(solution), -solution.bound
        return _answer(solution, placement, bound, (bound - score) / abs(score) if score else 0.0)

    def ratio(self) -> Answer:
        """Find the lowest $/token by Dinkelbach's method.

        Minimise cost − p·t for the price p of the best placement so far; where that is 0, none
        has a lower price.
        """
        solution, best = self._best(Weights(throughput=1.0))
        while best is not None:
            per_rate = best.usd_per_token * SECONDS_PER_HOUR * self._fastest()
            solution, placement = self._best(Weights(throughput=per_rate, cost=1.0))
            better = placement is not None and placement.usd_per_token < best.usd_per_token * (
                1 - RELATIVE_TOLERANCE
            )
            if placement is None or not better:
                break
            best = placement
        if best is None:
            return _unanswered(solution)
        proven = solution.status is SolveStatus.OPTIMAL
        bound = best.usd_per_token if proven else None
        return _answer(solution, best, bound, 0.0 if proven else None)

    def _fastest(self) -> float:
        return self.problem.fastest if self.problem.segments else 1.0

    def _best(
        self, weights: Weights, at_most: float = math.inf, at_least: float = 0.0
    ) -> tuple[Solution, Placement | None]:
        """Solve the model once; at_most in $/h, at_least in tokens/s."""
        started = time.perf_counter()
        if not self.problem.segments:
            nothing = Solution(SolveStatus.INFEASIBLE, None, math.inf, 0, 0, 0.0, 0.0)
            return nothing, None
        slack = at_least * (1 - RELATIVE_TOLERANCE)
        model = pairwise.build(self.problem, weights, at_most, slack)
        build_seconds = time.perf_counter() - started
        solution = solve(model, self._clock.settings_now)
        self.effort.add(solution, build_seconds)
        self.effort.path_solves += 1  # its connections are links
        found = None if solution.objective is None else self._placement(model)
        return solution, found

    def _placement(self, model: pyo.ConcreteModel) -> Placement:
        segments = pairwise.chosen_segments(model, self.problem)
        chosen = [ChosenGroup(s.group_class, s.size) for s in segments]
        first_ids = [s.gpu_ids[0] for s in segments]
        groups = self.links.groups
        return place(self.instance, groups, self.options, chosen, self.links, first_ids)


def _check_size(instance: Instance, options: Sequence[Option], links: Links) -> None:
    """Raise InputError where the model would be too large to build."""
    space = search_space(instance, links.groups, options)
    binaries = space.segments + space.disjoint_connections
    if binaries > MAX_BINARIES:
        reason = f"pairwise would need {binaries} binaries, and may have {MAX_BINARIES}"
        raise InputError([missing(instance.name, "solver.formulation", f"{reason}; use compact")])


def pairwise_problem(
    instance: Instance, options: Sequence[Option], links: Links
) -> PairwiseProblem:
    """List all segments and all connections of an instance."""
    by_kind: dict[tuple[int, int], list[Option]] = defaultdict(list)
    for option in options:
        by_kind[option.gpu, option.degree].append(option)
    segments = tuple(
        Segment(index, ids, start, option.size, option.tokens_per_s, option.usd_per_hour)
        for index, c in enumerate(links.groups)
        for ids in (tuple(range(first, first + c.degree)) for first in c.first_gpu_ids)
        for option in by_kind[c.gpu, c.degree]
        for start in range(1, instance.num_layers - option.size + 2)
    )
    starting: dict[int, list[int]] = defaultdict(list)
    for index, segment in enumerate(segments):
        starting[segment.start].append(index)
    hops = links.tokens_per_s.tolist()
    connections = tuple(
        Connection(index, other, hops[segment.group_class][segments[other].group_class])
        for index, segment in enumerate(segments)
        for other in starting[segment.end + 1]
        if hops[segment.group_class][segments[other].group_class] > 0
        and _disjoint(segment, segments[other])
    )
    return PairwiseProblem(
        segments, connections, instance.num_layers, instance.num_gpus, instance.limits.max_stages
    )


def _disjoint(one: Segment, other: Segment) -> bool:
    """Tell whether two segments share no GPU; groups are blocks of consecutive ids."""
    return one.gpu_ids[-1] < other.gpu_ids[0] or other.gpu_ids[-1] < one.gpu_ids[0]


def _value(solution: Solution) -> float:
    if solution.objective is None:
        raise ValueError("a solution without an incumbent has no value")
    return solution.objective


def _answer(
    solution: Solution, placement: Placement, bound: float | None, gap: float | None
) -> Answer:
    """Return an answer as proven as a solution; one that has no bound has no gap either."""
    status = AnswerStatus(str(solution.status))
    if bound is None or math.isinf(bound):
        return Answer(status, placement, None, None)
    return Answer(status, placement, bound, 0.0 if status is AnswerStatus.OPTIMAL else gap)


def _unanswered(solution: Solution) -> Answer:
    infeasible = solution.status is SolveStatus.INFEASIBLE
    status = AnswerStatus.INFEASIBLE if infeasible else AnswerStatus.TIME_LIMIT
    return Answer(status, None, None, None)
