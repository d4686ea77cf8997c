"""Counts what the published pairwise formulation would build, without building it.

A segment is (group, start layer, size); a connection is a pair of segments of which the second
can follow the first: it starts where the first ends, on a disjoint group, over an existing link.
All are counted by group class, so neither the pool's size nor `exact` makes this slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.groups import GroupClasses, hop_gb_per_s, slowest_pair_gb_per_s
from pipeline.instance import Instance
from pipeline.options import Option

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class SearchSpace:
    """Sizes of the search space of one granularity.

    connections_before_filter, connections: as the published system counts them. It numbers the
    GPUs of each type from 0 and takes groups of different types with a number in common for
    overlapping, so it misses pairs that are in truth possible. disjoint_connections has these.
    """

    options: int
    segments: int
    connections_before_filter: int
    connections: int
    disjoint_connections: int

    @property
    def binary_variables(self) -> int:
        """Binaries of the published formulation: segments + connections."""
        return self.segments + self.connections


@dataclass(frozen=True)
class Connections:
    """Connections by pair of group classes, and the bandwidth below which they are dropped.

    count, kept: shape (classes, classes), from row to column.
    """

    count: IntArray
    kept: IntArray
    threshold_gb_per_s: float


def search_space(
    instance: Instance, groups: GroupClasses, options: Sequence[Option]
) -> SearchSpace:
    """Count options, segments and connections of one granularity."""
    segments = sum(
        len(group_class.first_gpu_ids) * (instance.num_layers - size + 1)
        for group_class, sizes in zip(groups, _sizes_by_class(groups, options), strict=True)
        for size in sizes
    )
    published = connections(instance, groups, options, as_published=True)
    disjoint = connections(instance, groups, options)
    return SearchSpace(
        options=len(options),
        segments=segments,
        connections_before_filter=int(published.count.sum()),
        connections=int(published.kept.sum()),
        disjoint_connections=int(disjoint.kept.sum()),
    )


def connections(
    instance: Instance,
    groups: GroupClasses,
    options: Sequence[Option],
    as_published: bool = False,
) -> Connections:
    """Count the connections between group classes, before and after the bandwidth filter.

    The filter drops every connection whose bandwidth (the smallest between any GPU of one group
    and any of the other) is below the p-th percentile over all connections.
    as_published: count as the published system did, see SearchSpace.
    """
    network = instance.network
    linked = hop_gb_per_s(network, groups) > 0
    follow = _follow_counts(instance.num_layers, groups, options)
    count = groups.disjoint_pairs(as_published) * linked * follow
    slowest = slowest_pair_gb_per_s(network, groups)
    threshold = weighted_percentile(slowest, count, network.drop_below_percentile)
    return Connections(count, np.where(slowest >= threshold, count, 0), threshold)


def weighted_percentile(values: FloatArray, counts: IntArray, percentile: float) -> float:
    """Return the percentile, linearly interpolated, of values that each occur `counts` times.

    Position p/100·(N−1) in the sorted list of all N occurrences; −inf where p = 0 or N = 0.
    """
    total = int(counts.sum())
    if percentile <= 0 or total == 0:
        return float("-inf")
    order = np.argsort(values, axis=None, kind="stable")
    ends = np.cumsum(counts.ravel()[order])
    position = percentile / 100 * (total - 1)
    below = int(position)
    above = min(below + 1, total - 1)
    ordered = values.ravel()[order]
    low, high = (float(ordered[np.searchsorted(ends, i, side="right")]) for i in (below, above))
    return low + (high - low) * (position - below)


def _sizes_by_class(groups: GroupClasses, options: Sequence[Option]) -> list[list[int]]:
    """List the sizes that each group class may take."""
    by_kind: dict[tuple[int, int], list[int]] = {}
    for option in options:
        by_kind.setdefault((option.gpu, option.degree), []).append(option.size)
    return [by_kind.get((c.gpu, c.degree), []) for c in groups]


def _follow_counts(num_layers: int, groups: GroupClasses, options: Sequence[Option]) -> IntArray:
    """Count, for two given groups, the segment pairs of which one follows the other.

    Σ over sizes j, k with j+k ≤ L of L−j−k+1 start layers; shape (classes, classes). The inner sum,
    over k for L−j layers, is the sum of sums of the sizes that there are up to L−j.
    """
    kinds = list(dict.fromkeys((c.gpu, c.degree) for c in groups))
    number = {kind: index for index, kind in enumerate(kinds)}
    has_size = np.zeros((len(kinds), num_layers + 1), dtype=np.int64)
    for group_class, sizes in zip(groups, _sizes_by_class(groups, options), strict=True):
        has_size[number[group_class.gpu, group_class.degree], sizes] = 1
    followers = has_size.cumsum(axis=1).cumsum(axis=1)
    pairs: IntArray = has_size @ followers[:, ::-1].T
    kind_of = [number[c.gpu, c.degree] for c in groups]
    return pairs[np.ix_(kind_of, kind_of)]
