"""From loads to cells: a load with a range of its slowest stage, and what was proven of each.

A round needs one cell per load. A fill, P + (m − 1)·M, trades the pass P against the slowest
stage M; its cells are divided at some M where the bounds of the whole range do not suffice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.serving.tables import FloatArray, IntArray


@dataclass(frozen=True)
class Cells:
    """Cells in columns: the load's index, and the range of the slowest stage, s.

    parents: the cell that a cell was cut from, its own index for the first ones.
    """

    decision: IntArray
    low_s: FloatArray
    high_s: FloatArray
    parents: IntArray

    def __len__(self) -> int:
        return len(self.decision)

    def at(self, indices: IntArray) -> Cells:
        """Return some of the cells."""
        return Cells(
            self.decision[indices], self.low_s[indices], self.high_s[indices], self.parents[indices]
        )

    def divided(self, index: int, middle_s: float) -> Cells:
        """Cut a cell at a time: it keeps the range below, a new last cell gets that above."""
        high_s = self.high_s.copy()
        high_s[index] = middle_s
        return Cells(
            np.append(self.decision, self.decision[index]),
            np.append(self.low_s, middle_s),
            np.append(high_s, self.high_s[index]),
            np.append(self.parents, index),
        )


def one_cell_each(loads: int) -> Cells:
    """Return a cell with the whole range of the slowest stage for every load."""
    every = np.arange(loads)
    return Cells(every, np.zeros(loads), np.full(loads, np.inf), every)


def one_cell(decision: int) -> Cells:
    """Return the cell of one load with the whole range of the slowest stage."""
    return one_cell_each(decision + 1).at(np.array([decision]))


class Proofs:
    """What models proved: reaching a throughput in a cell costs at least so much, $/h."""

    def __init__(self) -> None:
        self._cells: IntArray = np.zeros(0, dtype=np.int64)
        self._rates: FloatArray = np.zeros(0)
        self._costs: FloatArray = np.zeros(0)

    def add(self, cell: int, tokens_per_s: float, usd_per_hour: float) -> None:
        """Keep a proven cost."""
        self._cells = np.append(self._cells, cell)
        self._rates = np.append(self._rates, tokens_per_s)
        self._costs = np.append(self._costs, usd_per_hour)

    def inherit(self, child: int, parent: int) -> None:
        """What holds in a cell holds in every part of it."""
        own = self._cells == parent
        self._cells = np.append(self._cells, np.full(own.sum(), child))
        self._rates = np.append(self._rates, self._rates[own])
        self._costs = np.append(self._costs, self._costs[own])

    def least_costs(self, tokens_per_s: FloatArray) -> FloatArray:
        """Return what is proven of the cost of a throughput of each cell, $/h, at least 0.

        The cost never falls as the throughput rises, so a proof speaks for every higher one.
        """
        costs = np.zeros(len(tokens_per_s))
        holds = self._rates <= tokens_per_s[self._cells]
        np.maximum.at(costs, self._cells[holds], self._costs[holds])
        return costs
