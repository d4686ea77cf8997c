"""What a sweep costs beside its points, measured piece by piece; `tests/scaling.py` adds it up.

The solving is replaced where it is not what is measured: workers give one stored answer under
each point's own id, at once or after sleeping as long as a point would take.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.ballparks import BallparkSearch, ballpark_usd_per_hour
from pipeline.config import LoadedConfig, load_config
from pipeline.config.counts import num_points
from pipeline.instance import Instance
from pipeline.points import Point, Problem, Scales, make_point
from pipeline.results.schema import PointRow
from pipeline.run import PointRows, run_point
from pipeline.settings import SolverSettings
from pipeline.sweep import missing_tasks, points, problem_of, problems, run_record
from tests.bench import large_pool
from tests.sweeps import store_for

CONFIGS = Path(__file__).parent.parent / "configs"
MEDIUM = CONFIGS / "medium.yaml"
# The budgets of the points that are timed, as multiples of the cheapest placement's cost; and
# the CPU time after which no further point of a kind is.
METHODS: Mapping[str, tuple[float | None, ...]] = {
    "enumeration": (0.75, 1.0, 1.5, 2.0, 3.0, 4.0),
    "ratio": (None, None, None),
    "weighted": (None,),
    "frontier": (None,),
}
ENOUGH_S = 10.0
ROWS_PER_PART = 500
BUDGETS_PER_PROBLEM = 100
# The cheapest placement of the sample rows fits these budgets, $/h.
SMALLEST_BUDGET, BUDGET_STEP = 5.0, 0.01


@dataclass(frozen=True)
class PointTime:
    """CPU seconds that points of one kind take, once the worker has met their problem.

    rows: of the last of them; a frontier has many.
    """

    instance: str
    method: str
    granularity: str
    seconds: float
    points: int
    rows: int


def point_times(granularities: tuple[str, ...] = ("coarse", "exact")) -> Iterator[PointTime]:
    """Time the methods on the reference instance, on 1,104 GPUs and on a real model's config."""
    for problem in (medium_problem(), large_problem(), real_problem()):
        around = ballpark_usd_per_hour(BallparkSearch(problem), run_point) or 1.0
        for name in granularities:
            run_point(problem, make_point(problem, name, "ratio"))  # makes what all points share
            for method, factors in METHODS.items():
                budgets = [None if f is None else f * around for f in factors]
                seconds: list[float] = []
                found: list[PointRows] = []
                for budget in budgets:
                    if sum(seconds) < ENOUGH_S:
                        asked = make_point(problem, name, method, budget)
                        seconds.append(cpu_timed(partial(_solve_into, found, problem, asked)))
                median, rows = statistics.median(seconds), len(found[-1].points)
                yield PointTime(problem.instance.name, method, name, median, len(seconds), rows)


def _solve_into(found: list[PointRows], problem: Problem, point: Point) -> None:
    """Solve a point and keep its rows."""
    found.append(run_point(problem, point))


def medium_problem() -> Problem:
    """Return the problem of the reference config."""
    return problem_of(load_config(MEDIUM), {})


def large_problem() -> Problem:
    """Return the problem of 1,104 GPUs of ten types and 126 layers."""
    return _problem(large_pool())


def real_problem() -> Problem:
    """Return the problem of a real model on a cloud pool, under the roofline model."""
    return problem_of(load_config(CONFIGS / "llama-3.1-70b-cloud.yaml"), {})


def _problem(instance: Instance) -> Problem:
    return Problem(instance.name, instance, SolverSettings(), Scales(10000.0, 1.0, None), {})


