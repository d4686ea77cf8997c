"""Verifies a whole run: every row against the config that `run.json` holds."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise, starmap
from typing import Any

from pipeline.ballparks import BallparkSearch
from pipeline.baseline import BaselineTry, baseline_tries, best_baseline, stored_tries
from pipeline.config import LoadedConfig
from pipeline.config.counts import num_points
from pipeline.config.load import stored_config
from pipeline.errors import InputError
from pipeline.granularity import granularity
from pipeline.groups import group_classes
from pipeline.instance import Instance
from pipeline.options import stage_options
from pipeline.points import Point, Problem, make_point
from pipeline.results import load
from pipeline.results.checked import check_run
from pipeline.results.folder import Place
from pipeline.results.frames import Results, each_record
from pipeline.results.planned import BALLPARKS
from pipeline.results.schema import PointRow, base_id, pareto_id, present
from pipeline.results.store import RUN_FILE
from pipeline.rivals import Claim, Witness, claim_of, contradictions, witness_of
from pipeline.search_space import connections
from pipeline.sweep import missing_tasks, problem_id, problem_of
from pipeline.verify import (
    PROOF_TOLERANCE,
    TOLERANCE,
    Mismatch,
    bound_distances,
    gap_stands,
    verify_point,
)

Linked = Callable[[Sequence[int], Sequence[int]], bool]
Row = dict[str, Any]
EFFORT = (
    *("build_seconds", "solve_seconds", "total_seconds"),
    *("model_variables", "model_constraints", "num_solves"),
)


@dataclass(frozen=True)
class Audit:
    """What a verification looked at and what it found."""

    points: int
    placements: int
    mismatches: tuple[Mismatch, ...]


@dataclass
class Variant:
    """The config with one set of swept values, and what is worth computing once for it."""

    loaded: LoadedConfig

    def __post_init__(self) -> None:
        self.claims: list[Claim] = []
        self._witnesses: dict[Hashable, Witness] = {}
        self._filters: dict[tuple[int, ...], Linked] = {}

    @cached_property
    def problem(self) -> Problem:
        """The problem that the rows answer."""
        return problem_of(self.loaded, {})

    @cached_property
    def baseline(self) -> BaselineTry | None:
        """What the rows are compared with."""
        return best_baseline(baseline_tries(self.loaded.instance))

    def linked(self, sizes: tuple[int, ...]) -> Linked:
        """Return the link filter of a set of sizes."""
        if sizes not in self._filters:
            self._filters[sizes] = link_filter(self.loaded.instance, sizes)
        return self._filters[sizes]

    def hear(self, witness: Witness) -> None:
        """Keep a placement that holds; of many rows with the same placement one will do."""
        rates = witness.tokens_per_s, witness.usd_per_hour
        self._witnesses.setdefault((witness.groups, witness.layers, *rates), witness)

    def contradictions(self) -> Iterator[Mismatch]:
        """Yield what the rows say against each other."""
        return contradictions(
            self.claims, self._witnesses.values(), self.problem.scales, self._admits
        )

    def _admits(self, sizes: tuple[int, ...], witness: Witness) -> bool:
        """Tell whether the link filter of a set of sizes leaves the links of a placement."""
        return all(starmap(self.linked(sizes), pairwise(witness.groups)))


def audit(directory: Place) -> Audit:
    """Verify every point of a run. Raises ResultsError and InputError for an unusable folder."""
    results = load(directory)
    check_run(results.run, results.directory / RUN_FILE)
    segments, base = results.stages(), stored_config(results.run)
    mismatches = [
        *_record_stands(results.run, base),
        *_end_stands(results),
        *_plan_is_answered(results, base),
        *_rows_pair(results, segments),
        *_frontiers_count_up(results),
    ]
    variants: dict[str, Variant] = {}
    for row in each_record(results.points):
        variant = _variant_of(row, results, base, variants)
        if isinstance(variant, Mismatch):
            mismatches.append(variant)
        else:
            mismatches += _verified(row, segments.get(row["point_id"], []), variant)
    for variant in variants.values():
        mismatches += variant.contradictions()
    placed = int(results.points.throughput_tokens_per_s.notna().sum())
    return Audit(len(results.points), placed, tuple(mismatches))


def _record_stands(run: Mapping[str, Any], base: LoadedConfig) -> Iterator[Mismatch]:
    """What `run.json` says of its config follows from it."""
    expected = {
        "instance_hash": problem_id(base.config),
        "swept_fields": list(base.config.sweep.over),
        "planned_points": num_points(base.config.sweep),
    }
    for name, value in expected.items():
        if run.get(name) not in (value, None):
            yield Mismatch(RUN_FILE, name, run[name], value)
    # Those of earlier plans in the same folder are listed too.
    if missing := set(base.config.sweep.granularities) - set(run["granularities"]):
        yield Mismatch(RUN_FILE, "granularities", run["granularities"], f"also {sorted(missing)}")
    tries, stored = baseline_tries(base.instance), stored_tries(run)
    if len(stored) != len(tries) or not all(map(_same_try, stored, tries)):
        yield Mismatch(RUN_FILE, "baseline", stored, tries)


def _end_stands(results: Results) -> Iterator[Mismatch]:
    """What `run.json` says of its end: points that failed are rows of an error.

    There may be more such rows: a plan that was changed does not run those of the old one again.
    """
    failed = results.run.get("failed")
    errors = int((results.points.status == "error").sum())
    if failed is not None and failed > errors:
        yield Mismatch(RUN_FILE, "failed", failed, f"at most {errors}, the rows of an error")


def _same_try(one: BaselineTry, other: BaselineTry) -> bool:
    """Tell whether two tries of a baseline say the same, in whatever words they give a reason."""
    said = [(t.gpu, t.tp_degree, bool(t.reason)) for t in (one, other)]
    rates = _close(one.tokens_per_s, other.tokens_per_s)
    return said[0] == said[1] and rates and _close(one.usd_per_hour, other.usd_per_hour)


def _plan_is_answered(results: Results, base: LoadedConfig) -> Iterator[Mismatch]:
    """A run that has finished has a row for every point of its plan."""
    there, planned = results.points_there(), num_points(base.config.sweep)
    if results.run["status"] == "finished" and there < planned:
        named = ", ".join(_without_row(results, base))
        found = f"{planned}, among them {named}" if named else planned
        yield Mismatch(RUN_FILE, "points of the plan with a row", there, found)


def _without_row(results: Results, base: LoadedConfig) -> list[str]:
    """Describe the first points of a plan that have no row, those at a known ballpark too."""
    done = {base_id(str(point_id)) for point_id in results.points.point_id}
    known = results.run.get(BALLPARKS) or {}
    missing = missing_tasks(base, done, ballparks=known)
    tasks = (task for task in missing if not isinstance(task, BallparkSearch))
    return [_described(problem, point) for problem, point in islice(tasks, 3)]


def _described(problem: Problem, point: Point) -> str:
    """Return a point in words, with its id."""
    budget, weight = point.budget_usd_per_hour, point.cost_weight
    at = [f"{name} {value}" for name, value in problem.swept.items()]
    at += [] if budget is None else [f"{budget:g} $/h"]
    at += [] if weight is None else [f"cost weight {weight:g}"]
    where = f" at {', '.join(at)}" if at else ""
    return f"{point.point_id} ({point.method} of {point.granularity}{where})"


def _rows_pair(results: Results, segments: dict[str, list[Row]]) -> Iterator[Mismatch]:
    """Every point has one row, and segments belong to a point."""
    times = Counter(map(str, results.points.point_id))
    for point_id, count in times.items():
        if count > 1:
            yield Mismatch(point_id, "rows of the point", count, 1)
    for point_id, rows in segments.items():
        if point_id not in times:
            yield Mismatch(point_id, "segments without a point", len(rows), 0)


def _frontiers_count_up(results: Results) -> Iterator[Mismatch]:
    """A frontier's rows are numbered from 0, each slower and cheaper than the one before it."""
    points = results.points[results.points.pareto_index.notna()]
    names = ("pareto_index", "throughput_tokens_per_s", "cost_usd_per_hour")
    frontiers: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for point_id, *figures in zip(points.point_id, *(points[n] for n in names), strict=True):
        frontiers[base_id(str(point_id))].append(tuple(map(float, figures)))
    for base, rows in frontiers.items():
        numbers, rates, costs = zip(*sorted(rows), strict=True)
        if numbers != tuple(range(len(rows))):
            yield Mismatch(base, "frontier", list(map(int, numbers)), f"0 to {len(rows) - 1}")
        if any(slower * (1 - TOLERANCE) > faster for faster, slower in pairwise(rates)):
            yield Mismatch(base, "frontier", list(rates), "from the fastest to the slowest")
        if any(cheaper >= dearer * (1 - TOLERANCE) for dearer, cheaper in pairwise(costs)):
            yield Mismatch(base, "frontier", list(costs), "from the dearest to the cheapest")


