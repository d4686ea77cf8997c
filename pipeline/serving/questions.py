"""From a cell and what it may take to the problem of the timed model, and to whole layers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from pipeline.formulation.compact import CompactProblem
from pipeline.formulation.timed import PassLimit, TimedModel, TimedProblem
from pipeline.granularity import Granularity
from pipeline.instance import Instance
from pipeline.options import Option
from pipeline.restrictions import alternatives
from pipeline.runs import Run, gapless
from pipeline.serving.bounds import largest_within
from pipeline.serving.cells import Cells
from pipeline.serving.rates import Rates, Reach
from pipeline.serving.tables import IntArray, ServingTables


class Questions:
    """States the problems of one instance and granularity."""

    def __init__(
        self, instance: Instance, granularity: Granularity, tables: ServingTables, rates: Rates
    ) -> None:
        self._instance, self._sizes_allowed = instance, granularity.sizes
        self._tables, self._rates = tables, rates

    def problem(self, cell: Cells, reach: Reach, most_groups: IntArray) -> TimedProblem | None:
        """Return what the model needs; None where no option or no time is left.

        most_groups: of each class, no more than these are asked for.
        """
        limits, tables = self._instance.limits, self._tables
        decision, max_stages = int(cell.decision[0]), int(cell.most_stages[0])
        pass_s = float(reach.pass_s[0])
        every = self._runs(cell, float(reach.slowest_s[0]))
        runs = tuple(run for run in every if most_groups[run.group_class])
        if not runs or pass_s <= 0 or not max_stages:
            return None
        # Sizes that are even follow from the stages of the cell.
        choices = alternatives(replace(limits, equal_sizes=False), tables.groups, runs)
        layers = self._instance.num_layers
        compact = CompactProblem(tables.groups, runs, layers, max_stages, choices)
        passes = [self._pass_limit(decision, runs, pass_s)]
        if self._rates.fills:
            spread = 1 + (float(tables.micro_batches[decision]) - 1) / max_stages
            passes.append(self._pass_limit(decision, runs, float(reach.whole_s[0]), spread))
        if math.isfinite(self._rates.longest_first_s):
            first_s = self._rates.longest_first_s - tables.overhead_s
            if first_s <= 0:
                return None
            passes.append(self._pass_limit(decision, runs, first_s, prefill=True))
        fewest = int(cell.fewest_stages[0])
        hosts, most = self._instance.host_sizes, most_groups.tolist()
        return TimedProblem(compact, hosts, tuple(passes), most, min_stages=fewest)

    def _pass_limit(
        self,
        decision: int,
        runs: Sequence[Run],
        longest_s: float,
        factor: float = 1.0,
        prefill: bool = False,
    ) -> PassLimit:
        layer_s = self._tables.prefill_s if prefill else self._tables.pass_s
        hops = self._tables.prefill_hops if prefill else self._tables.hops
        return PassLimit(
            longest_s=longest_s,
            layer_s=[factor * float(layer_s[run.group_class, decision]) for run in runs],
            between_s=float(hops.between_s[decision]),
            inside_s=hops.inside_s[:, decision].tolist(),
        )

    def options(self) -> tuple[Option, ...]:
        """List the options of the load that leaves most of them, for the tables."""
        fitting = (self._tables.largest * (self._tables.largest >= self._tables.smallest)).sum(
            axis=0
        )
        decision = int(np.argmax(fitting))
        return tuple(self._options(decision))

    def _sizes(self, decision: int, slowest_s: float) -> Iterator[list[int]]:
        """Yield the sizes of each class whose stages fit and take no longer than a time."""
        tables, most = self._tables, self._instance.num_layers
        by_time = largest_within(np.array(slowest_s), tables.pass_s[:, decision], most)
        tops = np.minimum(tables.largest[:, decision], by_time).tolist()
        for low, top in zip(tables.smallest[:, decision].tolist(), tops, strict=True):
            yield [size for size in self._sizes_allowed if low <= size <= top]

    def _runs(self, cell: Cells, slowest_s: float) -> Iterator[Run]:
        """Yield the runs of sizes of a cell whose stages take no longer than a time.

        Where sizes must be even, its stages share the smaller one.
        """
        low, high = 1, self._instance.num_layers
        if self._instance.limits.equal_sizes:
            low, high = (int(size[0]) for size in cell.even_sizes(self._instance.num_layers))
        for index, sizes in enumerate(self._sizes(int(cell.decision[0]), slowest_s)):
            price = float(self._tables.usd_per_hour[index])
            for smallest, largest in gapless([s for s in sizes if low <= s <= high]):
                yield Run(index, smallest, largest, price)

    def _options(self, decision: int) -> Iterator[Option]:
        """Yield the options of a load."""
        tables = self._tables
        for index, sizes in enumerate(self._sizes(decision, math.inf)):
            group_class = tables.groups.classes[index]
            for size in sizes:
                stage_s = size * float(tables.pass_s[index, decision])
                yield Option(
                    gpu=group_class.gpu,
                    degree=group_class.degree,
                    size=size,
                    tokens_per_s=self._rates.stage_tokens_per_s(decision, stage_s),
                    memory_gb=tables.memory_gb(index, decision, size),
                    usd_per_hour=float(tables.usd_per_hour[index]),
                )


def whole_layers(problem: TimedProblem, built: TimedModel) -> list[int]:
    """Return the layers of each run of an answer, whole numbers with the shortest pass.

    Where layers may come in parts, filling the fastest runs first takes no longer than what the
    solver found.
    """
    runs, counts = problem.compact.runs, built.counts()
    if problem.whole_layers:
        return [round(held) for held in built.layers()]
    held = [run.smallest * n for run, n in zip(runs, counts, strict=True)]
    left = problem.compact.num_layers - sum(held)
    layer_s = problem.passes[0].layer_s
    for index in sorted(range(len(runs)), key=lambda i: layer_s[i]):
        more = min(left, (runs[index].largest - runs[index].smallest) * counts[index])
        held[index] += more
        left -= more
    return held
