"""Points as Ray tasks: every task gives a row, and what is done is written."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import LoadedConfig
from pipeline.driver import FlushRule, Stopped, Tally, run_sweep, start_ray
from pipeline.errors import InputError
from pipeline.instance import Performance
from pipeline.points import Point, Problem, Task, make_point
from pipeline.results import load
from pipeline.results.frames import records
from pipeline.results.parts import part_files
from pipeline.results.store import read_run
from pipeline.run import PointRows, failed, run_point
from pipeline.settings import SolverSettings
from pipeline.sweep import missing_tasks, run_record
from tests.sweeps import ANSWERS, small_config, small_problem, store_for

pytest_plugins = ["tests.local_ray"]
pytestmark = pytest.mark.usefixtures("local_ray")


def sweep(loaded: LoadedConfig, directory: Path, **options: Any) -> Tally:
    """Run what is missing in a folder on Ray."""
    store = store_for(loaded, directory)
    store.prepare(run_record(loaded))
    tally = Tally()
    tasks = missing_tasks(loaded, store.done().ids, tally.skip, store.ballparks)
    try:
        run_sweep(tasks, store, tally, **options)
    finally:
        store.finish(stopped=False, failed=tally.failed)
    return tally


def answers(directory: Path) -> set[tuple[Any, ...]]:
    """Return status and answer of every point, whatever order they came in."""
    points = load(directory).points.fillna({"throughput_tokens_per_s": 0, "cost_usd_per_hour": 0})
    columns = ["point_id", "status", "throughput_tokens_per_s", "cost_usd_per_hour"]
    return set(points[columns].itertuples(index=False, name=None))


def test_every_point_of_a_sweep_becomes_a_row(tmp_path: Path) -> None:
    tally = sweep(small_config(tmp_path), tmp_path / "run")
    assert tally.by_status == {"optimal": 6, "infeasible": 4}
    assert len(load(tmp_path / "run").points) == len(ANSWERS) == 10
    # 0.5/(300·3600), all layers on Fast.
    assert tally.best_usd_per_token == pytest.approx(0.5 / (300 * 3600))


def test_a_second_run_runs_only_what_is_missing(tmp_path: Path) -> None:
    part = small_config(tmp_path, {"sweep.granularities": ["exact"]})
    assert sweep(part, tmp_path / "run").done == 5
    tally = sweep(small_config(tmp_path), tmp_path / "run")
    assert (tally.done, tally.skipped) == (5, 5)
    tally = sweep(small_config(tmp_path), tmp_path / "run")
    assert (tally.done, tally.skipped) == (0, 10)
    assert len(load(tmp_path / "run").points) == 10


def test_a_task_that_raises_becomes_a_row_and_is_run_again_next_time(tmp_path: Path) -> None:
    loaded = small_config(tmp_path)
    problem = small_problem(tmp_path)
    # Without its figures the GPU is unknown to the performance model.
    instance = replace(problem.instance, performance=Performance())
    broken = replace(problem, problem_id="broken", instance=instance)
    store = store_for(loaded, tmp_path / "run")
    store.prepare(run_record(loaded))
    tally = Tally()
    tasks = [
        (broken, make_point(problem, "exact", "ratio")),
        (problem, make_point(problem, "1+3", "enumeration", 0.5)),
    ]
    run_sweep(iter(tasks), store, tally)
    assert tally.by_status == {"error": 1, "infeasible": 1}
    messages = {row["method"]: row["message"] for row in records(load(tmp_path / "run").points)}
    assert messages["ratio"].startswith("KeyError: 'Fast'")
    again = sweep(loaded, tmp_path / "run")
    assert (again.done, again.skipped, again.failed) == (9, 1, 0)
    assert set(load(tmp_path / "run").points.status) == {"optimal", "infeasible"}


class Deadly(SolverSettings):
    """Settings that end the process that reads them, as a lack of memory would."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (1,)


