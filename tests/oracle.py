"""An exhaustive search for small instances, written from the problem's definition alone.

It shares no code with the package beyond the instance's records: the formulas are scalar, every
ordered placement on concrete GPUs is walked through, and nothing is cut off early.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.instance import GpuType, Instance

ETA = {1: 1.0, 2: 0.9, 4: 0.8, 8: 0.7, 16: 0.7}


@dataclass(frozen=True)
class Group:
    kind: int
    degree: int
    gpu_ids: tuple[int, ...]


@dataclass(frozen=True)
class Found:
    tokens_per_s: float
    usd_per_hour: float
    stages: tuple[tuple[Group, int], ...]


def activation_gb(instance: Instance, degree: int) -> float:
    hidden = instance.model.hidden_size
    tokens = instance.workload.batch_size * instance.workload.sequence_length
    widest = max(7 * hidden / degree, hidden) + 2 * hidden / degree
    return 1.15 * widest * tokens * instance.model.bytes_per_weight / 1024**3


def stage_rate(instance: Instance, kind: GpuType, degree: int, layers: int) -> float:
    figures = instance.performance.gpus[kind.name]
    b, s = instance.workload.batch_size, instance.workload.sequence_length
    hidden, width = instance.model.hidden_size, instance.model.bytes_per_weight
    compute_s = (
        layers
        * (24 * b * s * hidden**2 + 4 * b * s**2 * hidden)
        / (figures.tflops * 1e12 * figures.efficiency)
    )
    memory_s = (layers * 12 * hidden**2 * width + b * s * hidden * width) / (figures.gb_per_s * 1e9)
    return b * s / max(compute_s, memory_s) * degree * ETA[degree]


def allowed_sizes(
    instance: Instance, kind: GpuType, degree: int, sizes: Sequence[int]
) -> list[int]:
    limits = instance.limits
    weight, activation = instance.model.layer_weight_gb, activation_gb(instance, degree)
    assert weight is not None
    layers = range(1, instance.num_layers + 1)
    fitting = [k for k in layers if k * weight / degree + activation <= kind.memory_gb]
    if not fitting:
        return []
    wanted = limits.min_memory_utilization * kind.memory_gb
    fewest = 1
    if activation <= wanted:
        fewest = max(1, math.ceil((wanted - activation) / (weight / degree)))
    fewest = max(min(fewest, fitting[-1]), limits.min_layers_per_stage)
    return [k for k in sizes if fewest <= k <= fitting[-1]]


def all_groups(instance: Instance) -> list[Group]:
    groups = []
    base = 0
    for index, kind in enumerate(instance.pool):
        for degree in instance.limits.tp_degrees:
            if kind.name in instance.limits.exclude or degree > (kind.max_tp or degree):
                continue
            for q in range(kind.count // degree):
                first = base + q * degree
                groups.append(Group(index, degree, tuple(range(first, first + degree))))
        base += kind.count
    return groups


def ring(instance: Instance, group: Group) -> float:
    if group.degree == 1:
        return math.inf
    pairs = itertools.permutations(group.gpu_ids, 2)
    slowest = min(instance.network.between(i, j) for i, j in pairs)
    return slowest * (group.degree - 1) / group.degree


def hop_rate(instance: Instance, one: Group, other: Group) -> float:
    direct = instance.network.between(one.gpu_ids[0], other.gpu_ids[0])
    bandwidth = min(ring(instance, one), direct, ring(instance, other))
    gb_per_token = instance.model.hidden_size * instance.model.bytes_per_weight / 1024**3
    return bandwidth / gb_per_token


def slowest_pair(instance: Instance, one: Group, other: Group) -> float:
    return min(instance.network.between(i, j) for i in one.gpu_ids for j in other.gpu_ids)


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    position = share / 100 * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def filter_threshold(instance: Instance, sizes: Sequence[int]) -> float:
    """Bandwidth below which the published filter drops links."""
    share = instance.network.drop_below_percentile
    segments = [
        (group, start, start + size - 1)
        for group in all_groups(instance)
        for size in allowed_sizes(instance, instance.pool[group.kind], group.degree, sizes)
        for start in range(1, instance.num_layers - size + 2)
    ]
    bandwidths = [
        slowest_pair(instance, one, other)
        for one, _, end in segments
        for other, start, _ in segments
        if start == end + 1
        and set(one.gpu_ids).isdisjoint(other.gpu_ids)
        and hop_rate(instance, one, other) > 0
    ]
    return percentile(bandwidths, share) if share > 0 and bandwidths else -math.inf


def placements(instance: Instance, sizes: Sequence[int]) -> Iterator[Found]:
    """Yield every placement that the limits allow."""
    groups = all_groups(instance)
    options = {
        group: [
            (size, stage_rate(instance, instance.pool[group.kind], group.degree, size))
            for size in allowed_sizes(instance, instance.pool[group.kind], group.degree, sizes)
        ]
        for group in groups
    }
    threshold = filter_threshold(instance, sizes)
    hops = {
        (one, other): hop_rate(instance, one, other)
        for one in groups
        for other in groups
        if set(one.gpu_ids).isdisjoint(other.gpu_ids)
        and slowest_pair(instance, one, other) >= threshold
    }
    successors = {one: [o for o in groups if hops.get((one, o), 0) > 0] for one in groups}

    def extend(
        stages: tuple[tuple[Group, int], ...], used: frozenset[int], left: int, rate: float
    ) -> Iterator[Found]:
        if left == 0:
            if restrictions_hold(instance, stages):
                costs = (g.degree * instance.pool[g.kind].usd_per_hour for g, _ in stages)
                yield Found(rate, math.fsum(costs), stages)
            return
        if len(stages) == instance.limits.max_stages:
            return
        for group in successors[stages[-1][0]] if stages else groups:
            if not used.isdisjoint(group.gpu_ids):
                continue
            hop = hops[stages[-1][0], group] if stages else math.inf
            for size, speed in options[group]:
                if size <= left:
                    chosen = (*stages, (group, size))
                    now_used = used | set(group.gpu_ids)
                    yield from extend(chosen, now_used, left - size, min(rate, speed, hop))

    yield from extend((), frozenset(), instance.num_layers, math.inf)


def restrictions_hold(instance: Instance, stages: Sequence[tuple[Group, int]]) -> bool:
    limits = instance.limits
    sizes = [size for _, size in stages]
    return not (
        (limits.uniform_tp and len({g.degree for g, _ in stages}) > 1)
        or (limits.single_gpu_type and len({g.kind for g, _ in stages}) > 1)
        or (limits.equal_sizes and max(sizes) - min(sizes) > 1)
    )


def frontier(instance: Instance, sizes: Sequence[int]) -> list[tuple[float, float]]:
    """Return the Pareto points (tokens/s, $/h), fastest first, costs compared to 1e-12."""
    best: dict[float, float] = {}
    for found in placements(instance, sizes):
        rate, cost = found.tokens_per_s, found.usd_per_hour
        best[rate] = min(cost, best.get(rate, math.inf))
    points: list[tuple[float, float]] = []
    for rate in sorted(best, reverse=True):
        if not points or best[rate] < points[-1][1] * (1 - 1e-12):
            points.append((rate, best[rate]))
    return points
