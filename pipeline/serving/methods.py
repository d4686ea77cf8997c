"""The methods under `roofline`: searches over throughputs, with bounds for every load.

The cost of reaching a throughput T under a load never falls as T rises. So a cost that is proven
at T speaks for every higher throughput, and a search may go on at the throughput at which that
cost would be good enough; what lies between cannot be the answer.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from pipeline.formulation.compact import within
from pipeline.methods import (
    RELATIVE_TOLERANCE,
    Answer,
    AnswerStatus,
    fastest_answer,
    fastest_if_free,
)
from pipeline.placement import SECONDS_PER_HOUR
from pipeline.serving.lowest import JUMP, NEAR, Loss, best_met, lowest, meet_alike
from pipeline.serving.picks import Pick
from pipeline.serving.placement import served
from pipeline.serving.search import RATE_TOLERANCE, SLACK, ServingSearch
from pipeline.serving.tables import IntArray
from pipeline.settings import BOUND_ALLOWANCE_S

# Bisect while what is possible is this far above what is known; then ask for the next better.
CLOSE = 1.2
# Throughputs closer than this are the same: a model is asked for one with a little slack.
SAME = 2 * SLACK
# A leap is four times the one before, up to this many: by then it is beyond the price of any pool.
MOST_LEAPS = 30


def ratio(search: ServingSearch) -> Answer:
    """Find the lowest $/token; of free placements the fastest. The bound is on $/token."""
    loss = Loss(
        lambda cost, rate: cost / (rate * SECONDS_PER_HOUR),
        lambda cost, value: cost / max(value * SECONDS_PER_HOUR, 1e-300),
        lambda rate, value: value * rate * SECONDS_PER_HOUR,
        least=0.0,
    )
    return fastest_if_free(_lowest(search, loss), lambda: enumeration(search, 0.0))


def weighted(
    search: ServingSearch,
    cost_weight: float,
    throughput_scale: float = 10000.0,
    cost_scale: float = 1.0,
) -> Answer:
    """Find the highest t/t_norm − w/(1−w)·cost/cost_norm; for w = 1 the lowest cost, fastest.

    The bound is on the score.
    """
    if cost_weight == 0:
        fastest = enumeration(search)
        score = None if fastest.bound is None else fastest.bound / throughput_scale
        return replace(fastest, bound=score)
    if cost_weight == 1:
        return _cheapest_of_all(search, cost_scale)
    trade = cost_weight / (1 - cost_weight)
    loss = Loss(
        lambda cost, rate: trade * cost / cost_scale - rate / throughput_scale,
        lambda cost, value: throughput_scale * (trade * cost / cost_scale - value),
        lambda rate, value: (value + rate / throughput_scale) * cost_scale / trade,
    )
    answer = _lowest(search, loss)
    bound = None if answer.bound is None else -answer.bound
    return Answer(answer.status, answer.placement, bound, answer.gap)


def cheapest(search: ServingSearch) -> Answer:
    """Find the lowest cost, whatever the throughput. The bound is on the cost, $/h."""
    rate = search.rates.lowest
    least = _lower_cost(search, rate)
    found = search.known.cheapest(rate * (1 - SAME))
    if found is None:
        return no_answer(search, least if math.isfinite(least) else None)
    found = _with_fewest_stages(search, found)
    gap = 1 - least / found.usd_per_hour if found.usd_per_hour else 0.0
    proven = found.usd_per_hour <= within(least)
    return _answer(search, found, proven, least, 0.0 if proven else gap)


def enumeration(search: ServingSearch, budget_usd_per_hour: float = math.inf) -> Answer:
    """Find the highest throughput at a budget, then its lowest cost, then the fewest stages.

    The bound is on the throughput, tokens/s, and beside it one on the cost, $/h.
    """
    bound = _raise_fastest(search, budget_usd_per_hour)
    best = search.known.fastest(budget_usd_per_hour)
    if best is None:
        return no_answer(search, bound)
    least = _lower_cost(search, best.tokens_per_s)
    cheapest = search.known.cheapest(best.tokens_per_s * (1 - SAME)) or best
    cheapest = _with_fewest_stages(search, cheapest)
    proven = bound is None and cheapest.usd_per_hour <= within(least)
    limit = cheapest.tokens_per_s if bound is None else bound
    return fastest_answer(_status(search, proven), served(search, cheapest), limit, least)


def frontier(search: ServingSearch) -> Iterator[Answer]:
    """Yield every Pareto point, fastest first. The bounds are on the cost, $/h.

    They are found from the slowest up: the least cost of a throughput, the fastest that was met
    at this cost, and on from there. Where time runs out the fast ones are missing.
    """
    points: list[_Point] = []
    rate, complete = search.rates.lowest, False
    while not (complete or search.clock.out_of_time):
        least = _lower_cost(search, rate)
        found = search.known.cheapest(rate * (1 - SAME))
        complete = math.isinf(least)
        if complete or found is None or search.clock.out_of_time:
            break
        _append(points, _Point(found, least))
        rate = found.tokens_per_s * (1 + RATE_TOLERANCE)
    if points and not complete:
        points[-1] = replace(points[-1], is_settled=False)
    points += _unsettled(search, rate, points[-1].least if points else 0.0)
    shortest: list[_Point] = []
    for point in points:
        _append(shortest, replace(point, pick=_with_fewest_stages(search, point.pick)))
    for point in reversed(shortest):
        pick, bound = point.pick, min(point.least, point.pick.usd_per_hour)
        proven = point.is_settled and pick.usd_per_hour <= within(point.least)
        gap = 0.0 if proven or not pick.usd_per_hour else 1 - bound / pick.usd_per_hour
        yield _answer(search, pick, proven, bound, gap)


@dataclass(frozen=True)
class _Point:
    """A point of a frontier; least: no placement as fast, nor any that it stands for, costs less.

    is_settled: False where time ran out before it was known what lies above it.
    """

    pick: Pick
    least: float
    is_settled: bool = True


def _unsettled(search: ServingSearch, rate: float, least: float) -> list[_Point]:
    """Return the picks above a throughput that were met, with what is known of their cost.

    least: no placement as fast as the throughput costs less, $/h. Where no time is left to find
    out more, what holds of a throughput is told of higher ones.
    """
    points, clock = [], search.clock.allowing(BOUND_ALLOWANCE_S)
    for pick in sorted(search.known.best, key=lambda pick: pick.tokens_per_s):
        if pick.tokens_per_s > rate:
            if not clock.out_of_time:
                least = max(least, float(search.bounds(pick.tokens_per_s).min()))
            points.append(_Point(pick, least, is_settled=False))
    return points


def _append(points: list[_Point], point: _Point) -> None:
    """Add a faster point. Within a gap it may cost no more than slower ones: it replaces them."""
    while points and point.pick.usd_per_hour <= within(points[-1].pick.usd_per_hour):
        slower = points.pop()
        settled = point.is_settled and slower.is_settled
        point = _Point(point.pick, min(point.least, slower.least), settled)
    points.append(point)


def _raise_fastest(search: ServingSearch, budget: float) -> float | None:
    """Search for the highest throughput within a budget until none higher is possible.

    Returns None where that is proven, else (time ran out) a throughput that none exceeds.
    """
    meet_alike(search, budget)
    lowest, top = search.rates.lowest, search.rates.highest
    while True:
        known = search.known.fastest(budget)
        rate = lowest if known is None else known.tokens_per_s * (1 + RATE_TOLERANCE)
        costs = search.bounds(rate)
        possible = np.isfinite(costs) & (costs <= within(budget))
        if not possible.any():
            return None
        index, top = _most_promising(search, search.own_cells[possible], (rate, top), budget)
        if search.clock.out_of_time:
            return top
        asked = math.sqrt(rate * top) if top > rate * CLOSE else rate
        search.raise_bound(index, asked, _above(budget), budget)


def _most_promising(
    search: ServingSearch, cells: IntArray, between: tuple[float, float], budget: float
) -> tuple[int, float]:
    """Return the cell that may be fastest within a budget, and what none exceeds, tokens/s.

    between: a throughput that the bounds of all cells leave possible, and one that none exceeds.
    """
    (low, high), clock = between, search.clock.allowing(BOUND_ALLOWANCE_S)
    while high > low * NEAR and not clock.out_of_time:
        middle = math.sqrt(low * high)
        costs = search.bounds(middle, cells)
        reached = np.isfinite(costs) & (costs <= within(budget))
        if reached.any():
            cells, low = cells[reached], middle
        else:
            high = middle
    return int(cells[0]), max(low, high)


def _above(usd_per_hour: float) -> float:
    """Return the least cost that is not within a budget, $/h."""
    return float(np.nextafter(within(usd_per_hour), math.inf))


def _lower_cost(search: ServingSearch, rate: float) -> float:
    """Search for the least cost of a throughput over all cells; return what is proven, $/h.

    A cell is first asked for what costs little more than its bound, then for more and more: the
    less a placement may cost, the fewer groups come into question.
    """
    solved: set[int] = set()
    asked: Counter[int] = Counter()
    prices = search.tables.usd_per_hour
    one_group = float(prices[prices > 0].min(initial=math.inf))
    while True:
        known = search.known.cheapest(rate * (1 - SAME))
        cost = math.inf if known is None else known.usd_per_hour
        cells, bounds = search.own_cells, search.bounds(rate)
        left = np.where(np.isin(cells, list(solved)), math.inf, bounds)
        least = float(left.min())
        if cost <= within(least) or search.clock.out_of_time:
            return float(bounds.min())
        index = int(cells[np.argmin(left)])
        near = max(least * (1 + JUMP * 4.0 ** min(asked[index], MOST_LEAPS)), one_group)
        asked[index] += 1
        if search.raise_bound(index, rate, cost, min(near, _just_below(cost))) is not None:
            solved.add(index)  # what a gap leaves between its bound and its cost stays open


def _just_below(usd_per_hour: float) -> float:
    """Return a budget that leaves out a cost, but none that is less by more than 1e-9."""
    return usd_per_hour * (1 - 1.5 * RELATIVE_TOLERANCE)


def _lowest(search: ServingSearch, loss: Loss) -> Answer:
    """Return the placement of the lowest loss."""
    floor = lowest(search, loss)
    value, best = best_met(search, loss)
    if best is None:
        return no_answer(search, floor if math.isfinite(floor) else None)
    best = _with_fewest_stages(search, best)
    value = min(value, float(loss.of(np.array(best.usd_per_hour), np.array(best.tokens_per_s))))
    bound = min(value, floor)
    gap = (value - bound) / abs(value) if value else abs(value - bound)
    proven = gap <= RELATIVE_TOLERANCE
    return _answer(search, best, proven, bound, 0.0 if proven else gap)


def _cheapest_of_all(search: ServingSearch, cost_scale: float) -> Answer:
    """Find the lowest cost, and the highest throughput at it. The bound is on −cost/cost_norm."""
    least = _lower_cost(search, search.rates.lowest)
    bound = -least / cost_scale if math.isfinite(least) else None
    if bound is None or not search.known.best:
        return no_answer(search, bound)
    cost = min(p.usd_per_hour for p in search.known.best)
    answer = replace(enumeration(search, cost), bound=bound)
    if cost <= within(least):
        return answer
    return replace(answer, status=_status(search, proven=False), gap=1 - least / cost)


def _with_fewest_stages(search: ServingSearch, pick: Pick) -> Pick:
    """Return a pick as good under the same load of the fewest stages, while there is time.

    Where a gap is asked for it may also cost less, so that gaps are reckoned from it.
    """
    return pick if search.clock.out_of_time else search.with_fewest_stages(pick)


def _answer(search: ServingSearch, pick: Pick, proven: bool, bound: float, gap: float) -> Answer:
    """Return a pick as an answer."""
    return Answer(_status(search, proven), served(search, pick), bound, gap)


def _status(search: ServingSearch, proven: bool) -> AnswerStatus:
    """Name what was reached: a proof, else the time limit or the gap that was asked for."""
    if proven:
        return AnswerStatus.OPTIMAL
    return AnswerStatus.TIME_LIMIT if search.clock.out_of_time else AnswerStatus.FEASIBLE


def no_answer(search: ServingSearch, bound: float | None) -> Answer:
    """Answer that there is no placement, or that time ran out before one was found."""
    if search.clock.out_of_time:
        return Answer(AnswerStatus.TIME_LIMIT, None, bound, None)
    return Answer(AnswerStatus.INFEASIBLE, None, None, None)