def test_a_point_whose_worker_dies_becomes_a_row_and_the_sweep_goes_on(tmp_path: Path) -> None:
    problem = small_problem(tmp_path)
    deadly = replace(problem, problem_id="deadly", settings=Deadly())
    store = store_for(small_config(tmp_path), tmp_path / "run")
    store.prepare(run_record(small_config(tmp_path)))
    tally = Tally()
    tasks: list[Task] = [
        (deadly, make_point(deadly, "exact", "ratio")),
        (problem, make_point(problem, "exact", "ratio")),
    ]
    run_sweep(iter(tasks), store, tally)
    assert tally.by_status == {"error": 1, "optimal": 1}
    messages = load(tmp_path / "run").points.set_index("status").message
    assert "Died" in messages["error"] or "Crashed" in messages["error"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_sweep_with_everything_done_on_disk(
    tmp_path: Path, number: signal.Signals
) -> None:
    budgets = [0.1 + 0.01 * i for i in range(60)]
    loaded = small_config(tmp_path, {"sweep.budgets_usd_per_hour": budgets})
    handler = signal.getsignal(number)
    seen = Tally()

    def interrupt(tally: Tally) -> None:
        seen.by_status = dict(tally.by_status)
        if tally.done == 7:
            os.kill(os.getpid(), number)

    with pytest.raises(Stopped, match=number.name):
        sweep(loaded, tmp_path / "run", watch=interrupt)
    assert signal.getsignal(number) is handler
    stored = len(load(tmp_path / "run").points)
    assert 7 <= stored == seen.done < 122
    rest = sweep(loaded, tmp_path / "run")
    assert rest.done == 122 - stored
    sweep(loaded, tmp_path / "undisturbed")
    assert answers(tmp_path / "run") == answers(tmp_path / "undisturbed")


def test_a_sweep_that_was_asked_to_stop_hands_out_no_more_tasks(tmp_path: Path) -> None:
    loaded, problem = small_config(tmp_path), small_problem(tmp_path)
    store = store_for(loaded, tmp_path / "run")
    store.prepare(run_record(loaded))
    handed_out: list[float] = []

    def tasks() -> Iterator[Task]:
        for budget in range(300):
            handed_out.append(budget)
            yield problem, make_point(problem, "exact", "enumeration", float(budget))

    with pytest.raises(Stopped):
        run_sweep(tasks(), store, Tally(), watch=lambda _: os.kill(os.getpid(), signal.SIGINT))
    assert len(handed_out) < 100


def test_a_point_that_ended_before_a_stop_is_on_disk(tmp_path: Path) -> None:
    loaded, problem = small_config(tmp_path), small_problem(tmp_path)
    store = store_for(loaded, tmp_path / "run")
    store.prepare(run_record(loaded))
    solved = tmp_path / "solved"

    def solve(problem: Problem, point: Point) -> PointRows:
        rows = run_point(problem, point)
        solved.touch()
        return rows

    def tasks() -> Iterator[Task]:
        yield problem, make_point(problem, "exact", "ratio")
        # What comes next takes its time, as a search for a ballpark does.
        until = time.monotonic() + 60
        while not solved.exists() and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(2)  # for the answer to come back
        os.kill(os.getpid(), signal.SIGINT)
        yield problem, make_point(problem, "exact", "frontier")

    with pytest.raises(Stopped):
        run_sweep(tasks(), store, Tally(), solve=solve)
    assert "ratio" in set(load(tmp_path / "run").points.method)


def test_rows_are_written_while_the_sweep_runs(tmp_path: Path) -> None:
    written: list[int] = []

    def look(_: Tally) -> None:
        written.append(len(part_files(tmp_path / "run", "points")))

    sweep(small_config(tmp_path), tmp_path / "run", flush=FlushRule(points=2), watch=look)
    assert written == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]


def test_a_plan_that_breaks_off_loses_nothing_that_was_done(tmp_path: Path) -> None:
    loaded, problem = small_config(tmp_path), small_problem(tmp_path)
    store = store_for(loaded, tmp_path / "run")
    store.prepare(run_record(loaded))

    def tasks() -> Iterator[Task]:
        for budget in range(20):
            yield problem, make_point(problem, "exact", "enumeration", float(budget))
        raise InputError([])

    tally = Tally()
    with pytest.raises(InputError):
        run_sweep(tasks(), store, tally)
    assert len(load(tmp_path / "run").points) == tally.done > 0


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9"])
def test_an_address_without_ray_is_told_at_once(address: str) -> None:
    with pytest.raises(InputError, match="--address: no Ray there") as error:
        start_ray(address)
    assert address in str(error.value)


@pytest.mark.parametrize(
    ("noted", "reason"),
    [
        ("127.0.0.1:9", r"127\.0\.0\.1:9: .*refused"),
        ("ray://127.0.0.1:9", r"127\.0\.0\.1:9: .*refused"),
        ("local", "RAY_ADDRESS is local: leave it out to start a Ray"),
    ],
)
def test_a_cluster_that_was_noted_and_is_gone_is_told_at_once(
    noted: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", noted)
    with pytest.raises(InputError, match=f"--address: no Ray there: {reason}"):
        start_ray("auto")


@pytest.mark.parametrize("address", ["local", "", "nowhere", ":6379", "ray://", "127.0.0.1:99999"])
def test_an_address_that_names_no_cluster_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="--address: no Ray there: "):
        start_ray(address)


