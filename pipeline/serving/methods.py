"""The methods under `roofline`: searches over throughputs, with bounds for every load.

The cost of reaching a throughput T under a load never falls as T rises. So a cost that is proven
at T speaks for every higher throughput, and a search may go on at the throughput at which that
cost would be good enough; what lies between cannot be the answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipeline.formulation.compact import Goal, within
from pipeline.methods import RELATIVE_TOLERANCE, Answer, AnswerStatus
from pipeline.placement import SECONDS_PER_HOUR
from pipeline.serving.placement import served
from pipeline.serving.search import RATE_TOLERANCE, Pick, ServingSearch
from pipeline.serving.tables import FloatArray

# Throughputs at which the bounds of all loads are laid out before any model is built.
GRID_POINTS = 96
# Bisect while what is possible is this far above what is known; then ask for the next better.
CLOSE = 1.01


@dataclass(frozen=True)
class Loss:
    """What a method minimises: rises with the cost, falls with the throughput.

    of: the loss of costs and throughputs. rate_for: the throughput at which a cost has a loss.
    """

    of: Callable[[FloatArray, FloatArray], FloatArray]
    rate_for: Callable[[float, float], float]


def ratio(search: ServingSearch) -> Answer:
    """Find the lowest $/token. The bound is on $/token."""
    loss = Loss(
        lambda cost, rate: cost / (rate * SECONDS_PER_HOUR),
        lambda cost, value: cost / (value * SECONDS_PER_HOUR) if value > 0 else math.inf,
    )
    return _lowest(search, loss)


def weighted(
    search: ServingSearch,
    cost_weight: float,
    throughput_scale: float = 10000.0,
    cost_scale: float = 1.0,
) -> Answer:
    """Find the highest t/t_norm − w/(1−w)·cost/cost_norm; for w = 1 the lowest cost, fastest.

    The bound is on the score.
    """
    if cost_weight == 1:
        return _cheapest_of_all(search, cost_scale)
    trade = cost_weight / (1 - cost_weight)
    loss = Loss(
        lambda cost, rate: trade * cost / cost_scale - rate / throughput_scale,
        lambda cost, value: throughput_scale * (trade * cost / cost_scale - value),
    )
    answer = _lowest(search, loss)
    bound = None if answer.bound is None else -answer.bound
    return Answer(answer.status, answer.placement, bound, answer.gap)


def enumeration(search: ServingSearch, budget_usd_per_hour: float = math.inf) -> Answer:
    """Find the highest throughput at a budget, then its lowest cost, then the fewest stages.

    The bound is on the throughput, tokens/s.
    """
    bound = _raise_fastest(search, budget_usd_per_hour)
    best = search.fastest_known(budget_usd_per_hour)
    if best is None:
        return _no_answer(search, bound)
    least = _lower_cost(search, best.tokens_per_s)
    reaching = [p for p in search.picks if p.tokens_per_s >= best.tokens_per_s * (1 - SAME)]
    cheapest = min(reaching, key=lambda p: (p.usd_per_hour, -p.tokens_per_s))
    proven = bound is None and cheapest.usd_per_hour <= within(least)
    limit = best.tokens_per_s if bound is None else bound
    gap = 0.0 if proven else limit / best.tokens_per_s - 1
    return _answer(search, cheapest, proven, limit, gap)


SAME = 1e-12


def frontier(search: ServingSearch) -> Iterator[Answer]:
    """Yield every Pareto point, fastest first. The bounds are on the cost, $/h."""
    budget = math.inf
    while not search.out_of_time:
        bound = _raise_fastest(search, budget)
        best = search.fastest_known(budget)
        if best is None:
            return
        least = _lower_cost(search, best.tokens_per_s)
        reaching = [p for p in search.picks if p.tokens_per_s >= best.tokens_per_s * (1 - SAME)]
        cheapest = min(reaching, key=lambda p: (p.usd_per_hour, -p.tokens_per_s))
        proven = bound is None and cheapest.usd_per_hour <= within(least)
        least = min(least, cheapest.usd_per_hour)
        gap = 0.0 if proven or not cheapest.usd_per_hour else 1 - least / cheapest.usd_per_hour
        yield _answer(search, cheapest, proven, least, gap)
        if cheapest.usd_per_hour <= 0:
            return
        # The budget's own tolerance is within(): a cost below by more than that is asked for.
        budget = cheapest.usd_per_hour * (1 - 4 * RELATIVE_TOLERANCE)


def _raise_fastest(search: ServingSearch, budget: float) -> float | None:
    """Search for the highest throughput within a budget until none higher is possible.

    Returns None where that is proven, else (time ran out) a throughput that none exceeds.
    """
    while True:
        known = search.fastest_known(budget)
        rate = 0.0 if known is None else known.tokens_per_s
        asked = rate * (1 + RATE_TOLERANCE) if known else _lowest_rate(search)
        possible = search.bounds(asked) <= within(budget)
        if not possible.any() or not np.isfinite(search.bounds(asked)[possible]).any():
            return None
        tops = _highest_rates(search, budget, asked)
        decision = int(np.argmax(tops))
        if search.out_of_time:
            return float(tops[decision])
        if known is None:
            asked = math.sqrt(_lowest_rate(search) * tops[decision])
            if search.cheapest(decision, asked, budget) is None:
                search.cheapest(decision, _lowest_rate(search), budget)
            continue
        if tops[decision] > rate * CLOSE:
            asked = math.sqrt(asked * tops[decision])
        search.cheapest(decision, asked, budget)


def _highest_rates(search: ServingSearch, budget: float, asked: float) -> FloatArray:
    """Bound the throughput within a budget from above, by load, by bisection to 1 %."""
    loads = len(search.tables.decisions)
    low = np.where(search.bounds(asked) <= within(budget), asked, 0.0)
    tops = np.where(low > 0, asked, 0.0)
    rate = asked
    step = 2.0
    reached = low > 0
    while reached.any() and step > 1 + (CLOSE - 1) / 4:
        higher = rate * step
        above = search.bounds(higher)
        now = np.isfinite(above) & (above <= within(budget))
        if now.any():
            rate = higher
            tops = np.where(now, rate, tops)
        else:
            step = math.sqrt(step)
    return np.where(reached, np.maximum(tops, low) * step, np.zeros(loads))


def _lowest_rate(search: ServingSearch) -> float:
    """Return a throughput below that of any placement, tokens/s."""
    rates = search.rates
    slowest = float(search.instance.num_layers * search.tables.pass_s.max(initial=1e-9))
    hops = float(search.tables.hops.between_s.max() * search.instance.limits.max_stages)
    times = np.array([(slowest + hops) * search.tables.micro_batches.max()])
    loads = range(len(search.tables.decisions))
    return min(float(rates.tokens_per_s(j, times, times)[0]) for j in loads) / 2


def _lower_cost(search: ServingSearch, rate: float) -> float:
    """Search for the least cost of a throughput under all loads; return what is proven, $/h."""
    while True:
        reaching = [p.usd_per_hour for p in search.picks if p.tokens_per_s >= rate * (1 - SAME)]
        bounds = search.bounds(rate)
        decision = int(np.argmin(bounds))
        if min(reaching, default=math.inf) <= within(float(bounds[decision])):
            return float(bounds[decision])
        if search.out_of_time:
            return float(bounds[decision])
        search.cheapest(decision, rate)


def _lowest(search: ServingSearch, loss: Loss) -> Answer:
    """Minimise a loss: the most promising load first, each from its lowest throughput up."""
    grid = _grid(search)
    promises = _promises(search, loss, grid)
    order = [int(j) for j in np.argsort(promises.min(axis=0), kind="stable")]
    finite = [j for j in order if np.isfinite(promises[:, j]).any()]
    if finite:
        first = finite[0]
        search.cheapest(first, float(grid[int(np.argmin(promises[:, first]))]))
    for decision in finite:
        if promises[:, decision].min() < _best(search, loss)[0] and not search.out_of_time:
            _walk(search, loss, decision, float(grid[0]))
    value, best = _best(search, loss)
    if not search.out_of_time:
        bound = None if best is None else value
    else:
        bound = float(_promises(search, loss, grid).min(initial=math.inf))
        bound = min(bound, value)
    if best is None:
        return _no_answer(search, bound)
    assert bound is not None
    gap = (value - bound) / abs(value) if value else abs(value - bound)
    proven = gap <= RELATIVE_TOLERANCE
    return _answer(search, best, proven, bound, 0.0 if proven else gap)


def _walk(search: ServingSearch, loss: Loss, decision: int, rate: float) -> None:
    """Find everything under one load that beats the best known, from a throughput on up.

    With cost ≥ c proven at T, nothing from T on has a loss below the best before the throughput
    at which c has it: the walk goes on there.
    """
    solved = -1.0
    while not search.out_of_time:
        cost = search.bound(decision, rate)
        if not math.isfinite(cost):
            return
        value, _ = _best(search, loss)
        if math.isfinite(value):
            target = value - RELATIVE_TOLERANCE / 4 * abs(value)
            needed = loss.rate_for(cost, target)
            if needed > rate * (1 + RATE_TOLERANCE / 10):
                rate = needed
                continue
        if solved == rate:
            return
        solved = rate
        found = search.cheapest(decision, rate)
        if found is None:
            return
        rate = max(rate, found.tokens_per_s) * (1 + RATE_TOLERANCE)


def _grid(search: ServingSearch) -> FloatArray:
    """Lay out throughputs from below the slowest placement to above the fastest."""
    low = _lowest_rate(search)
    high = low
    while np.isfinite(search.bounds(high)).any():
        high *= 2.0
    return np.geomspace(low, high, GRID_POINTS)


def _promises(search: ServingSearch, loss: Loss, grid: FloatArray) -> FloatArray:
    """Bound the loss from below between neighbours of a grid; shape (grid − 1, loads)."""
    return np.array(
        [
            loss.of(search.bounds(float(low)), np.full(len(search.tables.decisions), high))
            for low, high in pairwise(grid)
        ]
    )


def _best(search: ServingSearch, loss: Loss) -> tuple[float, Pick | None]:
    """Return the lowest known loss and its pick; of equals the fastest."""
    if not search.picks:
        return math.inf, None
    costs = np.array([p.usd_per_hour for p in search.picks])
    rates = np.array([p.tokens_per_s for p in search.picks])
    values = loss.of(costs, rates)
    equal = np.flatnonzero(values <= values.min() + 1e-12 * abs(values.min()))
    best = max(equal, key=lambda index: rates[index])
    return float(values.min()), search.picks[int(best)]


def _cheapest_of_all(search: ServingSearch, cost_scale: float) -> Answer:
    """Find the lowest cost, and the highest throughput at it. The bound is on the cost."""
    least = _lower_cost(search, _lowest_rate(search))
    if not math.isfinite(least) or not search.picks:
        return _no_answer(search, None if math.isinf(least) else least)
    answer = enumeration(search, min(p.usd_per_hour for p in search.picks))
    return Answer(answer.status, answer.placement, least / cost_scale, answer.gap)


def _answer(search: ServingSearch, pick: Pick, proven: bool, bound: float, gap: float) -> Answer:
    """Return an answer with the fewest stages among those as good under the same load."""
    fewest = pick
    if len(pick.groups) > 1 and not search.out_of_time:
        found = search.cheapest(pick.decision, pick.tokens_per_s, pick.usd_per_hour, Goal.STAGES)
        same = found is not None and found.tokens_per_s >= pick.tokens_per_s * (1 - 1e-9)
        if found is not None and same and len(found.groups) < len(pick.groups):
            fewest = found
    status = AnswerStatus.OPTIMAL
    if not proven:
        status = AnswerStatus.TIME_LIMIT if search.out_of_time else AnswerStatus.FEASIBLE
    return Answer(status, served(search, fewest), bound, gap)


def _no_answer(search: ServingSearch, bound: float | None) -> Answer:
    """Answer that there is no placement, or that time ran out before one was found."""
    if search.out_of_time:
        return Answer(AnswerStatus.TIME_LIMIT, None, bound, None)
    return Answer(AnswerStatus.INFEASIBLE, None, None, None)
