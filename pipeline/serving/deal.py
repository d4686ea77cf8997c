"""From chosen groups to the throughput they reach under every load, without a model.

With the slowest stage at most c, a group of class r holds at most floor(c/a_r) layers, and the
shortest pass fills the fastest classes first. One vector operation tries every c = a_r·k of
every load. Where sizes are not free, those chosen are tried under every load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.serving.bounds import largest_within
from pipeline.serving.rates import Rates
from pipeline.serving.tables import FloatArray, IntArray, ServingTables

# Loads are dealt in parts, so that no array has many more entries than this: they stay in caches.
MOST_ENTRIES = 200_000
# Throughputs by load, and what the groups of each class hold, shape (classes, loads).
_Held = tuple[FloatArray, IntArray]


@dataclass(frozen=True)
class Dealt:
    """What groups make of every load. tokens_per_s: by load, 0 where they cannot serve it.

    most_tokens_per_s: no part of the groups is faster, by load. classes, layers: classes and the
    layers that their groups hold together, shape (classes, loads), each column in its own order.
    counts: groups by class.
    """

    counts: Mapping[int, int]
    tokens_per_s: FloatArray
    most_tokens_per_s: FloatArray
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


def best_dealt(
    tables: ServingTables,
    rates: Rates,
    counts: Mapping[int, int],
    hops_s: tuple[FloatArray, FloatArray],
    sizes: tuple[int, int],
    layers: int,
) -> Dealt:
    """Deal L layers under every load so that the throughput is highest.

    Every size from the first to the second of `sizes` is allowed. hops_s: of a pass and of a
    prefill pass, by load. A load under which the groups cannot hold the layers, or not within
    the limits on latency, has throughput 0.
    """
    classes = np.array(sorted(counts))
    order = np.argsort(tables.pass_s[classes], axis=0, kind="stable")
    ordered, loads = classes[order], np.arange(len(tables.decisions))
    number = np.array([counts[int(c)] for c in classes])[order]
    least = np.maximum(tables.smallest[ordered, loads], sizes[0])
    # No group holds more layers under any load, however many there are.
    largest = max(min(int(tables.largest[classes].max(initial=0)), sizes[1]), 1)
    wide = max(MOST_ENTRIES // (len(classes) ** 2 * largest), 1)

    def deal(smallest: IntArray, hops_s: tuple[FloatArray, FloatArray]) -> _Held:
        parts = [
            _fastest(
                *(tables, rates, part, ordered[:, part], number[:, part]),
                *(largest, layers, smallest[:, part], (hops_s[0][part], hops_s[1][part])),
            )
            for part in np.split(loads, range(wide, len(loads), wide))
        ]
        return np.concatenate([s for s, _ in parts]), np.hstack([h for _, h in parts])

    speed, held = deal(least, hops_s)
    # A part of the groups leaves some without layers, and makes no more hops.
    most, _ = deal(np.zeros_like(least), (0 * hops_s[0], 0 * hops_s[1]))
    return Dealt(counts, speed, most, ordered, held)


def _fastest(
    tables: ServingTables,
    rates: Rates,
    load: IntArray,
    ordered: IntArray,
    number: IntArray,
    most: int,
    layers: int,
    smallest: IntArray,
    hops_s: tuple[FloatArray, FloatArray],
) -> _Held:
    """Return the highest throughput and what the groups of each class hold, by load.

    load: the loads that are looked at. ordered: classes, the fastest first, shape (classes,
    loads), and so number, groups of each, and smallest. most, smallest: layers that a group may
    hold.
    """
    number, smallest = number[:, :, None], smallest[:, :, None]
    layer_s = tables.pass_s[ordered, load][:, :, None]
    largest = np.minimum(tables.largest[ordered, load], most)[:, :, None]
    # Shape (loads, candidates): every time that a stage of some size may take.
    longest_s = (layer_s * np.arange(1, most + 1)).transpose(1, 0, 2).reshape(len(load), -1)
    caps = np.minimum(largest, largest_within(longest_s, layer_s, layers))
    room = np.maximum(number * (caps - smallest), 0)
    spare = layers - (number * smallest).sum(axis=0)
    held = number * smallest + np.clip(spare - (np.cumsum(room, axis=0) - room), 0, room)
    pass_s = (layer_s * held).sum(axis=0) + hops_s[0][:, None]
    prefill_s = (tables.prefill_s[ordered, load][:, :, None] * held).sum(axis=0)
    holds = (caps >= smallest).all(axis=0) & (room.sum(axis=0) >= spare) & (spare >= 0)
    first_s = prefill_s + hops_s[1][:, None]
    speed = np.where(holds, _speed(rates, load[:, None], pass_s, longest_s, first_s), 0.0)
    best = speed.argmax(axis=1)
    row = np.arange(len(load))
    return speed[row, best], held[:, row, best]


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
