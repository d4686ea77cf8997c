"""Turns a comparison into advice: which placement to run, how to search next time, and why."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.compare.comparison import Comparison
from pipeline.compare.granularities import REFERENCE_GRANULARITY, GranularityRow
from pipeline.compare.methods import MethodRow
from pipeline.compare.tables import SAME_PRICE, by_swept, percent_above, proven_usd_per_token
from pipeline.loads import load_sentences, rate_sentence
from pipeline.results.frames import Results
from pipeline.words import counted, duration, listed, per_million, target_sentence

DEFAULT_TOLERANCE_PERCENT = 1.0
TARGET_BAND_PERCENT = (5.0, 10.0)
"""How near to the baseline the published system wanted its tokens to be."""


@dataclass(frozen=True)
class Search:
    """A granularity and a method, with the worst that it cost and the time that it took.

    percent_to_optimum: the largest distance over all sets of swept values, from the proven
    optimum over every size where there is one, else from the best that the run found. Of
    placements that are free it is how much faster the fastest is.
    """

    granularity: str
    method: str
    percent_to_optimum: float
    seconds: float


@dataclass(frozen=True)
class Advice:
    """What to run, and how to search next time; `search` None where nothing was comparable.

    finished: whether the run has come to its end; before that, a search may merely not have been
    reached yet, and none is advised. sets: of swept values that have a placement.
    """

    best: GranularityRow
    search: Search | None
    others: tuple[Search, ...]
    tolerance_percent: float
    proven: bool
    finished: bool = True
    sets: int = 1

    @property
    def run_this(self) -> str:
        """Say in one sentence which placement to run."""
        best = self.best
        used = listed([str(use) for use in best.segments_used])
        where = f", {found_with(best)}" if best.swept else ""
        run = (
            f"Run {used} (granularity {best.granularity}{where}): {best.tokens_per_s:,.0f} "
            f"tokens/s for ${best.usd_per_hour:.2f}/h, {per_million(best.usd_per_token)} per "
            f"million tokens{against_baseline(best.percent_to_baseline, bool(best.swept))}."
        )
        return " ".join([run, *self.of_sets])

    @property
    def of_sets(self) -> list[str]:
        """Say of how many sets of swept values the best is the cheapest; empty where of one."""
        if self.sets < 2:
            return []
        sets = counted(self.sets, "set")
        return [f"It is the cheapest of {sets} of swept values; each has a placement of its own."]

    @property
    def search_this(self) -> str:
        """Say in one sentence how to search next time, and why."""
        if not self.finished:
            return "The sweep has not finished, so no search is recommended."
        if self.search is None:
            return "No granularity and method answered every question, so none is recommended."
        s, within = self.search, f"{self.tolerance_percent:g} %"
        is_free = not self.best.usd_per_token
        aim = "fastest of the free placements" if is_free else "lowest cost per token"
        reason = f"it came within {s.percent_to_optimum:.2f} % of the {aim}"
        if s.percent_to_optimum < 0.005:
            reason = f"it found the {aim}"
        reason += f" in {duration(s.seconds)}"
        close = [o for o in self.others if o.percent_to_optimum <= self.tolerance_percent]
        if close:
            next_best = min(close, key=lambda other: other.seconds)
            reason += (
                f"; the next fastest within {within} is {next_best.granularity} by "
                f"{next_best.method}, {duration(next_best.seconds)}"
            )
        missed = [o for o in self.others if o.percent_to_optimum > self.tolerance_percent]
        if missed:
            are = "is" if len(missed) == 1 else "are"
            others = counted(len(self.others), "other")
            reason += f"; {len(missed)} of {others} {are} further than {within} off"
        return f"Search at {s.granularity} by {s.method}: {reason}."


def advise(
    comparison: Comparison, tolerance_percent: float = DEFAULT_TOLERANCE_PERCENT
) -> Advice | None:
    """Return the advice that a run supports, None where it has no placement at all.

    The search advised is the fastest whose worst distance is within the tolerance; where none
    is, the one that came nearest; in a run that has not finished, none.
    """
    rows = comparison.granularities
    if not rows:
        return None
    best = _best(rows)
    optima = _optima(comparison.results)
    finished = comparison.results.run["status"] == "finished"
    searches = _searches(comparison.methods, optima) if finished else []
    near = [s for s in searches if s.percent_to_optimum <= tolerance_percent]
    chosen: Search | None = None
    if near:
        chosen = min(near, key=lambda s: s.seconds)
    elif searches:
        chosen = min(searches, key=lambda s: (s.percent_to_optimum, s.seconds))
    others = tuple(s for s in searches if s is not chosen)
    optimum = optima[_key(best.swept)]
    distance = percent_above(best.usd_per_token, optimum.usd_per_token)
    proven = optimum.is_proven and distance is not None and distance <= 1e-7
    sets = len({_key(row.swept) for row in rows})
    return Advice(best, chosen, others, tolerance_percent, proven, finished, sets)


def found_with(best: GranularityRow) -> str:
    """Return the swept values that a placement was found with; empty where nothing was swept."""
    return ", ".join(f"{name} = {value}" for name, value in best.swept.items())


def against_baseline(percent: float | None, swept: bool = False) -> str:
    """Say how a price stands to the baseline, as the end of a sentence; empty without one.

    swept: whether it has swept values: then it is compared with the baseline under these.
    """
    if percent is None:
        return ""
    of_these = " of the same values" if swept else ""
    if abs(percent) < 0.05:
        return f", the same as the baseline{of_these}"
    return f", {abs(percent):.1f} % {'below' if percent < 0 else 'above'} the baseline{of_these}"


def about_load(results: Results, best: GranularityRow) -> list[str]:
    """Say which tokens a placement's figures count, under which load and with what latency."""
    values = results.point(best.point_id)
    workload = dict(results.run["config"]["workload"])
    for name, value in best.swept.items():
        if name == "workload":
            return load_sentences(values)
        section, _, field = name.partition(".")
        if section == "workload":
            workload[field] = value
    return [rate_sentence(workload, values), *load_sentences(values)]


