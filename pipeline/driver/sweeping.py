"""Runs a sweep: what tasks bring is counted, written and shown, until the end or a signal."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from pipeline.ballparks import BallparkSearch
from pipeline.driver.tally import Tally
from pipeline.driver.tasks import RULES, TaskRules, Tasks
from pipeline.points import Task
from pipeline.results.store import Store
from pipeline.run import PointRows, Solve, run_point


class Stopped(Exception):  # noqa: N818
    """The sweep was asked to stop; what was computed is written."""


@dataclass(frozen=True)
class FlushRule:
    """When rows are written: after so many points, or so many seconds, whichever comes first."""

    points: int = 500
    seconds: float = 5.0


def run_sweep(
    tasks: Iterator[Task | BallparkSearch],
    store: Store,
    tally: Tally,
    flush: FlushRule = FlushRule(),
    watch: Callable[[Tally], None] = lambda _: None,
    solve: Solve = run_point,
    rules: TaskRules = RULES,
) -> None:
    """Run every task and store its rows, and the ballparks that tasks wait for.

    Raises Stopped after SIGINT or SIGTERM.

    tally: filled as points come in. watch: called after each point. solve: what is done with a
    point, in a worker. Raises ResultsError where rows cannot be written.
    """
    started = time.monotonic()
    pending = _Pending(store, flush)
    with signals_noted() as asked:
        try:
            for rows in Tasks(solve, rules, store.note_ballpark).completed(tasks, asked):
                tally.seconds = time.monotonic() - started
                if rows is not None:
                    pending.add(rows)
                    tally.add(rows)
                pending.write_if_due()
                if rows is not None:
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
        self._since = 0.0

    def add(self, rows: PointRows) -> None:
        if not self._rows:
            self._since = time.monotonic()
        self._rows.append(rows)

    def write_if_due(self) -> None:
        waited = time.monotonic() - self._since
        if len(self._rows) >= self._flush.points or waited >= self._flush.seconds:
            self.write()

    def write(self) -> None:
        if self._rows:
            self._store.append(
                [point for rows in self._rows for point in rows.points],
                [segment for rows in self._rows for segment in rows.segments],
            )
        self._rows = []


@contextmanager
def signals_noted() -> Iterator[list[str]]:
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
