"""The problem's words by enumeration of single GPUs: slow, plain, and sharing no code with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.instance import Instance
from pipeline.options import Option


@dataclass(frozen=True)
class Group:
    """A TP group: the type's number in the pool and the ids of its GPUs, ascending."""

    gpu: int
    ids: tuple[int, ...]

    @property
    def degree(self) -> int:
        return len(self.ids)

    def overlaps(self, other: Group) -> bool:
        return bool(set(self.ids) & set(other.ids))


@dataclass(frozen=True)
class Segment:
    """Layers start to start + size − 1 on a group."""

    group: Group
    start: int
    size: int


def all_groups(instance: Instance) -> list[Group]:
    """List every aligned block [q·d, (q+1)·d) of every type."""
    groups, base = [], 0
    for gpu, kind in enumerate(instance.pool):
        for degree in instance.limits.tp_degrees:
            if kind.max_tp is not None and degree > kind.max_tp:
                continue
            for q in range(kind.count // degree):
                first = base + q * degree
                groups.append(Group(gpu, tuple(range(first, first + degree))))
        base += kind.count
    return groups


def all_segments(instance: Instance, options: Sequence[Option]) -> list[Segment]:
    """List every segment of the published formulation."""
    return [
        Segment(group, start, option.size)
        for group in all_groups(instance)
        for option in options
        if (option.gpu, option.degree) == (group.gpu, group.degree)
        for start in range(1, instance.num_layers - option.size + 2)
    ]


def slowest_inside(instance: Instance, group: Group) -> float:
    """Return the smallest bandwidth between two GPUs of a group, GB/s."""
    between = instance.network.between
    return min((between(a, b) for a in group.ids for b in group.ids if a != b), default=np.inf)


def hop_gb_per_s(instance: Instance, one: Group, other: Group) -> float:
    """Return min(ring, lowest id to lowest id, ring) as DESIGN.md §4 has it, GB/s."""
    rings = [
        slowest_inside(instance, group) * (group.degree - 1) / group.degree
        for group in (one, other)
        if group.degree > 1
    ]
    return min([*rings, instance.network.between(one.ids[0], other.ids[0])])


def slowest_pair_gb_per_s(instance: Instance, one: Group, other: Group) -> float:
    """Return the smallest bandwidth from any GPU of one group to any of the other, GB/s."""
    return min(instance.network.between(a, b) for a in one.ids for b in other.ids)


def connections(
    instance: Instance, options: Sequence[Option], as_published: bool
) -> Iterator[tuple[Segment, Segment]]:
    """List the pairs of segments of which the second can follow the first."""
    bases = np.cumsum([0, *(kind.count for kind in instance.pool)])

    def numbers(group: Group) -> set[int]:
        base = bases[group.gpu] if as_published else 0
        return {i - base for i in group.ids}

    segments = all_segments(instance, options)
    groups = all_groups(instance)
    follows = {
        (one, other)
        for one in groups
        for other in groups
        if not numbers(one) & numbers(other) and hop_gb_per_s(instance, one, other) > 0
    }
    by_start: dict[int, list[Segment]] = {}
    for segment in segments:
        by_start.setdefault(segment.start, []).append(segment)
    return (
        (one, other)
        for one in segments
        for other in by_start.get(one.start + one.size, [])
        if (one.group, other.group) in follows
    )