def _variant_of(
    row: Row, results: Results, base: LoadedConfig, variants: dict[str, Variant]
) -> Variant | Mismatch:
    """Return the config that a row answers to, one for all rows alike, or why there is none."""
    try:
        swept = results.swept(row)
        if repr(swept) not in variants:
            changed = base.with_values(list(swept.items()), "swept values")
            variants[repr(swept)] = Variant(changed)
    except (InputError, KeyError, ValueError) as error:
        return Mismatch(str(row["point_id"]), "swept values", str(error), "a sound config")
    return variants[repr(swept)]


def _verified(row: Row, segments: Sequence[Row], variant: Variant) -> Iterator[Mismatch]:
    """Check a row by itself, then the question, the comparison and the placement."""
    point_id = str(row["point_id"])
    try:
        PointRow({name: value for name, value in row.items() if present(value)})
        allowed = granularity(row["granularity"], variant.loaded.instance.num_layers).sizes
    except ValueError as error:
        yield Mismatch(point_id, "row", str(error), "a row that says one thing")
        return
    found = [
        *_effort_is_possible(row),
        *_question_stands(row, variant, allowed),
        *_comparison_stands(row, variant),
        *verify_point(row, segments, variant.loaded.instance, variant.linked(allowed)),
    ]
    variant.claims.append(claim_of(row, allowed))
    if segments and not found:
        variant.hear(witness_of(row, segments))
    yield from found


