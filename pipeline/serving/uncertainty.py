"""Whether the cheapest groups stay the cheapest when the fitted constants are drawn anew."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from pipeline.placement import usd_per_token
from pipeline.restrictions import is_restricted
from pipeline.roofline.pipelines import drawn_table
from pipeline.serving import methods
from pipeline.serving.picks import Groups
from pipeline.serving.search import ServingSearch
from pipeline.settings import SolverSettings

DRAWS = 20
CANDIDATES = 12

Loss = tuple[float, float]
"""$/token, and s/token, which tells apart what is free; the lower the better."""


class _OutOfTimeError(Exception):
    """The time limit passed before all was decided again."""


@dataclass(frozen=True)
class Robustness:
    """How a winner fares over seeded draws of the constants.

    winner, runner_up: their groups in words; runner_up None where no other won a draw. shares:
    of all draws; unserved_share: of the draws in which the winner can serve no load.
    mean_regret, worst_regret: how much more than the draw's winner the winner costs per token,
    relative, over the other draws. candidates: groups compared. is_free: whether the winner costs
    nothing; then the fastest wins, and regrets are of the time per token.
    """

    draws: int
    candidates: int
    winner: str
    winner_share: float
    unserved_share: float
    runner_up: str | None
    runner_up_share: float
    mean_regret: float
    worst_regret: float
    is_free: bool


def robustness(
    search: ServingSearch, draws: int = DRAWS, most: int = CANDIDATES
) -> Robustness | None:
    """Decide again among groups that the search met and their neighbours, under drawn constants.

    Each draw deals the layers and chooses the load of every candidate anew: the groups are what
    was rented, the rest can follow. Candidates are those of the lowest $/token among the groups
    met and those that differ from the cheapest by one group; others are not looked at. None
    where no group was met, or the time limit passed before all draws were decided.
    """
    try:
        met = _by_loss(search, search.known.dealt_groups)
        if not met:
            return None
        around = [] if is_restricted(search.instance.limits) else _neighbours(search, met[0])
        return _over_draws(search, _by_loss(search, {*met, *around})[:most], draws)
    except _OutOfTimeError:
        return None


def _over_draws(search: ServingSearch, candidates: Sequence[Groups], draws: int) -> Robustness:
    """Decide again among candidates, the winner first, under every draw."""
    wins: Counter[Groups] = Counter()
    regrets: list[float] = []
    unserved = 0
    for seed in range(draws):
        drawn = ServingSearch(
            search.instance, search.granularity, SolverSettings(), drawn_table(search.table, seed)
        )
        drawn.clock = search.clock
        losses = [(_loss(drawn, groups), groups) for groups in candidates]
        served = {groups: loss for loss, groups in losses if loss is not None}
        if served:
            wins[min(served, key=lambda groups: served[groups])] += 1
        own = served.get(candidates[0])
        if own is None:
            unserved += 1
        else:
            regrets.append(_regret(own, min(served.values())))
    others = [(groups, n) for groups, n in wins.most_common() if groups != candidates[0]]
    return Robustness(
        draws=draws,
        candidates=len(candidates),
        winner=in_words(search, candidates[0]),
        winner_share=wins[candidates[0]] / draws,
        unserved_share=unserved / draws,
        runner_up=in_words(search, others[0][0]) if others else None,
        runner_up_share=others[0][1] / draws if others else 0.0,
        mean_regret=sum(regrets) / len(regrets) if regrets else 0.0,
        worst_regret=max(regrets, default=0.0),
        is_free=all(not search.tables.usd_per_hour[c] for c, _ in candidates[0]),
    )


def _regret(own: Loss, best: Loss) -> float:
    """Return by how much a loss is above the best, relative; infinite above what is free."""
    if not best[0]:
        return math.inf if own[0] else own[1] / best[1] - 1
    return own[0] / best[0] - 1


def solved_robustness(search: ServingSearch) -> Robustness | None:
    """Search for the lowest $/token, then decide again under drawn constants."""
    methods.ratio(search)
    return robustness(search)


def _by_loss(search: ServingSearch, sets: Iterable[Groups]) -> list[Groups]:
    """Return the sets of groups that can serve some load, the lowest $/token first."""
    losses = ((_loss(search, groups), groups) for groups in sets)
    return [groups for _, groups in sorted((loss, g) for loss, g in losses if loss is not None)]


def _neighbours(search: ServingSearch, groups: Groups) -> Iterator[Groups]:
    """Yield what the pool allows with one group more, one less, or one of another class."""
    classes = search.tables.groups
    members = [len(c.first_gpu_ids) for c in classes]
    for less, more in product([None, *dict(groups)], [None, *range(len(members))]):
        counts = Counter(dict(groups))
        counts.update([] if more is None else [more])
        counts.subtract([] if less is None else [less])
        used = Counter(counts)
        for (outer, inner), blocks in classes.contained.items():
            used[inner] += blocks * counts[outer]
        fits = all(used[c] <= most for c, most in enumerate(members))
        if fits and 0 < counts.total() <= search.instance.limits.max_stages:
            yield tuple(sorted((c, n) for c, n in counts.items() if n))


def _loss(search: ServingSearch, groups: Groups) -> Loss | None:
    """Return the lowest loss of some groups over all loads, None where they hold none.

    Raises _OutOfTimeError where no time is left: with thousands of loads each takes a while.
    """
    if search.clock.out_of_time:
        raise _OutOfTimeError
    rate = float(search.known.deal(dict(groups)).tokens_per_s.max(initial=0.0))
    cost = sum(count * float(search.tables.usd_per_hour[c]) for c, count in groups)
    return (usd_per_token(cost, rate), 1.0 / rate) if rate > 0 else None


def in_words(search: ServingSearch, groups: Groups) -> str:
    """Write groups as `2 × L40S TP 4 + H100 TP 8`."""
    parts = []
    for index, count in groups:
        group_class = search.tables.groups.classes[index]
        name = f"{search.instance.pool[group_class.gpu].name} TP {group_class.degree}"
        parts.append(name if count == 1 else f"{count} × {name}")
    return " + ".join(parts)
