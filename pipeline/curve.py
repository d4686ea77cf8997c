"""The cost curve: the least cost at which each throughput can be reached, found on demand.

A placement's throughput is that of its slowest stage or hop, so it takes only the values of
options and links: the thresholds. For one threshold T the cheapest placement that reaches T is a
small integer program; its cost falls as T falls. Every method (`methods`) is a search over this
curve, and every proof rests on its lower bounds.
"""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from pipeline.bounds import least_costs
from pipeline.cheapest import Effort, Found, PipelineSearch
from pipeline.formulation.compact import Goal, within
from pipeline.granularity import Granularity
from pipeline.instance import Instance
from pipeline.options import stage_options
from pipeline.placement import Placement
from pipeline.settings import SolverSettings

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Progress(IntEnum):
    """How far a threshold was searched."""

    UNTOUCHED = 0
    WITHOUT_LINKS = 1
    DONE = 2


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

    def __init__(
        self, instance: Instance, granularity: Granularity, settings: SolverSettings
    ) -> None:
        self.instance = instance
        self.granularity = granularity
        self.options = stage_options(instance, granularity.sizes)
        self.search = PipelineSearch(instance, self.options, settings)
        self.thresholds = self._all_thresholds()
        self._least_costs = least_costs(instance, self.options, self.thresholds)
        self._forget()

    def _forget(self) -> None:
        """Start with what is known without any search."""
        self.lower = self._least_costs.copy()
        self.upper = np.full(len(self.thresholds), np.inf)
        self._reached = np.full(len(self.thresholds), Progress.UNTOUCHED, dtype=np.int64)
        self._placements: list[Placement] = []

    @property
    def effort(self) -> Effort:
        """What the search took so far."""
        return self.search.effort

    @property
    def out_of_time(self) -> bool:
        """Tell whether the time limit of the point has passed."""
        return self.search.clock.out_of_time

    def bounds(self, index: int) -> Bounds:
        """Return what is known of a threshold."""
        return Bounds(float(self.lower[index]), float(self.upper[index]))

    def open_indices(self) -> IntArray:
        """Return the thresholds whose least cost is not settled and can still be searched."""
        unsettled = self.upper > within(self.lower)
        return np.flatnonzero(unsettled & (self._reached < Progress.DONE))

    def placement(self, index: int) -> Placement:
        """Return the cheapest placement known to reach a threshold. Raises KeyError for none."""
        reaching = [p for p in self._placements if p.tokens_per_s >= self.thresholds[index]]
        if not reaching:
            raise KeyError(index)
        return min(reaching, key=lambda p: p.usd_per_hour)

    def step(self, index: int, at_most: float = math.inf) -> None:
        """Take the next step towards the cheapest placement that reaches a threshold.

        The first step looks at no link; it may settle the threshold, and if not, its bound may
        be all that a method needs. The second step, where links can matter, is exact. After its
        last step a threshold is not open any more, even if time ran out before it was settled.

        at_most: cost above which the answer does not matter, $/h. That there is none below is
        easier to prove than what the least cost is; the threshold then stays open.
        """
        if self._reached[index] == Progress.DONE:
            return
        threshold = float(self.thresholds[index])
        is_first = self._reached[index] == Progress.UNTOUCHED
        find = self.search.without_links if is_first else self.search.over_links
        found = find(threshold, max_usd_per_hour=at_most)
        if found.bound == math.inf and math.isfinite(at_most):
            self._raise_lower(index, np.nextafter(within(at_most), math.inf))
            return
        self._learn(index, found)
        goes_on = is_first and self.search.links_bind(threshold)
        self._reached[index] = Progress.WITHOUT_LINKS if goes_on else Progress.DONE

    def settle(self, index: int) -> None:
        """Take all steps that a threshold needs, as far as time allows."""
        while index in self.open_indices() and not self.out_of_time:
            self.step(index)

    def with_fewest_stages(self, index: int) -> Placement:
        """Return a placement of the fewest stages among those of least known cost.

        Where time runs out before that, the placement found first is returned.
        """
        known = self.placement(index)
        threshold = float(self.thresholds[index])
        if len(known.stages) == 1 or self.out_of_time:
            return known
        binding = self.search.links_bind(threshold)
        find = self.search.over_links if binding else self.search.without_links
        found = find(threshold, Goal.STAGES, known.usd_per_hour).placement
        return found if found and len(found.stages) < len(known.stages) else known

    def fresh(self, settings: SolverSettings) -> CostCurve:
        """Return this curve with nothing searched yet, and the whole time limit before it."""
        curve = copy(self)
        curve.search = self.search.fresh(settings)
        curve._forget()
        return curve

    def changed(self, instance: Instance, granularity: Granularity | None = None) -> CostCurve:
        """Return the curve of another instance or granularity, for what is left of the time."""
        settings = self.search.clock.settings_now
        return CostCurve(instance, granularity or self.granularity, settings)

    def _learn(self, index: int, found: Found) -> None:
        """Let a bound and a placement speak for every threshold that they reach."""
        self._raise_lower(index, found.bound)
        placement = found.placement
        if placement is not None and placement.tokens_per_s > 0:
            self._placements.append(placement)
            reached = self.thresholds <= placement.tokens_per_s
            self.upper[reached] = np.minimum(self.upper[reached], placement.usd_per_hour)

    def _raise_lower(self, index: int, usd_per_hour: float) -> None:
        """Store a proven bound: a higher threshold cannot cost less."""
        self.lower[index:] = np.maximum(self.lower[index:], usd_per_hour)

    def _all_thresholds(self) -> FloatArray:
        """Collect the throughputs of all options, and of the links that may be slower."""
        rates = np.array([o.tokens_per_s for o in self.options], dtype=np.float64)
        hops = self.search.links.tokens_per_s[self.search.links.possible]
        slow = hops[(hops > 0) & (hops < rates.max(initial=0.0))]
        return np.unique(np.concatenate([rates, slow]))


def exceeds(one: float, other: float) -> bool:
    """Tell whether a cost is greater than another by more than sums of decimals can err."""
    return one > within(other)
