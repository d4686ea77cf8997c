"""From a throughput and a cell to the cheapest placement; keeps all that was proven.

One model (`formulation.timed`) answers a question whose longest stage is fixed. For a round that
is the whole question: m·M ≤ R says how long a stage may be. A fill, P + (m − 1)·M ≤ F, trades the
pass against the slowest stage; a cell is divided where an answer of its relaxed model does not
hold, which is branch and bound on one number.
"""

from __future__ import annotations

import heapq
import math
import time
from collections import Counter
from collections.abc import Mapping
from copy import copy
from dataclasses import replace

import numpy as np

from pipeline.cheapest import Effort
from pipeline.formulation import timed
from pipeline.formulation.compact import Goal, unscaled, within
from pipeline.formulation.timed import SlowGroups, TimedProblem
from pipeline.granularity import Granularity
from pipeline.instance import Instance
from pipeline.options import Option
from pipeline.restrictions import even_stages, stage_ranges
from pipeline.roofline.constants import ConstantTable
from pipeline.serving.bounds import LeastCosts
from pipeline.serving.cells import Cells, Proofs, one_cell, one_cell_for_each
from pipeline.serving.deal import Dealt, even
from pipeline.serving.dominance import Dominance
from pipeline.serving.envelopes import with_envelopes
from pipeline.serving.picks import Groups, Pick, Picks
from pipeline.serving.questions import Questions, whole_layers
from pipeline.serving.rates import Rates
from pipeline.serving.tables import FloatArray, IntArray, serving_tables
from pipeline.settings import Clock, SolverSettings
from pipeline.solver import solve

