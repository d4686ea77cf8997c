"""From chosen groups to the throughput they reach under every load, without a model.

With the slowest stage at most c, a group of class r holds at most floor(c/a_r) layers, and the
shortest pass P(c) fills the fastest classes first. It never gets longer as c rises, so of all
c = a_r·k with k from k' to k" none is faster than a slowest stage of a_r·k' and a pass of P(a_r·k")
would be: that leaves few to try. Where sizes are not free, those chosen are tried under every load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.serving.bounds import largest_within
from pipeline.serving.rates import Rates
from pipeline.serving.tables import BoolArray, FloatArray, IntArray, ServingTables

# Loads are dealt in parts, so that no array has many more entries than this: they stay in caches.
MOST_ENTRIES = 200_000


@dataclass(frozen=True)
class Dealt:
    """What groups make of every load. tokens_per_s: by load, 0 where they cannot serve it.

    classes, layers: classes and the layers that their groups hold together, shape (classes,
    loads), each column in its own order. counts: groups by class.
    """

    counts: Mapping[int, int]
    tokens_per_s: FloatArray
    classes: IntArray
    layers: IntArray

    def groups(self, decision: int) -> tuple[tuple[int, int], ...]:
        """Return the groups under a load as pairs of class and size."""
        held = zip(
            self.classes[:, decision].tolist(), self.layers[:, decision].tolist(), strict=True
        )
        return tuple(
            sorted((c, size) for c, layers in held for size in even(layers, self.counts[c]))
        )


def hop_seconds(
    tables: ServingTables,
    gpus_per_node: Mapping[int, int],
    counts: Mapping[int, int],
    prefill: bool = False,
) -> FloatArray:
    """Return the time that a pass spends in hops, by load, s; counts: groups by class.

    Stages of one host follow each other: all hops but one per further host are inside one.
    """
    groups: dict[int, int] = {}
    gpus: dict[int, int] = {}
    for index, count in counts.items():
        group_class = tables.groups.classes[index]
        groups[group_class.gpu] = groups.get(group_class.gpu, 0) + count
        gpus[group_class.gpu] = gpus.get(group_class.gpu, 0) + count * group_class.degree
    hosts = {
        gpu: -(-gpus[gpu] // gpus_per_node[gpu]) if gpu in gpus_per_node else groups[gpu]
        for gpu in groups
    }
    hops = tables.prefill_hops if prefill else tables.hops
    total: FloatArray = hops.between_s * (sum(hosts.values()) - 1)
    for gpu, number in groups.items():
        total = total + hops.inside_s[gpu] * (number - hosts[gpu])
    return total


@dataclass(frozen=True)
class _Dealing:
    """Groups whose layers are dealt under some loads; classes are in rows, the fastest first.

    load: the loads, by index. number: groups of each class. layer_s, prefill_s: of one layer.
    smallest, largest: layers that a group may hold. All of shape (classes, loads). hops_s: of a
    pass and of a prefill pass, by load. layers: L.
    """

    rates: Rates
    load: IntArray
    number: IntArray
    layer_s: FloatArray
    prefill_s: FloatArray
    smallest: IntArray
    largest: IntArray
    hops_s: tuple[FloatArray, FloatArray]
    layers: int

    def held(self, at: IntArray, longest_s: FloatArray) -> tuple[IntArray, BoolArray]:
        """Fill the fastest classes first, no stage longer than a time; tell where all layers fit.

        at: the load of each time, by its place.
        """
        number, smallest = self.number[:, at], self.smallest[:, at]
        caps = largest_within(longest_s, self.layer_s[:, at], self.layers)
        caps = np.minimum(self.largest[:, at], caps)
        room = np.maximum(number * (caps - smallest), 0)
        held = number * smallest
        spare = self.layers - held.sum(axis=0)
        held += np.clip(spare - (np.cumsum(room, axis=0) - room), 0, room)
        fits = (caps >= smallest).all(axis=0) & (room.sum(axis=0) >= spare) & (spare >= 0)
        return held, fits

    def passes(self, at: IntArray, longest_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the pass, s, infinite where layers are left over, and the throughput."""
        held, fits = self.held(at, longest_s)
        pass_s = np.where(fits, (self.layer_s[:, at] * held).sum(axis=0), np.inf)
        pass_s += self.hops_s[0][at]
        first_s = (self.prefill_s[:, at] * held).sum(axis=0) + self.hops_s[1][at]
        return pass_s, _speed(self.rates, self.load[at], pass_s, longest_s, first_s)

    def fastest(self) -> tuple[FloatArray, IntArray]:
        """Return the highest throughput by load, 0 where there is none, and the layers held.

        Sizes of a class are halved between `low`, below all of them, and `high`, which was tried,
        while one in between may be faster than the best.
        """
        best, longest_s = np.zeros((2, len(self.load)))
        row, at = np.nonzero(self.largest)
        low, high = np.zeros_like(at), self.largest[row, at]
        pass_s = self._tried(at, self.layer_s[row, at] * high, best, longest_s)
        while True:
            soonest_s = self.layer_s[row, at] * (low + 1)
            promised = _speed(self.rates, self.load[at], pass_s, soonest_s, np.array(0.0))
            left = (high - low > 1) & (promised > best[at])
            if not left.any():
                return best, self.held(np.arange(len(best)), longest_s)[0]
            row, at, low, high = (v[left] for v in (row, at, low, high))
            pass_s = pass_s[left]
            middle = (low + high) // 2
            sooner_s = self._tried(at, self.layer_s[row, at] * middle, best, longest_s)
            row, at = np.tile(row, 2), np.tile(at, 2)
            low, high = np.append(low, middle), np.append(middle, high)
            pass_s = np.append(sooner_s, pass_s)

    def _tried(
        self, at: IntArray, times: FloatArray, best: FloatArray, longest_s: FloatArray
    ) -> FloatArray:
        """Try times of the slowest stage; note the best by load; return the passes."""
        pass_s, speed = self.passes(at, times)
        np.maximum.at(best, at, speed)
        is_best = speed == best[at]
        longest_s[at[is_best]] = times[is_best]
        return pass_s


