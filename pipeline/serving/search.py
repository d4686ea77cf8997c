"""From a throughput and a load to the cheapest placement; keeps all that was proven.

One model (`formulation.timed`) answers a question whose longest stage is fixed. For a round that
is the whole question: m·M ≤ R says how long a stage may be. A fill, P + (m − 1)·M ≤ F, trades the
pass against the slowest stage; the range of M is then halved where an answer of the relaxed model
does not hold (`_cheapest_fill`), which is branch and bound on one number.
"""

from __future__ import annotations

import heapq
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.cheapest import Effort
from pipeline.formulation import timed
from pipeline.formulation.compact import CompactProblem, Goal, within
from pipeline.formulation.timed import PassLimit, TimedProblem
from pipeline.granularity import Granularity
from pipeline.instance import Instance
from pipeline.options import Option
from pipeline.restrictions import alternatives
from pipeline.roofline.constants import ConstantTable
from pipeline.runs import Run, gapless
from pipeline.serving.bounds import LeastCosts, largest_within
from pipeline.serving.deal import best_dealt, even, hop_seconds
from pipeline.serving.rates import Rates
from pipeline.serving.tables import FloatArray, serving_tables
from pipeline.settings import SolverSettings
from pipeline.solver import Solution, solve

# Throughputs that differ by less are the same answer.
RATE_TOLERANCE = 1e-8
# A throughput is asked for with this much less, so that a placement reaches its own.
SLACK = 1e-10


@dataclass(frozen=True)
class Pick:
    """Groups with their sizes, a load, and what they make of it. groups: (class, size)."""

    groups: tuple[tuple[int, int], ...]
    decision: int
    usd_per_hour: float
    tokens_per_s: float


