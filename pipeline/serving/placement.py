"""From a pick to a placement: GPU ids and layers given out, with throughput and latency."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.placement import AS_SLOW, Placement, Stage
from pipeline.serving.decisions import Decision
from pipeline.serving.picks import Pick
from pipeline.serving.search import ServingSearch


@dataclass(frozen=True)
class ServedPlacement(Placement):
    """A placement under `roofline`: its throughput is that of all stages together.

    pipeline_tokens_per_s: throughput of the pipeline. ttft_s: time to the first token. tpot_s:
    time per output token after it; None in phase `prefill`, which has none.
    """

    pipeline_tokens_per_s: float
    ttft_s: float
    tpot_s: float | None
    load: Decision

    @property
    def tokens_per_s(self) -> float:
        """Throughput of the pipeline."""
        return self.pipeline_tokens_per_s

    def is_bottleneck(self, stage: Stage) -> bool:
        """Tell whether no stage takes longer."""
        slowest = min(other.tokens_per_s for other in self.stages)
        return stage.tokens_per_s <= slowest * (1 + AS_SLOW)


def served(search: ServingSearch, pick: Pick) -> ServedPlacement:
    """Give GPUs and layers to the groups of a pick, host by host in pool order."""
    rates, decision = search.rates, pick.decision
    pass_s, prefill_s = search.known.pass_seconds(pick.groups, decision)
    slowest_s = search.known.slowest_s(pick.groups, decision)
    times = np.array(pass_s), np.array(slowest_s)
    return ServedPlacement(
        stages=tuple(_stages(search, pick)),
        link_tokens_per_s=float("inf"),
        pipeline_tokens_per_s=pick.tokens_per_s,
        ttft_s=float(rates.first_token_s(np.array(prefill_s))),
        tpot_s=None if rates.fills else float(rates.round_s(decision, *times)),
        load=search.tables.decisions[decision],
    )


def _stages(search: ServingSearch, pick: Pick) -> Iterator[Stage]:
    """Yield the stages in the order of their GPUs.

    Blocks of one type are given out from its lowest id on, the largest first: each then starts
    at a multiple of its degree, none is left empty in between, and the fewest hosts are used.
    """
    instance, tables = search.instance, search.tables
    classes = tables.groups.classes
    ordered = sorted(pick.groups, key=lambda g: (classes[g[0]].gpu, -classes[g[0]].degree, -g[1]))
    free = list(instance.first_gpu_ids)
    start = 1
    for index, size in ordered:
        gpu, degree = classes[index].gpu, classes[index].degree
        kind = instance.pool[gpu]
        stage_s = size * float(tables.pass_s[index, pick.decision])
        yield Stage(
            gpu=kind.name,
            gpu_ids=tuple(range(free[gpu], free[gpu] + degree)),
            start_layer=start,
            end_layer=start + size - 1,
            tokens_per_s=search.rates.stage_tokens_per_s(pick.decision, stage_s),
            usd_per_hour=float(tables.usd_per_hour[index]),
            memory_gb=tables.memory_gb(index, pick.decision, size),
            gpu_memory_gb=kind.memory_gb,
        )
        free[gpu] += degree
        start += size
