"""An exhaustive search under `roofline`: every ordered placement on GPUs, composed stage by stage.

It takes the times of stages from `roofline.stages` and composes them with `pipeline_figures`; it
shares no code with the package's search.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.instance import Instance, Limits, Serving
from pipeline.roofline import (
    Workload,
    pipeline_figures,
    request_overhead,
    round_inefficiency,
    stage_figures,
    stage_hop_seconds,
)
from pipeline.roofline.constant_files import shipped_table
from pipeline.roofline.stages import StageFigures

GRID = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


@dataclass(frozen=True)
class Group:
    kind: int
    degree: int
    first: int


def loads(serving: Serving, max_stages: int) -> list[tuple[int, int]]:
    """Return (requests at once, micro-batches)."""
    cuts = serving.micro_batches or tuple(range(1, max_stages + 1))
    if serving.concurrency:
        return [(n, m) for n in serving.concurrency for m in cuts if n % m == 0]
    return [(b * m, m) for b in GRID for m in cuts]


def all_groups(instance: Instance) -> list[Group]:
    found = []
    for index, kind in enumerate(instance.pool):
        for degree in instance.limits.tp_degrees:
            if degree <= min(kind.count, kind.gpus_per_node or kind.count):
                found += [
                    Group(index, degree, q) for q in range(0, kind.count - degree + 1, degree)
                ]
    return found


def workload(serving: Serving) -> Workload:
    return Workload(serving.phase, float(serving.input_tokens), float(serving.output_tokens))


class Oracle:
    """One instance, with the times of its stages and hops kept."""

    def __init__(self, instance: Instance) -> None:
        assert instance.serving is not None
        self.instance, self.serving = instance, instance.serving
        self.loads = loads(self.serving, instance.limits.max_stages)
        gpu, engine = instance.pool[0].name, self.serving.engine
        self.overhead_s = request_overhead(engine, gpu, shipped_table())
        self.inefficiency = round_inefficiency(engine, gpu, shipped_table())
        self.figures: dict[tuple[int, int, float], StageFigures] = {}
        self.hops: dict[tuple[float, float], float] = {}

    def stage(self, group: Group, micro_batch: float) -> StageFigures:
        key = (group.kind, group.degree, micro_batch)
        if key not in self.figures:
            gpu = self.instance.pool[group.kind]
            self.figures[key] = stage_figures(
                gpu.name,
                group.degree,
                range(1, self.instance.num_layers + 1),
                self.instance.model,
                workload(self.serving),
                self.serving.engine,
                shipped_table(),
                [micro_batch],
                gpu.memory_gb,
                gpu.link_gb_per_s,
            )
        return self.figures[key]

    def hop_seconds(self, one: Group, other: Group, tokens: float) -> float:
        kind = self.instance.pool[one.kind]
        gb_per_s = self.instance.network.between(0, 1)
        size = kind.gpus_per_node
        if one.kind == other.kind and size and one.first // size == other.first // size:
            assert kind.link_gb_per_s is not None
            gb_per_s = kind.link_gb_per_s
        if (gb_per_s, tokens) not in self.hops:
            seconds = stage_hop_seconds(
                np.array([tokens]),
                self.instance.model,
                gb_per_s,
                kind.name,
                self.serving.engine,
                shipped_table(),
            )
            self.hops[gb_per_s, tokens] = float(seconds[0])
        return self.hops[gb_per_s, tokens]

    def figures_of(
        self, stages: Sequence[tuple[Group, int]], load: tuple[int, int]
    ) -> tuple[float, float, float] | None:
        """Return tokens/s, TTFT and TPOT of stages in order; None where they break a limit."""
        limits, phase = self.instance.limits, self.serving.phase
        n, m = load
        each = [(self.stage(g, n / m), k) for g, k in stages]
        if any(f.max_requests[k - 1] < n * (1 - 1e-12) for f, k in each):
            return None
        prompt, output = self.serving.input_tokens, self.serving.output_tokens
        of_prompts = n / m * prompt
        of_step = {"prefill": of_prompts, "decode": n / m}.get(
            phase, n / m * (1 + prompt / max(output, 1))
        )
        pairs = list(itertools.pairwise(g for g, _ in stages))
        found = pipeline_figures(
            workload(self.serving),
            n / m,
            m,
            np.array([f.prefill_s[0, k - 1] for f, k in each]),
            np.array([getattr(f, f"{phase}_s")[0, k - 1] for f, k in each]),
            np.array([self.hop_seconds(a, b, of_prompts) for a, b in pairs]),
            np.array([self.hop_seconds(a, b, of_step) for a, b in pairs]),
            self.overhead_s,
            self.inefficiency if m > 1 else 1.0,
        )
        late = found.ttft_s > (limits.max_ttft_s or math.inf)
        if phase != "prefill":
            late = late or found.tpot_s > (limits.max_tpot_s or math.inf)
        return None if late else (found.tokens_per_s, found.ttft_s, found.tpot_s)

    def chains(self, sizes: Sequence[int]) -> Iterator[tuple[tuple[Group, int], ...]]:
        """Yield the stages of every placement that the limits other than latency allow."""
        limits = self.instance.limits
        groups = all_groups(self.instance)

        def gpus(group: Group) -> set[tuple[int, int]]:
            return {(group.kind, group.first + i) for i in range(group.degree)}

        def extend(
            stages: tuple[tuple[Group, int], ...], used: set[tuple[int, int]], left: int
        ) -> Iterator[tuple[tuple[Group, int], ...]]:
            if left == 0:
                if restrictions_hold(limits, stages):
                    yield stages
            elif len(stages) < limits.max_stages:
                for group in groups:
                    if used.isdisjoint(gpus(group)):
                        for size in sizes:
                            if limits.min_layers_per_stage <= size <= left:
                                more = (*stages, (group, size))
                                yield from extend(more, used | gpus(group), left - size)

        yield from extend((), set(), self.instance.num_layers)

    def placements(
        self, sizes: Sequence[int]
    ) -> Iterator[tuple[float, float, tuple[tuple[Group, int], ...]]]:
        """Yield tokens/s, $/h and stages of every placement under every load."""
        pool = self.instance.pool
        for stages in self.chains(sizes):
            cost = math.fsum(g.degree * pool[g.kind].usd_per_hour for g, _ in stages)
            for load in self.loads:
                found = self.figures_of(stages, load)
                if found is not None:
                    yield found[0], cost, stages


def restrictions_hold(limits: Limits, stages: Sequence[tuple[Group, int]]) -> bool:
    sizes = [size for _, size in stages]
    return not (
        (limits.uniform_tp and len({g.degree for g, _ in stages}) > 1)
        or (limits.single_gpu_type and len({g.kind for g, _ in stages}) > 1)
        or (limits.equal_sizes and max(sizes) - min(sizes) > 1)
    )


def frontier(instance: Instance, sizes: Sequence[int]) -> list[tuple[float, float]]:
    """Return the Pareto points (tokens/s, $/h), fastest first."""
    points: list[tuple[float, float]] = []
    known = {(rate, round(cost, 12)) for rate, cost, _ in Oracle(instance).placements(sizes)}
    for rate, cost in sorted(known, key=lambda p: (-p[0], p[1])):
        if not points or cost < points[-1][1] - 1e-9:
            points.append((rate, cost))
    return points
