"""Runs inputs in worker processes with limits; a worker that hangs or dies is a failed input.

A worker runs its inputs one after the other in its own process, so that starting Python is paid
once. Before each input it writes it down, so that the parent knows which one was the last.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.cases import Case, from_json
from tests.fuzz.contract import MAX_GROWTH_MB, MAX_WAIT_SECONDS, Outcome, memory_kb, observed
from tests.fuzz.inputs import inputs
from tests.fuzz.targets import TARGETS, run_case

# A process that hears no signal for so long is stuck in compiled code, and is ended.
STUCK_SECONDS = 2 * MAX_WAIT_SECONDS
CURRENT = "current.json"


@dataclass(frozen=True)
class Batch:
    """So many inputs of one target, all that follow from one seed."""

    target: str
    seed: int
    count: int


@dataclass
class Tally:
    """What came of the inputs of one target. failures: by what failed, the first input of each."""

    inputs: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    peak_mb: float = 0.0
    failed: int = 0
    taken: int = 0
    slowest: Case | None = None
    failures: dict[str, Case] = field(default_factory=dict)

    def add(self, case: Case, outcome: Outcome) -> None:
        """Count one input."""
        self.inputs += 1
        self.taken += outcome.was_taken
        self.seconds += outcome.seconds
        if outcome.seconds > self.slowest_s:
            self.slowest, self.slowest_s = case, outcome.seconds
        self.peak_mb = max(self.peak_mb, outcome.growth_mb)
        if outcome.failure is not None:
            self.failed += 1
            self.failures.setdefault(outcome.failure, case)

    def merge(self, other: Tally) -> None:
        """Add what another worker counted."""
        self.inputs += other.inputs
        self.taken += other.taken
        self.seconds += other.seconds
        if other.slowest_s > self.slowest_s:
            self.slowest, self.slowest_s = other.slowest, other.slowest_s
        self.peak_mb = max(self.peak_mb, other.peak_mb)
        self.failed += other.failed
        for failure, case in other.failures.items():
            self.failures.setdefault(failure, case)


def tried(case: Case) -> Outcome:
    """Lay a case out in a folder of its own and run it under the contract."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        case.lay_out(folder)
        out = TARGETS[case.target].out
        return observed(lambda: run_case(case, folder), None if out is None else folder / out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_batch(batch: Batch, note: Path | None = None) -> Tally:
    """Run the inputs of a batch. note: a file to write each input to before it is run."""
    tally = Tally()

    @seed(batch.seed)
    @settings(
        max_examples=batch.count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs(batch.target))
    def each(case: Case) -> None:
        if tally.inputs == batch.count:
            return
        if note is not None:
            note.write_text(case.to_json(), encoding="utf-8")
        tally.add(case, tried(case))

    each()
    return tally


def _serve(connection: Connection, notes: str) -> None:
    """Run batches as they come, until None does."""
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while (batch := connection.recv()) is not None:
        _limit_growth()
        connection.send(run_batch(batch, Path(notes) / CURRENT))


def _limit_growth() -> None:
    """Let the process grow by three times what an input may take, from where it stands.

    What is promised is promised of an input. Over a worker's life its inputs themselves, which
    Hypothesis keeps, and the libraries' arenas add up to more than that.
    """
    most = memory_kb()["VmSize"] * 1024 + int(3 * MAX_GROWTH_MB) * 1024**2
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


class _Worker:
    """A process that runs batches, and the file that says which input it is at."""

    def __init__(self, context: Any, folder: Path) -> None:
        self.notes = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, str(folder)))
        self.process.start()
        theirs.close()
        self.batch: Batch | None = None

    def send(self, batch: Batch) -> None:
        self.batch = batch
        (self.notes / CURRENT).unlink(missing_ok=True)
        self.connection.send(batch)

    def stuck(self) -> bool:
        """Tell whether the input being run has been there for too long."""
        try:
            return time.time() - (self.notes / CURRENT).stat().st_mtime > STUCK_SECONDS
        except FileNotFoundError:
            return False

    def end(self) -> Case | None:
        """End the process; return the input that it was at."""
        self.process.kill()
        self.process.join()
        note = self.notes / CURRENT
        return from_json(note.read_text(encoding="utf-8")) if note.exists() else None


def run_all(
    batches: Sequence[Batch], workers: int, seconds: float
) -> Iterator[tuple[Batch, Tally]]:
    """Run batches on several workers for at most so many seconds; yield each as it is done."""
    os.environ["OMP_NUM_THREADS"] = "1"  # there are as many workers as there are to be threads
    context = multiprocessing.get_context("spawn")
    waiting, until = list(reversed(batches)), time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="fuzz-notes-") as folder:
        number = 0
        busy: list[_Worker] = []
        while busy or (waiting and time.monotonic() < until):
            while len(busy) < workers and waiting and time.monotonic() < until:
                number += 1
                busy.append(_Worker(context, Path(folder) / str(number)))
                busy[-1].send(waiting.pop())
            for worker in list(busy):
                if not wait([worker.connection], timeout=0.2 / len(busy)) and not worker.stuck():
                    continue
                assert worker.batch is not None
                batch = worker.batch
                try:
                    if worker.stuck() and not worker.connection.poll():
                        raise EOFError
                    yield batch, worker.connection.recv()
                    if waiting and time.monotonic() < until:
                        worker.send(waiting.pop())
                        continue
                    worker.end()
                except EOFError:
                    yield batch, _ended(worker)
                busy.remove(worker)


def _ended(worker: _Worker) -> Tally:
    """Count the input at which a worker hung or died; the rest of its batch was not run."""
    why = "stuck in compiled code" if worker.stuck() else "the process died"
    case, tally = worker.end(), Tally()
    if case is None:
        raise RuntimeError(f"a worker of {worker.batch} ended before its first input")
    tally.add(case, Outcome(f"{why}, exit code {worker.process.exitcode}", STUCK_SECONDS, 0.0))
    return tally
