"""From loads to cells: a load with ranges of its slowest stage and stages, and what is proven.

A round needs one cell per load. A fill, P + (m − 1)·M, trades the pass P against the slowest
stage M, which is at least P over the stages; its cells are cut where their bounds do not suffice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.serving.tables import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Cells:
    """Cells in columns: the load's index, the range of the slowest stage, s, and of stages.

    parents: the cell that a cell was cut from, its own index for the first ones.
    """

    decision: IntArray
    low_s: FloatArray
    high_s: FloatArray
    fewest_stages: IntArray
    most_stages: IntArray
    parents: IntArray

    def __len__(self) -> int:
        return len(self.decision)

    def at(self, indices: IntArray) -> Cells:
        """Return some of the cells."""
        return Cells(
            self.decision[indices],
            self.low_s[indices],
            self.high_s[indices],
            self.fewest_stages[indices],
            self.most_stages[indices],
            self.parents[indices],
        )

    def cut_at_time(self, index: int, middle_s: float) -> Cells:
        """Cut a cell at a slowest stage: it keeps what is below, a new last cell gets the rest."""
        cells = self.at(np.append(np.arange(len(self)), index))
        cells.high_s[index] = cells.low_s[-1] = middle_s
        cells.parents[-1] = index
        return cells

    def same_stages(self, index: int) -> BoolArray:
        """Tell which cells have the range of stages that one of them has."""
        least, most = self.fewest_stages[index], self.most_stages[index]
        return np.asarray((self.fewest_stages == least) & (self.most_stages == most))

    def even_sizes(self, num_layers: int) -> tuple[IntArray, IntArray]:
        """Return the smallest and largest size by cell where its stages share the layers evenly."""
        return num_layers // self.most_stages, -(-num_layers // self.fewest_stages)


def one_cell_each(loads: int, max_stages: int) -> Cells:
    """Return a cell for every load: any slowest stage, up to so many stages."""
    return one_cell_for_each(loads, [(1, max_stages)])


def one_cell_for_each(loads: int, ranges: Sequence[tuple[int, int]]) -> Cells:
    """Return a cell for every load and each of some ranges of stages: any slowest stage."""
    fewest, most = np.tile(np.array(ranges, dtype=np.int64), (loads, 1)).T
    every = np.repeat(np.arange(loads), len(ranges))
    low_s, high_s = np.zeros(len(every)), np.full(len(every), np.inf)
    return Cells(every, low_s, high_s, fewest, most, np.arange(len(every)))


def one_cell(decision: int, max_stages: int) -> Cells:
    """Return the cell of one load: any slowest stage, up to so many stages."""
    return one_cell_each(decision + 1, max_stages).at(np.array([decision]))


class Proofs:
    """What models proved: reaching a throughput in a cell costs at least so much, $/h."""

    def __init__(self) -> None:
        self._cells: IntArray = np.zeros(0, dtype=np.int64)
        self._rates: FloatArray = np.zeros(0)
        self._costs: FloatArray = np.zeros(0)

    def add(self, cells: IntArray, tokens_per_s: float, usd_per_hour: float) -> None:
        """Keep a cost that is proven of some cells."""
        self._cells = np.append(self._cells, cells)
        self._rates = np.append(self._rates, np.full(len(cells), tokens_per_s))
        self._costs = np.append(self._costs, np.full(len(cells), usd_per_hour))

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
