"""What every TP group makes of every load: seconds per layer, sizes that fit, seconds of a hop.

Under `roofline` a stage of k layers takes k times what one layer takes (`roofline.stages`), so
one number per (group class, load) holds the times of all sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.catalogue import find_gpu
from pipeline.errors import Fault, InputError
from pipeline.groups import GroupClasses, group_classes
from pipeline.instance import GpuType, Instance, Serving
from pipeline.restrictions import stage_ranges
from pipeline.roofline.constants import ConstantTable
from pipeline.roofline.pipelines import request_overhead, round_inefficiency
from pipeline.roofline.stages import (
    GroupFigures,
    StageGroup,
    Workload,
    group_figures,
    stage_hop_seconds,
)
from pipeline.serving.decisions import Decision, decisions

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
BYTES_PER_GB = 1024.0**3
# Loads by TP groups, by the two sizes where they are even; bounds hold dozens of figures of each.
MAX_FIGURES = 1_000_000
# A layer's time; beyond, sums and ratios of times end in 0 or infinity.
SHORTEST_S, LONGEST_S = 1e-15, 1e15


@dataclass(frozen=True)
class Hops:
    """Seconds to hand one micro-batch to the next stage; one entry per load.

    between_s: over the network. inside_s: to a stage on the same host, by GPU type, shape
    (types, loads); equal to between_s where hosts are not told apart.
    """

    between_s: FloatArray
    inside_s: FloatArray


@dataclass(frozen=True)
class ServingTables:
    """All that the search knows of groups and loads; arrays of shape (group classes, loads).

    pass_s: seconds of one layer for what the objective counts (a prompt's prefill, or a step);
    prefill_s: for the time to the first token. smallest, largest: sizes that a segment may have,
    largest 0 where none fits. weight_gb, kv_gb: by size, shape (group classes, L + 1), kv_gb per
    request; reserved_gb: by class; all on each GPU, in units of 1024³ bytes. step_factor: what a
    round takes longer than its ideal, by load. overhead_s: time of a request outside the GPUs.
    """

    groups: GroupClasses
    decisions: tuple[Decision, ...]
    usd_per_hour: FloatArray
    concurrency: FloatArray
    micro_batches: FloatArray
    pass_s: FloatArray
    prefill_s: FloatArray
    smallest: IntArray
    largest: IntArray
    weight_gb: FloatArray
    kv_gb: FloatArray
    reserved_gb: FloatArray
    hops: Hops
    prefill_hops: Hops
    step_factor: FloatArray
    overhead_s: float

    def memory_gb(self, group_class: int, decision: int, size: int) -> float:
        """Return what a stage takes on each GPU: weights, KV cache of all requests, engine."""
        cache = self.decisions[decision].concurrency * self.kv_gb[group_class, size]
        return float(self.weight_gb[group_class, size] + cache + self.reserved_gb[group_class])


def serving_of(instance: Instance) -> Serving:
    """Return what an instance serves. Raises ValueError for one of another performance model."""
    if instance.serving is None:
        raise ValueError("the roofline model needs a workload of phases and tokens")
    return instance.serving


def roofline_workload(serving: Serving) -> Workload:
    """Return the workload in the terms of the roofline formulas."""
    return Workload(
        phase=serving.phase,
        input_len=float(serving.input_tokens),
        output_len=float(serving.output_tokens),
        compute_type=serving.compute_type,
        bytes_per_kv_element=serving.kv_bytes,
        memory_fraction=serving.memory_fraction,
    )


def _check_size(instance: Instance, figures: int) -> None:
    """Raise InputError where a search would hold too much."""
    if figures > MAX_FIGURES:
        reason = (
            f"asks for {figures} loads of groups, and there may be {MAX_FIGURES}; lower it, or "
            "state workload.concurrency and micro_batches"
        )
        most = instance.limits.max_stages
        raise InputError([Fault(instance.name, "limits.max_stages", reason, most)])


def _check_times(instance: Instance, figures: GroupFigures) -> None:
    """Raise InputError where constants give layers no time, or one that no number can hold."""
    for layer_s in (figures.prefill_s, figures.decode_s, figures.mixed_s):
        odd = layer_s[~((layer_s >= SHORTEST_S) & (layer_s <= LONGEST_S))]
        if odd.size:
            reason = f"must give every layer a time from {SHORTEST_S:g} to {LONGEST_S:g} s"
            raise InputError([Fault(instance.name, "performance.constants", reason, float(odd[0]))])


def serving_tables(instance: Instance, table: ConstantTable) -> ServingTables:
    """Compute all tables of an instance under given constants."""
    serving = serving_of(instance)
    loads = decisions(serving, min(instance.limits.max_stages, instance.num_layers))
    groups = group_classes(instance, by_network=False)
    _check_size(instance, len(loads) * len(groups) * len(stage_ranges(instance)))
    batches = sorted({load.micro_batch for load in loads})
    column_of = {batch: column for column, batch in enumerate(batches)}
    column = [column_of[load.micro_batch] for load in loads]
    with np.errstate(all="ignore"):  # times that are none are told
        figures = _figures(instance, groups, batches, table)
    n = np.array([load.concurrency for load in loads], dtype=np.float64)
    m = np.array([load.micro_batches for load in loads], dtype=np.float64)
    prefill_s = figures.prefill_s[:, column]
    _check_times(instance, figures)
    of_phase = {
        "prefill": prefill_s,
        "decode": figures.decode_s[:, column],
        "mixed": figures.mixed_s[:, column],
    }
    smallest, largest = _sizes(instance, groups, figures, n)
    per_gb = 1e9 / BYTES_PER_GB
    tokens = n / m
    step_tokens = {
        "prefill": tokens * serving.input_tokens,
        "decode": tokens,
        "mixed": tokens * (1 + serving.input_tokens / max(serving.output_tokens, 1)),
    }
    return ServingTables(
        groups=groups,
        decisions=loads,
        usd_per_hour=np.array([c.degree * instance.pool[c.gpu].usd_per_hour for c in groups]),
        concurrency=n,
        micro_batches=m,
        pass_s=of_phase[serving.phase],
        prefill_s=prefill_s,
        smallest=smallest,
        largest=largest,
        weight_gb=_with_zero(figures.weight_gb * per_gb),
        kv_gb=_with_zero(figures.kv_gb_per_request * per_gb),
        reserved_gb=figures.reserved_gb * per_gb,
        hops=_hops(instance, step_tokens[serving.phase], table),
        prefill_hops=_hops(instance, step_tokens["prefill"], table),
        step_factor=_step_factor(instance, m, table),
        overhead_s=request_overhead(serving.engine, instance.pool[0].hardware, table),
    )


def _figures(
    instance: Instance, groups: GroupClasses, batches: Sequence[int], table: ConstantTable
) -> GroupFigures:
    """Return the roofline figures of all group classes."""
    serving = serving_of(instance)
    kinds = [(instance.pool[c.gpu], c.degree) for c in groups]
    return group_figures(
        [StageGroup(k.hardware, degree, k.memory_gb, k.link_gb_per_s) for k, degree in kinds],
        np.arange(1, instance.num_layers + 1, dtype=np.float64),
        instance.model,
        roofline_workload(serving),
        serving.engine,
        table,
        np.array(batches, dtype=np.float64),
    )


def _with_zero(by_size: FloatArray) -> FloatArray:
    """Return figures by size, those of no layers first."""
    return np.hstack([np.zeros((len(by_size), 1)), by_size])


def _sizes(
    instance: Instance, groups: GroupClasses, figures: GroupFigures, requests: FloatArray
) -> tuple[IntArray, IntArray]:
    """Return the smallest and largest size of every class and load.

    largest: the most layers that leave room for the KV cache of all requests. smallest: the
    fewest that fill `min_memory_utilization`, never above the largest, then never below
    `min_layers_per_stage`. What is taken rises with the size and the requests that fit fall, so
    that bisection finds both, and no array has an entry for every class, size and load.
    """
    limits, layers = instance.limits, instance.num_layers
    most = figures.max_requests * (1 + 1e-12)
    beside = figures.weight_gb + figures.reserved_gb[:, None]
    memory_gb = np.array([instance.pool[c.gpu].memory_gb for c in groups])[:, None]
    rows, shape = np.arange(len(groups))[:, None], (len(groups), len(requests))

    def fits(size: IntArray) -> BoolArray:
        return np.asarray(most[rows, size - 1] >= requests)

    def leaves_unfilled(size: IntArray) -> BoolArray:
        taken = figures.kv_gb_per_request[rows, size - 1] * requests + beside[rows, size - 1]
        return np.asarray(taken * 1e9 / BYTES_PER_GB < limits.min_memory_utilization * memory_gb)

    largest = _last_size(fits, shape, layers)
    filling = np.minimum(_last_size(leaves_unfilled, shape, layers) + 1, layers)
    smallest = np.maximum(np.minimum(filling, largest), limits.min_layers_per_stage)
    return np.maximum(smallest, 1), largest


def _last_size(
    holds: Callable[[IntArray], BoolArray], shape: tuple[int, int], layers: int
) -> IntArray:
    """Return the last size up to which a condition holds, by class and load; 0 where at none.

    holds: tells for one size of every class and load; true up to some size, false from there on.
    """
    low, high = np.zeros(shape, dtype=np.int64), np.full(shape, layers)
    while (low < high).any():
        middle = np.maximum((low + high + 1) // 2, 1)  # where both are 0 it is asked again, idly
        held = holds(middle)
        low, high = np.where(held, middle, low), np.where(held, high, middle - 1)
    return low


def _hops(instance: Instance, tokens: FloatArray, table: ConstantTable) -> Hops:
    """Return the seconds of hops that carry some tokens, over the network and inside hosts."""
    serving, network = serving_of(instance), float(instance.network.bandwidth.max())

    def seconds(gb_per_s: float) -> FloatArray:
        gpu = instance.pool[0].hardware
        return np.asarray(
            stage_hop_seconds(tokens, instance.model, gb_per_s, gpu, serving.engine, table)
        )

    inside = [
        seconds(inside_gb_per_s(kind) if kind.gpus_per_node else network) for kind in instance.pool
    ]
    return Hops(seconds(network), np.array(inside))


def inside_gb_per_s(kind: GpuType) -> float:
    """Return the bandwidth between two GPUs of one host, one direction, GB/s."""
    return kind.link_gb_per_s or find_gpu(kind.hardware).link.gb_per_s.value


def _step_factor(instance: Instance, micro_batches: FloatArray, table: ConstantTable) -> FloatArray:
    """Return what rounds take over their ideal: more than 1 with several micro-batches."""
    serving = serving_of(instance)
    if serving.phase == "prefill":
        return np.ones_like(micro_batches)
    factor = round_inefficiency(serving.engine, instance.pool[0].hardware, table)
    return np.where(micro_batches > 1, factor, 1.0)