# Throughputs that differ by less are the same answer. A hundred times the solver's tolerances:
# where a placement was too slow by 1e-8, ten times them, HiGHS 1.16.0 called about one of 5,000
# models infeasible, or a point optimal, wrongly (tests/serving holds one); at 1e-7 one of 25,000.
RATE_TOLERANCE = 1e-7
# A throughput is asked for with this much less, so that a placement reaches its own.
SLACK = 1e-10


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
        # Loads that are asked about: those there are, and for fills their envelopes.
        known = Picks(instance, granularity, self.tables, self.rates)
        gathers = self.rates.fills and known.sizes_are_free
        self._all = with_envelopes(self.tables) if gathers else self.tables
        self._all_rates = Rates(instance, self._all)
        self._least = LeastCosts(instance, granularity, self._all, self._all_rates)
        self._questions = Questions(instance, granularity, self._all, self._all_rates)
        self._dominance = Dominance(
            self._all, self._all_rates, self._least, instance.limits.max_stages
        )
        self._begin(settings)

    def fresh(self, settings: SolverSettings) -> ServingSearch:
        """Return this search with nothing proven or met yet, and its whole time limit before it."""
        search = copy(self)
        search._least = self._least.fresh()
        search._begin(settings)
        return search

    def _begin(self, settings: SolverSettings) -> None:
        self.effort = Effort()
        self.known = Picks(self.instance, self.granularity, self.tables, self.rates)
        self._timed = Picks(self.instance, self.granularity, self._all, self._all_rates)
        self.cells = one_cell_for_each(len(self._all.decisions), stage_ranges(self.instance))
        self._proofs = Proofs()
        # What was dealt to each set of groups, and what no part of it exceeds, by load.
        self._failed: dict[Groups, tuple[Dealt, FloatArray]] = {}
        self.clock = Clock(settings)

    @property
    def gap(self) -> float:
        """The relative gap at which a model's answer is good enough."""
        return self.clock.settings_now.mip_gap

    @property
    def own_cells(self) -> IntArray:
        """The cells of the loads that there are, by index."""
        return np.flatnonzero(self.cells.decision < len(self.tables.decisions))

    def bounds(
        self, tokens_per_s: float | FloatArray, indices: IntArray | None = None
    ) -> FloatArray:
        """Bound the cost of a throughput from below, $/h, by cell: in theory and by proof.

        tokens_per_s: one for all, or one for each cell. indices: of the cells, by default
        `own_cells`.
        """
        chosen = self.own_cells if indices is None else indices
        rates = np.zeros(len(self.cells))
        rates[chosen] = tokens_per_s
        theory = self._least.at(rates[chosen] * (1 - SLACK), self.cells.at(chosen))
        found: FloatArray = np.maximum(theory, self._proofs.least_costs(rates)[chosen])
        return found

    def raise_bound(
        self, index: int, tokens_per_s: float, enough: float, at_most: float = math.inf
    ) -> Pick | None:
        """Raise the bound on a cell's cost of a throughput: by prices, then by a model.

        No model is built where prices show that the cost is `enough`, $/h. Where another load is
        no worse, its cells are asked instead, and what is proven of it holds for all loads that
        it is no worse than. Returns a placement of at most a cost that none of the cell is cheaper
        than: the model's answer, or one that was known; None where there is none, or not yet.
        """
        known = self.known.cheapest(tokens_per_s * (1 - RATE_TOLERANCE / 2))
        if known is not None and known.usd_per_hour <= within(at_most):
            own = self.bounds(tokens_per_s, np.array([index]))
            if self._is_least(known, own):
                return known
        best = self._dominance.best_of(int(self.cells.decision[index]), tokens_per_s)
        if best == self.cells.decision[index]:
            return self._raise_own(index, tokens_per_s, enough, at_most)
        bounds, found = self._bounds_of(best, index, tokens_per_s), None
        if bounds.min() <= enough:  # both are zero where GPUs are free
            weakest = int(self._cells_of(best, index)[np.argmin(bounds)])
            found = self._raise_own(weakest, tokens_per_s, enough, at_most)
            bounds = self._bounds_of(best, index, tokens_per_s)
        least = float(bounds.min())
        self._proofs.add(self._served_by(best, tokens_per_s, index), tokens_per_s, least)
        return found if found is not None and self._is_least(found, bounds) else None

    def _is_least(self, pick: Pick, bounds: FloatArray) -> bool:
        """Tell whether no bound leaves a cost below that of a pick, but for the gap asked for."""
        return bool(bounds.min() >= pick.usd_per_hour * (1 - self.gap) * (1 - 1e-9))

    def _served_by(self, decision: int, tokens_per_s: float, index: int) -> IntArray:
        """Return the parts of a cell, under all other loads that a load is no worse than."""
        worse = self._dominance.no_better_than(decision, tokens_per_s)
        is_served = np.isin(self.cells.decision, worse[worse != decision])
        is_served &= self.cells.same_stages(index)
        is_served[index] = True
        return np.flatnonzero(is_served)

    def _cells_of(self, decision: int, index: int) -> IntArray:
        """Return the cells of a load that hold what a cell holds under its own."""
        return np.flatnonzero((self.cells.decision == decision) & self.cells.same_stages(index))

    def _bounds_of(self, decision: int, index: int, tokens_per_s: float) -> FloatArray:
        return self.bounds(tokens_per_s, self._cells_of(decision, index))

    def _raise_own(
        self, index: int, tokens_per_s: float, enough: float, at_most: float
    ) -> Pick | None:
        asked, chosen = tokens_per_s * (1 - SLACK), np.array([index])
        least = self._least.sharpen(asked, self.cells.at(chosen))
        if least <= enough * (1 + 1e-12):
            return self.cheapest(index, tokens_per_s, at_most)
        # The same prices may give less at a higher throughput; what they proved holds there too.
        self._proofs.add(chosen, tokens_per_s, least)
        return None

    def cheapest(self, index: int, tokens_per_s: float, at_most: float = math.inf) -> Pick | None:
        """Solve for the cheapest placement of a cell that reaches a throughput.

        What is found or proven is kept. Returns the answer; None where there is none at this
        cost, the cell had to be divided to learn more, or time ran out: what a model has found by
        then may not be the cheapest.
        """
        asked = tokens_per_s * (1 - SLACK)
        cell = self.cells.at(np.array([index]))
        bound, pick = self._solved(cell, asked, Goal.COST, at_most)
        is_cut_off = within(at_most) < self.instance.pool_usd_per_hour
        nothing_within = bound == math.inf and is_cut_off
        least = float(np.nextafter(within(at_most), math.inf)) if nothing_within else bound
        self._proofs.add(np.array([index]), tokens_per_s, least)
        if pick is None or self.clock.out_of_time:
            return None
        if _reaches(pick.tokens_per_s, asked) or not self._can_cut(cell):
            return pick
        cut = self._cut(self.cells, index, pick, asked)
        if len(cut) > len(self.cells):
            self._proofs.inherit(len(self.cells), index)
        self.cells = cut
        return None

    def with_fewest_stages(self, pick: Pick) -> Pick:
        """Return a pick as fast and no dearer under the same load, of the fewest stages.

        A fill is branched on the slowest stage as in `cheapest`.
        """
        if len(pick.groups) == 1:
            return pick
        asked, best, count = pick.tokens_per_s * (1 - SLACK), pick, len(pick.groups)
        cells = self._with_fewer_stages(asked, pick)
        while cells and not self.clock.out_of_time:
            bound, _, cell = heapq.heappop(cells)
            if bound > len(best.groups) - 1 + 1e-6:
                break
            bound, found = self._solved(cell, asked, Goal.STAGES, pick.usd_per_hour)
            if found is None:
                continue
            if _reaches(found.tokens_per_s, asked):
                best = found if len(found.groups) < len(best.groups) else best
            if _reaches(found.tokens_per_s, asked) or not self._can_cut(cell):
                continue
            parts = self._cut(cell, 0, found, asked)
            for part in range(len(parts)):
                count += 1
                heapq.heappush(cells, (bound, count, parts.at(np.array([part]))))
        return best

    def _with_fewer_stages(self, tokens_per_s: float, pick: Pick) -> list[tuple[float, int, Cells]]:
        """Return a heap of the cells of a pick's load below its stages, with bounds on them."""
        most = len(pick.groups) - 1
        if not self.instance.limits.equal_sizes:
            whole = one_cell(pick.decision, most)
            return [(self._fewest_stages(tokens_per_s, whole), 0, whole)]
        ranges = even_stages(self.instance.num_layers, most)
        every = one_cell_for_each(pick.decision + 1, ranges)
        own = [every.at(np.array([i])) for i in np.flatnonzero(every.decision == pick.decision)]
        return [(float(cell.fewest_stages[0]), count, cell) for count, cell in enumerate(own)]

    def _fewest_stages(self, tokens_per_s: float, cell: Cells) -> float:
        """Bound the stages of a cell from below: layers over the largest size."""
        reach = self._all_rates.reach(tokens_per_s, cell)
        largest = self._least.largest_sizes(reach.slowest_s, cell.decision).max(initial=1)
        return float(-(-self.instance.num_layers // max(int(largest), 1)))

    def _can_cut(self, cell: Cells) -> bool:
        """Tell whether a cell's model is a relaxation: that of a fill of several micro-batches."""
        return self.rates.fills and bool(self._all.micro_batches[cell.decision[0]] > 1)

    def _cut(self, cells: Cells, index: int, pick: Pick, tokens_per_s: float) -> Cells:
        """Cut a cell so that an answer which is too slow is in neither part.

        An answer (P', M') is cut off at any c with (F − P')/(m−1) < c < M': its stage is too long
        below c, and its pass from c on. No cut is made where the answer holds by itself, which it
        may under an envelope. Nor is any where layers that were dealt anew lie outside the cell, so
        that the groups are also kept for models to leave out.
        """
        if self.known.sizes_are_free:
            self._fail(Counter(c for c, _ in pick.groups))
        whole = one_cell(pick.decision, self.instance.limits.max_stages)
        fill_s = float(self._all_rates.reach(tokens_per_s, whole).whole_s[0])
        others = float(self._all.micro_batches[pick.decision]) - 1
        pass_s, _ = self._timed.pass_seconds(pick.groups, pick.decision)
        slowest_s = self._timed.slowest_s(pick.groups, pick.decision)
        if pass_s + others * slowest_s <= fill_s:
            return cells
        return cells.cut_at_time(index, ((fill_s - pass_s) / others + slowest_s) / 2)

    def _fail(self, counts: Mapping[int, int]) -> None:
        """Keep groups that answered a model and are too slow."""
        key = tuple(sorted(counts.items()))
        if key not in self._failed:
            self._failed[key] = self.known.deal(counts), self.known.most_tokens_per_s(counts)

    def _solved(
        self,
        cell: Cells,
        tokens_per_s: float,
        goal: Goal,
        at_most: float = math.inf,
    ) -> tuple[float, Pick | None]:
        """Build and solve the model of a cell; keep its answer. Returns bound and answer.

        With two limits on time layers may have to be whole in the model: only then it is solved
        once more.
        """
        decision = int(cell.decision[0])
        reach = self._all_rates.reach(tokens_per_s, cell)
        most = self._least.most_groups(tokens_per_s, cell, at_most)
        problem = self._questions.problem(cell, reach, most)
        if problem is None:
            return math.inf, None
        if self.rates.fills:
            problem = replace(problem, too_slow=self._too_slow(decision, tokens_per_s, at_most))
        for whole in self._whether_whole():
            if self.clock.out_of_time:
                return 0.0, None
            bound, answer = self._answer(
                replace(problem, whole_layers=whole), decision, goal, at_most
            )
            if answer is None:
                return bound, None
            better = self._met(answer, tokens_per_s)
            too_slow = not _reaches(better.tokens_per_s, tokens_per_s)
            if whole or (self.rates.fills and too_slow):
                break
            if not too_slow and self.known.in_time(better):
                break
        return bound, better

    def _met(self, pick: Pick, tokens_per_s: float) -> Pick:
        """Keep a model's answer and what its groups make of other loads; return the best of it.

        Under an envelope that is the fastest under any load, where it reaches a throughput; else
        the answer as it is, without any throughput.
        """
        if pick.decision < len(self.tables.decisions):
            return self.known.meet(pick)
        dealt = self.known.deal(Counter(c for c, _ in pick.groups))
        best = int(np.argmax(dealt.tokens_per_s))
        if not _reaches(dealt.tokens_per_s[best], tokens_per_s):
            return replace(pick, tokens_per_s=0.0)
        return self.known.pick(dealt.groups(best), best)

    def _too_slow(
        self, decision: int, tokens_per_s: float, at_most: float
    ) -> tuple[SlowGroups, ...]:
        """Return groups that answered a model once and are too slow under a load at any sizes.

        Under an envelope: under every load that there is. Those that cost more than is asked for
        are left out.
        """
        is_own = decision < len(self.tables.decisions)
        loads = [decision] if is_own else range(len(self.tables.decisions))
        return tuple(
            SlowGroups(dealt.counts, not _reaches(most[loads].max(), tokens_per_s))
            for dealt, most in self._failed.values()
            if not _reaches(dealt.tokens_per_s[loads].max(), tokens_per_s)
            and self.known.usd_per_hour(dealt.counts) <= within(at_most)
        )

    def _whether_whole(self) -> tuple[bool, ...]:
        """Return whether to ask for whole layers, at once or after a try without."""
        if math.isinf(self.rates.longest_first_s):
            return (False,)
        return (False, True) if self.known.sizes_are_free else (True,)

    def _answer(
        self, problem: TimedProblem, decision: int, goal: Goal, at_most: float
    ) -> tuple[float, Pick | None]:
        """Build and solve one model. Returns its bound and its answer, not yet kept."""
        started = time.perf_counter()
        try:
            built = timed.build(problem, goal, at_most)
        except timed.NoMoreGroupsError:
            return math.inf, None
        settings = self.clock.settings_now
        build_seconds = time.perf_counter() - started
        solution = solve(built.model, settings)
        self.effort.add(solution, build_seconds)
        bound = unscaled(solution.bound, built.cost_scale, goal)
        if solution.objective is None:
            return bound, None
        runs = problem.compact.runs
        held = whole_layers(problem, built)
        pairs = [(r, n) for r, n in enumerate(built.counts()) if n]
        groups = tuple((runs[r].group_class, size) for r, n in pairs for size in even(held[r], n))
        return bound, self._timed.pick(groups, decision)

    def options(self) -> tuple[Option, ...]:
        """List the options of the load that leaves most of them, for the tables."""
        return self._questions.options()


def _reaches(found: float, asked: float) -> bool:
    """Tell whether a throughput is as high as was asked for, to what a solver's integers allow."""
    return bool(found >= asked * (1 - RATE_TOLERANCE / 2))