def _effort_is_possible(row: Row) -> Iterator[Mismatch]:
    """No time and no number of models is below zero."""
    for name in EFFORT:
        if row[name] < 0:
            yield Mismatch(str(row["point_id"]), name, row[name], "at least 0")


def _question_stands(row: Row, variant: Variant, allowed: tuple[int, ...]) -> Iterator[Mismatch]:
    """Recompute a point's id: a changed question does not go with the stored answer."""
    stored, asked = str(row["point_id"]), base_id(str(row["point_id"]))
    budget, weight = (
        row[name] if present(row[name]) else None for name in ("budget_usd_per_hour", "cost_weight")
    )
    point = make_point(variant.problem, row["granularity"], row["method"], budget, weight)
    if asked != point.point_id:
        yield Mismatch(stored, "question", asked, point.point_id)
    index = int(row["pareto_index"]) if present(row["pareto_index"]) else None
    own_id = asked if index is None else pareto_id(asked, index)
    if stored != own_id or (index is not None and row["method"] != "frontier"):
        yield Mismatch(stored, "pareto_index", index, "of a frontier alone, as behind its id")
    if tuple(row["sizes"]) != allowed:
        yield Mismatch(stored, "sizes", list(map(int, row["sizes"])), list(allowed))


def _comparison_stands(row: Row, variant: Variant) -> Iterator[Mismatch]:
    """Recompute what a row says of the baseline, the target and the weighted score."""
    point_id, price = str(row["point_id"]), row["cost_usd_per_token"]
    if row["status"] == "error":
        return
    baseline, scales = variant.baseline, variant.problem.scales
    expected: Row = {
        "baseline_throughput_tokens_per_s": baseline.tokens_per_s if baseline else None,
        "baseline_cost_usd_per_hour": baseline.usd_per_hour if baseline else None,
        "baseline_cost_usd_per_token": baseline.usd_per_token if baseline else None,
    }
    if present(price):
        against = baseline.usd_per_token if baseline else 0.0
        expected["ratio_to_baseline"] = price / against if against else None
        target = scales.target_usd_per_token
        expected["target_met"] = None if target is None else price <= target
    for name, value in expected.items():
        stored = row[name] if present(row[name]) else None
        same = value is stored if value is None or stored is None else _close(stored, value)
        if not same:
            yield Mismatch(point_id, name, stored, value)
    score, bound = _score_of(row, variant), row["bound_weighted_score"]
    if score is None or not present(bound):
        return
    slack = bound - score
    within = PROOF_TOLERANCE * abs(score)
    if slack < -within or (row["status"] == "optimal" and slack > within):
        yield Mismatch(point_id, "bound_weighted_score", bound, score)
    # At a weight of 1 the score is the cost alone, and the gap may be that of the throughput.
    elif row["cost_weight"] != 1 and score:
        distances = [*bound_distances(row), slack / abs(score)]
        if not gap_stands(row["mip_gap"], distances):
            yield Mismatch(point_id, "mip_gap", row["mip_gap"], max(distances))


def _score_of(row: Row, variant: Variant) -> float | None:
    """Return the score of a row of the weighted method, None where it has none."""
    weight, cost = row["cost_weight"], row["cost_usd_per_hour"]
    if row["method"] != "weighted" or not (present(weight) and present(cost)):
        return None
    rate = row["throughput_tokens_per_s"]
    return variant.problem.scales.score(weight, rate, cost)


def _close(one: Any, other: Any) -> bool:
    return math.isclose(float(one), float(other), rel_tol=TOLERANCE)


def link_filter(instance: Instance, sizes: tuple[int, ...]) -> Linked:
    """Return a test for whether the bandwidth filter leaves a link between two groups."""
    network = instance.network
    if network.drop_below_percentile <= 0:
        return lambda _one, _other: True
    groups = group_classes(instance)
    threshold = connections(instance, groups, stage_options(instance, sizes)).threshold_gb_per_s

    def linked(one: Sequence[int], other: Sequence[int]) -> bool:
        return min(network.between(a, b) for a in one for b in other) >= threshold

    return linked
