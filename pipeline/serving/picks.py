"""From groups to the throughput they reach under a load; keeps the best placements met."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.formulation.compact import within
from pipeline.granularity import Granularity
from pipeline.instance import Instance
from pipeline.serving.deal import Dealt, best_dealt, hop_seconds, under_every_load
from pipeline.serving.rates import Rates
from pipeline.serving.tables import FloatArray, ServingTables

Groups = tuple[tuple[int, int], ...]
"""How many groups of each class: (class, count), ascending."""
Sized = tuple[tuple[int, int], ...]
"""Each group with its layers: (class, size)."""


@dataclass(frozen=True)
class Pick:
    """Groups with their sizes, a load, and what they make of it."""

    groups: Sized
    decision: int
    usd_per_hour: float
    tokens_per_s: float


class Picks:
    """Placements of one instance that were met: those that no other beats, and their groups.

    dealt_groups: what was dealt to each set of groups met, by (class, count).
    """

    def __init__(
        self, instance: Instance, granularity: Granularity, tables: ServingTables, rates: Rates
    ) -> None:
        self._tables, self._rates = tables, rates
        self._sizes, self._layers = granularity.sizes, instance.num_layers
        self._host_sizes = instance.host_sizes
        has_gaps = self._sizes[-1] - self._sizes[0] + 1 != len(self._sizes)
        self.sizes_are_free = not (instance.limits.equal_sizes or has_gaps)
        self.best: list[Pick] = []
        self.dealt_groups: dict[Groups, Dealt] = {}

    def fastest(self, usd_per_hour: float) -> Pick | None:
        """Return the fastest pick within a budget, the cheapest of them."""
        affordable = [p for p in self.best if p.usd_per_hour <= within(usd_per_hour)]
        return max(affordable, key=lambda p: (p.tokens_per_s, -p.usd_per_hour), default=None)

    def cheapest(self, tokens_per_s: float) -> Pick | None:
        """Return the cheapest pick that reaches a throughput, the fastest of them."""
        reaching = [p for p in self.best if p.tokens_per_s >= tokens_per_s]
        return min(reaching, key=lambda p: (p.usd_per_hour, -p.tokens_per_s), default=None)

    def pick(self, groups: Sized, decision: int) -> Pick:
        """Work out the throughput and cost of groups with their sizes under a load."""
        times = (
            np.array(self.pass_seconds(groups, decision)[0]),
            np.array(self.slowest_s(groups, decision)),
        )
        rate = self._rates.tokens_per_s(decision, *times)
        cost = math.fsum(float(self._tables.usd_per_hour[c]) for c, _ in groups)
        return Pick(tuple(sorted(groups)), decision, cost, float(rate))

    def usd_per_hour(self, counts: Mapping[int, int]) -> float:
        """Return the price of groups by class, $/h."""
        return math.fsum(n * float(self._tables.usd_per_hour[c]) for c, n in counts.items())

    def pass_seconds(self, groups: Sequence[tuple[int, int]], decision: int) -> tuple[float, float]:
        """Return the time of a pass and of a prefill pass, hops included, s."""
        hops = self._hop_seconds(Counter(c for c, _ in groups))
        layer_s = self._tables.pass_s, self._tables.prefill_s
        times = [
            math.fsum(size * float(seconds[c, decision]) for c, size in groups) + hop_s[decision]
            for seconds, hop_s in zip(layer_s, hops, strict=True)
        ]
        return float(times[0]), float(times[1])

    def slowest_s(self, groups: Sequence[tuple[int, int]], decision: int) -> float:
        """Return the time of the slowest stage, s."""
        return max(size * float(self._tables.pass_s[c, decision]) for c, size in groups)

    def in_time(self, pick: Pick) -> bool:
        """Tell whether a pick respects the limits on latency, but for rounding errors."""
        pass_s, prefill_s = self.pass_seconds(pick.groups, pick.decision)
        times = np.array(pass_s), np.array(self.slowest_s(pick.groups, pick.decision))
        first_s = float(self._rates.first_token_s(np.array(prefill_s)))
        round_s = 0.0 if self._rates.fills else float(self._rates.round_s(pick.decision, *times))
        limits = self._rates.longest_first_s, self._rates.longest_round_s
        return first_s <= limits[0] * (1 + 1e-9) and round_s <= limits[1] * (1 + 1e-9)

    def keep(self, pick: Pick) -> None:
        """Keep a pick in time, unless another is as fast and no dearer; drop those it beats."""

        def beats(one: Pick, other: Pick) -> bool:
            return one.usd_per_hour <= other.usd_per_hour and one.tokens_per_s >= other.tokens_per_s

        if not any(beats(other, pick) for other in self.best) and self.in_time(pick):
            self.best = [other for other in self.best if not beats(pick, other)] + [pick]

    def meet(self, pick: Pick) -> Pick:
        """Keep a pick and the best that its groups make of any load; return that of its own load.

        The pick itself is returned where its groups do no better, or are never in time.
        """
        self.keep(pick)
        if not self.sizes_are_free:
            rates = under_every_load(
                self._tables,
                self._rates,
                pick.groups,
                self._hop_seconds(Counter(c for c, _ in pick.groups)),
            )
            self._keep_fastest(rates, lambda _: pick.groups)
            return pick
        dealt = self.deal(Counter(c for c, _ in pick.groups))
        rate = dealt.tokens_per_s[pick.decision]
        if rate <= (pick.tokens_per_s if self.in_time(pick) else 0.0):
            return pick
        better = self.pick(dealt.groups(pick.decision), pick.decision)
        self.keep(better)
        return better

    def deal(self, counts: Mapping[int, int]) -> Dealt:
        """Deal the layers to chosen groups under every load; the fastest is kept."""
        key = tuple(sorted(counts.items()))
        if key not in self.dealt_groups:
            dealt = self.dealt_groups[key] = self._dealt(counts)
            self._keep_fastest(dealt.tokens_per_s, dealt.groups)
        return self.dealt_groups[key]

    def most_tokens_per_s(self, counts: Mapping[int, int]) -> FloatArray:
        """Return the throughput that no part of chosen groups exceeds, by load."""
        return self._dealt(counts, is_bound=True).tokens_per_s

    def _dealt(self, counts: Mapping[int, int], is_bound: bool = False) -> Dealt:
        ends, hops_s = (self._sizes[0], self._sizes[-1]), self._hop_seconds(counts)
        tables, rates = self._tables, self._rates
        return best_dealt(tables, rates, counts, hops_s, ends, self._layers, is_bound)

    def _keep_fastest(self, tokens_per_s: FloatArray, groups: Callable[[int], Sized]) -> None:
        """Keep the fastest of some groups' placements under all loads."""
        decision = int(np.argmax(tokens_per_s))
        if tokens_per_s[decision] > 0:
            self.keep(self.pick(groups(decision), decision))

    def _hop_seconds(self, counts: Mapping[int, int]) -> tuple[FloatArray, FloatArray]:
        """Return the hops of a pass and of a prefill pass, by load, s."""
        return (
            hop_seconds(self._tables, self._host_sizes, counts),
            hop_seconds(self._tables, self._host_sizes, counts, prefill=True),
        )
