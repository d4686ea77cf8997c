"""Whether copies of the model side by side are faster than one placement within a budget.

A placement is one copy of the model, and what is proven of a budget speaks of single ones. Copies
of the placement of the lowest $/token are a witness where they are faster: none faster among all
sets of copies is looked for.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace

from pipeline.formulation.compact import within
from pipeline.instance import GpuType, Instance
from pipeline.methods import RELATIVE_TOLERANCE, AnswerStatus
from pipeline.placement import Placement
from pipeline.points import Point, Problem
from pipeline.run import solve_point


@dataclass(frozen=True)
class Copies:
    """Copies of one placement, each on GPUs of its own.

    is_proven: whether no placement has a lower $/token than each of them.
    """

    number: int
    placement: Placement
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

    tokens_per_s: of the answer. Solves for the lowest $/token, in the time limit of a point.
    """
    cheapest = replace(point, method="ratio", budget_usd_per_hour=None)
    answer = solve_point(problem, cheapest).answers[0]
    placement = answer.placement
    if placement is None:
        return None
    number = most_copies(problem.instance, placement)
    if point.budget_usd_per_hour is not None and placement.usd_per_hour:
        affordable = within(point.budget_usd_per_hour) / placement.usd_per_hour
        number = math.floor(min(number, affordable))
    copies = Copies(number, placement, answer.status is AnswerStatus.OPTIMAL)
    are_faster = copies.tokens_per_s > tokens_per_s * (1 + RELATIVE_TOLERANCE)
    return copies if number > 1 and are_faster else None


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
