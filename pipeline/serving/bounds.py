"""Lower bounds on what a throughput costs, for every load at once and without a model.

They order the search and end it early; no answer rests on their being tight.
"""

from __future__ import annotations

import numpy as np

from pipeline.bounds import cost_unit, rounded_up
from pipeline.granularity import Granularity
from pipeline.instance import Instance
from pipeline.serving.rates import Rates
from pipeline.serving.tables import FloatArray, IntArray, ServingTables

# Price of a second of the pass, relative to cost over pass: the multipliers that are tried.
MULTIPLIERS = (0.25, 0.5, 1.0, 2.0, 4.0)
# Times are cut at whole layers with this much tolerance, relative.
TOLERANCE = 1e-12


class LeastCosts:
    """Bounds of one instance and granularity."""

    def __init__(
        self, instance: Instance, granularity: Granularity, tables: ServingTables, rates: Rates
    ) -> None:
        self._tables, self._rates = tables, rates
        self._layers = float(instance.num_layers)
        sizes = np.array(granularity.sizes)
        every = np.arange(instance.num_layers + 1)
        position = np.searchsorted(sizes, every, side="right")
        self._allowed_upto = np.concatenate([[0], sizes])[position]
        kinds = [c.gpu for c in tables.groups]
        self._members = [
            np.array([i for i, kind in enumerate(kinds) if kind == gpu], dtype=np.int64)
            for gpu in range(len(instance.pool))
        ]
        self._counts = np.array([kind.count for kind in instance.pool], dtype=np.float64)
        self._groups = np.array([len(c.first_gpu_ids) for c in tables.groups], dtype=np.float64)
        self._degree = np.array([c.degree for c in tables.groups], dtype=np.float64)
        self._unit = cost_unit([kind.usd_per_hour for kind in instance.pool])

    def _largest_sizes(self, slowest_s: FloatArray, loads: IntArray) -> IntArray:
        """Return the largest size of each class and load whose stage is fast enough."""
        tables = self._tables
        by_time = largest_within(slowest_s, tables.pass_s[:, loads], int(self._layers))
        largest = self._allowed_upto[np.minimum(tables.largest[:, loads], by_time)]
        return np.where(largest >= tables.smallest[:, loads], largest, 0)

    def at(self, tokens_per_s: float, loads: IntArray | None = None) -> FloatArray:
        """Bound the cost of reaching a throughput, $/h, by load; infinite where none does.

        loads: those to look at, all by default.

        The linear relaxation without stages and alignment: L layers are bought from classes
        that carry at most `largest_sizes` layers a group. With a price λ ≥ 0 on a second of the
        pass, cost ≥ Σ (c_r/hi_r + λ·a_r)·ℓ_r − λ·P, and the least of the sum is bought greedily;
        for λ = 0 the groups of one type share its GPUs.
        """
        tables = self._tables
        chosen = np.arange(len(tables.decisions)) if loads is None else loads
        reach = self._rates.reach(tokens_per_s)
        largest = self._largest_sizes(reach.slowest_s[chosen], chosen)
        pass_s, layer_s = reach.pass_s[chosen], tables.pass_s[:, chosen]
        with np.errstate(divide="ignore", invalid="ignore"):
            per_layer = np.where(largest > 0, tables.usd_per_hour[:, None] / largest, np.inf)
        cost = self._by_type(largest, per_layer)
        usable = np.isfinite(cost) & np.isfinite(pass_s)
        room = self._groups[:, None] * largest
        for share in MULTIPLIERS:
            with np.errstate(divide="ignore", invalid="ignore"):
                price = np.where(usable & (pass_s > 0), share * cost / pass_s, 0.0)
                scores = per_layer + price * layer_s
                bought = _bought(self._layers, scores, room) - price * pass_s
            cost = np.where(usable, np.maximum(cost, bought), cost)
        cost[pass_s <= 0] = np.inf
        return rounded_up(cost * (1 - 1e-12), self._unit)

    def _by_type(self, largest: IntArray, per_layer: FloatArray) -> FloatArray:
        """Return the cost of L layers where groups of a type share its GPUs, $/h."""
        carried = [
            (largest[rows] / self._degree[rows, None]).max(axis=0, initial=0.0)
            for rows in self._members
        ]
        price = np.array([per_layer[rows].min(axis=0, initial=np.inf) for rows in self._members])
        return _bought(self._layers, price, self._counts[:, None] * np.array(carried))


def largest_within(limit_s: FloatArray, layer_s: FloatArray, most: int) -> IntArray:
    """Return how many layers fit into a time: floor(limit / per layer), at most `most`."""
    with np.errstate(invalid="ignore"):
        layers = np.floor(np.maximum(limit_s, 0.0) / layer_s * (1 + TOLERANCE))
    return np.minimum(layers, most).astype(np.int64)


def _bought(layers: float, scores: FloatArray, room: FloatArray) -> FloatArray:
    """Buy layers in the order of their price; infinite where there is not room for all.

    scores, room: price per layer and layers for sale, shape (sellers, loads).
    """
    order = np.argsort(scores, axis=0, kind="stable")
    ordered = np.take_along_axis(room, order, axis=0)
    before = np.cumsum(ordered, axis=0) - ordered
    taken = np.clip(layers - before, 0.0, ordered)
    price = np.take_along_axis(scores, order, axis=0)
    total = np.where(taken > 0, taken * np.where(np.isfinite(price), price, 0.0), 0.0).sum(axis=0)
    return np.where(room.sum(axis=0) < layers * (1 - 1e-12), np.inf, total)