def about_target(results: Results, best: GranularityRow) -> list[str]:
    """Say whether a placement meets the run's price to beat; empty where it has none."""
    target = results.run["config"]["sweep"].get("target_usd_per_million_tokens")
    return [] if target is None else [target_sentence(target, best.usd_per_token <= target / 1e6)]


def band(percent_to_baseline: float | None) -> str:
    """Name where a price lies in the published target band of 5–10 % around the baseline."""
    if percent_to_baseline is None:
        return "–"
    near, far = TARGET_BAND_PERCENT
    if percent_to_baseline < 0:
        return "below the baseline"
    if percent_to_baseline <= near:
        return f"within {near:g} %"
    return f"within {far:g} %" if percent_to_baseline <= far else f"beyond {far:g} %"


def _best(rows: Sequence[GranularityRow]) -> GranularityRow:
    """Return the row of the lowest $/token; of equal ones that of the shortest time.

    Of those that are free the fastest comes first.
    """
    limit = min(row.usd_per_token for row in rows) * (1 + SAME_PRICE)
    equal = [row for row in rows if row.usd_per_token <= limit]
    if not limit:
        return min(equal, key=lambda row: (-row.tokens_per_s, row.solve_seconds))
    return min(equal, key=lambda row: row.solve_seconds)


@dataclass(frozen=True)
class _Optimum:
    """The lowest $/token to measure by.

    free_tokens_per_s: of the fastest placement that costs nothing, NaN where none does.
    """

    usd_per_token: float
    is_proven: bool
    free_tokens_per_s: float

    def percent_to(self, row: MethodRow) -> float | None:
        """Return how far a method's best is from it; None where that cannot be measured."""
        if self.usd_per_token == 0 and row.usd_per_token == 0:
            return percent_above(self.free_tokens_per_s, row.tokens_per_s)
        return percent_above(row.usd_per_token, self.usd_per_token)


def _optima(results: Results) -> dict[str, _Optimum]:
    """Return, by set of swept values, what to measure by.

    The proven optimum of `exact` is one for all granularities. Where it was not asked for, the
    lowest $/token found stands in.
    """
    limit = float(results.run["config"]["solver"]["time_limit_s"])
    optima = {}
    for swept, points in by_swept(results.points, results.run["swept_fields"]):
        exact = points[points.granularity == REFERENCE_GRANULARITY]
        proven = proven_usd_per_token(exact, limit)
        found = float(points.cost_usd_per_token.min())
        free = points.throughput_tokens_per_s[points.cost_usd_per_token == 0]
        price = found if proven is None else proven
        optima[_key(swept)] = _Optimum(price, proven is not None, float(free.max()))
    return optima


def _searches(rows: Sequence[MethodRow], optima: dict[str, _Optimum]) -> list[Search]:
    """Gather the searches that found a placement wherever any search did, none failing.

    One that was not asked somewhere is not among them.
    """
    answerable = {key for key, best in optima.items() if not math.isnan(best.usd_per_token)}
    gathered: dict[tuple[str, str], list[MethodRow]] = defaultdict(list)
    for row in rows:
        if _key(row.swept) in answerable:
            gathered[row.granularity, row.method].append(row)
    searches = []
    for (granularity, method), own in gathered.items():
        distances = [optima[_key(row.swept)].percent_to(row) for row in own]
        known = [max(distance, 0.0) for distance in distances if distance is not None]
        if len(known) == len(answerable) and not any(row.failed for row in own):
            spent = sum(row.solve_seconds for row in own)
            searches.append(Search(granularity, method, max(known), spent))
    return searches


def _key(swept: dict[str, Any]) -> str:
    return repr(sorted(swept.items()))