@pytest.mark.parametrize(
    "error", [Exception("The node timed out.\nLogs: none"), FileNotFoundError("The node timed out")]
)
def test_a_ray_that_does_not_start_is_told_with_its_reason(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> None:
        raise error

    monkeypatch.setattr(sys.modules["ray"], "init", refuse)
    with pytest.raises(InputError, match="Ray: did not start: The node timed out; see that"):
        start_ray()


def test_ray_listens_on_this_machine_alone_and_reports_nothing() -> None:
    ray = sys.modules["ray"]
    assert [node["NodeManagerAddress"] for node in ray.nodes()] == ["127.0.0.1"]
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_a_task_has_as_many_cpus_as_its_solver_has_threads(tmp_path: Path) -> None:
    def solve(problem: Problem, point: Point) -> PointRows:
        import ray

        context: Any = ray.get_runtime_context()
        cpus = context.get_assigned_resources()["CPU"]
        return failed(problem, point, f"{cpus:g} CPUs for {problem.settings.threads} threads")

    for threads in (1, 2):
        loaded = small_config(tmp_path, {"solver.threads": threads, "sweep.methods": ["ratio"]})
        sweep(loaded, tmp_path / str(threads), solve=solve)
        messages = set(load(tmp_path / str(threads)).points.message)
        assert messages == {f"{threads} CPUs for {threads} threads"}


def test_more_threads_than_any_node_has_cpus_are_refused_instead_of_waited_for(
    tmp_path: Path,
) -> None:
    loaded = small_config(tmp_path, {"solver.threads": 3})
    with pytest.raises(InputError, match=r"solver\.threads: must be at most 2"):
        sweep(loaded, tmp_path / "run")


def test_rows_are_written_by_time_even_while_no_point_comes_in(tmp_path: Path) -> None:
    run = tmp_path / "run"

    def solve(problem: Problem, point: Point) -> PointRows:
        if point.granularity == "1+3":  # waits until the other point is on disk
            deadline = time.monotonic() + 30
            while not part_files(run, "points") and time.monotonic() < deadline:
                time.sleep(0.05)
        return failed(problem, point, str(len(part_files(run, "points"))))

    loaded = small_config(tmp_path, {"sweep.methods": ["ratio"]})
    sweep(loaded, run, solve=solve, flush=FlushRule(points=100, seconds=0.3))
    assert list(load(run).points.sort_values("granularity").message) == ["1", "0"]


def test_rows_too_many_to_travel_within_a_message_come_back_whole(tmp_path: Path) -> None:
    """Ray sends what has more than 100 kB by its object store."""

    def solve(problem: Problem, point: Point) -> PointRows:
        return failed(problem, point, "x" * 300_000)

    sweep(small_config(tmp_path, {"sweep.methods": ["ratio"]}), tmp_path / "run", solve=solve)
    assert set(load(tmp_path / "run").points.message) == {"x" * 300_000}


RELATIVE = {"sweep.budgets_usd_per_hour": "around_coarse", "sweep.methods": ["enumeration"]}


def is_search(point: Point) -> bool:
    return point.method == "ratio"


def no_ballpark(problem: Problem, point: Point) -> PointRows:
    """Solve points, but no search for a ballpark."""
    return failed(problem, point, "lost") if is_search(point) else run_point(problem, point)


def test_a_ballpark_is_kept_so_that_a_resume_has_the_same_budgets(tmp_path: Path) -> None:
    loaded = small_config(tmp_path, {**RELATIVE, "sweep.granularities": ["exact"]})
    assert sweep(loaded, tmp_path / "run").done == 6
    # All on Fast, by hand.
    assert list(read_run(tmp_path / "run")["ballparks_usd_per_hour"].values()) == [0.5]
    more = small_config(tmp_path, RELATIVE)
    # A search would fail now, but none is needed.
    again = sweep(more, tmp_path / "run", solve=no_ballpark)
    assert (again.done, again.skipped, again.failed) == (6, 6, 0)
    points = load(tmp_path / "run").points
    assert set(points.budget_usd_per_hour) == {0.2, 0.35, 0.45, 0.5, 0.6, 0.75}


def test_without_a_ballpark_rows_say_so_until_a_resume_finds_one(tmp_path: Path) -> None:
    loaded = small_config(tmp_path, RELATIVE)
    assert sweep(loaded, tmp_path / "run", solve=no_ballpark).by_status == {"error": 2}
    points = load(tmp_path / "run").points
    assert set(points.status) == {"error"}
    assert set(points.message) == {"no ballpark that the budgets are multiples of: lost"}
    assert "ballparks_usd_per_hour" not in read_run(tmp_path / "run")
    time.sleep(1)  # times in `run.json` are whole seconds
    again = sweep(loaded, tmp_path / "run")
    assert (again.done, again.skipped, again.failed) == (12, 0, 0)
    points = load(tmp_path / "run").points
    assert (len(points), "error" in set(points.status)) == (12, False)


def test_a_sweep_writes_and_stops_while_a_ballpark_is_searched(tmp_path: Path) -> None:
    loaded = small_config(tmp_path, {**RELATIVE, "sweep.methods": ["enumeration", "frontier"]})
    run = tmp_path / "run"

    def solve(problem: Problem, point: Point) -> PointRows:
        if is_search(point):
            time.sleep(60)
        return run_point(problem, point)

    written: list[int] = []

    def interrupt() -> None:
        while not part_files(run, "points"):
            time.sleep(0.05)
        written.append(1)
        os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=interrupt, daemon=True)
    watcher.start()
    started = time.monotonic()
    with pytest.raises(Stopped):
        sweep(loaded, run, solve=solve, flush=FlushRule(points=100, seconds=0.2))
    assert written == [1]
    assert time.monotonic() - started < 40
    assert set(load(run).points.method) == {"frontier"}
