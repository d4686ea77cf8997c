"""Solves one point and turns the answer into rows; needs no Ray."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, Generic, TypeVar

from pipeline import methods
from pipeline.baseline import BaselineTry, baseline_tries, best_baseline
from pipeline.cheapest import Effort
from pipeline.curve import CostCurve
from pipeline.granularity import granularity
from pipeline.groups import GroupClasses, group_classes
from pipeline.instance import Instance
from pipeline.methods import Answer, AnswerStatus
from pipeline.options import Option
from pipeline.placement import Placement
from pipeline.points import Point, Problem
from pipeline.published import PublishedSearch
from pipeline.reasons import why_infeasible
from pipeline.results.schema import PointRow, SegmentRow, pareto_id
from pipeline.search_space import SearchSpace, search_space
from pipeline.serving import answers as serving
from pipeline.serving.reasons import why_nothing
from pipeline.serving.search import ServingSearch
from pipeline.settings import REASON_ALLOWANCE_S, SolverSettings
from pipeline.versions import package_versions

# The column that holds each method's proven bound.
BOUND_COLUMN = {
    "enumeration": "bound_throughput_tokens_per_s",
    "weighted": "bound_weighted_score",
    "iterative": "bound_cost_usd_per_token",
    "ratio": "bound_cost_usd_per_token",
    "frontier": "bound_cost_usd_per_hour",
}


@dataclass(frozen=True)
class PointRows:
    """The rows that a point adds to the tables; more than one point row only for `frontier`."""

    points: tuple[PointRow, ...]
    segments: tuple[SegmentRow, ...]


Solve = Callable[[Problem, Point], PointRows]
"""What is done with a point, as `run_point` does it."""


def run_point(problem: Problem, point: Point) -> PointRows:
    """Solve a point. Whatever goes wrong becomes a row with status `error`."""
    started = time.perf_counter()
    try:
        return solved_rows(problem, point)
    except Exception as error:  # a failed point is a row, never the end of a sweep
        return failed(problem, point, f"{type(error).__name__}: {error}", started)


def failed(problem: Problem, point: Point, message: str, started: float | None = None) -> PointRows:
    """Return the row of a point that could not be solved."""
    seconds = 0.0 if started is None else time.perf_counter() - started
    values = {**_question(problem, point), "status": "error", "message": message}
    effort = dict.fromkeys(("model_variables", "model_constraints", "num_solves"), 0)
    times = {"build_seconds": 0.0, "solve_seconds": 0.0, "total_seconds": seconds}
    return PointRows((PointRow({**values, **effort, **times, **_provenance()}),), ())


@dataclass(frozen=True)
class Solved:
    """The answers to a point, more than one only for `frontier`, and what they took."""

    instance: Instance
    answers: tuple[Answer, ...]
    effort: Effort
    options: Sequence[Option]
    groups: GroupClasses


def solve_point(problem: Problem, point: Point) -> Solved:
    """Answer a point with the formulation that its problem asks for."""
    sizes = granularity(point.granularity, problem.instance.num_layers)
    if problem.settings.formulation == "pairwise":
        published = PublishedSearch(problem.instance, sizes, problem.settings)
        answer = _published_answer(problem, point, published)
        groups = published.links.groups
        return Solved(problem.instance, (answer,), published.effort, published.options, groups)
    if problem.instance.serving is not None:
        return _served(problem, point)
    curve = _curve(problem, point.granularity)
    found = tuple(answers(problem, point, curve))
    groups = curve.search.links.groups
    return Solved(problem.instance, found, curve.effort, curve.options, groups)


def _served(problem: Problem, point: Point) -> Solved:
    """Answer a point under the `roofline` model; hops are part of its models."""
    search = _search(problem, point.granularity)
    target = problem.scales.target_usd_per_token
    weighting = _weighting(problem, point)
    found = tuple(serving.answers(search, point.method, _budget(point), weighting, target))
    search.effort.path_solves = search.effort.num_solves
    groups = group_classes(problem.instance)
    return Solved(problem.instance, found, search.effort, search.options(), groups)


T = TypeVar("T")


@dataclass(frozen=True)
class _Key(Generic[T]):
    """Names what the points of one problem and granularity share; `source` is what it is made of.

    A problem's id stands for all that decides its answers, so that comparing ids will do.
    """

    problem_id: str
    granularity: str
    source: T = field(compare=False)


def _curve(
    problem: Problem, granularity_name: str, settings: SolverSettings | None = None
) -> CostCurve:
    """Return the curve of a problem and granularity with nothing searched yet."""
    key = _Key(problem.problem_id, granularity_name, problem)
    return _first_curve(key).fresh(settings or problem.settings)


# A worker meets the points of a few problems and granularities in turn.
@lru_cache(maxsize=8)
def _first_curve(key: _Key[Problem]) -> CostCurve:
    problem = key.source
    sizes = granularity(key.granularity, problem.instance.num_layers)
    return CostCurve(problem.instance, sizes, problem.settings)


def _search(
    problem: Problem, granularity_name: str, settings: SolverSettings | None = None
) -> ServingSearch:
    """Return the search of a problem and granularity under `roofline`, with nothing proven yet."""
    key = _Key(problem.problem_id, granularity_name, problem)
    return _first_search(key).fresh(settings or problem.settings)


@lru_cache(maxsize=8)
def _first_search(key: _Key[Problem]) -> ServingSearch:
    problem = key.source
    sizes = granularity(key.granularity, problem.instance.num_layers)
    return serving.serving_search(problem.instance, sizes, problem.settings)


@lru_cache(maxsize=8)
def _space(key: _Key[Solved]) -> SearchSpace:
    solved = key.source
    return search_space(solved.instance, solved.groups, solved.options)


@lru_cache(maxsize=8)
def _baseline(key: _Key[Problem]) -> BaselineTry | None:
    return best_baseline(baseline_tries(key.source.instance))


def answers(problem: Problem, point: Point, curve: CostCurve) -> Iterator[Answer]:
    """Yield the answers to a point from a curve, more than one only for `frontier`."""
    if point.method == "enumeration":
        yield methods.enumeration(curve, _budget(point))
    elif point.method == "ratio":
        yield methods.ratio(curve)
    elif point.method == "weighted":
        yield methods.weighted(curve, *_weighting(problem, point))
    elif point.method == "iterative":
        fastest_within = partial(methods.enumeration, curve)
        yield methods.iterative(fastest_within, problem.scales.target_usd_per_token)
    else:
        yield from methods.frontier(curve)


def _published_answer(problem: Problem, point: Point, search: PublishedSearch) -> Answer:
    if point.method == "enumeration":
        return search.enumeration(_budget(point))
    if point.method == "ratio":
        return search.ratio()
    if point.method == "weighted":
        return search.weighted(*_weighting(problem, point))
    if point.method == "iterative":
        return methods.iterative(search.enumeration, problem.scales.target_usd_per_token)
    raise ValueError("the pairwise formulation has no frontier; use compact")


def _budget(point: Point) -> float:
    return math.inf if point.budget_usd_per_hour is None else point.budget_usd_per_hour


def _weighting(problem: Problem, point: Point) -> tuple[float, float, float]:
    """Return cost weight and the two scales of the weighted method."""
    weight = 0.5 if point.cost_weight is None else point.cost_weight
    scales = problem.scales
    return weight, scales.throughput_tokens_per_s, scales.cost_usd_per_hour


def solved_rows(problem: Problem, point: Point) -> PointRows:
    """Solve a point; whatever goes wrong is raised."""
    started = time.perf_counter()
    solved = solve_point(problem, point)
    space = _space(_Key(problem.problem_id, point.granularity, solved))
    common = _question(problem, point) | _space_columns(space) | _effort_columns(solved.effort)
    common |= _provenance()
    rows = [
        _answer_columns(problem, point, answer, started) | _identity(point, index)
        for index, answer in enumerate(solved.answers)
    ]
    common["total_seconds"] = time.perf_counter() - started
    segments = [
        segment
        for row, answer in zip(rows, solved.answers, strict=True)
        if answer.placement is not None
        for segment in segment_rows(row["point_id"], answer.placement)
    ]
    return PointRows(tuple(PointRow(common | row) for row in rows), tuple(segments))


def _identity(point: Point, index: int) -> dict[str, Any]:
    """Return a row's own id: a frontier has a row for each of its points."""
    if point.method != "frontier":
        return {"point_id": point.point_id}
    return {"point_id": pareto_id(point.point_id, index), "pareto_index": index}


