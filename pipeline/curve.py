"""The cost curve: the least cost at which each throughput can be reached, found on demand.

A placement's throughput is that of its slowest stage or hop, so it takes only the values of
options and links: the thresholds. For one threshold T the cheapest placement that reaches T is a
small integer program; its cost falls as T falls. Every method (`methods`) is a search over this
curve, and every proof rests on its lower bounds.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.formulation import compact
from pipeline.formulation.compact import CompactProblem, Goal, within
from pipeline.granularity import Granularity
from pipeline.groups import group_classes
from pipeline.instance import Instance
from pipeline.links import stage_links
from pipeline.options import stage_options
from pipeline.placement import ChosenGroup, Placement, place
from pipeline.runs import deal_layers, size_runs
from pipeline.settings import SolverSettings
from pipeline.solver import Solution, solve

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass
class Effort:
    """What the search took so far; sizes are those of the largest model built."""

    num_solves: int = 0
    variables: int = 0
    constraints: int = 0
    build_seconds: float = 0.0
    solve_seconds: float = 0.0

    def add(self, solution: Solution, build_seconds: float) -> None:
        """Count one model that was built and solved."""
        self.num_solves += 1
        self.variables = max(self.variables, solution.variables)
        self.constraints = max(self.constraints, solution.constraints)
        self.build_seconds += build_seconds + solution.build_seconds
        self.solve_seconds += solution.solve_seconds


@dataclass(frozen=True)
class Bounds:
    """What is known of one threshold: the least cost lies between lower and upper, $/h.

    upper is infinite while no placement is known; lower is infinite where none exists.
    """

    lower: float
    upper: float

    @property
    def settled(self) -> bool:
        """Tell whether the least cost is proven, or that there is none."""
        return not exceeds(self.upper, self.lower)


class CostCurve:
    """The curve of one instance and granularity, with all that was proven about it so far.

    thresholds: throughputs that a placement can have, ascending, tokens/s. lower, upper: proven
    bounds on the least cost at each threshold, $/h; both never fall from left to right.
    """

    def __init__(self, instance: Instance, granularity: Granularity, settings: SolverSettings):
        self.instance = instance
        self.granularity = granularity
        self.effort = Effort()
        self._settings = settings
        self._deadline = time.monotonic() + settings.time_limit_s
        self._tried: set[int] = set()
        self._placements: dict[int, Placement] = {}
        self.options = stage_options(instance, granularity.sizes)
        self.groups = group_classes(instance, by_network=False)
        self.links = stage_links(instance, self.options)
        self.thresholds = self._all_thresholds()
        self.lower = self._cheapest_layers()
        self.upper = np.full(len(self.thresholds), np.inf)

    def bounds(self, index: int) -> Bounds:
        """Return what is known of a threshold."""
        return Bounds(float(self.lower[index]), float(self.upper[index]))

    def open_indices(self) -> IntArray:
        """Return the thresholds whose least cost is neither settled nor was tried in vain."""
        unsettled = np.flatnonzero(self.upper > within(self.lower))
        return np.array([i for i in unsettled.tolist() if i not in self._tried], dtype=np.int64)

    @property
    def out_of_time(self) -> bool:
        """Tell whether the time limit of the point has passed."""
        return time.monotonic() >= self._deadline

    def placement(self, index: int) -> Placement:
        """Return the cheapest placement known to reach a threshold. Raises KeyError for none."""
        best = min(
            (p for i, p in self._placements.items() if p.tokens_per_s >= self.thresholds[index]),
            key=lambda p: p.usd_per_hour,
            default=None,
        )
        if best is None:
            raise KeyError(index)
        return best

    def solve(self, index: int) -> None:
        """Find the cheapest placement that reaches a threshold, as far as time allows.

        Afterwards the threshold is settled, or tried in vain and not open any more.
        """
        self._tried.add(index)
        problem = self._problem(index)
        if not problem.runs:
            self._raise_lower(index, math.inf)
            return
        solution, chosen = self._minimise(problem, Goal.COST)
        self._raise_lower(index, solution.bound)
        if chosen is not None:
            self._keep(index, chosen)

    def with_fewest_stages(self, index: int) -> Placement:
        """Return a placement of the fewest stages among those of least known cost.

        Where time runs out before that, the placement found first is returned.
        """
        known = self.placement(index)
        if len(known.stages) == 1 or self.out_of_time:
            return known
        limit = known.usd_per_hour
        _, chosen = self._minimise(self._problem(index), Goal.STAGES, limit)
        if chosen is None:
            return known
        better = place(self.instance, self.groups, self.options, chosen, self.links)
        return better if len(better.stages) < len(known.stages) else known

    def relaxed(self, instance: Instance) -> CostCurve:
        """Return the curve of a changed instance, with what is left of this one's time."""
        remaining = max(self._deadline - time.monotonic(), 0.0)
        settings = replace(self._settings, time_limit_s=remaining)
        return CostCurve(instance, self.granularity, settings)

    def fewest_stages(self) -> int | None:
        """Return the fewest stages of any placement, whatever its cost; None where none exists."""
        problem = self._problem(0) if len(self.thresholds) else None
        if problem is None or not problem.runs or self.out_of_time:
            return None
        _, chosen = self._minimise(problem, Goal.STAGES)
        return None if chosen is None else len(chosen)

    def _minimise(
        self, problem: CompactProblem, goal: Goal, max_usd_per_hour: float | None = None
    ) -> tuple[Solution, list[ChosenGroup] | None]:
        """Build and solve one model; return the solver's answer, in $/h, and the groups chosen."""
        started = time.perf_counter()
        built = compact.build(problem, goal, max_usd_per_hour)
        build_seconds = time.perf_counter() - started
        remaining = self._deadline - time.monotonic()
        solution = solve(built.model, replace(self._settings, time_limit_s=remaining))
        self.effort.add(solution, build_seconds)
        if goal is Goal.COST:
            solution = replace(solution, bound=solution.bound / built.cost_scale)
        if solution.objective is None:
            return solution, None
        dealt = deal_layers(problem.runs, built.counts(), self.instance.num_layers, self._rates)
        return solution, [ChosenGroup(problem.runs[run].group_class, k) for run, k in dealt]

    def _problem(self, index: int) -> CompactProblem:
        threshold = float(self.thresholds[index])
        return CompactProblem(
            groups=self.groups,
            runs=size_runs(self.groups, self.options, threshold),
            num_layers=self.instance.num_layers,
            max_stages=self.instance.limits.max_stages,
        )

    def _keep(self, index: int, chosen: list[ChosenGroup]) -> None:
        """Store a placement and let it bound every threshold that it reaches."""
        placement = place(self.instance, self.groups, self.options, chosen, self.links)
        self._placements[index] = placement
        reached = self.thresholds <= placement.tokens_per_s
        self.upper[reached] = np.minimum(self.upper[reached], placement.usd_per_hour)

    def _raise_lower(self, index: int, usd_per_hour: float) -> None:
        """Store a proven bound: a higher threshold cannot cost less."""
        self.lower[index:] = np.maximum(self.lower[index:], usd_per_hour)

    def _all_thresholds(self) -> FloatArray:
        """Collect the throughputs of all options."""
        return np.array(sorted({o.tokens_per_s for o in self.options}), dtype=np.float64)

    def _cheapest_layers(self) -> FloatArray:
        """Bound the cost at each threshold by L layers at the least price per layer.

        min over options o that reach T of c_o / k_o, times L.
        """
        rates = np.array([o.tokens_per_s for o in self.options])
        prices = np.array([o.usd_per_hour / o.size for o in self.options])
        order = np.argsort(-rates, kind="stable")
        cheapest = np.minimum.accumulate(prices[order])
        last = np.searchsorted(-rates[order], -self.thresholds, side="right") - 1
        return np.asarray(cheapest[last] * self.instance.num_layers, dtype=np.float64)

    @cached_property
    def _rates(self) -> dict[tuple[int, int], float]:
        """Throughput of every option by (group class, size), tokens/s."""
        class_of = {(c.gpu, c.degree): index for index, c in enumerate(self.groups)}
        return {(class_of[o.gpu, o.degree], o.size): o.tokens_per_s for o in self.options}


def exceeds(one: float, other: float) -> bool:
    """Tell whether a cost is greater than another by more than sums of decimals can err."""
    return one > within(other)