class ServingSearch:
    """The search of one instance and granularity, with all that was proven so far."""

    def __init__(
        self,
        instance: Instance,
        granularity: Granularity,
        settings: SolverSettings,
        table: ConstantTable,
    ) -> None:
        self.instance, self.granularity, self.table = instance, granularity, table
        self.tables = serving_tables(instance, table)
        self.rates = Rates(instance, self.tables)
        self.effort = Effort()
        self.picks: list[Pick] = []
        self.gpus_per_node = {
            gpu: kind.gpus_per_node
            for gpu, kind in enumerate(instance.pool)
            if kind.gpus_per_node is not None
        }
        self._least = LeastCosts(instance, granularity, self.tables, self.rates)
        self._facts: list[list[tuple[float, float]]] = [[] for _ in self.tables.decisions]
        self.group_counts: dict[tuple[tuple[int, int], ...], dict[int, Pick]] = {}
        self._settings = settings
        self._deadline = time.monotonic() + settings.time_limit_s

    @property
    def remaining_seconds(self) -> float:
        """Time that is left of the limit."""
        return max(self._deadline - time.monotonic(), 0.0)

    @property
    def out_of_time(self) -> bool:
        """Tell whether the time limit has passed."""
        return self.remaining_seconds <= 0

    def bounds(self, tokens_per_s: float) -> FloatArray:
        """Bound the cost of a throughput from below, $/h, by load: in theory and by proof."""
        known = [self._proven(facts, tokens_per_s) for facts in self._facts]
        found: FloatArray = np.maximum(self._least.at(tokens_per_s), np.array(known))
        return found

    def bound(self, decision: int, tokens_per_s: float) -> float:
        """Bound the cost of a throughput under one load from below, $/h."""
        proven = self._proven(self._facts[decision], tokens_per_s)
        return max(float(self._least.at(tokens_per_s, np.array([decision]))[0]), proven)

    @staticmethod
    def _proven(facts: Sequence[tuple[float, float]], tokens_per_s: float) -> float:
        return max((cost for rate, cost in facts if rate <= tokens_per_s), default=0.0)

    def options(self) -> tuple[Option, ...]:
        """List the options of the load that leaves most of them, for the tables."""
        fitting = (self.tables.largest * (self.tables.largest >= self.tables.smallest)).sum(axis=0)
        decision = int(np.argmax(fitting))
        return tuple(self._options(decision))

    def fastest_known(self, usd_per_hour: float) -> Pick | None:
        """Return the fastest pick within a budget, the cheapest of them."""
        affordable = [p for p in self.picks if p.usd_per_hour <= within(usd_per_hour)]
        return max(affordable, key=lambda p: (p.tokens_per_s, -p.usd_per_hour), default=None)

    def cheapest(
        self,
        decision: int,
        tokens_per_s: float,
        at_most: float = math.inf,
        goal: Goal = Goal.COST,
    ) -> Pick | None:
        """Solve for the cheapest placement that reaches a throughput under a load.

        What is found or proven is kept: picks, and bounds where the goal is the cost. Returns the
        answer, None where there is none at this cost or time ran out.
        """
        find = self._cheapest_fill if self.rates.fills else self._cheapest_round
        bound, pick = find(decision, tokens_per_s * (1 - SLACK), at_most, goal)
        if goal is Goal.COST:
            nothing = math.isinf(bound) and math.isfinite(at_most)
            least = float(np.nextafter(within(at_most), math.inf)) if nothing else bound
            self._facts[decision].append((tokens_per_s, least))
        return pick

    def _cheapest_round(
        self, decision: int, tokens_per_s: float, at_most: float, goal: Goal
    ) -> tuple[float, Pick | None]:
        """Solve one model: the longest stage follows from the round. Returns bound and answer."""
        reach = self.rates.reach(tokens_per_s)
        longest = (float(reach.slowest_s[decision]), float(reach.pass_s[decision]))
        bound, pick = self._solved(decision, *longest, at_most, goal)
        return bound, None if pick is None else self._better_dealt(pick)

    def _cheapest_fill(
        self, decision: int, tokens_per_s: float, at_most: float, goal: Goal
    ) -> tuple[float, Pick | None]:
        """Branch on the slowest stage M: within a range, it cuts sizes at the top of the range.

        The pass may take F − (m−1)·bottom. An answer (P', M') that takes longer than F in all is
        cut off by any c with (F − P')/(m−1) < c < M': its stage is too long below c, and its
        pass from c on. The middle of these is taken.
        """
        reach = self.rates.reach(tokens_per_s)
        fill_s, top_s = float(reach.whole_s[decision]), float(reach.slowest_s[decision])
        others = float(self.tables.micro_batches[decision]) - 1
        bottom_s = float(self.rates.least_slowest_s[decision]) * (1 - 1e-9)
        ranges: list[tuple[float, float, float]] = [(0.0, bottom_s, top_s)]
        best: Pick | None = None
        while ranges:
            bound, low_s, high_s = heapq.heappop(ranges)
            if best is not None and bound >= _value(best, goal) * (1 - 1e-12):
                break
            if self.out_of_time:
                return bound, best
            bound, pick = self._solved(decision, high_s, fill_s - others * low_s, at_most, goal)
            if pick is None:
                continue
            better = self._better_dealt(pick)
            if better.tokens_per_s >= tokens_per_s * (1 - SLACK):
                if best is None or _value(better, goal) < _value(best, goal):
                    best = better
                continue
            middle_s = self._between(pick, fill_s, others)
            heapq.heappush(ranges, (bound, low_s, middle_s))
            heapq.heappush(ranges, (bound, middle_s, high_s))
        return (math.inf, None) if best is None else (_value(best, goal), best)

    def _between(self, pick: Pick, fill_s: float, others: float) -> float:
        """Return the slowest stage that best divides what an answer too slow leaves open, s."""
        pass_s, _ = self.pass_seconds(pick.groups, pick.decision)
        return ((fill_s - pass_s) / others + self._slowest_s(pick)) / 2

    def _solved(
        self, decision: int, slowest_s: float, pass_s: float, at_most: float, goal: Goal
    ) -> tuple[float, Pick | None]:
        """Build and solve one model; keep its answer. Returns bound and answer."""
        started = time.perf_counter()
        problem = self._problem(decision, slowest_s, pass_s)
        if problem is None or self.out_of_time:
            return (math.inf if problem is None else 0.0), None
        built = timed.build(problem, goal, at_most)
        settings = replace(self._settings, time_limit_s=self.remaining_seconds)
        build_seconds = time.perf_counter() - started
        solution = solve(built.model, settings)
        self.effort.add(solution, build_seconds)
        bound = _bound(solution, built, goal)
        if solution.objective is None:
            return bound, None
        runs = problem.compact.runs
        held = _whole_layers(problem, built)
        pairs = [(r, n) for r, n in enumerate(built.counts()) if n]
        groups = tuple((runs[r].group_class, size) for r, n in pairs for size in even(held[r], n))
        pick = self.pick(groups, decision)
        self.keep(pick)
        return bound, pick

    def _problem(self, decision: int, slowest_s: float, pass_s: float) -> TimedProblem | None:
        """Return what the model needs; None where no option or no time is left."""
        limits, tables = self.instance.limits, self.tables
        runs = tuple(self._runs(decision, slowest_s))
        if not runs or pass_s <= 0:
            return None
        choices = alternatives(limits, tables.groups, runs)
        layers = self.instance.num_layers
        compact = CompactProblem(tables.groups, runs, layers, limits.max_stages, choices)
        passes = [self._pass_limit(decision, runs, pass_s, prefill=False)]
        if math.isfinite(self.rates.longest_first_s):
            first_s = self.rates.longest_first_s - tables.overhead_s
            if first_s <= 0:
                return None
            passes.append(self._pass_limit(decision, runs, first_s, prefill=True))
        return TimedProblem(compact, self.gpus_per_node, tuple(passes))

    def _pass_limit(
        self, decision: int, runs: Sequence[Run], longest_s: float, prefill: bool
    ) -> PassLimit:
        layer_s = self.tables.prefill_s if prefill else self.tables.pass_s
        hops = self.tables.prefill_hops if prefill else self.tables.hops
        return PassLimit(
            longest_s=longest_s,
            layer_s=[float(layer_s[run.group_class, decision]) for run in runs],
            between_s=float(hops.between_s[decision]),
            inside_s=hops.inside_s[:, decision].tolist(),
        )

    def _sizes(self, decision: int, slowest_s: float) -> Iterator[list[int]]:
        """Yield the sizes of each class whose stages fit and take no longer than a time."""
        tables, most = self.tables, self.instance.num_layers
        by_time = largest_within(np.array(slowest_s), tables.pass_s[:, decision], most)
        tops = np.minimum(tables.largest[:, decision], by_time).tolist()
        for low, top in zip(tables.smallest[:, decision].tolist(), tops, strict=True):
            yield [size for size in self.granularity.sizes if low <= size <= top]

    def _runs(self, decision: int, slowest_s: float) -> Iterator[Run]:
        """Yield the runs of sizes of a load whose stages take no longer than a time."""
        split = self.instance.limits.equal_sizes
        for index, sizes in enumerate(self._sizes(decision, slowest_s)):
            price = float(self.tables.usd_per_hour[index])
            for low, high in gapless(sizes, split):
                yield Run(index, low, high, price)

    def _options(self, decision: int) -> Iterator[Option]:
        """Yield the options of a load."""
        tables = self.tables
        for index, sizes in enumerate(self._sizes(decision, math.inf)):
            group_class = tables.groups.classes[index]
            for size in sizes:
                stage_s = size * float(tables.pass_s[index, decision])
                yield Option(
                    gpu=group_class.gpu,
                    degree=group_class.degree,
                    size=size,
                    tokens_per_s=self.rates.stage_tokens_per_s(decision, stage_s),
                    memory_gb=tables.memory_gb(index, decision, size),
                    usd_per_hour=float(tables.usd_per_hour[index]),
                )

    def pick(self, groups: tuple[tuple[int, int], ...], decision: int) -> Pick:
        """Work out the throughput and cost of groups with their sizes under a load."""
        pass_s, _ = self.pass_seconds(groups, decision)
        slowest_s = max(size * float(self.tables.pass_s[c, decision]) for c, size in groups)
        rate = self.rates.tokens_per_s(decision, np.array(pass_s), np.array(slowest_s))
        cost = math.fsum(float(self.tables.usd_per_hour[c]) for c, _ in groups)
        return Pick(tuple(sorted(groups)), decision, cost, float(rate))

    def pass_seconds(self, groups: Sequence[tuple[int, int]], decision: int) -> tuple[float, float]:
        """Return the time of a pass and of a prefill pass, hops included, s."""
        hops = self._hop_seconds(Counter(c for c, _ in groups))
        times = [
            math.fsum(size * float(layer_s[c, decision]) for c, size in groups) + hop_s[decision]
            for layer_s, hop_s in zip(
                (self.tables.pass_s, self.tables.prefill_s), hops, strict=True
            )
        ]
        return float(times[0]), float(times[1])

    def _hop_seconds(self, counts: Mapping[int, int]) -> tuple[FloatArray, FloatArray]:
        """Return the hops of a pass and of a prefill pass, by load, s."""
        return (
            hop_seconds(self.tables, self.gpus_per_node, counts),
            hop_seconds(self.tables, self.gpus_per_node, counts, prefill=True),
        )

    def keep(self, pick: Pick) -> None:
        """Keep a pick that respects the limits on latency."""
        pass_s, prefill_s = self.pass_seconds(pick.groups, pick.decision)
        in_time = self.rates.first_token_s(np.array(prefill_s)) <= self.rates.longest_first_s * (
            1 + 1e-9
        )
        round_s = self.rates.round_s(
            pick.decision, np.array(pass_s), np.array(self._slowest_s(pick))
        )
        on_time = self.rates.fills or round_s <= self.rates.longest_round_s * (1 + 1e-9)
        if in_time and on_time:
            self._insert(pick)

    def _insert(self, pick: Pick) -> None:
        """Add a pick unless another is as fast and no dearer; drop those that it makes so."""

        def beats(one: Pick, other: Pick) -> bool:
            return one.usd_per_hour <= other.usd_per_hour and one.tokens_per_s >= other.tokens_per_s

        if not any(beats(other, pick) for other in self.picks):
            self.picks = [other for other in self.picks if not beats(pick, other)] + [pick]

    def _slowest_s(self, pick: Pick) -> float:
        times = self.tables.pass_s[:, pick.decision]
        return max(size * float(times[c]) for c, size in pick.groups)

    def _better_dealt(self, pick: Pick) -> Pick:
        """Deal the layers of a pick's groups anew under every load; return the same load's best."""
        allowed = self.granularity.sizes
        has_gaps = allowed[-1] - allowed[0] + 1 != len(allowed)
        if self.instance.limits.equal_sizes or has_gaps:
            return pick
        best = self.dealt(Counter(c for c, _ in pick.groups)).get(pick.decision, pick)
        return best if best.tokens_per_s > pick.tokens_per_s else pick

    def dealt(self, counts: Mapping[int, int]) -> dict[int, Pick]:
        """Return the best dealing of the layers to chosen groups by load; all are kept."""
        key = tuple(sorted(counts.items()))
        if key not in self.group_counts:
            found = best_dealt(
                self.tables,
                self.rates,
                counts,
                self._hop_seconds(counts),
                (self.granularity.sizes[0], self.granularity.sizes[-1]),
                self.instance.num_layers,
            )
            self.group_counts[key] = {}
            for dealt in found:
                groups = tuple(
                    (c, size) for c, held in dealt.held.items() for size in even(held, counts[c])
                )
                pick = self.pick(groups, dealt.decision)
                self.group_counts[key][dealt.decision] = pick
                self.keep(pick)
        return self.group_counts[key]


def _whole_layers(problem: TimedProblem, built: timed.TimedModel) -> list[int]:
    """Return the layers of each run of an answer, whole numbers with the shortest pass.

    Where the pass is the only limit the solver may leave layers in parts; filling the fastest
    runs first takes no longer than what it found. With a second limit they are whole already.
    """
    runs, counts = problem.compact.runs, built.counts()
    if len(problem.passes) > 1:
        return [round(held) for held in built.layers()]
    held = [run.smallest * n for run, n in zip(runs, counts, strict=True)]
    left = problem.compact.num_layers - sum(held)
    layer_s = problem.passes[0].layer_s
    for index in sorted(range(len(runs)), key=lambda i: layer_s[i]):
        more = min(left, (runs[index].largest - runs[index].smallest) * counts[index])
        held[index] += more
        left -= more
    return held


def _value(pick: Pick, goal: Goal) -> float:
    """Return what a goal counts of a pick, $/h or stages."""
    return pick.usd_per_hour if goal is Goal.COST else float(len(pick.groups))


def _bound(solution: Solution, built: timed.TimedModel, goal: Goal) -> float:
    """Return the solver's bound in $/h or stages."""
    return solution.bound / built.cost_scale if goal is Goal.COST else solution.bound
