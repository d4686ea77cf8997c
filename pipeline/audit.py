"""Verifies a whole run: every row against the config that `run.json` holds."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from pipeline.baseline import BaselineTry, baseline_tries, best_baseline
from pipeline.config import LoadedConfig
from pipeline.config.load import stored_config
from pipeline.errors import InputError
from pipeline.granularity import granularity
from pipeline.groups import group_classes
from pipeline.instance import Instance
from pipeline.options import stage_options
from pipeline.points import Problem, make_point
from pipeline.results import load
from pipeline.results.folder import Place
from pipeline.results.frames import Results, each_record
from pipeline.results.schema import PointRow, base_id, pareto_id
from pipeline.search_space import connections
from pipeline.sweep import problem_of
from pipeline.verify import Mismatch, gap_stands, verify_point

Linked = Callable[[Sequence[int], Sequence[int]], bool]
Row = dict[str, Any]
TOLERANCE = 1e-9
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


def audit(directory: Place) -> Audit:
    """Verify every point of a run. Raises ResultsError and InputError for an unusable folder."""
    results = load(directory)
    segments = results.stages()
    mismatches = [*_rows_pair(results, segments), *_frontiers_count_up(results)]
    for row, variant in _with_variants(results):
        if isinstance(variant, Mismatch):
            mismatches.append(variant)
            continue
        rows = segments.get(row["point_id"], [])
        mismatches += _verified(row, rows, variant)
    placed = int(results.points.throughput_tokens_per_s.notna().sum())
    return Audit(len(results.points), placed, tuple(mismatches))


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
    """A frontier's rows are numbered from 0, and the first is the fastest."""
    points = results.points[results.points.pareto_index.notna()]
    columns = [points[n] for n in ("point_id", "pareto_index", "throughput_tokens_per_s")]
    frontiers: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for point_id, index, rate in zip(*columns, strict=True):
        frontiers[base_id(str(point_id))].append((int(index), float(rate)))
    for base, rows in frontiers.items():
        numbers, rates = zip(*sorted(rows), strict=True)
        if numbers != tuple(range(len(rows))):
            yield Mismatch(base, "frontier", list(numbers), f"0 to {len(rows) - 1}")
        if any(slower * (1 - TOLERANCE) > faster for faster, slower in pairwise(rates)):
            yield Mismatch(base, "frontier", list(rates), "from the fastest to the slowest")


def _with_variants(results: Results) -> Iterator[tuple[Row, Variant | Mismatch]]:
    """Yield every row with the config that it answers to, or with why there is none."""
    base = stored_config(results.run)
    variants: dict[str, Variant] = {}
    for row in each_record(results.points):
        try:
            swept = results.swept(row)
            if repr(swept) not in variants:
                changed = base.with_values(list(swept.items()), "swept values")
                variants[repr(swept)] = Variant(changed)
            yield row, variants[repr(swept)]
        except (InputError, KeyError, ValueError) as error:
            yield row, Mismatch(str(row["point_id"]), "swept values", str(error), "a sound config")


def _verified(row: Row, segments: Sequence[Row], variant: Variant) -> Iterator[Mismatch]:
    """Check a row by itself, then the question, the comparison and the placement."""
    point_id = str(row["point_id"])
    try:
        PointRow({name: value for name, value in row.items() if not _is_null(value)})
        allowed = granularity(row["granularity"], variant.loaded.instance.num_layers).sizes
    except ValueError as error:
        yield Mismatch(point_id, "row", str(error), "a row that says one thing")
        return
    yield from _effort_is_possible(row)
    yield from _question_stands(row, variant, allowed)
    yield from _comparison_stands(row, variant)
    yield from verify_point(row, segments, variant.loaded.instance, variant.linked(allowed))


def _effort_is_possible(row: Row) -> Iterator[Mismatch]:
    """No time and no number of models is below zero."""
    for name in EFFORT:
        if row[name] < 0:
            yield Mismatch(str(row["point_id"]), name, row[name], "at least 0")


def _question_stands(row: Row, variant: Variant, allowed: tuple[int, ...]) -> Iterator[Mismatch]:
    """Recompute a point's id: a changed question does not go with the stored answer."""
    stored, asked = str(row["point_id"]), base_id(str(row["point_id"]))
    budget, weight = (
        None if _is_null(row[name]) else row[name]
        for name in ("budget_usd_per_hour", "cost_weight")
    )
    point = make_point(variant.problem, row["granularity"], row["method"], budget, weight)
    if asked != point.point_id:
        yield Mismatch(stored, "question", asked, point.point_id)
    index = None if _is_null(row["pareto_index"]) else int(row["pareto_index"])
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
    if not _is_null(price):
        against = baseline.usd_per_token if baseline else 0.0
        expected["ratio_to_baseline"] = price / against if against else None
        target = scales.target_usd_per_token
        expected["target_met"] = None if target is None else price <= target
    for name, value in expected.items():
        stored = None if _is_null(row[name]) else row[name]
        same = value is stored if value is None or stored is None else _close(stored, value)
        if not same:
            yield Mismatch(point_id, name, stored, value)
    score, bound = _weighted_score(row, variant), row["bound_weighted_score"]
    if score is None or _is_null(bound):
        return
    slack = bound - score
    if slack < -1e-6 * abs(score) or (row["status"] == "optimal" and slack > 1e-6 * abs(score)):
        yield Mismatch(point_id, "bound_weighted_score", bound, score)
    # At a weight of 1 the score is the cost alone, and the gap may be that of the throughput.
    elif row["cost_weight"] != 1 and not gap_stands(row["mip_gap"], slack, score):
        yield Mismatch(point_id, "mip_gap", row["mip_gap"], slack / abs(score))


def _weighted_score(row: Row, variant: Variant) -> float | None:
    """Return the score, t/t_norm − w/(1−w)·cost/cost_norm; −cost/cost_norm for w = 1."""
    weight, scales = row["cost_weight"], variant.problem.scales
    if row["method"] != "weighted" or _is_null(weight) or _is_null(row["cost_usd_per_hour"]):
        return None
    cost = row["cost_usd_per_hour"] / scales.cost_usd_per_hour
    if weight == 1:
        return float(-cost)
    rate = row["throughput_tokens_per_s"] / scales.throughput_tokens_per_s
    return float(rate - weight / (1 - weight) * cost)


def _close(one: Any, other: Any) -> bool:
    return math.isclose(float(one), float(other), rel_tol=TOLERANCE)


def _is_null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


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