def _question(problem: Problem, point: Point) -> dict[str, Any]:
    """Return the columns that say what was asked."""
    instance = problem.instance
    return {
        "point_id": point.point_id,
        "instance": instance.name,
        "granularity": point.granularity,
        "sizes": list(granularity(point.granularity, instance.num_layers).sizes),
        "method": point.method,
        "budget_usd_per_hour": point.budget_usd_per_hour,
        "cost_weight": point.cost_weight,
        **problem.swept,
    }


def _answer_columns(
    problem: Problem, point: Point, answer: Answer, started: float
) -> dict[str, Any]:
    """Return the columns that say what was found, or why nothing was."""
    columns: dict[str, Any] = {"status": str(answer.status), "message": ""}
    columns[BOUND_COLUMN[point.method]] = answer.bound
    if answer.least_usd_per_hour is not None:
        columns["bound_cost_usd_per_hour"] = answer.least_usd_per_hour
    baseline = _baseline(_Key(problem.problem_id, "", problem))
    if baseline is not None:
        columns["baseline_throughput_tokens_per_s"] = baseline.tokens_per_s
        columns["baseline_cost_usd_per_hour"] = baseline.usd_per_hour
        columns["baseline_cost_usd_per_token"] = baseline.usd_per_token
    placement = answer.placement
    if placement is None:
        columns["message"] = _why(problem, point, answer, started)
        return columns
    columns |= {
        "throughput_tokens_per_s": placement.tokens_per_s,
        "cost_usd_per_hour": placement.usd_per_hour,
        "cost_usd_per_token": placement.usd_per_token,
        "mip_gap": answer.gap,
        "num_stages": len(placement.stages),
        "num_gpus": placement.num_gpus,
    }
    columns |= serving.served_columns(problem.instance, placement)
    if baseline is not None and baseline.usd_per_token:
        columns["ratio_to_baseline"] = placement.usd_per_token / baseline.usd_per_token
    if problem.scales.target_usd_per_token is not None:
        columns["target_met"] = placement.usd_per_token <= problem.scales.target_usd_per_token
    return columns


