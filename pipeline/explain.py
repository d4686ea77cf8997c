"""Explains an answer: what holds it back, what lies next to it, what coarser choices would cost.

Every statement is an optimum of its own: a limit binds when relaxing it by one step gives a better
optimum. One that only helps by more than a step, or together with another, is not found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from pipeline import methods
from pipeline.curve import CostCurve
from pipeline.granularity import PRESETS, granularity
from pipeline.instance import GpuType, Instance
from pipeline.methods import Answer, AnswerStatus
from pipeline.placement import Placement
from pipeline.points import Point, Problem, Scales
from pipeline.restrictions import is_restricted, unrestricted
from pipeline.run import answers

Solve = Callable[[CostCurve], Answer]
# How much better another placement is than one, in percent; negative where it is worse.
Improvement = Callable[[Placement, Placement], float]
CHEAPER = "lower cost per token"
_BETTER = {"enumeration": "higher throughput", "weighted": "higher score"}


@dataclass(frozen=True)
class Binding:
    """A limit that holds the answer back.

    relaxed: the step that was tried. gain_percent: how much better the answer is with it; a smaller
    step may give as much, a larger one more.
    """

    limit: str
    relaxed: str
    gain_percent: float


@dataclass(frozen=True)
class Regret:
    """What a coarser granularity gives away, in percent; None: it has no placement."""

    granularity: str
    percent: float | None


@dataclass(frozen=True)
class Explanation:
    """All that is said of an answer.

    cheaper, faster: its neighbours on the Pareto frontier. restrictions_percent: what limits
    such as one TP degree for all stages cost against the free optimum, None without any.
    complete: whether all of it was found out in time; if not, what is absent is not known.
    better: what better means in all of this.
    """

    bindings: tuple[Binding, ...]
    cheaper: Placement | None
    faster: Placement | None
    regrets: tuple[Regret, ...]
    restrictions_percent: float | None
    complete: bool
    better: str = CHEAPER


def explain_point(problem: Problem, point: Point) -> Explanation | None:
    """Explain the answer to a point; None where it has no placement.

    Better means a higher throughput for `enumeration`, a higher score for `weighted`, else a lower
    $/token; of placements that are free, which no price tells apart, again a higher throughput.
    """
    sizes = granularity(point.granularity, problem.instance.num_layers)
    curve = CostCurve(problem.instance, sizes, problem.settings)
    placement = next(answers(problem, point, curve)).placement
    if placement is None:
        return None
    if point.method == "ratio" and not placement.usd_per_hour:
        point = replace(point, method="enumeration", budget_usd_per_hour=0.0)

    def solve(other: CostCurve) -> Answer:
        return next(answers(problem, point, other))

    found = explain(curve, placement, solve, _improvement(problem, point))
    return replace(found, better=_BETTER.get(point.method, CHEAPER))


def explain(
    curve: CostCurve, placement: Placement, solve: Solve, improvement: Improvement
) -> Explanation:
    """Explain a placement that `solve` found on the curve.

    solve: answers the same question on the curve of another instance or granularity.
    improvement: what better means.
    """
    statuses = set()

    def told(answer: Answer) -> Answer:
        statuses.add(answer.status)
        return answer

    def asked(other: CostCurve) -> Answer:
        return told(solve(other))

    def gain_percent(other: Placement | None) -> float:
        return -math.inf if other is None else improvement(placement, other)

    bindings = []
    for limit, relaxed, instance in relaxations(curve.instance):
        gain = gain_percent(asked(curve.changed(instance)).placement)
        if gain > 100 * methods.RELATIVE_TOLERANCE:
            bindings.append(Binding(limit, relaxed, gain))
    cheaper, faster = neighbours(placement, map(told, methods.frontier(curve)))
    regrets = tuple(_regrets(curve, placement, asked, improvement))
    restrictions_percent = _restrictions_percent(curve, placement, asked, improvement)
    return Explanation(
        tuple(sorted(bindings, key=lambda binding: -binding.gain_percent)),
        cheaper,
        faster,
        regrets,
        restrictions_percent,
        complete=AnswerStatus.TIME_LIMIT not in statuses,
    )


def _improvement(problem: Problem, point: Point) -> Improvement:
    """Return what better means to the method of a point."""
    if point.method == "enumeration":
        return faster_percent
    if point.method == "weighted" and point.cost_weight is not None:
        return partial(_score_percent, problem.scales, point.cost_weight)
    return cheaper_percent


def faster_percent(placement: Placement, other: Placement) -> float:
    """Return how much faster another placement is, in percent."""
    return 100 * (other.tokens_per_s / placement.tokens_per_s - 1)


def cheaper_percent(placement: Placement, other: Placement) -> float:
    """Return how much less another placement costs per token, in percent."""
    if not placement.usd_per_token:
        return 0.0  # nothing is cheaper than what costs nothing
    return 100 * (1 - other.usd_per_token / placement.usd_per_token)


def _score_percent(
    scales: Scales, cost_weight: float, placement: Placement, other: Placement
) -> float:
    """Return how much higher the weighted score of another placement is, in percent of its size."""

    def score(of: Placement) -> float:
        return scales.score(cost_weight, of.tokens_per_s, of.usd_per_hour)

    own = score(placement)
    return 100 * (score(other) - own) / (abs(own) or 1.0)


def relaxations(instance: Instance) -> Iterator[tuple[str, str, Instance]]:
    """Yield each limit with the way in which it is relaxed, and the instance that results."""
    limits = instance.limits
    stages = replace(limits, max_stages=limits.max_stages + 1)
    yield "max_stages", "one more stage", replace(instance, limits=stages)
    if limits.min_memory_utilization > 0 or limits.min_layers_per_stage > 1:
        free = replace(limits, min_memory_utilization=0.0, min_layers_per_stage=1)
        yield "smallest segments", "segments of any size", replace(instance, limits=free)
    for index, kind in enumerate(instance.pool):
        degrees = instance.degrees(index)
        if degrees:
            layer_gb = instance.model.layer_gb
            larger = replace(kind, memory_gb=kind.memory_gb + layer_gb)
            memory = f"{layer_gb:.2g} GB more"
            yield f"memory of {kind.name}", memory, _with_kind(instance, index, larger)
            more = replace(kind, count=kind.count + degrees[-1])
            count = f"{degrees[-1]} more"
            yield f"count of {kind.name}", count, _with_kind(instance, index, more)


def _with_kind(instance: Instance, index: int, kind: GpuType) -> Instance:
    """Replace a GPU type; GPUs that are new stand in the network where its last GPU stands.

    Where that one stands alone no link inside its zone is known; its fastest one is taken.
    """
    pool = list(instance.pool)
    extra = kind.count - pool[index].count
    pool[index] = kind
    zone_of = list(instance.network.zone_of)
    end = instance.first_gpu_ids[index] + instance.pool[index].count
    zone_of[end:end] = [zone_of[end - 1]] * extra
    network = replace(instance.network, zone_of=tuple(zone_of))
    zone = zone_of[end - 1]
    alone = instance.network.zone_of.count(zone) == 1
    if extra > 0 and alone and not network.zone_gb_per_s[zone][zone]:
        rows = [list(row) for row in network.zone_gb_per_s]
        rows[zone][zone] = max(*rows[zone], *(row[zone] for row in rows))
        network = replace(network, zone_gb_per_s=tuple(map(tuple, rows)))
    return replace(instance, pool=tuple(pool), network=network)


def neighbours(
    placement: Placement, frontier: Iterable[Answer]
) -> tuple[Placement | None, Placement | None]:
    """Return the next cheaper and the next faster point of the Pareto frontier."""
    points = [a.placement for a in frontier if a.placement is not None]
    cost = placement.usd_per_hour
    cheaper = [p for p in points if p.usd_per_hour < cost * (1 - methods.RELATIVE_TOLERANCE)]
    rate = placement.tokens_per_s
    faster = [p for p in points if p.tokens_per_s > rate * (1 + methods.RELATIVE_TOLERANCE)]
    return (
        max(cheaper, key=lambda p: p.usd_per_hour, default=None),
        min(faster, key=lambda p: p.usd_per_hour, default=None),
    )


def _regrets(
    curve: CostCurve, placement: Placement, solve: Solve, improvement: Improvement
) -> Iterator[Regret]:
    """Yield what every preset of fewer sizes gives away, where that is found out in time."""
    layers = curve.instance.num_layers
    for name in PRESETS:
        sizes = granularity(name, layers)
        if not set(sizes.sizes) < set(curve.granularity.sizes):
            continue
        answer = solve(curve.changed(curve.instance, sizes))
        if answer.status is AnswerStatus.TIME_LIMIT:
            continue
        if answer.placement is None:
            yield Regret(name, None)
        else:
            # Fewer sizes cannot be better: what is below 0 is the last digits of a division.
            lost = -improvement(placement, answer.placement)
            yield Regret(name, max(0.0, lost))


def _restrictions_percent(
    curve: CostCurve, placement: Placement, solve: Solve, improvement: Improvement
) -> float | None:
    limits = curve.instance.limits
    if not is_restricted(limits):
        return None
    free = replace(curve.instance, limits=unrestricted(limits))
    found = solve(curve.changed(free)).placement
    return None if found is None else improvement(placement, found)
