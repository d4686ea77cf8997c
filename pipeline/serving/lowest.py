"""From a loss to the placement that has the lowest one, with bounds for every cell.

Cells are gone through from the lowest throughput up; where time runs out, what they have not come
to is bounded from below.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.formulation.compact import within
from pipeline.methods import RELATIVE_TOLERANCE
from pipeline.serving.picks import Pick
from pipeline.serving.search import RATE_TOLERANCE, ServingSearch
from pipeline.serving.tables import FloatArray
from pipeline.settings import BOUND_ALLOWANCE_S, Clock

# Intervals of throughput that a loss is bounded in where time ran out, and throughputs at which a
# first placement is looked for.
INTERVALS = 96
FIRST_THROUGHPUTS = 12
# What is possible is known this closely, where there is time.
NEAR = 1.003
# A cell whose bound takes it on by less than this, relative, has its bound raised.
STEP = 0.001
# Models ask for costs up to this much above what is enough: the bound then leaps, if it does.
JUMP = 0.15


@dataclass(frozen=True)
class Loss:
    """What a method minimises: rises with the cost, falls with the throughput.

    of: the loss of costs and throughputs. rate_for: the throughputs at which costs have a loss.
    cost_for: the cost at which a throughput has a loss. least: no placement has a lower one.
    """

    of: Callable[[FloatArray, FloatArray], FloatArray]
    rate_for: Callable[[FloatArray, float], FloatArray]
    cost_for: Callable[[float, float], float]
    least: float = -math.inf


def lowest(search: ServingSearch, loss: Loss) -> float:
    """Minimise a loss: every cell from the lowest throughput up, the most promising one first.

    What is met is kept by the search. Returns what no other placement has a lower loss than.

    With cost ≥ c proven at T, nothing from T on has a loss below the best before the throughput
    at which c has it: the cell goes on there, until no placement reaches so much.
    """
    floor = math.inf
    meet_alike(search)
    _meet_one(search, loss)
    rates = np.full(len(search.cells), math.inf)
    rates[search.own_cells] = search.rates.lowest
    while not search.clock.out_of_time:
        left = np.flatnonzero(np.isfinite(rates))
        if not len(left):
            break
        costs = search.bounds(rates[left], left)
        value, _ = best_met(search, loss)
        if value <= loss.least:
            break
        target = value - RELATIVE_TOLERANCE / 4 * abs(value)
        needed = np.where(np.isinf(costs), math.inf, loss.rate_for(costs, target))
        moving = needed > rates[left] * (1 + STEP)
        rates[left[moving]] = needed[moving]
        if moving.any():
            continue
        index = int(left[np.argmin(loss.of(costs, rates[left]))])
        rate = float(rates[index])
        enough = loss.cost_for(rate * (1 + 2 * STEP), target)
        found = search.raise_bound(index, rate, enough, enough * (1 + JUMP))
        if found is not None:
            rates[index] = found.tokens_per_s * (1 + RATE_TOLERANCE)
            least = np.array(found.usd_per_hour * (1 - search.gap))
            floor = min(floor, float(loss.of(least, np.array(found.tokens_per_s))))
        new = search.cells.at(np.arange(len(rates), len(search.cells)))
        is_own = np.isin(len(rates) + np.arange(len(new)), search.own_cells)
        rates = np.append(rates, np.where(is_own, rates[new.parents], math.inf))
    if search.clock.out_of_time:
        floor = min(floor, _least_loss(search, loss, rates))
    return floor


def meet_alike(search: ServingSearch, budget_usd_per_hour: float = math.inf) -> None:
    """Meet placements on groups of one class, the fewest and the most within a budget: no model."""
    if not search.known.sizes_are_free:
        return
    stages, layers = search.instance.limits.max_stages, search.instance.num_layers
    for index, group_class in enumerate(search.tables.groups):
        price = float(search.tables.usd_per_hour[index])
        most = min(len(group_class.first_gpu_ids), stages, layers)
        if price > 0:
            most = int(min(most, within(budget_usd_per_hour) / price))
        fewest = -(-layers // max(int(search.tables.largest[index].max()), 1))
        for number in {fewest, most} if fewest <= most else ():
            if search.clock.out_of_time:
                return
            search.known.deal({index: number})


def _meet_one(search: ServingSearch, loss: Loss) -> None:
    """Search for a placement to compare with, where the bounds promise most."""
    ends = search.rates.lowest, _highest_rate(search, search.clock)
    rates = np.geomspace(*ends, FIRST_THROUGHPUTS)
    while not (search.known.best or search.clock.out_of_time):
        costs = np.array([_bounds_in_time(search, float(rate)) for rate in rates])
        promises = loss.of(costs, rates[:, None])
        place, index = np.unravel_index(int(np.argmin(promises)), promises.shape)
        if np.isinf(promises[place, index]):
            return
        cost = float(costs[place, index])
        asked = int(search.own_cells[index])
        search.raise_bound(asked, float(rates[place]), cost * (1 + STEP))


def _bounds_in_time(search: ServingSearch, rate: float) -> FloatArray:
    """Return the bounds of a throughput, none of which promises anything once time is up."""
    if search.clock.out_of_time:
        return np.full(len(search.own_cells), math.inf)
    return search.bounds(rate)


def _least_loss(search: ServingSearch, loss: Loss, rates: FloatArray) -> float:
    """Bound the loss of what a search that ran out of time has not come to, from below.

    rates: what is left of each cell is as fast or faster, tokens/s; infinite where nothing is.

    Between two throughputs nothing has a lower loss than the cost that is proven at the lower one
    would have at the higher one. The interval that promises most is halved while time is allowed.
    """
    left = np.flatnonzero(np.isfinite(rates))
    if not len(left):
        return math.inf

    def costs(rate: float) -> FloatArray:
        return search.bounds(np.maximum(rates[left], rate), left)

    def least(costs: FloatArray, high: float) -> float:
        reaching = np.where(rates[left] <= high, costs, math.inf)
        return float(loss.of(reaching, np.array(high)).min())

    clock = search.clock.allowing(BOUND_ALLOWANCE_S)
    low, high = float(rates[left].min()), _highest_rate(search, clock)
    proven = costs(low)
    intervals = [(least(proven, high), low, high, proven)]
    while len(intervals) < INTERVALS and not clock.out_of_time:
        promised, low, high, proven = intervals[0]
        if math.isinf(promised) or high <= low * NEAR:
            break
        middle = math.sqrt(low * high)
        above = costs(middle)
        heapq.heapreplace(intervals, (least(proven, middle), low, middle, proven))
        heapq.heappush(intervals, (least(above, high), middle, high, above))
    return intervals[0][0]


def _highest_rate(search: ServingSearch, clock: Clock) -> float:
    """Return a throughput that no placement exceeds, tokens/s: less than twice what bounds leave.

    It is higher where time ran out.
    """
    low, high = search.rates.lowest, search.rates.highest
    while high > 2 * low and not clock.out_of_time:
        if np.isfinite(search.bounds(high / 2)).any():
            break
        high /= 2
    return high


def best_met(search: ServingSearch, loss: Loss) -> tuple[float, Pick | None]:
    """Return the lowest known loss and its pick; of equals the fastest."""
    known = search.known.best
    if not known:
        return math.inf, None
    rates = np.array([p.tokens_per_s for p in known])
    values = loss.of(np.array([p.usd_per_hour for p in known]), rates)
    equal = np.flatnonzero(values <= values.min() + 1e-12 * abs(values.min()))
    best = max(equal, key=lambda index: rates[index])
    return float(values.min()), known[int(best)]
