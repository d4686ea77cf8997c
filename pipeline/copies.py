"""Whether copies of the model side by side are faster than one placement within a budget.

A placement is one copy of the model, and what is proven of a budget speaks of single ones. Copies
of the placement of the lowest $/token, or of the fastest within a part of the budget, are a witness
where they are faster: none faster among all sets of copies is looked for.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipeline.formulation.compact import within
from pipeline.instance import GpuType, Instance
from pipeline.methods import RELATIVE_TOLERANCE, AnswerStatus
from pipeline.placement import Placement
from pipeline.points import Point, Problem
from pipeline.run import solve_point
from pipeline.settings import Clock

# Copies are looked for of what is fastest within a half of the budget, a third and so on. Cheap
# placements, of which more fit, are soon those of the lowest $/token.
MOST_PARTS = 4


@dataclass(frozen=True)
class Copies:
    """Copies of one placement, each on GPUs of its own.

    is_cheapest: whether each is the placement of the lowest $/token, and not the fastest within
    its cost. is_proven: whether it is known to be that.
    """

    number: int
    placement: Placement
    is_cheapest: bool
    is_proven: bool

    @property
    def tokens_per_s(self) -> float:
        """Throughput of all copies together."""
        return self.number * self.placement.tokens_per_s

    @property
    def usd_per_hour(self) -> float:
        """Cost of all copies together."""
        return self.number * self.placement.usd_per_hour


def faster_copies(problem: Problem, point: Point, tokens_per_s: float) -> Copies | None:
    """Return copies within the budget of a point that are faster than its answer, if found.

    tokens_per_s: of the answer. Solves for the placements that copies are made of, all in the
    time limit of one point.
    """
    clock, best, to_beat = Clock(problem.settings), None, tokens_per_s
    for asked in _parts(point):
        if clock.out_of_time:
            break
        answer = solve_point(replace(problem, settings=clock.settings_now), asked).answers[0]
        if answer.placement is None:
            break
        number = _affordable(problem.instance, answer.placement, point.budget_usd_per_hour)
        is_proven = answer.status is AnswerStatus.OPTIMAL
        copies = Copies(number, answer.placement, asked.method == "ratio", is_proven)
        if number > 1 and copies.tokens_per_s > to_beat * (1 + RELATIVE_TOLERANCE):
            best, to_beat = copies, copies.tokens_per_s
    return best


def _parts(point: Point) -> Iterator[Point]:
    """Yield what copies are made of: the lowest $/token, then the fastest of ever smaller parts."""
    yield replace(point, method="ratio", budget_usd_per_hour=None)
    if point.budget_usd_per_hour is not None:
        for parts in range(2, MOST_PARTS + 1):
            yield replace(point, budget_usd_per_hour=point.budget_usd_per_hour / parts)


def _affordable(instance: Instance, placement: Placement, budget: float | None) -> int:
    """Return how many copies the pool holds and a budget pays for, $/h."""
    number = most_copies(instance, placement)
    if budget is None or not placement.usd_per_hour:
        return number
    return math.floor(min(number, within(budget) / placement.usd_per_hour))


def most_copies(instance: Instance, placement: Placement) -> int:
    """Return how many copies of a placement a pool holds for sure, each as fast as the first.

    1 where GPUs of a type differ in their links, so that a copy on others may be slower.
    """
    used = Counter[str]()
    for stage in placement.stages:
        used[stage.gpu] += stage.tp_degree
    zone_of, held = instance.network.zone_of, []
    for kind, first in zip(instance.pool, instance.first_gpu_ids, strict=True):
        if number := used[kind.name]:
            is_alike = len(set(zone_of[first : first + kind.count])) == 1
            held.append(_copies_on(kind, number) if is_alike else 1)
    return min(held)


def _copies_on(kind: GpuType, number: int) -> int:
    """Return how many times so many GPUs of a type fit, on as few hosts each time as once.

    A copy takes whole hosts and a part of one more. With p parts in a host, n copies need
    n·whole + (n − those in the last, smaller host)/p hosts.
    """
    host = kind.gpus_per_node
    if host is None:
        return kind.count // number
    full, rest = divmod(kind.count, host)
    whole, part = divmod(number, host)
    if not part:
        return full // whole
    in_host = host // part
    copies = (full * in_host + rest // part) // (whole * in_host + 1)
    return min(copies, full // whole) if whole else copies
