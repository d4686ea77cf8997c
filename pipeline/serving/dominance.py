"""Which load can do all that another one can, at a throughput: what is proven of it holds for both.

A load is no worse than another if every placement that reaches a throughput under the other also
does under it. That is so where all its stages and hops take no larger share of the time allowed,
all sizes used under the other fit, and the first token is no later.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.serving.bounds import LeastCosts
from pipeline.serving.cells import one_cell_each
from pipeline.serving.rates import Rates
from pipeline.serving.tables import BoolArray, FloatArray, IntArray, ServingTables


@dataclass(frozen=True)
class _Demands:
    """What every load takes at a throughput, and what it may take under another that is no worse.

    taken, allowed: rows of figures by load, the smaller the better. unit_s: the time that shares
    are of, by load.
    """

    taken: FloatArray
    allowed: FloatArray
    unit_s: FloatArray


class Dominance:
    """Compares the loads of one instance."""

    def __init__(
        self, tables: ServingTables, rates: Rates, least: LeastCosts, max_stages: int
    ) -> None:
        self._tables, self._rates, self._least = tables, rates, least
        self._max_stages = max_stages
        self._cells = one_cell_each(len(tables.decisions), max_stages)
        self._every = np.arange(len(tables.decisions))
        self._first_s = np.vstack(
            [tables.prefill_s, tables.prefill_hops.between_s, tables.prefill_hops.inside_s]
        )

    def best_of(self, decision: int, tokens_per_s: float) -> int:
        """Return a load that is no worse than a given one: the last of a chain of such loads.

        Of equal loads the first is the last of the chain.
        """
        demands, others = self._demands(tokens_per_s), self._every
        while True:
            own = np.array([decision])
            found = self._no_worse(demands, others, own)
            found &= ~self._no_worse(demands, own, others) | (others < decision)
            if not found.any():
                return decision
            # Envelopes stand last, and are soonest at the end of a chain. What is no worse than a
            # load is sought among those that are no worse than the ones before it.
            others = others[found]
            decision = int(others[-1])

    def no_better_than(self, decision: int, tokens_per_s: float) -> IntArray:
        """Return all loads that a given one is no worse than, itself among them."""
        demands = self._demands(tokens_per_s)
        return np.flatnonzero(self._no_worse(demands, np.array([decision]), self._every))

    def _demands(self, tokens_per_s: float) -> _Demands:
        """Return what the loads take of the time that a throughput allows.

        Rounds: R = f·max(P, m·M), compared by P over R/f and by the sizes that are fast enough.
        Fills: P + (m−1)·M ≤ F is (P−M)/m + M ≤ F/m. With P ≥ M, more micro-batches of the same
        shape only help, so times are compared over F/m.
        """
        tables, fills = self._tables, self._rates.fills
        reach = self._rates.reach(tokens_per_s, self._cells)
        fast = self._least.largest_sizes(reach.slowest_s, self._cells.decision)
        unit_s = reach.whole_s / (tables.micro_batches if fills else tables.step_factor)
        hops = np.vstack([tables.hops.between_s, tables.hops.inside_s])
        both = [tables.pass_s / unit_s, hops / unit_s, tables.smallest]
        if fills:
            both.append(-tables.micro_batches[None, :])
        taken = np.vstack([*both, -(tables.largest if fills else fast)])
        return _Demands(taken, np.vstack([*both, -fast]), unit_s)

    def _no_worse(self, demands: _Demands, better: IntArray, worse: IntArray) -> BoolArray:
        """Tell which loads are no worse than which; one of both may be a single load."""
        fits = (demands.taken[:, better] <= demands.allowed[:, worse]).all(axis=0)
        early = (self._first_s[:, better] <= self._first_s[:, worse]).all(axis=0)
        return np.asarray(fits & (early | self._never_late(demands.unit_s, better, worse)))

    def _never_late(self, unit_s: FloatArray, better: IntArray, worse: IntArray) -> BoolArray:
        """Tell under which loads the first token of what another serves in time cannot be late.

        With T the stages of a pass and H its hops, a fill of m micro-batches within m·unit takes
        M ≥ T/S, hence k·T + H ≤ m·unit with k = 1 + (m−1)/S. Of at most S−1 hops, none longer than
        h, that leaves P = T + H ≤ m·unit/k + (1 − 1/k)·(S−1)·h. In its own unit, so does the same
        placement under a load that is no worse.
        """
        if np.isinf(self._rates.longest_first_s):
            return np.array(True)
        if not self._rates.fills:
            return np.array(False)
        tables, stages = self._tables, self._max_stages
        m = tables.micro_batches[worse]
        inside_s = tables.hops.inside_s[:, worse].max(axis=0, initial=0.0)
        hop = np.maximum(tables.hops.between_s[worse], inside_s) / unit_s[worse]
        spread = 1 + (m - 1) / stages
        pass_s = unit_s[better] * (m / spread + (1 - 1 / spread) * (stages - 1) * hop)
        return np.asarray(self._rates.first_token_s(pass_s) <= self._rates.longest_first_s)
