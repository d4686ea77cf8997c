"""Rules on what every stored placement is: layers, GPUs, memory, prices, throughput, proofs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from pipeline.results.schema import BOUND_COLUMNS, present
from pipeline.verify.case import (
    PROOF_TOLERANCE,
    TOLERANCE,
    Case,
    Mismatch,
    Row,
    compare,
    mismatch,
)

Rule = Callable[[Case], Iterator[Mismatch]]
# Columns of bounds, the columns of what they bound, and 1 where more of it is better, else -1.
BOUNDED = (
    ("bound_throughput_tokens_per_s", "throughput_tokens_per_s", 1),
    ("bound_cost_usd_per_hour", "cost_usd_per_hour", -1),
    ("bound_cost_usd_per_token", "cost_usd_per_token", -1),
)


def values_possible(case: Case) -> Iterator[Mismatch]:
    """Rates and loads are above 0, layers those of the model, and segments name their GPUs."""
    loads = ("concurrency", "micro_batches") if case.instance.serving else ()
    for name in ("throughput_tokens_per_s", *loads):
        if not (present(case.point[name]) and case.point[name] > 0):
            yield mismatch(case, name, case.point[name], "above 0")
    most = case.instance.num_layers
    for segment in case.segments:
        stage = segment["stage"]
        ends, size = (segment["start_layer"], segment["end_layer"]), segment["size"]
        if not 1 <= ends[0] <= ends[1] <= most:
            yield mismatch(case, f"layers of stage {stage}", ends, f"within 1 to {most}")
        if not 1 <= size <= most:
            yield mismatch(case, f"size of stage {stage}", size, f"1 to {most}")
        names = [kind.name for kind in case.instance.pool]
        degree = segment["tp_degree"]
        if degree not in (allowed := case.instance.degrees(names.index(segment["gpu"]))):
            yield mismatch(case, f"TP degree of stage {stage}", degree, f"one of {allowed}")
        if len(segment["gpu_ids"]) != degree:
            found = list(segment["gpu_ids"])
            yield mismatch(case, f"GPU ids of stage {stage}", found, f"{degree} of them")
        last = case.instance.num_gpus - 1
        if any(not 0 <= i <= last for i in segment["gpu_ids"]):
            found = list(segment["gpu_ids"])
            yield mismatch(case, f"GPU ids of stage {stage}", found, f"within 0 to {last}")


def layers_covered_once(case: Case) -> Iterator[Mismatch]:
    """Layers 1 to L are covered in order, without gap or overlap, by segments of allowed sizes."""
    covered = [n for s in case.segments for n in range(s["start_layer"], s["end_layer"] + 1)]
    if covered != list(range(1, case.instance.num_layers + 1)):
        yield mismatch(case, "layers", covered, f"1 to {case.instance.num_layers}")
    for segment in case.segments:
        length = segment["end_layer"] - segment["start_layer"] + 1
        if segment["size"] != length:
            yield mismatch(case, f"size of stage {segment['stage']}", segment["size"], length)
        if segment["size"] not in set(case.point["sizes"]):
            allowed = f"one of {case.point['granularity']}"
            yield mismatch(case, f"size of stage {segment['stage']}", segment["size"], allowed)


def stages_numbered(case: Case) -> Iterator[Mismatch]:
    """Stages are numbered from 0 and are not more than allowed."""
    stages = [segment["stage"] for segment in case.segments]
    if stages != list(range(len(stages))):
        yield mismatch(case, "stage numbers", stages, f"0 to {len(stages) - 1}")
    if case.point["num_stages"] != len(stages):
        yield mismatch(case, "num_stages", case.point["num_stages"], len(stages))
    if len(stages) > case.instance.limits.max_stages:
        most = f"at most {case.instance.limits.max_stages}"
        yield mismatch(case, "stages", len(stages), most)


def groups_disjoint_and_aligned(case: Case) -> Iterator[Mismatch]:
    """Every group is an aligned block of its type's GPUs, and no GPU serves twice."""
    used = [gpu for segment in case.segments for gpu in segment["gpu_ids"]]
    if len(used) != len(set(used)):
        yield mismatch(case, "GPU ids", sorted(used), "each at most once")
    if case.point["num_gpus"] != len(used):
        yield mismatch(case, "num_gpus", case.point["num_gpus"], len(used))
    for segment in case.segments:
        kind, base, degree = case.kind(segment), case.first_id(segment), segment["tp_degree"]
        ids = list(segment["gpu_ids"])
        first = ids[0] - base
        block = list(range(ids[0], ids[0] + degree))
        inside = kind is not None and first >= 0 and first + degree <= kind.count
        if ids != block or first % degree or not inside:
            what = f"aligned block of {degree} {segment['gpu']}"
            yield mismatch(case, f"GPU ids of stage {segment['stage']}", ids, what)


