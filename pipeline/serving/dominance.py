"""Which load can do all that another one can, at a throughput: what is proven of it holds for both.

A load is no worse than another if every placement that reaches a throughput under the other also
does under it. That is so where all its stages and hops take no larger share of the time allowed,
all sizes used under the other fit, and the first token is no later.
"""

from __future__ import annotations

import numpy as np

from pipeline.serving.bounds import LeastCosts
from pipeline.serving.cells import one_cell_each
from pipeline.serving.rates import Rates
from pipeline.serving.tables import FloatArray, IntArray, ServingTables


class Dominance:
    """Compares the loads of one instance."""

    def __init__(
        self, tables: ServingTables, rates: Rates, least: LeastCosts, max_stages: int
    ) -> None:
        self._tables, self._rates, self._least = tables, rates, least
        self._max_stages = max_stages
        self._cells = one_cell_each(len(tables.decisions), max_stages)

    def best_of(self, decision: int, tokens_per_s: float) -> int:
        """Return a load that is no worse than a given one and has none that is better."""
        reach = self._rates.reach(tokens_per_s, self._cells)
        fast = self._least.largest_sizes(reach.slowest_s, self._cells.decision)
        while len(better := self._no_worse(decision, reach.whole_s, fast)):
            decision = int(better[0])
        return decision

    def _no_worse(self, decision: int, whole_s: FloatArray, fast: IntArray) -> IntArray:
        """Return the loads that are no worse than one; of equal loads only those before it.

        Rounds: R = f·max(P, m·M), compared by P over R/f and by the sizes that are fast enough.
        Fills: P + (m−1)·M ≤ F is (P−M)/m + M ≤ F/m. With P ≥ M, more micro-batches of the same
        shape only help, so times are compared over F/m.

        whole_s: longest round or fill, by load. fast: the largest sizes that keep to it.
        """
        tables, m = self._tables, self._tables.micro_batches
        unit_s = whole_s / (m if self._rates.fills else tables.step_factor)
        fits = tables.largest if self._rates.fills else fast
        hops = np.vstack([tables.hops.between_s, tables.hops.inside_s]) / unit_s
        equal = np.ones(len(m), dtype=bool)
        no_worse = equal & (m >= m[decision]) if self._rates.fills else equal.copy()
        for values, sign in (
            (tables.pass_s / unit_s, 1),
            (hops, 1),
            (fits, -1),
            (tables.smallest, 1),
            (self._first_s(unit_s, m[decision]), 1),
        ):
            own = (fast if values is fits else values)[:, [decision]]
            no_worse &= (sign * values <= sign * own).all(axis=0)
            equal &= (values == values[:, [decision]]).all(axis=0)
        equal &= m == m[decision]
        index = np.arange(len(m))
        return np.flatnonzero(no_worse & (index != decision) & (~equal | (index < decision)))

    def _first_s(self, unit_s: FloatArray, micro_batches: float) -> FloatArray:
        """Return what the first token waits for, s; no more than 0 where it cannot be too late.

        A fill of m micro-batches within m·unit takes M ≥ P/S, hence P ≤ m·unit/(1 + (m−1)/S);
        so does, in its own unit, the same placement under a load that is no worse.
        """
        tables, rates = self._tables, self._rates
        hops = tables.prefill_hops
        parts = np.vstack([tables.prefill_s, hops.between_s, hops.inside_s])
        if np.isinf(rates.longest_first_s):
            return np.zeros_like(parts)
        pass_s = unit_s * micro_batches / (1 + (micro_batches - 1) / self._max_stages)
        never_late = rates.fills & (rates.first_token_s(pass_s) <= rates.longest_first_s)
        return np.where(never_late, 0.0, parts)
