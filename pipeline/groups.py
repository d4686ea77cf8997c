"""TP groups of a pool, gathered into classes whose members cannot be told apart.

A group is an aligned block [q·d, (q+1)·d) of one type's GPUs. Two groups are of one class when
their type, their degree and the zones of their GPUs, in order, agree: then any placement stays
the same in throughput and cost when one replaces the other. On a uniform network there is one
class per (type, degree).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError, missing
from pipeline.instance import Instance
from pipeline.network import Network

if TYPE_CHECKING:
    from scipy.sparse import csr_array

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
MAX_CLASSES = 4096


@dataclass(frozen=True)
class GroupClass:
    """Interchangeable groups.

    gpu: index of the type in the pool. zones: zone of each GPU of a group, in id order; empty
    where the network was not looked at. first_gpu_ids: the lowest GPU id of each member.
    """

    gpu: int
    degree: int
    zones: tuple[int, ...]
    first_gpu_ids: tuple[int, ...]


@dataclass(frozen=True)
class GroupClasses:
    """All groups of a pool by class, and how the blocks of one class lie inside another's.

    type_first_ids: the lowest GPU id of each type.
    """

    classes: tuple[GroupClass, ...]
    type_first_ids: tuple[int, ...]

    def __iter__(self) -> Iterator[GroupClass]:
        return iter(self.classes)

    def __len__(self) -> int:
        return len(self.classes)

    @cached_property
    def class_at(self) -> Mapping[tuple[int, int], int]:
        """Class of the group that starts at a GPU id and has a degree."""
        return {
            (first, c.degree): index
            for index, c in enumerate(self.classes)
            for first in c.first_gpu_ids
        }

    @cached_property
    def contained(self) -> Mapping[tuple[int, int], int]:
        """Count the blocks of a class that lie inside one block of another, by (outer, inner).

        Only classes of one type are listed, and those that lie inside have the smaller degree.
        """
        counts: Counter[tuple[int, int]] = Counter()
        degrees = sorted({c.degree for c in self.classes})
        for outer, group_class in enumerate(self.classes):
            first = group_class.first_gpu_ids[0]
            for degree in degrees:
                if degree < group_class.degree and (first, degree) in self.class_at:
                    firsts = range(first, first + group_class.degree, degree)
                    counts.update((outer, self.class_at[inner, degree]) for inner in firsts)
        return counts

    def overlapping_pairs(self) -> IntArray:
        """Count ordered pairs of groups that share a GPU, by class; shape (classes, classes).

        Blocks are aligned, so two of them overlap exactly when the smaller lies in the larger:
        a group shares its GPUs with itself, with the blocks inside it and with those around it.
        """
        members = self._members()
        pairs = np.diag(members)
        for (outer, inner), inside in self.contained.items():
            pairs[outer, inner] = pairs[inner, outer] = inside * members[outer]
        return pairs

    def overlapping_pairs_as_published(self) -> IntArray:
        """Count them as the published system did when it counted connections.

        It numbers the GPUs of every type from 0 and takes equal numbers for the same GPU, so that
        groups of different types overlap as well.
        """
        degrees = {c.degree for c in self.classes}
        pairs = np.zeros((len(self), len(self)), dtype=np.int64)
        for degree in degrees:
            outer = self._blocks_by_position(degree, degree)
            for smaller in degrees:
                if smaller <= degree:
                    inner = self._blocks_by_position(smaller, degree)
                    length = min(outer.shape[0], inner.shape[0])
                    shared = (outer[:length].T @ inner[:length]).toarray()
                    pairs += shared if smaller == degree else shared + shared.T
        return pairs

    def disjoint_pairs(self, as_published: bool = False) -> IntArray:
        """Count ordered pairs of groups that share no GPU, by class; shape (classes, classes)."""
        members = self._members()
        shared = self.overlapping_pairs_as_published() if as_published else self.overlapping_pairs()
        return np.outer(members, members) - shared

    def _members(self) -> IntArray:
        """Count the groups of each class."""
        return np.array([len(c.first_gpu_ids) for c in self.classes], dtype=np.int64)

    def _blocks_by_position(self, degree: int, width: int) -> csr_array:
        """Count the blocks of a degree by where they lie: shape (position, class).

        The position of a block of its type's GPUs from f on, in blocks of `width`, is ⌊f/width⌋.
        Few entries of it are not 0: a block lies in one place.
        """
        # SciPy before Pyomo has Pyomo import all of its statistics (see `pipeline.solver`).
        from scipy.sparse import csr_array

        own = [(index, c) for index, c in enumerate(self.classes) if c.degree == degree]
        places = [(np.array(c.first_gpu_ids) - self.type_first_ids[c.gpu]) // width for _, c in own]
        rows = np.concatenate(places)
        columns = np.repeat([index for index, _ in own], [len(q) for q in places])
        ones = np.ones(len(rows), dtype=np.int64)
        return csr_array((ones, (rows, columns)), shape=(1 + int(rows.max()), len(self)))


def group_classes(instance: Instance, by_network: bool = True) -> GroupClasses:
    """Gather the groups of every type and degree into classes.

    by_network: tell groups apart by the zones of their GPUs; else by type and degree alone.
    Raises InputError where there are more classes than can be held in pairs.
    """
    zone_of = instance.network.zone_of
    members: dict[tuple[int, int, tuple[int, ...]], list[int]] = {}
    for gpu, base in enumerate(instance.first_gpu_ids):
        for degree in instance.degrees(gpu):
            for first in range(base, base + instance.pool[gpu].count - degree + 1, degree):
                key = (gpu, degree, zone_of[first : first + degree] if by_network else ())
                members.setdefault(key, []).append(first)
    if len(members) > MAX_CLASSES:
        reason = f"makes {len(members)} kinds of TP groups, but may make at most {MAX_CLASSES}"
        raise InputError([missing(instance.name, "network", reason)])
    keys = sorted(members)
    classes = tuple(GroupClass(*key, tuple(members[key])) for key in keys)
    return GroupClasses(classes, instance.first_gpu_ids)


def hop_gb_per_s(network: Network, groups: GroupClasses) -> FloatArray:
    """Return the bandwidth that a hop between groups has, by class, GB/s.

    bw = min( ring(P), bandwidth from the lowest id of P to the lowest of Q, ring(Q) ),
    ring(X) = smallest bandwidth inside X · (d−1)/d, infinite for d = 1.
    Shape (classes, classes), from row to column. Source: the published system.
    """
    rings = np.array(
        [
            network.slowest_inside(c.zones) * (c.degree - 1) / c.degree if c.degree > 1 else np.inf
            for c in groups
        ]
    )
    lowest = [c.zones[0] for c in groups]
    direct = network.bandwidth[np.ix_(lowest, lowest)]
    hops: FloatArray = np.minimum(direct, np.minimum.outer(rings, rings))
    return hops


def slowest_pair_gb_per_s(network: Network, groups: GroupClasses) -> FloatArray:
    """Return the smallest bandwidth from any GPU of one group to any of the other, GB/s.

    Shape (classes, classes), from row to column; what the published bandwidth filter looks at.
    """
    bandwidth = network.bandwidth
    outward = np.array([bandwidth[list(set(c.zones))].min(axis=0) for c in groups])
    return np.array([outward[:, list(set(c.zones))].min(axis=1) for c in groups]).T