def memory_fits(case: Case) -> Iterator[Mismatch]:
    """Memory is as computed, within the GPU, and as full as the limits ask."""
    limits = case.instance.limits
    for segment in case.segments:
        kind, degree, size = case.kind(segment), segment["tp_degree"], segment["size"]
        assert kind is not None
        sizes = np.array([0, size, size + 1], dtype=np.float64)
        empty, needed, larger = case.model.stage_memory_gb(kind, degree, sizes).tolist()
        name = f"memory of stage {segment['stage']}"
        yield from compare(case, name, segment["memory_gb"], needed)
        share = needed / kind.memory_gb
        yield from compare(case, f"share of {name}", segment["memory_utilization"], share)
        if needed > kind.memory_gb:
            yield mismatch(case, name, segment["memory_gb"], f"at most {kind.memory_gb}")
        wanted = limits.min_memory_utilization * kind.memory_gb
        is_full = needed >= wanted * (1 - TOLERANCE) or larger > kind.memory_gb or empty > wanted
        if not is_full and size != case.instance.num_layers:
            yield mismatch(case, name, segment["memory_gb"], f"at least {wanted}")
        if size < limits.min_layers_per_stage:
            fewest = f"at least {limits.min_layers_per_stage}"
            yield mismatch(case, f"layers of stage {segment['stage']}", size, fewest)


def cost_adds_up(case: Case) -> Iterator[Mismatch]:
    """Costs follow from the prices, and the budget is kept."""
    costs = []
    for segment in case.segments:
        kind = case.kind(segment)
        assert kind is not None
        costs.append(segment["tp_degree"] * kind.usd_per_hour)
        name = f"cost of stage {segment['stage']}"
        yield from compare(case, name, segment["cost_usd_per_hour"], costs[-1])
    total = math.fsum(costs)
    yield from compare(case, "cost_usd_per_hour", case.point["cost_usd_per_hour"], total)
    budget = case.point["budget_usd_per_hour"]
    if present(budget) and total > budget * (1 + TOLERANCE):
        yield mismatch(case, "cost within budget", total, f"at most {budget}")


def throughput_is_the_slowest(case: Case) -> Iterator[Mismatch]:
    """The throughput is that of the slowest stage or hop, and its price follows."""
    rates = []
    for segment in case.segments:
        kind = case.kind(segment)
        assert kind is not None
        size = np.array([segment["size"]], dtype=np.float64)
        rates.append(float(case.model.stage_tokens_per_s(kind, segment["tp_degree"], size)[0]))
        name = f"throughput of stage {segment['stage']}"
        yield from compare(case, name, segment["throughput_tokens_per_s"], rates[-1])
    hops = [hop_tokens_per_s(case, a, b) for a, b in pairwise(case.segments)]
    slowest = min(*rates, *hops) if hops else min(rates, default=0.0)
    stored = case.point["throughput_tokens_per_s"]
    yield from compare(case, "throughput_tokens_per_s", stored, slowest)
    if slowest > 0:
        price = case.point["cost_usd_per_hour"] / (slowest * 3600)
        yield from compare(case, "cost_usd_per_token", case.point["cost_usd_per_token"], price)
    for segment, rate in zip(case.segments, rates, strict=True):
        if bool(segment["is_bottleneck"]) != (rate <= slowest * (1 + TOLERANCE)):
            name = f"bottleneck mark of stage {segment['stage']}"
            yield mismatch(case, name, segment["is_bottleneck"], not segment["is_bottleneck"])


