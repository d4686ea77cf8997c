"""Limits that deployments need, as alternatives: sets of runs of which a placement uses one.

`uniform_tp`: one TP degree for all stages. `single_gpu_type`: one GPU type. `equal_sizes`:
segments differ by at most one layer.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from itertools import product

from pipeline.groups import GroupClasses
from pipeline.instance import Instance, Limits
from pipeline.runs import Run

RESTRICTIONS = ("uniform_tp", "single_gpu_type", "equal_sizes")


def even_stages(num_layers: int, max_stages: int) -> list[tuple[int, int]]:
    """Return ranges of numbers of stages, least and most, in which even sizes are the same two.

    Of s stages all have floor(L/s) layers or one more. That is k for every s in (L/(k+1), L/k],
    and whatever sizes k and k+1 sum to L are even; so there are at most 2·√L ranges.
    """
    ranges: list[tuple[int, int]] = []
    fewest, last = 1, min(num_layers, max_stages)
    while fewest <= last:
        most = min(num_layers // (num_layers // fewest), last)
        ranges.append((fewest, most))
        fewest = most + 1
    return ranges


def stage_ranges(instance: Instance) -> list[tuple[int, int]]:
    """Return the ranges of numbers of stages that are searched apart: one unless sizes are even."""
    most = instance.limits.max_stages
    if not instance.limits.equal_sizes:
        return [(1, most)]
    return even_stages(instance.num_layers, min(most, instance.num_gpus))


def is_restricted(limits: Limits) -> bool:
    """Tell whether any of the restrictions is asked for."""
    return any(getattr(limits, name) for name in RESTRICTIONS)


def unrestricted(limits: Limits) -> Limits:
    """Return the limits without any of the restrictions."""
    return replace(limits, uniform_tp=False, single_gpu_type=False, equal_sizes=False)


def alternatives(
    limits: Limits, groups: GroupClasses, runs: Sequence[Run]
) -> tuple[frozenset[int], ...]:
    """Return the alternatives that the limits leave; none where nothing is restricted.

    Each restriction cuts the runs into sets; several hold together in the sets' intersections.
    """
    cuts: list[list[frozenset[int]]] = []
    classes = [groups.classes[run.group_class] for run in runs]
    if limits.uniform_tp:
        cuts.append(_alike([c.degree for c in classes]))
    if limits.single_gpu_type:
        cuts.append(_alike([c.gpu for c in classes]))
    if limits.equal_sizes:
        cuts.append(_adjacent([run.smallest for run in runs]))
    if not cuts:
        return ()
    crossed = (frozenset.intersection(*chosen) for chosen in product(*cuts))
    return tuple(dict.fromkeys(alternative for alternative in crossed if alternative))


def _alike(keys: Sequence[Hashable]) -> list[frozenset[int]]:
    """Gather the indices of equal keys."""
    by_key: dict[Hashable, set[int]] = {}
    for index, key in enumerate(keys):
        by_key.setdefault(key, set()).add(index)
    return [frozenset(indices) for indices in by_key.values()]


def _adjacent(sizes: Sequence[int]) -> list[frozenset[int]]:
    """Gather the indices of sizes k and k+1, for every k that occurs."""
    return [
        frozenset(index for index, size in enumerate(sizes) if size in (smaller, smaller + 1))
        for smaller in sorted(set(sizes))
    ]
