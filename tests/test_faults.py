"""Workers, solvers and nodes that fail: each becomes a row with its reason, and the sweep goes on.

What goes wrong is done by a stand-in for the solving of a point, within a worker's process.
"""

import ctypes
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.driver import Tally, TaskRules, run_sweep
from pipeline.points import Point, Problem, Task, make_point
from pipeline.results import load
from pipeline.results.frames import records
from pipeline.run import PointRows, Solve, run_point
from pipeline.sweep import run_record
from tests.sweeps import small_config, small_problem, store_for

pytest_plugins = ["tests.local_ray"]
pytestmark = pytest.mark.usefixtures("local_ray")


def with_fault(fault: Callable[[], None]) -> Solve:
    """Return a way to solve points at which a fault comes first where the method is `ratio`."""

    def solve(problem: Problem, point: Point) -> PointRows:
        if point.method == "ratio":
            fault()
        return run_point(problem, point)

    return solve


def swept(folder: Path, solve: Solve, **rules: Any) -> dict[str, dict[str, Any]]:
    """Sweep a point that meets a fault between two that do not; return the rows by method."""
    loaded, problem = small_config(folder), small_problem(folder)
    store = store_for(loaded, folder / "run")
    store.prepare(run_record(loaded))
    tasks: list[Task] = [
        (problem, make_point(problem, "exact", "frontier")),
        (problem, make_point(problem, "exact", "ratio")),
        (problem, make_point(problem, "exact", "enumeration", 0.5)),
    ]
    tally = Tally()
    run_sweep(iter(tasks), store, tally, solve=solve, rules=TaskRules(**rules))
    rows = {row["method"]: row for row in records(load(folder / "run").points)}
    assert tally.done == len(rows) == 3
    assert rows["frontier"]["status"] == rows["enumeration"]["status"] == "optimal"
    return rows


def once(folder: Path, fault: Callable[[], None]) -> Callable[[], None]:
    """Let a fault happen the first time alone, in whatever process that is."""
    mark = folder / "happened"

    def first_time() -> None:
        if not mark.exists():
            mark.write_text("")
            fault()

    return first_time


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_point_whose_worker_is_killed_once_is_solved_by_another(tmp_path: Path) -> None:
    row = swept(tmp_path, with_fault(once(tmp_path, killed)))["ratio"]
    assert row["status"] == "optimal"


def exits() -> None:
    os._exit(3)


def segmentation_fault() -> None:
    ctypes.string_at(0)


@pytest.mark.parametrize("fault", [exits, segmentation_fault, killed])
def test_a_solver_that_ends_its_process_every_time_gives_a_row_that_says_so(
    tmp_path: Path, fault: Callable[[], None]
) -> None:
    row = swept(tmp_path, with_fault(fault), max_retries=1)["ratio"]
    assert row["status"] == "error"
    assert row["message"].startswith("WorkerCrashedError: The worker died")
    assert "tried 2 times" in row["message"]


def test_a_task_that_raises_is_not_tried_again(tmp_path: Path) -> None:
    def fault() -> None:
        with (tmp_path / "tries").open("a") as tries:
            tries.write("x")
        raise ZeroDivisionError("no layers left")

    row = swept(tmp_path, with_fault(fault))["ratio"]
    assert row["status"] == "error"
    assert row["message"] == "ZeroDivisionError: no layers left"
    assert (tmp_path / "tries").read_text() == "x"


def test_a_point_over_its_time_limit_is_ended_and_its_row_names_the_limit(tmp_path: Path) -> None:
    endless = with_fault(lambda: time.sleep(600))
    loaded = small_config(tmp_path, {"solver.time_limit_s": 1.0})
    problem = small_problem(tmp_path, {"solver.time_limit_s": 1.0})
    store = store_for(loaded, tmp_path / "run")
    store.prepare(run_record(loaded))
    tasks = [
        (problem, make_point(problem, "exact", "ratio")),
        (problem, make_point(problem, "exact", "enumeration", 0.5)),
    ]
    tally = Tally()
    started = time.monotonic()
    run_sweep(iter(tasks), store, tally, solve=endless, rules=TaskRules(grace_s=0.5))
    assert time.monotonic() - started < 60
    assert tally.by_status == {"error": 1, "optimal": 1}
    messages = load(tmp_path / "run").points.set_index("status").message
    assert messages["error"].startswith(
        "over its time limit: not finished 0.5 s after the 1 s that its solver has"
    )


def exhausts_memory() -> None:
    """Allocate without end within a limit of 256 MB above what the process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limits = resource.getrlimit(resource.RLIMIT_AS)
    most = pages * resource.getpagesize() + 256 * 1024**2
    resource.setrlimit(resource.RLIMIT_AS, (most, limits[1]))
    try:
        held = []
        while True:
            held.append(bytearray(16 * 1024**2))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def test_a_task_that_exhausts_its_memory_gives_a_row_that_says_so(tmp_path: Path) -> None:
    row = swept(tmp_path, with_fault(exhausts_memory))["ratio"]
    assert row["status"] == "error"
    assert row["message"].startswith("MemoryError")