def best_dealt(
    tables: ServingTables,
    rates: Rates,
    counts: Mapping[int, int],
    hops_s: tuple[FloatArray, FloatArray],
    sizes: tuple[int, int],
    layers: int,
    is_bound: bool = False,
) -> Dealt:
    """Deal L layers under every load so that the throughput is highest.

    Every size from the first to the second of `sizes` is allowed. hops_s: of a pass and of a
    prefill pass, by load. A load under which the groups cannot hold the layers, or not within
    the limits on latency, has throughput 0. is_bound: groups may be left without layers and hops
    take no time, so that no part of the groups is faster.
    """
    classes = np.array(sorted(counts))
    ordered = classes[np.argsort(tables.pass_s[classes], axis=0, kind="stable")]
    number = np.zeros(len(tables.groups), dtype=np.int64)
    number[classes] = [counts[int(c)] for c in classes]
    wide = max(MOST_ENTRIES // len(classes) ** 2, 1)
    loads = np.arange(len(tables.decisions))
    parts = []
    for load in np.split(loads, range(wide, len(loads), wide)):
        own = ordered[:, load]
        dealing = _Dealing(
            rates=rates,
            load=load,
            number=number[own],
            layer_s=tables.pass_s[own, load],
            prefill_s=tables.prefill_s[own, load],
            smallest=(1 - is_bound) * np.maximum(tables.smallest[own, load], sizes[0]),
            largest=np.minimum(tables.largest[own, load], sizes[1]),
            hops_s=((1 - is_bound) * hops_s[0][load], (1 - is_bound) * hops_s[1][load]),
            layers=layers,
        )
        parts.append(dealing.fastest())
    speeds, held = zip(*parts, strict=True)
    return Dealt(counts, np.concatenate(speeds), ordered, np.hstack(held))


def under_every_load(
    tables: ServingTables,
    rates: Rates,
    groups: Sequence[tuple[int, int]],
    hops_s: tuple[FloatArray, FloatArray],
) -> FloatArray:
    """Return the throughput of groups at the given sizes by load, 0 where they cannot serve it."""
    classes = np.array([c for c, _ in groups])
    size = np.array([[k] for _, k in groups])
    stage_s = size * tables.pass_s[classes]
    first_s = (size * tables.prefill_s[classes]).sum(axis=0) + hops_s[1]
    fits = (tables.smallest[classes] <= size) & (size <= tables.largest[classes])
    pass_s, load = stage_s.sum(axis=0) + hops_s[0], np.arange(len(tables.decisions))
    speed = _speed(rates, load, pass_s, stage_s.max(axis=0), first_s)
    return np.where(fits.all(axis=0), speed, 0.0)


def _speed(
    rates: Rates, load: IntArray, pass_s: FloatArray, slowest_s: FloatArray, first_s: FloatArray
) -> FloatArray:
    """Return the throughput of passes, 0 beyond the limits on latency; first_s: prefill pass."""
    in_time = rates.first_token_s(first_s) <= rates.longest_first_s
    if not rates.fills:
        in_time &= rates.round_s(load, pass_s, slowest_s) <= rates.longest_round_s
    with np.errstate(divide="ignore"):  # where no layer is held, which the caller leaves out
        return np.where(in_time, rates.tokens_per_s(load, pass_s, slowest_s), 0.0)


def even(layers: int, groups: int) -> list[int]:
    """Deal layers to groups of one class as evenly as they go, larger sizes first."""
    size, more = divmod(layers, groups)
    return [size + 1] * more + [size] * (groups - more)
