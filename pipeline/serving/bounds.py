"""Lower bounds on what a throughput costs, for every cell at once and without a model.

They order the search and end it early. Prices (of time, stages and GPUs) under which a bound is
tight are the duals of a cell's linear relaxation; any prices at all give a bound, so that those
of one cell serve every other, and no answer rests on what the solver returned for them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass

import numpy as np

from pipeline.bounds import cost_unit, rounded_up
from pipeline.formulation.compact import within
from pipeline.granularity import Granularity
from pipeline.instance import Instance
from pipeline.serving.cells import Cells
from pipeline.serving.rates import Rates
from pipeline.serving.tables import FloatArray, Hops, IntArray, ServingTables
from pipeline.solver import shadow_prices

# Times are cut at whole layers with this much tolerance, relative.
TOLERANCE = 1e-12
# Groups are counted with this much tolerance, relative and absolute.
ROUNDING = 1e-9
# A layer that no group takes costs this many whole pools: relaxations always have an answer, and
# one that leaves layers over has a bound above the price of all GPUs.
POOLS_PER_MODEL = 1000.0
# A class without a usable size takes this many groups a layer: too many, but no infinity.
NO_SIZE = 1e12
# Cells are looked at in parts, so that no array has many more entries than this.
MOST_ENTRIES = 500_000
# Prices are kept up to this many; the latest are worth most.
MOST_PRICES = 64


@dataclass(frozen=True)
class _Offers:
    """What the classes offer in every cell, per layer.

    groups: groups per layer, `NO_SIZE` where the class has no size, shape (classes, cells). times:
    share of each limit on time that a layer takes, its share of a hop included, shape (limits,
    classes, cells). spare: what each limit allows in all, shape (limits, cells): 1, and the hop
    that n groups do not make. stages: the most stages, by cell.
    """

    groups: FloatArray
    times: FloatArray
    spare: FloatArray
    stages: IntArray


@dataclass(frozen=True)
class _Prices:
    """Prices under which bounds are bought, one row each.

    times: of the whole of each limit on time, $/h, shape (rows, limits). groups: of a group with
    the stage and the blocks that it takes, $/h, shape (rows, classes). stage: of a stage; blocks:
    of all blocks that there are, $/h, shape (rows,).
    """

    times: FloatArray
    groups: FloatArray
    stage: FloatArray
    blocks: FloatArray

    def and_also(self, other: _Prices) -> _Prices:
        """Return the rows of both, the latest `MOST_PRICES` where there are more."""
        return _Prices(
            np.concatenate([self.times, other.times])[-MOST_PRICES:],
            np.concatenate([self.groups, other.groups])[-MOST_PRICES:],
            np.concatenate([self.stage, other.stage])[-MOST_PRICES:],
            np.concatenate([self.blocks, other.blocks])[-MOST_PRICES:],
        )


class LeastCosts:
    """Bounds of one instance and granularity, and the prices that they are bought at."""

    def __init__(
        self, instance: Instance, granularity: Granularity, tables: ServingTables, rates: Rates
    ) -> None:
        self._tables, self._rates = tables, rates
        self._layers, self._is_even = instance.num_layers, instance.limits.equal_sizes
        self._allowed_upto = _allowed_upto(granularity, instance.num_layers)
        self._members = np.array([len(c.first_gpu_ids) for c in tables.groups], dtype=np.float64)
        self._inside = _blocks_inside(tables)
        self._hops = hop_weights(tables, tables.hops, instance.host_sizes)
        self._first_hops = hop_weights(tables, tables.prefill_hops, instance.host_sizes)
        self._unit = cost_unit([kind.usd_per_hour for kind in instance.pool])
        self._pool = instance.pool_usd_per_hour
        # Relaxations are stated in the price of the dearest group: the solver's tolerances are
        # absolute, and at prices of 100,000 it may end without an answer.
        self._dearest = float(tables.usd_per_hour.max(initial=0.0)) or 1.0
        self._has_first = bool(np.isfinite(rates.longest_first_s))
        limits = 1 + self._has_first + rates.fills
        self._prices = _Prices(
            np.zeros((1, limits)), tables.usd_per_hour[None, :], np.zeros(1), np.zeros(1)
        )

    def fresh(self) -> LeastCosts:
        """Return these bounds with the same prices; what is added to one is not to the other."""
        return copy(self)

    def largest_sizes(self, slowest_s: FloatArray, decision: IntArray) -> IntArray:
        """Return the largest size of each class whose stage is fast enough, by cell; 0: none."""
        tables = self._tables
        by_time = largest_within(slowest_s, tables.pass_s[:, decision], self._layers)
        largest = self._allowed_upto[np.minimum(tables.largest[:, decision], by_time)]
        return np.where(largest >= tables.smallest[:, decision], largest, 0)

    def at(self, tokens_per_s: float | FloatArray, cells: Cells) -> FloatArray:
        """Bound the cost of reaching a throughput in cells, $/h; infinite where none does.

        tokens_per_s: one for all cells, or one each.

        With a price w on each limit on time, σ on a stage and π_c on a group of class c, and h_c
        the most layers of such a group, no placement costs less than

            L · min_c [ (c_c + σ + Σ_b m_bc·π_b)/h_c + Σ w·(a_c + hop_c/h_c) ] − Σ w·P − σ·S − Σ π·N

        which is the Lagrangian of the relaxation without whole numbers.
        """
        rates = np.broadcast_to(tokens_per_s, len(cells))
        wide = max(MOST_ENTRIES // max(len(self._members) * len(self._prices.stage), 1), 1)
        parts = [
            self._least(self._offers(rates[own], cells.at(own)), self._prices)
            for own in np.split(np.arange(len(cells)), range(wide, len(cells), wide))
        ]
        return np.concatenate(parts)

    def sharpen(self, tokens_per_s: float, cell: Cells) -> float:
        """Return the best bound of one cell, $/h; keep the prices that give it where they are new.

        They are the duals of the cell's relaxation.
        """
        offers = self._offers(np.array([tokens_per_s]), cell)
        before = float(self._least(offers, self._prices)[0])
        usable = np.flatnonzero(offers.groups[:, 0] < NO_SIZE)
        if math.isinf(before) or not len(usable):
            return before
        added = self._dual_prices(offers, usable)
        after = float(self._least(offers, added)[0])
        if after > before:
            self._prices = self._prices.and_also(added)
        return max(before, after)

    def most_groups(self, tokens_per_s: float, cell: Cells, usd_per_hour: float) -> IntArray:
        """Bound the groups of each class in the placements of one cell within a cost.

        Under any prices a group makes a placement dearer than the bound, by what its h_c layers
        cost more than the cheapest ones do, or by its own price where that is less (it may hold
        few layers). Room for n of these is room for n groups: fixing by reduced costs.
        """
        offers = self._offers(np.array([tokens_per_s]), cell)
        score, bounds = self._bought(offers, self._prices)
        dearer = (score - score.min(axis=0, initial=np.inf))[..., 0] / offers.groups
        dearer = np.minimum(dearer, self._prices.groups.T)
        room = within(usd_per_hour) - np.nan_to_num(bounds[:, 0], nan=-np.inf)
        if room.min() < 0:
            return np.zeros(len(self._members), dtype=np.int64)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            most = np.where(dearer > 0, room / dearer * (1 + ROUNDING) + ROUNDING, np.inf)
        groups: IntArray = np.minimum(most.min(axis=1), self._members).astype(np.int64)
        return groups

    def _dual_prices(self, offers: _Offers, usable: IntArray) -> _Prices:
        """Solve the relaxation of the only cell of some offers for its duals.

        Its columns are the layers that each usable class takes, and layers that none takes.
        """
        of_group = offers.groups[usable, 0]
        rows = np.vstack([offers.times[:, usable, 0], of_group, self._inside[:, usable] * of_group])
        unplaced = POOLS_PER_MODEL * max(self._pool / self._dearest, 1.0) / self._layers
        prices = self._dearest * shadow_prices(
            np.append(self._tables.usd_per_hour[usable] / self._dearest * of_group, unplaced),
            np.column_stack([rows, np.zeros(len(rows))]),
            np.concatenate([offers.spare[:, 0], offers.stages, self._members]),
            float(self._layers),
        )
        limits = len(offers.times)
        times, stage, groups = np.split(prices, [limits, limits + 1])
        of_groups = self._tables.usd_per_hour + stage + groups @ self._inside
        blocks = np.array([groups @ self._members])
        return _Prices(times[None, :], of_groups[None, :], stage, blocks)

    def _least(self, offers: _Offers, prices: _Prices) -> FloatArray:
        """Return the highest bound that any of the prices gives, by cell."""
        cost = self._bought(offers, prices)[1].max(axis=0)
        late = np.isinf(offers.spare).any(axis=0) | (
            offers.groups.min(axis=0, initial=NO_SIZE) == NO_SIZE
        )
        cost[late | (cost > self._pool * (1 + 1e-9) + 1e-9)] = np.inf
        return rounded_up(np.maximum(cost, 0.0), self._unit)

    def _bought(self, offers: _Offers, prices: _Prices) -> tuple[FloatArray, FloatArray]:
        """Return what a layer costs, shape (classes, rows, cells), and the bounds, (rows, cells).

        One product of stacked matrices: each class has the same prices of time, and its own price
        of a group as the last column.
        """
        classes, (rows, limits) = len(self._members), prices.times.shape
        priced = np.empty((classes, rows, limits + 1))
        priced[..., :limits], priced[..., limits] = prices.times, prices.groups.T
        score = priced @ np.concatenate([offers.times, offers.groups[None]]).transpose(1, 0, 2)
        bought = self._layers * score.min(axis=0, initial=np.inf)
        with np.errstate(invalid="ignore"):
            given = prices.times @ offers.spare + prices.blocks[:, None]
            given += np.outer(prices.stage, offers.stages)
            return score, bought - given - 1e-12 * (bought + given)

    def _offers(self, tokens_per_s: float | FloatArray, cells: Cells) -> _Offers:
        tables, rates, load = self._tables, self._rates, cells.decision
        reach = rates.reach(tokens_per_s, cells)
        largest = self.largest_sizes(reach.slowest_s, load)
        if self._is_even:
            low, high = cells.even_sizes(self._layers)
            largest = np.where(largest >= low, np.minimum(largest, high), 0)
        groups = np.where(largest > 0, 1.0 / np.maximum(largest, 1), NO_SIZE)
        limits = [(tables.pass_s[:, load], self._hops[:, load], tables.hops, reach.pass_s)]
        if rates.fills:
            spread = 1 + (tables.micro_batches[load] - 1) / cells.most_stages
            limits.append((spread * limits[0][0], limits[0][1], tables.hops, reach.whole_s))
        if self._has_first:
            first_s = np.full(len(load), rates.longest_first_s - tables.overhead_s)
            hop_s = self._first_hops[:, load]
            limits.append((tables.prefill_s[:, load], hop_s, tables.prefill_hops, first_s))
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(largest > 0, groups, 0.0)
            times = [(layer_s + hop_s * share) / most for layer_s, hop_s, _, most in limits]
            spare = [1 + hops.between_s[load] / most for _, _, hops, most in limits]
        in_time = [most > 0 for *_, most in limits]
        return _Offers(
            groups,
            np.where(np.array(in_time)[:, None], np.array(times), 0.0),
            np.where(np.array(in_time), np.array(spare), np.inf),
            cells.most_stages,
        )


def largest_within(limit_s: FloatArray, layer_s: FloatArray, most: int) -> IntArray:
    """Return how many layers fit into a time: floor(limit / per layer), at most `most`."""
    with np.errstate(invalid="ignore"):
        layers = np.floor(np.maximum(limit_s, 0.0) / layer_s * (1 + TOLERANCE))
    return np.minimum(layers, most).astype(np.int64)


def hop_weights(tables: ServingTables, hops: Hops, hosts: Mapping[int, int]) -> FloatArray:
    """Return what one group adds to the hops of a pass at least, s; shape (classes, loads).

    A group of d GPUs fills d/G of a host: inside + (between − inside)·d/G, and a hop between
    hosts is too much in the sum. hosts: GPUs of one host, G, by type where hosts are told apart.
    """
    weights = [
        hops.inside_s[c.gpu] + (hops.between_s - hops.inside_s[c.gpu]) * c.degree / hosts[c.gpu]
        if c.gpu in hosts
        else hops.between_s
        for c in tables.groups
    ]
    return np.array(weights).reshape(len(tables.groups), len(hops.between_s))


def _allowed_upto(granularity: Granularity, layers: int) -> IntArray:
    """Return the largest allowed size up to every number of layers, 0 where none is."""
    sizes = np.array(granularity.sizes)
    position = np.searchsorted(sizes, np.arange(layers + 1), side="right")
    return np.concatenate([[0], sizes])[position]


def _blocks_inside(tables: ServingTables) -> FloatArray:
    """Return the blocks of class b (row) that a group of class c (column) takes, m_bc."""
    inside = np.eye(len(tables.groups))
    for (outer, inner), blocks in tables.groups.contained.items():
        inside[inner, outer] = blocks
    return inside
