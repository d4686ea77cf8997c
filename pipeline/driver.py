"""The Ray driver: one task per point, a bounded number in flight, rows written as they come.

The only module that knows Ray. A point that fails is retried where a retry can help (its worker
died) and becomes a row with status `error` where not; the sweep goes on.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import ray
from ray._private import ray_constants
from ray.exceptions import RayError

from pipeline.errors import Fault, InputError
from pipeline.points import Point, Problem
from pipeline.results.store import Store
from pipeline.run import PointRows, failed, run_point

# A worker that died is replaced this often before its point becomes an error.
MAX_RETRIES = 2
# Points in flight per CPU: enough that no CPU waits for the driver, few enough to stop quickly.
IN_FLIGHT_PER_CPU = 4
# How long the driver waits for a task before it looks whether it was asked to stop.
SECONDS_BETWEEN_LOOKS = 0.2

Task = tuple[Problem, Point]


@dataclass
class Tally:
    """What came of the points so far."""

    total: int | None = None
    skipped: int = 0
    by_status: dict[str, int] = field(default_factory=dict)
    best_usd_per_token: float | None = None
    seconds: float = 0.0

    @property
    def done(self) -> int:
        """Points that were run."""
        return sum(self.by_status.values())

    @property
    def failed(self) -> int:
        """Points that ended in an error."""
        return self.by_status.get("error", 0)

    def skip(self) -> None:
        """Count a point that was there before."""
        self.skipped += 1

    def add(self, rows: PointRows) -> None:
        """Count a point by the status of its first row."""
        status = rows.points[0].values["status"]
        self.by_status[status] = self.by_status.get(status, 0) + 1
        for row in rows.points:
            price = row.values.get("cost_usd_per_token")
            if price is not None:
                self.best_usd_per_token = min(price, self.best_usd_per_token or price)


class Stopped(Exception):  # noqa: N818
    """The sweep was asked to stop; what was computed is written."""


@dataclass(frozen=True)
class FlushRule:
    """When rows are written: after so many points, or so many seconds, whichever comes first."""

    points: int = 500
    seconds: float = 5.0


def start_ray(address: str | None = None, num_cpus: int | None = None) -> None:
    """Connect to a cluster, or start a local one that listens on 127.0.0.1 alone.

    Raises InputError where there is no cluster at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is not None:
        _look_for(address)
        try:
            ray.init(address=address, **common)
        except (ConnectionError, ValueError) as error:
            raise _unreachable(address, _first_line(error)) from None
        return
    _stay_on_this_machine()
    ray.init(
        num_cpus=num_cpus or os.cpu_count(),
        include_dashboard=False,
        _node_ip_address="127.0.0.1",
        **common,
    )


def _stay_on_this_machine() -> None:
    """Make a local Ray listen on 127.0.0.1 alone; else it opens its ports to the whole network.

    Ray replaces a loopback address by the machine's own unless clusters are off, which it looks
    up when it is imported and, in the processes that it starts, in the environment.
    """
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    ray_constants.ENABLE_RAY_CLUSTER = False


def _look_for(address: str) -> None:
    """Raise InputError where nothing listens at host:port; Ray would look for minutes."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, str(error)) from None


def _unreachable(address: str, reason: str) -> InputError:
    return InputError([Fault("command line", "--address", f"no Ray there: {reason}", address)])


def stop_ray() -> None:
    """Disconnect from Ray, and end what `start_ray` started."""
    ray.shutdown()


def run_sweep(
    tasks: Iterator[Task],
    store: Store,
    tally: Tally,
    flush: FlushRule = FlushRule(),
    watch: Callable[[Tally], None] = lambda _: None,
) -> None:
    """Run every task and store its rows. Raises Stopped after SIGINT or SIGTERM.

    tally: filled as points come in. watch: called after each point.
    """
    started = time.monotonic()
    pending = _Pending(store, flush)
    with _stop_on_signal() as asked:
        try:
            for rows in _completed(tasks, asked):
                pending.add(rows)
                tally.add(rows)
                tally.seconds = time.monotonic() - started
                watch(tally)
        finally:
            pending.write()
    if asked:
        raise Stopped(asked[0])


class _Pending:
    """Rows that are not on disk yet."""

    def __init__(self, store: Store, flush: FlushRule):
        self._store, self._flush = store, flush
        self._rows: list[PointRows] = []
        self._since = time.monotonic()

    def add(self, rows: PointRows) -> None:
        self._rows.append(rows)
        waited = time.monotonic() - self._since
        if len(self._rows) >= self._flush.points or waited >= self._flush.seconds:
            self.write()

    def write(self) -> None:
        if self._rows:
            self._store.append(
                [point for rows in self._rows for point in rows.points],
                [segment for rows in self._rows for segment in rows.segments],
            )
        self._rows, self._since = [], time.monotonic()


def _completed(tasks: Iterator[Task], stop: Sequence[str]) -> Iterator[PointRows]:
    """Keep a bounded number of tasks in flight; yield their rows in the order they finish.

    stop: once it holds anything, tasks that are not finished are left alone.
    """
    remote = ray.remote(num_cpus=1, max_retries=MAX_RETRIES)(run_point)
    sent: dict[str, Any] = {}
    running: dict[Any, Task] = {}
    for problem, point in tasks:
        if problem.problem_id not in sent:
            sent = {problem.problem_id: ray.put(problem)}
        running[remote.remote(sent[problem.problem_id], point)] = (problem, point)
        while len(running) >= _most_in_flight() and not stop:
            yield from _finished(running)
        if stop:
            return
    while running and not stop:
        yield from _finished(running)


def _most_in_flight() -> int:
    """Bound the tasks in flight by the CPUs that the cluster has now."""
    cpus = ray.cluster_resources().get("CPU", 1)  # type: ignore[no-untyped-call]
    return max(int(cpus), 1) * IN_FLIGHT_PER_CPU


def _finished(running: dict[Any, Task]) -> Iterator[PointRows]:
    """Wait for at least one task; yield the rows of all that are done."""
    ready, _ = ray.wait(list(running), num_returns=1, timeout=SECONDS_BETWEEN_LOOKS)
    more, _ = ray.wait(list(running), num_returns=len(running), timeout=0)
    for reference in {*ready, *more}:
        problem, point = running.pop(reference)
        try:
            yield ray.get(reference)
        except RayError as error:
            yield failed(problem, point, f"{type(error).__name__}: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason")


@contextmanager
def _stop_on_signal() -> Iterator[list[str]]:
    """Yield a list to which SIGINT and SIGTERM add their names, instead of breaking in.

    So rows are never half handed over; whoever reads the list stops at the next good place.
    """
    asked: list[str] = []

    def note(number: int, _frame: FrameType | None) -> None:
        asked.append(signal.Signals(number).name)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
