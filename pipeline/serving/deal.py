"""From chosen groups to the sizes at which they are fastest under every load, without a model.

With the slowest stage at most c, a group of class r holds at most floor(c/a_r) layers, and the
shortest pass fills the fastest classes first. One vector operation tries every c = a_r·k of
every load.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.serving.bounds import largest_within
from pipeline.serving.rates import Rates
from pipeline.serving.tables import FloatArray, ServingTables


@dataclass(frozen=True)
class Dealt:
    """Layers held by the groups of each class, for one load."""

    decision: int
    held: Mapping[int, int]


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
) -> Iterator[Dealt]:
    """Yield for every load the dealing of L layers that gives the highest throughput.

    Every size from the first to the second of `sizes` is allowed. hops_s: of a pass and of a
    prefill pass, by load. Loads under which the groups cannot hold the layers, or not within
    the limits on latency, are left out.
    """
    classes = np.array(sorted(counts))
    order = np.argsort(tables.pass_s[classes], axis=0, kind="stable")
    ordered, load = classes[order], np.arange(len(tables.decisions))
    layer_s = tables.pass_s[ordered, load][:, :, None]
    smallest = np.maximum(tables.smallest[ordered, load], sizes[0])[:, :, None]
    largest = np.minimum(tables.largest[ordered, load], sizes[1])[:, :, None]
    number = np.array([counts[int(c)] for c in classes])[order][:, :, None]
    # Shape (loads, candidates): every time that a stage of some size may take.
    longest_s = (layer_s * np.arange(1, sizes[1] + 1)).transpose(1, 0, 2).reshape(len(load), -1)
    caps = np.minimum(largest, largest_within(longest_s, layer_s, layers))
    room = np.maximum(number * (caps - smallest), 0)
    spare = layers - (number * smallest).sum(axis=0)
    held = number * smallest + np.clip(spare - (np.cumsum(room, axis=0) - room), 0, room)
    pass_s = (layer_s * held).sum(axis=0) + hops_s[0][:, None]
    prefill_s = (tables.prefill_s[ordered, load][:, :, None] * held).sum(axis=0)
    holds = (caps >= smallest).all(axis=0) & (room.sum(axis=0) >= spare) & (spare >= 0)
    holds &= rates.first_token_s(prefill_s + hops_s[1][:, None]) <= rates.longest_first_s
    if not rates.fills:
        holds &= rates.round_s(load[:, None], pass_s, longest_s) <= rates.longest_round_s
    speed = np.where(holds, rates.tokens_per_s(load[:, None], pass_s, longest_s), 0.0)
    best = speed.argmax(axis=1)
    for decision in np.flatnonzero(speed[load, best] > 0).tolist():
        rows = zip(
            ordered[:, decision].tolist(), held[:, decision, best[decision]].tolist(), strict=True
        )
        yield Dealt(decision, dict(rows))


def even(layers: int, groups: int) -> list[int]:
    """Deal layers to groups of one class as evenly as they go, larger sizes first."""
    size, more = divmod(layers, groups)
    return [size + 1] * more + [size] * (groups - more)
