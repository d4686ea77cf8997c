"""Which load can do all that another one can, at a throughput: what is proven of it holds for both.

A load is no worse than another if every placement that reaches a throughput under the other also
does under it. That is so where all its stages and hops take no larger share of the time allowed,
all sizes used under the other fit, and the first token is no later.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.serving.bounds import LeastCosts
from pipeline.serving.cells import one_cell_each
from pipeline.serving.rates import Rates
from pipeline.serving.tables import FloatArray, IntArray, ServingTables

BoolArray = NDArray[np.bool_]


class Dominance:
    """Compares the loads of one instance."""

    def __init__(
        self, tables: ServingTables, rates: Rates, least: LeastCosts, max_stages: int
    ) -> None:
        self._tables, self._rates, self._least = tables, rates, least
        self._max_stages = max_stages
        self._cells = one_cell_each(len(tables.decisions), max_stages)

    def best_of(self, decision: int, tokens_per_s: float) -> int:
        """Return a load that is no worse than a given one: the last of a chain of such loads."""
        reach = self._rates.reach(tokens_per_s, self._cells)
        fast = self._least.largest_sizes(reach.slowest_s, self._cells.decision)
        seen = {decision}
        while better := [d for d in self._no_worse(decision, reach.whole_s, fast) if d not in seen]:
            decision = better[0]
            seen.add(decision)
        return decision

    def _no_worse(self, decision: int, whole_s: FloatArray, fast: IntArray) -> list[int]:
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
        first_s = np.vstack(
            [tables.prefill_s, tables.prefill_hops.between_s, tables.prefill_hops.inside_s]
        )
        no_worse = m >= m[decision] if self._rates.fills else np.ones(len(m), dtype=bool)
        equal = m == m[decision]
        # What the load may take at most under another, and what it takes under each.
        for own, values in (
            (tables.pass_s / unit_s, tables.pass_s / unit_s),
            (hops, hops),
            (-fast, -fits),
            (tables.smallest, tables.smallest),
            (first_s, np.where(self._never_late(unit_s, decision), 0.0, first_s)),
        ):
            no_worse &= (values <= own[:, [decision]]).all(axis=0)
            equal &= (own == own[:, [decision]]).all(axis=0)
        index = np.arange(len(m))
        found = no_worse & (index != decision) & (~equal | (index < decision))
        return np.flatnonzero(found).tolist()

    def _never_late(self, unit_s: FloatArray, decision: int) -> BoolArray:
        """Tell under which loads the first token of what another serves in time cannot be late.

        With T the stages of a pass and H its hops, a fill of m micro-batches within m·unit takes
        M ≥ T/S, hence k·T + H ≤ m·unit with k = 1 + (m−1)/S. Of at most S−1 hops, none longer than
        h, that leaves P = T + H ≤ m·unit/k + (1 − 1/k)·(S−1)·h. In its own unit, so does the same
        placement under a load that is no worse.
        """
        if np.isinf(self._rates.longest_first_s):
            return np.ones(len(unit_s), dtype=bool)
        if not self._rates.fills:
            return np.zeros(len(unit_s), dtype=bool)
        tables, stages = self._tables, self._max_stages
        m = tables.micro_batches[decision]
        inside_s = tables.hops.inside_s[:, decision].max(initial=0.0)
        hop = max(float(tables.hops.between_s[decision]), float(inside_s)) / unit_s[decision]
        spread = 1 + (m - 1) / stages
        pass_s = unit_s * (m / spread + (1 - 1 / spread) * (stages - 1) * hop)
        return np.asarray(self._rates.first_token_s(pass_s) <= self._rates.longest_first_s)
