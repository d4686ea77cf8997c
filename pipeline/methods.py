"""The methods: what each asks of the cost curve, and what it can prove of its answer.

All are searches over thresholds T with the curve's lower bounds; none asks more of the solver
than it needs for its proof.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from pipeline.curve import CostCurve, exceeds
from pipeline.formulation.compact import within
from pipeline.placement import SECONDS_PER_HOUR, Placement

FloatArray = NDArray[np.float64]
Loss = Callable[[FloatArray, FloatArray], FloatArray]

# Scores that differ by less are the same answer; the last digits of a division are noise.
RELATIVE_TOLERANCE = 1e-9
# Why there is no placement, where that was not found out either.
REASON_UNKNOWN = "unknown: the time limit passed before a reason was found"


class AnswerStatus(StrEnum):
    """What was proven of an answer, for which a method may have solved many models.

    `SolveStatus` has the same words for a single model, whose optimum proves no answer by itself.
    """

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    TIME_LIMIT = "time_limit"


@dataclass(frozen=True)
class Answer:
    """A method's answer. bound: proven bound on the method's own metric, None where none is.

    gap: the largest distance between answer and bounds, relative; 0 where the answer is proven.
    least_usd_per_hour: of `enumeration`, a cost that no placement as fast goes below.
    """

    status: AnswerStatus
    placement: Placement | None
    bound: float | None
    gap: float | None
    least_usd_per_hour: float | None = None


def enumeration(curve: CostCurve, budget_usd_per_hour: float = math.inf) -> Answer:
    """Find the highest throughput at a budget, then its lowest cost, then the fewest stages.

    Bisects over the thresholds whose cost may still be within the budget. The bound is on the
    throughput, tokens/s, and beside it one on the cost, $/h.
    """
    while len(candidates := _affordable(curve, budget_usd_per_hour)):
        if curve.out_of_time:
            break
        curve.step(int(candidates[len(candidates) // 2]), at_most=budget_usd_per_hour)
    affordable = np.flatnonzero(_affords(curve.upper, budget_usd_per_hour))
    possible = np.flatnonzero(_affords(curve.lower, budget_usd_per_hour))
    bound = float(curve.thresholds[possible[-1]]) if len(possible) else None
    if not len(affordable):
        return _no_answer(bound)
    best = int(affordable[-1])
    curve.settle(best)
    placement = curve.with_fewest_stages(best)
    proven = bound == float(curve.thresholds[best]) and curve.bounds(best).settled
    return fastest_answer(
        _status(curve, proven), placement, bound or placement.tokens_per_s, curve.bounds(best).lower
    )


def fastest_answer(
    status: AnswerStatus, placement: Placement, most_tokens_per_s: float, least_usd_per_hour: float
) -> Answer:
    """Return an answer of `enumeration`: its gap is that of the throughput or of the cost."""
    cost = placement.usd_per_hour
    least = min(least_usd_per_hour, cost)
    gap = max(most_tokens_per_s / placement.tokens_per_s - 1, 1 - least / cost if cost else 0.0)
    if status is AnswerStatus.OPTIMAL:
        gap = 0.0
    return Answer(status, placement, most_tokens_per_s, gap, least)


def _affordable(curve: CostCurve, budget_usd_per_hour: float) -> NDArray[np.int64]:
    """Return the open thresholds above the best known one that may be within the budget."""
    known = np.flatnonzero(_affords(curve.upper, budget_usd_per_hour))
    best = int(known[-1]) if len(known) else -1
    candidates = curve.open_indices()
    possible = _affords(curve.lower[candidates], budget_usd_per_hour)
    return candidates[possible & (candidates > best)]


def _affords(costs: FloatArray, budget_usd_per_hour: float) -> NDArray[np.bool_]:
    """Tell which costs are within a budget; an infinite cost is within none."""
    return np.isfinite(costs) & (costs <= within(budget_usd_per_hour))


def ratio(curve: CostCurve) -> Answer:
    """Find the lowest $/token; of free placements the fastest. The bound is on $/token."""

    def price(usd_per_hour: FloatArray, tokens_per_s: FloatArray) -> FloatArray:
        with np.errstate(over="ignore"):  # beyond all floats a price is infinite
            return usd_per_hour / (tokens_per_s * SECONDS_PER_HOUR)

    answer = _lowest(curve, price)
    return fastest_if_free(answer, lambda: enumeration(curve, 0.0))


def fastest_if_free(answer: Answer, enumerate_free: Callable[[], Answer]) -> Answer:
    """Return an answer by $/token, or where it costs nothing the fastest that costs nothing.

    GPUs that are owned may have a price of 0; whatever is placed on them has the same $/token.
    """
    if answer.placement is None or answer.placement.usd_per_hour:
        return answer
    fastest = enumerate_free()
    if fastest.placement is None:
        return answer
    return replace(answer, placement=fastest.placement)


def weighted(
    curve: CostCurve,
    cost_weight: float,
    throughput_scale: float = 10000.0,
    cost_scale: float = 1.0,
) -> Answer:
    """Find the highest t/t_norm − w/(1−w)·cost/cost_norm; for w = 1 the highest −cost/cost_norm.

    Of equal scores the highest throughput is taken. The bound is on the score.
    """
    if cost_weight == 0:
        fastest = enumeration(curve)
        score = None if fastest.bound is None else fastest.bound / throughput_scale
        return replace(fastest, bound=score)
    if cost_weight == 1:
        cheapest = _lowest(curve, lambda usd_per_hour, _: usd_per_hour / cost_scale)
        if cheapest.placement is None:
            return cheapest
        answer = enumeration(curve, cheapest.placement.usd_per_hour)
        if cheapest.status is not AnswerStatus.OPTIMAL:
            answer = replace(answer, status=cheapest.status, gap=cheapest.gap)
        return replace(answer, bound=None if cheapest.bound is None else -cheapest.bound)
    trade = cost_weight / (1 - cost_weight)

    def loss(usd_per_hour: FloatArray, tokens_per_s: FloatArray) -> FloatArray:
        return trade * usd_per_hour / cost_scale - tokens_per_s / throughput_scale

    answer = _lowest(curve, loss)
    return replace(answer, bound=None if answer.bound is None else -answer.bound)


def _lowest(curve: CostCurve, loss: Loss) -> Answer:
    """Minimise a loss that rises with cost and falls with throughput, best bound first.

    A placement whose throughput is exactly T costs at least lower(T), so loss(lower(T), T)
    bounds what T can give; once no open threshold promises less than the best known, that is it.
    """
    while len(candidates := curve.open_indices()) and not curve.out_of_time:
        promises = loss(curve.lower[candidates], curve.thresholds[candidates])
        best = loss(curve.upper, curve.thresholds).min()
        if np.isfinite(best) and promises.min() >= best - RELATIVE_TOLERANCE * abs(best):
            break
        if np.isinf(promises.min()):
            break
        index = int(candidates[np.argmin(promises)])
        curve.step(index, at_most=_cost_at(loss, best, float(curve.thresholds[index])))
    if not np.isfinite(curve.upper).any():
        possible = np.isfinite(curve.lower)
        bound = loss(curve.lower[possible], curve.thresholds[possible]).min(initial=math.inf)
        return _no_answer(float(bound) if np.isfinite(bound) else None)
    found = loss(curve.upper, curve.thresholds)
    best_index = int(
        np.flatnonzero(found <= found.min() + RELATIVE_TOLERANCE * abs(found.min()))[-1]
    )
    placement = curve.with_fewest_stages(best_index)
    reached = loss(np.array([placement.usd_per_hour]), np.array([placement.tokens_per_s]))
    value = min(float(found.min()), float(reached[0]))
    bound = min(value, float(loss(curve.lower, curve.thresholds).min()))
    gap = (value - bound) / abs(value) if value else abs(value - bound)
    proven = gap <= RELATIVE_TOLERANCE
    return Answer(_status(curve, proven), placement, bound, 0.0 if proven else gap)


def _cost_at(loss: Loss, value: float, tokens_per_s: float) -> float:
    """Return the cost at which a loss has a value, $/h; losses are linear in the cost."""
    if not np.isfinite(value):
        return math.inf
    rate = np.full(2, tokens_per_s)
    free, one = loss(np.array([0.0, 1.0]), rate).tolist()
    return float((value - free) / (one - free)) if one > free else math.inf


def frontier(curve: CostCurve) -> Iterator[Answer]:
    """Yield every Pareto point, fastest first. The bounds are on the cost, $/h.

    Divides the thresholds: where both ends of an interval cost the same, nothing lies between.
    Where that is not proven of all intervals, since time ran out or a gap was asked for, points
    may be missing and none is called optimal. Without any point, one answer says why.
    """
    stack = [(0, len(curve.thresholds) - 1)] if len(curve.thresholds) else []
    ends = {index for interval in stack for index in interval}
    for end in ends:
        curve.settle(end)
    while stack and not curve.out_of_time:
        low, high = stack.pop()
        if high - low < 2 or not exceeds(curve.upper[high], curve.upper[low]):
            continue
        middle = (low + high) // 2
        ends.add(middle)
        curve.settle(middle)
        stack += [(low, middle), (middle, high)]
    complete = not stack and all(curve.bounds(end).settled for end in ends)
    cost = math.inf
    for index in reversed(range(len(curve.thresholds))):
        bounds = curve.bounds(index)
        if not exceeds(cost, bounds.upper):
            continue
        placement = curve.with_fewest_stages(index)
        cost = placement.usd_per_hour
        gap = max(0.0, 1 - bounds.lower / cost) if cost else 0.0
        proven = complete and not exceeds(cost, bounds.lower)
        yield Answer(_status(curve, proven), placement, bounds.lower, 0.0 if proven else gap)
    if math.isinf(cost):
        least = float(curve.lower.min(initial=math.inf))
        yield _no_answer(least if math.isfinite(least) else None)


def iterative(
    fastest_within: Callable[[float], Answer], target_usd_per_token: float | None = None
) -> Answer:
    """Search as the published system does for a ballpark; the answer carries no proof.

    First without a budget; after each solve the budget becomes .95 · (target, else the lowest
    $/token so far) · throughput. Stops when there is no placement, none better, at the target,
    or after 5 solves.

    fastest_within: finds the highest throughput at a budget, $/h.
    """
    best: Placement | None = None
    budget = math.inf
    for _ in range(5):
        answer = fastest_within(budget)
        found = answer.placement
        if best is None and found is None:
            return replace(answer, bound=None)  # that was one on the throughput
        if found is None or (best and found.usd_per_token >= best.usd_per_token):
            break
        best = found
        if target_usd_per_token and best.usd_per_token <= target_usd_per_token:
            break
        price = target_usd_per_token or best.usd_per_token
        budget = 0.95 * price * best.tokens_per_s * SECONDS_PER_HOUR
    return Answer(AnswerStatus.FEASIBLE, best, None, None)


def _status(curve: CostCurve, proven: bool) -> AnswerStatus:
    """Name what was reached: a proof, else the time limit or the gap that was asked for."""
    if proven:
        return AnswerStatus.OPTIMAL
    return AnswerStatus.TIME_LIMIT if curve.out_of_time else AnswerStatus.FEASIBLE


def _no_answer(bound: float | None) -> Answer:
    """Answer that there is no placement, or that time ran out before one was found."""
    status = AnswerStatus.INFEASIBLE if bound is None else AnswerStatus.TIME_LIMIT
    return Answer(status, None, bound, None)
