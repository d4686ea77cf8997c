"""Recomputes throughput, latency and memory of a stored placement under `roofline`.

It composes the stages itself, one after the other as the rows have them, from the stage times of
`roofline` alone; neither the search nor its tables have a part in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from pipeline.catalogue import find_gpu
from pipeline.instance import GpuType, Instance, Serving
from pipeline.roofline import (
    PipelineFigures,
    StageFigures,
    Workload,
    pipeline_figures,
    request_overhead,
    round_inefficiency,
    stage_figures,
    stage_hop_seconds,
    throughput_range,
)

Row = Mapping[str, Any]
BYTES_PER_GB = 1024.0**3


@dataclass(frozen=True)
class ServedStage:
    """What a stage is by the formulas.

    stage_s: time of what the objective counts, s. next_max_requests: requests that it would hold
    with one layer more.
    """

    stage_s: float
    memory_gb: float
    max_requests: float
    next_max_requests: float


def figures_of_stages(
    instance: Instance, serving: Serving, point: Row, segments: Sequence[Row]
) -> list[StageFigures]:
    """Return what the model says of every stage and of one layer more, in pipeline order."""
    return [_figures(instance, serving, point, segment) for segment in segments]


def served_stages(serving: Serving, point: Row, each: Sequence[StageFigures]) -> list[ServedStage]:
    """Work out every stage of a placement under the point's load; each: `figures_of_stages`."""
    requests = float(point["concurrency"])
    stages = []
    for found in each:
        times = {"prefill": found.prefill_s, "decode": found.decode_s, "mixed": found.mixed_s}
        held = found.weight_gb[0] + requests * found.kv_gb_per_request[0] + found.reserved_gb
        stages.append(
            ServedStage(
                stage_s=float(times[serving.phase][0, 0]),
                memory_gb=float(held) * 1e9 / BYTES_PER_GB,
                max_requests=float(found.max_requests[0]),
                next_max_requests=float(found.max_requests[1]),
            )
        )
    return stages


def served_figures(
    instance: Instance,
    serving: Serving,
    point: Row,
    segments: Sequence[Row],
    each: Sequence[StageFigures],
) -> PipelineFigures:
    """Compose the stages of a placement in their order; each: `figures_of_stages`."""
    m = float(point["micro_batches"])
    batch = float(point["concurrency"]) / m
    steps = {
        "prefill": [s.prefill_s[0, 0] for s in each],
        "decode": [s.decode_s[0, 0] for s in each],
        "mixed": [s.mixed_s[0, 0] for s in each],
    }[serving.phase]
    prompts = batch * serving.input_tokens
    carried = {
        "prefill": prompts,
        "decode": batch,
        "mixed": batch + prompts / max(serving.output_tokens, 1),
    }[serving.phase]
    gpu = _kind(instance, segments[0]).hardware
    table = instance.performance.constant_table
    factor = round_inefficiency(serving.engine, gpu, table) if m > 1 else 1.0
    return pipeline_figures(
        _workload(serving),
        batch,
        m,
        np.array([s.prefill_s[0, 0] for s in each]),
        np.array(steps),
        np.array([_hop_s(instance, serving, a, b, prompts) for a, b in pairwise(segments)]),
        np.array([_hop_s(instance, serving, a, b, carried) for a, b in pairwise(segments)]),
        request_overhead(serving.engine, gpu, table),
        factor,
    )


def served_range(
    instance: Instance, serving: Serving, point: Row, segments: Sequence[Row]
) -> tuple[float, float]:
    """Return the range that holds four of five measurements of a placement, tokens/s."""
    gpus = frozenset(_kind(instance, segment).hardware for segment in segments)
    table, rate = instance.performance.constant_table, float(point["throughput_tokens_per_s"])
    return throughput_range(rate, instance.model, gpus, serving.engine, table)


def stage_alone(instance: Instance, serving: Serving, point: Row, stage_s: float) -> float:
    """Return the throughput that a pipeline would have if one stage alone decided, tokens/s."""
    m, gpu = float(point["micro_batches"]), instance.pool[0].hardware
    table, alone, no_hop = instance.performance.constant_table, np.array([stage_s]), np.zeros(0)
    factor = round_inefficiency(serving.engine, gpu, table) if m > 1 else 1.0
    overhead_s = request_overhead(serving.engine, gpu, table)
    batch = float(point["concurrency"]) / m
    work = _workload(serving)
    return pipeline_figures(
        work, batch, m, alone, alone, no_hop, no_hop, overhead_s, factor
    ).tokens_per_s


def _workload(serving: Serving) -> Workload:
    return Workload(
        serving.phase,
        float(serving.input_tokens),
        float(serving.output_tokens),
        serving.compute_type,
        serving.kv_bytes,
        serving.memory_fraction,
    )


def _kind(instance: Instance, segment: Row) -> GpuType:
    return next(kind for kind in instance.pool if kind.name == segment["gpu"])


def _figures(instance: Instance, serving: Serving, point: Row, segment: Row) -> StageFigures:
    """Return the figures of one stage's size, and one layer more, under the point's micro-batch."""
    kind, size = _kind(instance, segment), int(segment["size"])
    return stage_figures(
        kind.hardware,
        int(segment["tp_degree"]),
        [size, size + 1],
        instance.model,
        _workload(serving),
        serving.engine,
        instance.performance.constant_table,
        [float(point["concurrency"]) / float(point["micro_batches"])],
        kind.memory_gb,
        kind.link_gb_per_s,
    )


def _hop_s(instance: Instance, serving: Serving, one: Row, other: Row, tokens: float) -> float:
    """Return the time of a hop: inside a host over its link, else over the network, s."""
    kind = _kind(instance, one)
    gb_per_s = instance.network.between(one["gpu_ids"][0], other["gpu_ids"][0])
    if kind.gpus_per_node and one["gpu"] == other["gpu"]:
        names = [k.name for k in instance.pool]
        base = instance.first_gpu_ids[names.index(kind.name)]
        hosts = {(s["gpu_ids"][0] - base) // kind.gpus_per_node for s in (one, other)}
        if len(hosts) == 1:
            gb_per_s = kind.link_gb_per_s or find_gpu(kind.hardware).link.gb_per_s.value
    seconds = stage_hop_seconds(
        np.array([tokens]),
        instance.model,
        gb_per_s,
        kind.hardware,
        serving.engine,
        instance.performance.constant_table,
    )
    return float(seconds[0])
