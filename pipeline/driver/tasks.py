"""Points as Ray tasks: sent out as far as CPUs can take them, sent again where a worker died."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import ray
from ray.exceptions import (
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayError,
    WorkerCrashedError,
)
from ray.experimental import internal_kv

from pipeline.ballparks import BallparkSearch, NoBallparkError
from pipeline.driver.cluster import check_cpus
from pipeline.driver.watchdog import ended_after
from pipeline.points import Point, Problem, Task
from pipeline.run import PointRows, Solve, failed

# What may go better on another worker or node; whatever else happened would happen again.
WORTH_A_RETRY = (WorkerCrashedError, NodeDiedError, OutOfMemoryError, ObjectLostError)
# How long the driver waits for a task before it looks whether it was asked to stop.
SECONDS_BETWEEN_LOOKS = 0.2
# How old the known number of CPUs may be: a cluster may grow and shrink.
SECONDS_BETWEEN_COUNTS = 2.0
OVERDUE = b"placement overdue"


@dataclass(frozen=True)
class TaskRules:
    """How tasks are sent out.

    in_flight_per_cpu: enough that no CPU waits for the driver, few enough to stop quickly.
    max_retries: how often a point whose worker died is sent out again.
    grace_s: how much longer than its solver's time limit a point may take: models are built
    outside of that limit, and a second search may follow that says why there is no placement.
    """

    in_flight_per_cpu: int = 4
    max_retries: int = 2
    grace_s: float = 120.0


RULES = TaskRules()


@dataclass(frozen=True)
class _Attempt:
    """One try at a point. sent: the problem, as Ray holds it. search: what asks it, if one does."""

    problem: Problem
    point: Point
    sent: Any
    search: BallparkSearch | None = None
    number: int = 1


@dataclass
class _Capacity:
    """CPUs and nodes of the cluster, asked for every now and then."""

    cpus: float = 1.0
    nodes: int = 1
    counted_at: float = -math.inf

    def count(self) -> None:
        """Count again if the last count is old; what is there counts while nothing can be said."""
        if time.monotonic() - self.counted_at < SECONDS_BETWEEN_COUNTS:
            return
        resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
        self.cpus = max(resources.get("CPU", 1.0), 1.0)
        names = [name for name in resources if name.startswith("node:")]
        self.nodes = len([name for name in names if not name.startswith("node:__")])
        self.counted_at = time.monotonic()


@dataclass
class Tasks:
    """The tasks of one sweep. solve: what a worker does with a point.

    note: is told every ballpark that is found, by the id of its problem.
    """

    solve: Solve
    rules: TaskRules = RULES
    note: Callable[[str, float | None], None] = lambda *_: None

    def __post_init__(self) -> None:
        self._capacity = _Capacity()
        # Futures of tasks, and those of them that have come to an end. Asking Ray which of its
        # tasks are ready takes time in proportion to all of them; here each is told once.
        self._running: dict[Future[PointRows], _Attempt] = {}
        self._ended: SimpleQueue[Future[PointRows]] = SimpleQueue()
        self._remote = ray.remote(max_retries=0)(_watched(self.solve))
        self._handles: dict[tuple[int, bool], Any] = {}
        # What is still to be sent out, from the last of them first.
        self._waiting: list[Iterator[Task | BallparkSearch]] = []
        self._last_sent: tuple[str, Any] = "", None

    def completed(
        self, tasks: Iterator[Task | BallparkSearch], stop: Sequence[str]
    ) -> Iterator[PointRows | None]:
        """Run tasks; yield their rows in the order they finish, None while none does.

        stop: once it holds anything, tasks that are not finished are left alone. Raises
        InputError where no node has as many CPUs as the solver has threads.
        """
        self._waiting.append(tasks)
        while not stop:
            if (task := self._next()) is not None:
                problem = self._start(task)
                while self._is_full(problem) and not stop:
                    yield from self._finished()
            elif self._running:
                yield from self._finished()
            else:
                break
        yield from self._unread()

    def _next(self) -> Task | BallparkSearch | None:
        """Return what is to be sent out next; points whose ballpark was just found go first."""
        while self._waiting:
            if (task := next(self._waiting[-1], None)) is not None:
                return task
            self._waiting.pop()
        return None

    def _start(self, task: Task | BallparkSearch) -> Problem:
        """Send out a point, or a search for the ballpark that others wait for."""
        search = task if isinstance(task, BallparkSearch) else None
        problem, point = (task.problem, task.point) if isinstance(task, BallparkSearch) else task
        if problem.problem_id != self._last_sent[0]:
            if not self._last_sent[0]:
                check_cpus(problem.settings.threads)
            self._last_sent = problem.problem_id, ray.put(problem)
        self._send(_Attempt(problem, point, self._last_sent[1], search))
        return problem

    def _is_full(self, problem: Problem) -> bool:
        """Tell whether the CPUs that the cluster has now have enough before them."""
        self._capacity.count()
        at_once = max(self._capacity.cpus // problem.settings.threads, 1)
        return len(self._running) >= at_once * self.rules.in_flight_per_cpu

    def _send(self, attempt: _Attempt) -> None:
        """Send a point out: as many CPUs as its solver has threads, over all nodes there are."""
        self._capacity.count()
        threads, spread = attempt.problem.settings.threads, self._capacity.nodes > 1
        if (threads, spread) not in self._handles:
            strategy = "SPREAD" if spread else "DEFAULT"
            handle = self._remote.options(num_cpus=threads, scheduling_strategy=strategy)
            self._handles[threads, spread] = handle
        limit_s = attempt.problem.settings.time_limit_s + self.rules.grace_s
        task = self._handles[threads, spread].remote(attempt.sent, attempt.point, limit_s)
        future: Future[PointRows] = task.future()
        self._running[future] = attempt
        future.add_done_callback(self._ended.put)

    def _finished(self) -> Iterator[PointRows | None]:
        """Wait a moment for a task; yield its rows, or None where none has come to an end."""
        try:
            future = self._ended.get(timeout=SECONDS_BETWEEN_LOOKS)
        except Empty:
            yield None
            return
        attempt = self._running.pop(future)
        rows = self._rows(future, attempt)
        if rows is not None and attempt.search is not None:
            yield from self._searched(attempt.search, rows)
        elif rows is not None:
            yield rows

    def _searched(self, search: BallparkSearch, rows: PointRows) -> Iterator[PointRows]:
        """Go on with the points that waited for a ballpark; without one, yield rows that say so."""
        try:
            found = search.found(rows.points[0].values)
        except NoBallparkError as error:
            for point in search.instead:
                yield failed(search.problem, point, str(error))
            return
        if isinstance(found, BallparkSearch):
            self._waiting.append(iter([found]))
            return
        self.note(search.problem.problem_id, found)
        self._waiting.append(search.then(found))

    def _unread(self) -> Iterator[PointRows]:
        """Yield the rows of tasks that have come to an end without anyone having looked at them.

        Those that failed are left out: the stop may be why, and a resume runs them again.
        """
        while not self._ended.empty():
            future = self._ended.get()
            if future.exception() is None and self._running[future].search is None:
                yield future.result()

    def _rows(self, future: Future[PointRows], attempt: _Attempt) -> PointRows | None:
        """Return a task's rows, those of a failure, or None where the point was sent out again."""
        try:
            rows = future.result()
        except RayError as error:
            reason = _reason(error)
            if _was_overdue(attempt.point):
                limit_s = attempt.problem.settings.time_limit_s
                reason = (
                    f"over its time limit: not finished {self.rules.grace_s:g} s after the "
                    f"{limit_s:g} s that its solver has; its process was ended"
                )
            elif isinstance(error, WORTH_A_RETRY) and attempt.number <= self.rules.max_retries:
                self._send(self._again(attempt, error))
                return None
            elif attempt.number > 1:
                reason = f"{reason} (tried {attempt.number} times)"
            return failed(attempt.problem, attempt.point, reason)
        return rows

    def _again(self, attempt: _Attempt, error: RayError) -> _Attempt:
        """Return the next attempt, with the problem put anew where it may be what was lost."""
        lost = isinstance(error, ObjectLostError)
        sent = ray.put(attempt.problem) if lost else attempt.sent
        return replace(attempt, sent=sent, number=attempt.number + 1)


def _watched(solve: Solve) -> Callable[[Problem, Point, float], PointRows]:
    """Return what a worker runs: it solves a point, and ends itself if that takes too long."""

    def solve_point(problem: Problem, point: Point, limit_s: float) -> PointRows:
        with ended_after(limit_s, partial(_note_overdue, point.point_id)):
            return solve(problem, point)

    return solve_point


def _note_overdue(point_id: str) -> None:
    """Leave word for the driver, in the cluster's own store of keys and values."""
    internal_kv._internal_kv_put(point_id.encode(), b"overdue", namespace=OVERDUE)


def _was_overdue(point: Point) -> bool:
    """Tell whether a worker left word that this point took too long; then forget it."""
    key = point.point_id.encode()
    found = internal_kv._internal_kv_get(key, namespace=OVERDUE) is not None
    if found:
        internal_kv._internal_kv_del(key, namespace=OVERDUE)
    return found


def _reason(error: RayError) -> str:
    """Say in one line what a task raised, or what became of its worker."""
    cause = getattr(error, "cause", None) or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return f"{type(cause).__name__}: {lines[0] if lines else 'no reason given'}"
