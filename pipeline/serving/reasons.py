"""Says why no placement was found under `roofline`: the first demand that cannot be met.

What sizes and memory allow follows from the tables; for the rest a search is made without each
demand in turn, in little time: a reason is worth less than an answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from pipeline.formulation.compact import within
from pipeline.instance import Instance, Limits
from pipeline.methods import REASON_UNKNOWN, Answer, AnswerStatus
from pipeline.reason_texts import (
    NO_COMBINATION,
    Held,
    budget_reason,
    no_option_reason,
    pool_reason,
    restrictions_reason,
    sizes_reason,
)
from pipeline.restrictions import RESTRICTIONS
from pipeline.serving import methods
from pipeline.serving.placement import ServedPlacement
from pipeline.serving.search import ServingSearch
from pipeline.serving.tables import serving_of
from pipeline.settings import Clock
from pipeline.words import counted, enough_per_hour, listed, per_hour

LATENCIES = ("max_ttft_s", "max_tpot_s")


@dataclass(frozen=True)
class _Shortest:
    """A time that a limit on latency can be set to, s; if it is the least, within a budget."""

    seconds: float
    is_least: bool
    budget: float | None


def why_nothing(search: ServingSearch, budget_usd_per_hour: float | None) -> str:
    """Name the first of the problem's demands that cannot be met, in the time of the search."""
    instance, held = search.instance, _held(search)
    fewest = int(search.tables.concurrency.min())
    beside = f" beside the cache of {counted(fewest, 'request')}"
    known = sizes_reason(instance, search.granularity)
    if not (known or search.options()):
        known = no_option_reason(instance, held, beside)
    return known or pool_reason(instance, held, beside) or _by_search(search, budget_usd_per_hour)


def _held(search: ServingSearch) -> Held:
    """Return the most layers that a group of every type and TP degree holds, of any load."""
    held: list[dict[int, int]] = [{} for _ in search.instance.pool]
    largest = search.tables.largest.max(axis=1, initial=0).tolist()
    for group_class, layers in zip(search.tables.groups, largest, strict=True):
        held[group_class.gpu][group_class.degree] = layers
    return held


def _by_search(search: ServingSearch, budget: float | None) -> str:
    """Name the first demands without which there is a placement."""
    limits, free, is_proven = search.instance.limits, _free(search.instance), True
    clock = Clock(replace(search.clock.settings_now, mip_gap=0.0))
    without_budget: list[list[str]] = [] if budget is None else [[]]
    for names in [*without_budget, *_demands(limits, free)]:
        if clock.out_of_time:
            return REASON_UNKNOWN
        answer = _cheapest(search, replace(limits, **{n: free[n] for n in names}), clock)
        if isinstance(answer.placement, ServedPlacement):
            is_proven = answer.status is AnswerStatus.OPTIMAL
            if budget is not None and not names:
                return _over_budget(budget, answer.placement, is_proven)
            is_latency = len(names) == 1 and names[0] in LATENCIES
            beyond, shortest = _beyond(budget, answer.placement), None
            if is_latency and not beyond:
                shortest = _shortest(search, names[0], clock, budget)
            return _in_the_way(limits, names, answer.placement, is_proven, shortest) + beyond
        is_proven &= answer.status is AnswerStatus.INFEASIBLE
    return NO_COMBINATION if is_proven else REASON_UNKNOWN


def _free(instance: Instance) -> dict[str, Any]:
    """Return the limits that may be in the way, and what they are where they leave everything."""
    stages = max(instance.limits.max_stages, min(instance.num_layers, instance.num_gpus))
    return {
        "max_ttft_s": None,
        "max_tpot_s": None,
        **dict.fromkeys(RESTRICTIONS, False),
        "min_layers_per_stage": 1,
        "min_memory_utilization": 0.0,
        "max_stages": stages,
    }