def _why(problem: Problem, point: Point, answer: Answer, started: float) -> str:
    """Say why there is no placement, in what is left of the point's time and a little more."""
    if answer.status is not AnswerStatus.INFEASIBLE:
        return "the time limit passed before a placement was found"
    left_s = max(problem.settings.time_limit_s - (time.perf_counter() - started), 0.0)
    # A reason names the cheapest placement or the fewest stages, not those within a gap.
    allowed_s = left_s + REASON_ALLOWANCE_S
    settings = replace(problem.settings, time_limit_s=allowed_s, mip_gap=0.0)
    if problem.instance.serving is not None:
        search = _search(problem, point.granularity, settings)
        return why_nothing(search, point.budget_usd_per_hour)
    curve = _curve(problem, point.granularity, settings)
    return why_infeasible(curve, point.budget_usd_per_hour)


def segment_rows(point_id: str, placement: Placement) -> list[SegmentRow]:
    """Return the rows of a placement's stages."""
    return [
        SegmentRow(
            point_id=point_id,
            stage=index,
            gpu=stage.gpu,
            tp_degree=stage.tp_degree,
            gpu_ids=stage.gpu_ids,
            start_layer=stage.start_layer,
            end_layer=stage.end_layer,
            size=stage.size,
            throughput_tokens_per_s=stage.tokens_per_s,
            cost_usd_per_hour=stage.usd_per_hour,
            memory_gb=stage.memory_gb,
            memory_utilization=stage.memory_utilization,
            is_bottleneck=placement.is_bottleneck(stage),
        )
        for index, stage in enumerate(placement.stages)
    ]


def _space_columns(space: SearchSpace) -> dict[str, Any]:
    return {
        "options": space.options,
        "segments": space.segments,
        "connections": space.connections,
        "binaries": space.binary_variables,
    }


def _effort_columns(effort: Effort) -> dict[str, Any]:
    links = "path" if effort.path_solves else "not_binding"
    return {
        "model_variables": effort.variables,
        "model_constraints": effort.constraints,
        "build_seconds": effort.build_seconds,
        "solve_seconds": effort.solve_seconds,
        "num_solves": effort.num_solves,
        "links": links if effort.num_solves else None,
    }


def _provenance() -> dict[str, Any]:
    return {
        "node": socket.gethostname(),
        "versions": package_versions(),
        "finished_at": datetime.now(UTC),
    }
