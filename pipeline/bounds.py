"""Lower bounds on the cost of every throughput at once, without building a model.

They order the search and end it early; no answer rests on their being tight.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import gcd, lcm

import numpy as np
from numpy.typing import NDArray

from pipeline.instance import Instance
from pipeline.options import Option

FloatArray = NDArray[np.float64]

# Prices with more digits than this have no useful common unit.
MAX_DENOMINATOR = 1_000_000


def least_costs(
    instance: Instance, options: Sequence[Option], thresholds: FloatArray
) -> FloatArray:
    """Bound the cost of reaching each threshold from below, $/h; infinite where the pool is small.

    The linear relaxation without stages and alignment: a GPU of type g carries at most
    ρ_g(T) = max k/d over its options (d, k) that reach T, so L layers are bought from the types
    in the order of price per layer, p_g / ρ_g(T), each type holding count_g · ρ_g(T). Costs are
    multiples of a common unit of the prices, so the bound is rounded up to one.

    thresholds: ascending, tokens/s. Returns an ascending array of the same shape.
    """
    carried = np.array(
        [_layers_per_gpu(gpu, options, thresholds) for gpu in range(len(instance.pool))]
    )
    counts = np.array([kind.count for kind in instance.pool], dtype=np.float64)
    prices = np.array([kind.usd_per_hour for kind in instance.pool])
    with np.errstate(divide="ignore", invalid="ignore"):
        price_per_layer = np.where(carried > 0, prices[:, None] / carried, np.inf)
    order = np.argsort(price_per_layer, axis=0, kind="stable")
    room = np.take_along_axis(counts[:, None] * carried, order, axis=0)
    price = np.take_along_axis(price_per_layer, order, axis=0)
    before = np.cumsum(room, axis=0) - room
    bought = np.clip(instance.num_layers - before, 0.0, room)
    cost = np.where(bought > 0, bought * np.where(np.isfinite(price), price, 0.0), 0.0).sum(axis=0)
    cost[room.sum(axis=0) < instance.num_layers * (1 - 1e-12)] = np.inf
    return np.maximum.accumulate(rounded_up(cost, cost_unit(prices.tolist())))


def _layers_per_gpu(gpu: int, options: Sequence[Option], thresholds: FloatArray) -> FloatArray:
    """Return the most layers per GPU of a type at each threshold, 0 where it does not reach it."""
    own = [option for option in options if option.gpu == gpu]
    if not own or not len(thresholds):
        return np.zeros(len(thresholds))
    rates = np.array([option.tokens_per_s for option in own])
    layers = np.array([option.size / option.degree for option in own])
    order = np.argsort(-rates, kind="stable")
    most = np.maximum.accumulate(layers[order])
    reaching = np.searchsorted(-rates[order], -thresholds, side="right")
    return np.where(reaching > 0, most[np.maximum(reaching - 1, 0)], 0.0)


def cost_unit(prices: Sequence[float]) -> float:
    """Return the largest amount of which all prices, as written, are multiples; 0 if too small."""
    fractions = [Fraction(repr(price)) for price in prices]
    denominator = lcm(*(fraction.denominator for fraction in fractions))
    if denominator > MAX_DENOMINATOR:
        return 0.0
    return gcd(*(int(fraction * denominator) for fraction in fractions)) / denominator


def rounded_up(costs: FloatArray, unit: float) -> FloatArray:
    """Round costs up to multiples of a unit, unless they are one but for rounding errors."""
    if not unit:
        return costs
    return np.where(np.isfinite(costs), np.ceil(costs / unit - 1e-6) * unit, np.inf)