def _demands(limits: Limits, free: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield each limit that is set, the restrictions as one, and then all of them together."""
    stated = [name for name, value in free.items() if getattr(limits, name) != value]
    parts = [list(names) for _, names in groupby(stated, lambda n: n in RESTRICTIONS or n)]
    yield from parts
    if len(parts) > 1:
        yield stated


def _cheapest(search: ServingSearch, limits: Limits, clock: Clock) -> Answer:
    """Return the cheapest placement under other limits and the same loads, in the time left."""
    in_flight = tuple(sorted({load.micro_batches for load in search.tables.decisions}))
    serving = replace(serving_of(search.instance), micro_batches=in_flight)
    changed = replace(search.instance, limits=limits, serving=serving)
    relaxed = ServingSearch(changed, search.granularity, clock.settings_now, search.table)
    return methods.cheapest(relaxed)


def _shortest(
    search: ServingSearch, name: str, clock: Clock, budget: float | None
) -> _Shortest | None:
    """Return a short time that a limit on latency can be set to, and if it is the shortest.

    Both are within the budget if there is one; None where nothing was found there.

    Under one micro-batch the fastest placement is the one of the shortest time: of prompts for
    the first token, of whole requests for those after it; and no load has less to do or to hold
    than that of the smallest micro-batch. Where GPUs must be filled to a share, fewer requests
    need more layers for it, so that another load may be shorter.
    """
    load = min(
        search.tables.decisions, key=lambda d: (d.concurrency / d.micro_batches, d.concurrency)
    )
    serving = serving_of(search.instance)
    serving = replace(
        serving,
        phase="prefill" if name == "max_ttft_s" else serving.phase,
        concurrency=(load.concurrency,),
        micro_batches=(load.micro_batches,),
    )
    limits = replace(search.instance.limits, max_ttft_s=None, max_tpot_s=None)
    changed = replace(search.instance, limits=limits, serving=serving)
    alone = ServingSearch(changed, search.granularity, clock.settings_now, search.table)
    fastest = methods.enumeration(alone, math.inf if budget is None else budget)
    if fastest.status is not AnswerStatus.OPTIMAL:
        return None
    taken_s = float(getattr(fastest.placement, name.removeprefix("max_")))
    is_least = load.micro_batches == 1 and not limits.min_memory_utilization
    return _Shortest(taken_s, is_least, budget)


def _over_budget(budget: float, found: ServedPlacement, is_proven: bool) -> str:
    if is_proven:
        return budget_reason(budget, found.usd_per_hour)
    least = f"the cheapest found costs {enough_per_hour(found.usd_per_hour)}"
    return f"budget: no placement costs {per_hour(budget)} or less, {least}"


def _beyond(budget: float | None, found: ServedPlacement) -> str:
    """Add that a placement without the limits in the way is above the budget too."""
    if budget is None or found.usd_per_hour <= within(budget):
        return ""
    return f", and that costs {enough_per_hour(found.usd_per_hour)}, above the budget"


def _in_the_way(
    limits: Limits,
    names: Sequence[str],
    found: ServedPlacement,
    is_proven: bool,
    shortest: _Shortest | None,
) -> str:
    """Say that limits are in the way. found: the cheapest placement without them, if proven.

    shortest: what the one limit on latency could be set to, and if it is the shortest of all.
    """
    cheapest = "the cheapest placement" if is_proven else "the cheapest placement found"
    if set(names) <= set(RESTRICTIONS):
        return restrictions_reason(limits)
    if len(names) > 1:
        told = "is not enough, but without all of them there is a placement"
        return f"limits: leaving out one of {listed([*names])} {told}"
    (name,) = names
    if name == "max_stages":
        has = f"without this limit {cheapest} has {len(found.stages)}"
        return f"stages: max_stages is {limits.max_stages}; {has}"
    if name.startswith("min_"):
        return f"sizes: without {name} there is a placement"
    limit_s, taken_s = getattr(limits, name), getattr(found, name.removeprefix("max_"))
    told = f"latency: no placement keeps {name} at {limit_s:g} s; "
    if shortest is not None and shortest.seconds > limit_s:
        known = "that can be had" if shortest.is_least else "found"
        known += "" if shortest.budget is None else " within the budget"
        return f"{told}the shortest {known} is {_rounded_up(shortest.seconds):g} s"
    return f"{told}without this limit {cheapest} takes {taken_s:.3g} s"


def _rounded_up(seconds: float) -> float:
    """Return a time in three digits that is no shorter, so that it can be a limit."""
    unit = 10.0 ** (math.floor(math.log10(seconds)) - 2)
    return math.ceil(seconds / unit) * unit
