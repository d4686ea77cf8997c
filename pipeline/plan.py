"""What a sweep will take, before anything of it runs: points by kind, and an estimate of the time.

For every method and granularity one point of the first problem is solved here and timed; the
estimate is that time for all points of its kind, shared by the CPUs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.ballparks import NoBallparkError, Search, ballpark_usd_per_hour
from pipeline.budgets import PRESETS, needs_ballpark
from pipeline.config import LoadedConfig
from pipeline.points import Point, Problem
from pipeline.run import PointRows, run_point
from pipeline.sweep import count_problems, points, problems

# A sample is cut off here; what is not solved by then makes the estimate a lower bound.
SAMPLE_LIMIT_S, SAMPLES_LIMIT_S = 10.0, 60.0
# What a task costs beside its point: Ray's own time, and the driver's.
SECONDS_PER_TASK = 0.005
SECONDS_TO_START = 5.0


@dataclass(frozen=True)
class PlanLine:
    """The points of one method and granularity. seconds_per_point: as its sample took.

    is_cut_off: the sample did not come to its end.
    """

    method: str
    granularity: str
    points: int
    seconds_per_point: float
    is_cut_off: bool


@dataclass(frozen=True)
class Plan:
    """The points of a sweep. swept: how many values each swept field takes.

    threads: CPUs that one point takes.
    """

    lines: tuple[PlanLine, ...]
    problems: int
    swept: Mapping[str, int]
    cpus: int
    threads: int

    @property
    def points(self) -> int:
        """Points of the whole sweep."""
        return sum(line.points for line in self.lines)

    @property
    def seconds(self) -> float:
        """Estimate of the time on the CPUs, Ray's start included."""
        work = sum(line.points * (line.seconds_per_point + SECONDS_PER_TASK) for line in self.lines)
        return SECONDS_TO_START + work / max(self.cpus // self.threads, 1)

    @property
    def is_lower_bound(self) -> bool:
        """Tell whether some sample was cut off, so that it may take longer."""
        return any(line.is_cut_off for line in self.lines)


def plan(
    loaded: LoadedConfig, cpus: int, solve: Callable[[Problem, Point], PointRows] = run_point
) -> Plan:
    """Count the points of a sweep and time a sample of each kind. Raises InputError."""
    problem, count = next(problems(loaded)), count_problems(loaded)
    until = time.perf_counter() + SAMPLES_LIMIT_S
    budgets = loaded.config.sweep.budgets_usd_per_hour
    ballpark, unproven = _ballpark(_bounded(problem, until), budgets, solve)
    by_kind: dict[tuple[str, str], list[Point]] = {}
    for point in points(loaded.config, problem, ballpark):
        by_kind.setdefault((point.method, point.granularity), []).append(point)
    lines = tuple(
        _line(_bounded(problem, until), kind, of_kind, count, solve)
        for kind, of_kind in by_kind.items()
    )
    if unproven:
        lines = tuple(_at_unknown_budgets(line, budgets) for line in lines)
    swept = {name: len(values) for name, values in loaded.config.sweep.over.items()}
    return Plan(lines, count, swept, cpus, loaded.config.solver.threads)


def _ballpark(
    problem: Problem,
    budgets: str | Sequence[float],
    solve: Callable[[Problem, Point], PointRows],
) -> tuple[float | None, bool]:
    """Return the ballpark if budgets need one, and whether the search for it was cut off."""
    if not needs_ballpark(budgets):
        return None, False
    try:
        return ballpark_usd_per_hour(Search(problem), solve), False
    except NoBallparkError:
        return None, True


def _at_unknown_budgets(line: PlanLine, budgets: str | Sequence[float]) -> PlanLine:
    """Return a line whose points are at as many budgets as there are, though none is known."""
    if line.method != "enumeration" or not isinstance(budgets, str):
        return line
    return replace(line, points=line.points * len(PRESETS[budgets].values), is_cut_off=True)


def _line(
    problem: Problem,
    kind: tuple[str, str],
    of_kind: list[Point],
    num_problems: int,
    solve: Callable[[Problem, Point], PointRows],
) -> PlanLine:
    started = time.perf_counter()
    rows = solve(problem, of_kind[len(of_kind) // 2])
    seconds = time.perf_counter() - started
    cut_off = _statuses(rows.points) & {"time_limit", "error"}
    return PlanLine(*kind, len(of_kind) * num_problems, seconds, bool(cut_off))


def _bounded(problem: Problem, until: float) -> Problem:
    """Return a problem with no more time than a sample may take, and none after `until`."""
    left_s = max(until - time.perf_counter(), 0.0)
    limit_s = min(problem.settings.time_limit_s, SAMPLE_LIMIT_S, left_s)
    return replace(problem, settings=replace(problem.settings, time_limit_s=limit_s))


def _statuses(rows: Iterable[Any]) -> set[str]:
    return {row.values["status"] for row in rows}