def timed(run: Callable[[], object]) -> float:
    """Return how long a call takes by the clock, s."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def cpu_timed(run: Callable[[], object]) -> float:
    """Return the CPU time of a call, s, which others at work on the machine do not lengthen."""
    started = time.process_time()
    run()
    return time.process_time() - started


@dataclass(frozen=True)
class HandingOut:
    """What it took to hand out points and take in their rows. cpu_s: by kind of process."""

    in_flight: int
    points: int
    seconds: float
    cpu_s: Mapping[str, float]
    worker_mb: float

    @property
    def points_per_s(self) -> float:
        """Points by the clock."""
        return self.points / self.seconds

    def cpu_ms_per_point(self, kind: str) -> float:
        """CPU time of a kind of process for each point, ms."""
        return 1000 * self.cpu_s.get(kind, 0.0) / self.points


def handed_out(
    count: int, cpus: int = 2, in_flight_per_cpu: int = 4, sleep_s: float = 0.0
) -> HandingOut:
    """Run a sweep whose points take no work, on so many CPUs, real or claimed; measure it."""
    from pipeline.driver import Tally, TaskRules, run_sweep, start_ray, stop_ray

    loaded = sweep_of(count)
    solve = answering(sample_rows(), sleep_s)
    rules = TaskRules(in_flight_per_cpu=in_flight_per_cpu)
    with tempfile.TemporaryDirectory() as folder:
        start_ray(num_cpus=cpus)
        try:
            for name, most in (("warm", 2 * cpus), ("measured", count)):
                store = store_for(loaded, Path(folder) / name)
                store.prepare(run_record(loaded))
                tally = Tally()
                tasks = missing_tasks(loaded, set(), tally.skip, store.ballparks)
                started, before = time.perf_counter(), cpu_seconds()
                run_sweep(islice(tasks, most), store, tally, solve=solve, rules=rules)
                store.finish(stopped=False, failed=0)
            seconds, after = time.perf_counter() - started, cpu_seconds()
            spent = {kind: after[kind] - before.get(kind, 0.0) for kind in after}
            worker_mb = worker_megabytes()
        finally:
            stop_ray()
    return HandingOut(in_flight_per_cpu * cpus, tally.done, seconds, spent, worker_mb)


def answering(sample: PointRows, sleep_s: float) -> Callable[[Problem, Point], PointRows]:
    """Return what gives every point the same answer, after sleeping."""

    def solve(problem: Problem, point: Point) -> PointRows:
        if sleep_s:
            time.sleep(sleep_s)
        return under_id(sample, problem, point)

    return solve


def under_id(sample: PointRows, problem: Problem, point: Point) -> PointRows:
    """Return an answer as the rows of another point: of another budget or swept values."""
    own = {
        "point_id": point.point_id,
        "budget_usd_per_hour": point.budget_usd_per_hour,
        "finished_at": datetime.now(UTC),
        # No two points take the same time: equal columns would shrink to nothing in the files.
        **{f"{name}_seconds": random.random() for name in ("build", "solve", "total")},
        **problem.swept,
    }
    rows = tuple(PointRow({**row.values, **own}) for row in sample.points)
    segments = tuple(replace(s, point_id=point.point_id) for s in sample.segments)
    return PointRows(rows, segments)


def sample_rows() -> PointRows:
    """Return the answer of the reference instance at the lowest budget of `sweep_of`."""
    problem = medium_problem()
    return run_point(problem, make_point(problem, "coarse", "enumeration", SMALLEST_BUDGET))


def sweep_of(count: int) -> LoadedConfig:
    """Return a sweep of at least so many points, by prices and budgets, with one answer to all.

    The swept price is of a GPU that the answer has no use for.
    """
    num_budgets = min(count, BUDGETS_PER_PROBLEM)
    budgets = [round(SMALLEST_BUDGET + BUDGET_STEP * i, 4) for i in range(num_budgets)]
    prices = [round(0.7 + 0.001 * i, 4) for i in range(-(-count // num_budgets))]
    plan = {
        "granularities": ["coarse"],
        "methods": ["enumeration"],
        "budgets_usd_per_hour": budgets,
        "over": {"pool.L20.usd_per_hour": prices},
    }
    return load_config(MEDIUM, [("sweep", plan)])


def cpu_seconds() -> dict[str, float]:
    """Return the CPU time so far of this process and of those below it, s, by kind."""
    parents, names, seconds = {}, {}, {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = file.read_text()
        except OSError:
            continue  # ended meanwhile
        pid, after_name = int(file.parent.name), text.rindex(")")
        fields = text[after_name + 2 :].split()
        names[pid] = text[text.index("(") + 1 : after_name]
        parents[pid] = int(fields[1])
        seconds[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    spent: dict[str, float] = {}
    for pid, name in names.items():
        if _is_below(pid, parents):
            kind = "driver" if pid == os.getpid() else _kind(name)
            spent[kind] = spent.get(kind, 0.0) + seconds[pid]
    return spent


def _is_below(pid: int, parents: Mapping[int, int]) -> bool:
    while pid in parents and pid != os.getpid():
        pid = parents[pid]
    return pid == os.getpid()


def _kind(name: str) -> str:
    return "workers" if name.startswith("ray::") else name if name == "raylet" else "other"


def worker_megabytes() -> float:
    """Return the memory of a Ray worker, MB, what it shares counted by its share."""
    sizes = []
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text().startswith("ray::"):
                text = (comm.parent / "smaps_rollup").read_text()
                [line] = [line for line in text.splitlines() if line.startswith("Pss:")]
                sizes.append(int(line.split()[1]) / 1024)
        except OSError:
            continue
    return statistics.mean(sizes) if sizes else 0.0


def object_bytes() -> dict[str, int]:
    """Return how many bytes travel: a problem once for all its points, rows for each point."""
    medium = medium_problem()
    whole = run_point(medium, make_point(medium, "exact", "frontier"))
    things: dict[str, Any] = {
        "problem, 64 GPUs": medium,
        "problem, 1,104 GPUs": large_problem(),
        "problem, real model": real_problem(),
        "point": make_point(medium, "coarse", "enumeration", SMALLEST_BUDGET),
        "rows of a budget point": sample_rows(),
        f"rows of a frontier of {len(whole.points)}": whole,
    }
    return {name: len(pickle.dumps(thing)) for name, thing in things.items()}


@dataclass(frozen=True)
class Stored:
    """What it took to write so many rows. cpu_s: of appending and merging, without the rows' own.

    worst_append_s: the longest that one append held up the driver.
    """

    rows: int
    cpu_s: float
    worst_append_s: float
    bytes: int
    files: int


def stored(directory: Path, count: int) -> Stored:
    """Write so many made-up rows as a sweep would, and measure it; they hold when verified."""
    loaded, sample = sweep_of(count), sample_rows()
    store = store_for(loaded, directory)
    store.prepare(run_record(loaded))
    seconds: list[float] = []
    files, written = 0, 0
    asked = (
        (problem, point) for problem in problems(loaded) for point in points(loaded.config, problem)
    )
    made = (under_id(sample, *question) for question in islice(asked, count))
    while batch := list(islice(made, ROWS_PER_PART)):
        rows = [row for answer in batch for row in answer.points]
        segments = [segment for answer in batch for segment in answer.segments]
        before = time.process_time()
        store.append(rows, segments)
        seconds.append(time.process_time() - before)
        written += len(batch)
        files = max(files, len(list(directory.rglob("*.parquet"))))
    before = time.process_time()
    store.finish(stopped=written < num_points(loaded.config.sweep), failed=0)
    seconds.append(time.process_time() - before)
    size = sum(file.stat().st_size for file in directory.rglob("*.parquet"))
    return Stored(written, sum(seconds), max(seconds), size, files)


# What is done with the rows at a sweep's end or when it is resumed; `folder` is its folder.
AFTERWARDS = {
    "load": "from pipeline.results import load; load(folder)",
    "resume": "from pipeline.results.store import Store; assert Store(folder).done().ids",
    "status": "from pipeline.results.status import read_status; read_status(folder)",
    "verify": "from pipeline.audit import audit; found = audit(folder); "
    "assert not found.mismatches, found.mismatches[:3]",
    "compare": "from pipeline.cli.comparison import comparison_view; "
    "from pipeline.results import load; comparison_view(load(folder))",
    "report": "from pipeline.report import write_report; from pipeline.results import load; "
    "write_report(load(folder), folder / 'report.html', 1.0, False)",
}


@dataclass(frozen=True)
class Own:
    """What a process of its own took: CPU time, and its largest resident memory."""

    cpu_s: float
    peak_mb: float


def afterwards(what: str, directory: Path, limit_s: float = 600.0) -> Own:
    """Do one of AFTERWARDS with a folder, in a process of its own."""
    code = (
        "import json, re, sys, time; from pathlib import Path\n"
        f"folder = Path(sys.argv[1]); started = time.process_time()\n{AFTERWARDS[what]}\n"
        "seconds, status = time.process_time() - started, Path('/proc/self/status').read_text()\n"
        "print(json.dumps([seconds, int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) / 1024]))"
    )
    command = [sys.executable, "-c", code, str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s)
    if done.returncode:
        raise RuntimeError(f"{what}: {done.stderr[-500:]}")
    return Own(*json.loads(done.stdout.splitlines()[-1]))


def start_seconds() -> dict[str, float]:
    """Return how long starting takes: the imports of a worker, a local Ray, its first task."""
    from pipeline.driver import start_ray, stop_ray

    imports = "import pipeline.run"
    command = [sys.executable, "-c", imports]
    alone = statistics.median(timed(lambda: subprocess.run(command, check=True)) for _ in range(3))
    up = timed(lambda: start_ray(num_cpus=2))
    try:
        import ray

        def first() -> None:
            import pipeline.run  # noqa: F401

        task = timed(lambda: ray.get(ray.remote(max_retries=0)(first).remote()))
    finally:
        stop_ray()
    return {"imports of a worker": alone, "local Ray": up, "first task of a worker": task}