def bound_holds(case: Case) -> Iterator[Mismatch]:
    """No answer is better than its bound, an optimum is as good, and a gap is what lies between."""
    is_proven = any(present(case.point[name]) for name in BOUND_COLUMNS)
    if case.point["status"] == "optimal" and not is_proven:
        yield mismatch(case, "status optimal", "no bound", "a bound that proves it")
    gap = case.point["mip_gap"]
    is_zero = present(gap) and abs(gap) <= PROOF_TOLERANCE
    if case.point["status"] == "optimal" and not is_zero:
        yield mismatch(case, "mip_gap of an optimum", gap, 0.0)
    for bound_name, name, sign in BOUNDED:
        bound, value = case.point[bound_name], case.point[name]
        if not present(bound):
            continue
        slack = sign * (bound - value)
        if slack < -abs(value) * PROOF_TOLERANCE:
            yield mismatch(case, bound_name, bound, f"not worse than {value}")
        if case.point["status"] == "optimal" and slack > abs(value) * PROOF_TOLERANCE:
            yield mismatch(case, f"status optimal with {bound_name}", bound, value)
    # The gap of a weighted answer is that of its score too; who knows the scales looks at it.
    distances = bound_distances(case.point)
    is_scored = case.point["method"] == "weighted" and present(case.point["bound_weighted_score"])
    if not is_scored and not gap_stands(gap, distances):
        yield mismatch(case, "mip_gap", gap, max(distances))


def bound_distances(point: Row) -> list[float]:
    """Return how far a row's figures lie from their bounds, relative; a figure of 0 has none."""
    return [
        sign * (point[bound_name] - point[name]) / abs(point[name])
        for bound_name, name, sign in BOUNDED
        if present(point[bound_name]) and point[name]
    ]


def gap_stands(gap: Any, distances: Sequence[float]) -> bool:
    """Tell whether a gap is the largest of the relative distances to the bounds, if there are."""
    if not (present(gap) and distances):
        return True
    return bool(abs(gap - max(distances)) <= PROOF_TOLERANCE)


def restrictions_hold(case: Case) -> Iterator[Mismatch]:
    """What all stages must have in common they have."""
    limits, segments = case.instance.limits, case.segments
    sizes = [segment["size"] for segment in segments]
    for is_asked, name in ((limits.uniform_tp, "tp_degree"), (limits.single_gpu_type, "gpu")):
        found = [segment[name] for segment in segments]
        if is_asked and len(set(found)) > 1:
            yield mismatch(case, f"{name} of all stages", found, "the same")
    if limits.equal_sizes and sizes and max(sizes) - min(sizes) > 1:
        yield mismatch(case, "sizes of all stages", sizes, "at most one layer apart")


RULES: tuple[Rule, ...] = (
    layers_covered_once,
    stages_numbered,
    groups_disjoint_and_aligned,
    restrictions_hold,
    memory_fits,
    cost_adds_up,
    throughput_is_the_slowest,
    bound_holds,
)
"""Every rule that a stored placement must keep."""


def hop_tokens_per_s(case: Case, one: Row, other: Row) -> float:
    """Return the throughput of the hop from one segment's group to the next's, tokens/s."""
    network = case.instance.network
    a, b = list(one["gpu_ids"]), list(other["gpu_ids"])
    if not case.linked(a, b):
        return 0.0
    bandwidth = min(_ring(case, a), network.between(a[0], b[0]), _ring(case, b))
    return float(case.model.link_tokens_per_s(np.array([bandwidth], dtype=np.float64))[0])


def _ring(case: Case, ids: Sequence[int]) -> float:
    """Return the bandwidth of a group's all-reduce ring, GB/s; infinite for a single GPU."""
    pairs = [case.instance.network.between(i, j) for i in ids for j in ids if i != j]
    return min(pairs, default=math.inf) * ((len(ids) - 1) / len(ids) if pairs else 1)
