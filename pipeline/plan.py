"""What a sweep will take, before anything of it runs: points by kind, and an estimate of the time.

For every method and granularity up to three points of the first problem are solved here and timed;
the estimate is their mean for all points of their kind, shared by the CPUs, between the quickest
and the slowest of them for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from time import perf_counter

from pipeline.ballparks import BallparkSearch, NoBallparkError, ballpark_usd_per_hour
from pipeline.budgets import PRESETS
from pipeline.config import LoadedConfig
from pipeline.config.counts import num_problems
from pipeline.points import Point, Problem
from pipeline.run import Solve, run_point
from pipeline.sweep import points, problems, waits_for_ballpark

# A sample is cut off here; what is not solved by then makes the estimate a lower bound.
SAMPLE_LIMIT_S, SAMPLES_LIMIT_S = 10.0, 60.0
# A kind whose samples have taken so long is not sampled further.
ENOUGH_S = 1.0
# What a task costs beside its point: Ray's own time, and the driver's.
SECONDS_PER_TASK = 0.005
# Ray's start, and what goes by until its workers have imported what solves points.
SECONDS_TO_START, SECONDS_FOR_WORKERS = 5.0, 1.5


@dataclass(frozen=True)
class PlanLine:
    """The points of one method and granularity. samples_s: how long each that was tried took.

    is_cut_off: a sample did not come to its end. error: what its row would say where it failed.
    """

    method: str
    granularity: str
    points: int
    samples_s: tuple[float, ...]
    is_cut_off: bool
    error: str = ""

    @property
    def seconds_per_point(self) -> float:
        """Mean of the samples."""
        return mean(self.samples_s)


@dataclass(frozen=True)
class Plan:
    """The points of a sweep. swept: how many values each swept field takes.

    threads: CPUs that one point takes. ballpark_s: how long the search for a ballpark took, which
    every problem needs; None where none does.
    """

    lines: tuple[PlanLine, ...]
    problems: int
    swept: Mapping[str, int]
    cpus: int
    threads: int
    ballpark_s: float | None = None

    @property
    def points(self) -> int:
        """Points of the whole sweep."""
        return sum(line.points for line in self.lines)

    @property
    def seconds(self) -> float:
        """Estimate of the time, Ray's start included."""
        return SECONDS_TO_START + self.points_s

    @property
    def points_s(self) -> float:
        """Estimate of the time for the points, once Ray is up."""
        return self._time(mean)

    @property
    def range_s(self) -> tuple[float, float]:
        """The time for the points if all were as quick, or as slow, as one of their samples."""
        return self._time(min), self._time(max)

    def _time(self, of_samples: Callable[[Sequence[float]], float]) -> float:
        """Share the work among the CPUs; no point is shared."""
        kinds = [(line.points, of_samples(line.samples_s)) for line in self.lines]
        if self.ballpark_s is not None:
            kinds.append((self.problems, self.ballpark_s))
        work = sum(count * (each + SECONDS_PER_TASK) for count, each in kinds)
        longest = max(each for _, each in kinds)
        return SECONDS_FOR_WORKERS + max(work / max(self.cpus // self.threads, 1), longest)

    @property
    def errors(self) -> tuple[str, ...]:
        """What fails of the first problem, by granularity, each once."""
        told = (f"{line.granularity}: {line.error}" for line in self.lines if line.error)
        return tuple(dict.fromkeys(told))

    @property
    def is_lower_bound(self) -> bool:
        """Tell whether some sample was cut off, so that it may take longer."""
        return any(line.is_cut_off for line in self.lines)


def plan(loaded: LoadedConfig, cpus: int, solve: Solve = run_point) -> Plan:
    """Count the points of a sweep and time samples of each kind. Raises InputError."""
    problem, count = next(problems(loaded)), num_problems(loaded.config.sweep)
    started = perf_counter()
    until = started + SAMPLES_LIMIT_S
    waits = waits_for_ballpark(loaded.config)
    ballpark, unproven = _ballpark(_bounded(problem, until), solve) if waits else (None, False)
    searched_s = perf_counter() - started if waits else None
    by_kind: dict[tuple[str, str], list[Point]] = {}
    for point in points(loaded.config, problem, ballpark):
        by_kind.setdefault((point.method, point.granularity), []).append(point)
    lines = tuple(
        _line(problem, until, kind, of_kind, count, solve) for kind, of_kind in by_kind.items()
    )
    if unproven:
        budgets = loaded.config.sweep.budgets_usd_per_hour
        lines = tuple(_at_unknown_budgets(line, budgets) for line in lines)
    swept = {name: len(values) for name, values in loaded.config.sweep.over.items()}
    return Plan(lines, count, swept, cpus, loaded.config.solver.threads, searched_s)


def _ballpark(problem: Problem, solve: Solve) -> tuple[float | None, bool]:
    """Return the ballpark of a problem, and whether the search for it was cut off."""
    try:
        return ballpark_usd_per_hour(BallparkSearch(problem), solve), False
    except NoBallparkError:
        return None, True


def _at_unknown_budgets(line: PlanLine, budgets: str | Sequence[float]) -> PlanLine:
    """Return a line whose points are at as many budgets as there are, though none is known."""
    if line.method != "enumeration" or not isinstance(budgets, str):
        return line
    return replace(line, points=line.points * len(PRESETS[budgets].values), is_cut_off=True)


def _line(
    problem: Problem,
    until: float,
    kind: tuple[str, str],
    of_kind: list[Point],
    count: int,
    solve: Solve,
) -> PlanLine:
    """Time a point in the middle, then the last and the first, unless that takes long.

    count: problems that have these points.
    """
    samples_s: list[float] = []
    cut_off, error = False, ""
    for point in dict.fromkeys((of_kind[len(of_kind) // 2], of_kind[-1], of_kind[0])):
        started = perf_counter()
        rows = solve(_bounded(problem, until), point)
        samples_s.append(perf_counter() - started)
        statuses = {row.values["status"] for row in rows.points}
        cut_off |= bool(statuses & {"time_limit", "error"})
        if "error" in statuses:
            error = str(rows.points[0].values["message"])
        if cut_off or sum(samples_s) >= ENOUGH_S:
            break
    return PlanLine(*kind, len(of_kind) * count, tuple(samples_s), cut_off, error)


def _bounded(problem: Problem, until: float) -> Problem:
    """Return a problem with no more time than a sample may take, and none after `until`."""
    left_s = max(until - perf_counter(), 0.0)
    limit_s = min(problem.settings.time_limit_s, SAMPLE_LIMIT_S, left_s)
    return replace(problem, settings=replace(problem.settings, time_limit_s=limit_s))
