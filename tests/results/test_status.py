"""How far a run is, from its folder alone."""

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.cli.status_command import status_lines
from pipeline.errors import ResultsError
from pipeline.results import status
from pipeline.results.folder import Place
from pipeline.results.lock import locked
from pipeline.results.schema import pareto_id, swept_column
from pipeline.results.status import read_status
from pipeline.results.store import Store, read_run
from tests.results.builders import error_row, point_row

START = datetime(2026, 1, 1, tzinfo=UTC)
RUN = {
    "name": "small",
    "status": "running",
    "started_at": START.isoformat(),
    "planned_points": 20,
    "instance_hash": "one",
    "swept_fields": [],
    "granularities": ["exact"],
    "config": {},
}


def at(second: int) -> datetime:
    return START.replace(second=second)


@pytest.fixture
def store(place: str) -> Store:
    ready = Store(place)
    ready.prepare(RUN)
    return ready


def test_points_count_once_by_how_they_came_out_last(store: Store) -> None:
    store.append([error_row("a", finished_at=at(1)), error_row("b", finished_at=at(2))], [])
    store.append([point_row("a", finished_at=at(10), cost_usd_per_token=2e-7)], [])
    rows = [
        point_row(pareto_id("c", i), finished_at=at(4), cost_usd_per_token=(3 - i) * 1e-7)
        for i in range(3)
    ]
    store.append(rows, [])
    found = read_status(store.directory)
    assert found.by_status == {"optimal": 2, "error": 1}
    assert found.best_usd_per_token == 1e-7
    # Three points from 0.3 s before the first was finished until the last was, 8 s later.
    assert found.points_per_s == pytest.approx(3 / 8.3)
    assert found.last_point_at == at(10)


def test_a_run_that_was_killed_is_told_from_one_that_runs_and_one_that_ended(store: Store) -> None:
    store.append([point_row("a", finished_at=at(1))], [])
    assert read_status(store.directory).state == "died"
    with locked(store.directory):
        running = read_status(store.directory)
        assert running.state == "running"
        assert running.held_by is not None
        assert running.seconds_left is not None
    store.finish(stopped=True, failed=0)
    stopped = read_status(store.directory)
    assert (stopped.state, stopped.seconds_left) == ("stopped", None)


def test_a_run_that_ends_or_begins_while_it_is_looked_at_has_not_died(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append([point_row("a", finished_at=at(1))], [])
    with monkeypatch.context() as patched, ExitStack() as lock:
        lock.enter_context(locked(store.directory))

        def ending(place: Place) -> dict[str, Any]:
            run = read_run(place)
            store.finish(stopped=False, failed=0)
            lock.close()
            return run

        patched.setattr(status, "read_run", ending)
        assert read_status(store.directory).state == "running"
    assert read_status(store.directory).state == "finished"
    with monkeypatch.context() as patched, ExitStack() as lock:

        def beginning(place: Place) -> dict[str, Any]:
            lock.enter_context(locked(place))
            patched.setattr(status, "read_run", read_run)
            store.prepare(RUN)
            return read_run(place)

        patched.setattr(status, "read_run", beginning)
        assert read_status(store.directory).state == "running"


def test_a_point_that_a_host_whose_clock_is_ahead_has_finished_was_finished_now(
    store: Store,
) -> None:
    store.append([point_row("a", finished_at=datetime(2999, 1, 1, tzinfo=UTC))], [])
    (line,) = (text for text in status_lines(read_status(store.directory)) if "last" in text)
    assert line.endswith("last point 0 ms ago")


def test_the_rate_of_a_run_is_the_same_whoever_holds_its_lock(store: Store) -> None:
    # Ray had to start first: the first point was begun after 25 s.
    rows = [
        point_row(name, finished_at=at(t), total_seconds=5.0) for name, t in (("a", 30), ("b", 35))
    ]
    store.append(rows, [])
    rates = [read_status(store.directory).points_per_s]
    with locked(store.directory):
        rates.append(read_status(store.directory).points_per_s)
    store.finish(stopped=True, failed=0)
    rates.append(read_status(store.directory).points_per_s)
    assert rates == pytest.approx([0.2] * 3)


def test_points_of_another_plan_are_no_share_of_this_one(place: str) -> None:
    """Four points at exact were there, two budgets each of two limits; one is asked again."""
    sweep = {
        "granularities": ["coarse", "exact"],
        "methods": ["enumeration"],
        "budgets_usd_per_hour": [0.5, 1],
        "over": {"limits.max_stages": [2, 4]},
    }
    store = Store(place, [swept_column("limits.max_stages", [2, 4])])
    store.prepare({**RUN, "swept_fields": ["limits.max_stages"], "config": {"sweep": sweep}})
    before = [
        point_row(
            f"{budget:g}/{stages}",
            method="enumeration",
            budget_usd_per_hour=budget,
            finished_at=START.replace(year=2025),
            **{"limits.max_stages": stages},
        )
        for budget in (1.0, 2.0)
        for stages in (4, 8)
    ]
    store.append(before, [])
    with locked(store.directory):
        found = read_status(store.directory)
    assert (found.done, found.planned_done) == (4, 1)
    said = "1 of 20 points planned; with those of other plans 4 points: 4 optimal"
    assert status_lines(found)[1] == said


def test_budgets_at_a_kept_ballpark_are_told_from_those_of_another_plan(place: str) -> None:
    sweep = {
        "granularities": ["exact"],
        "methods": ["enumeration"],
        "budgets_usd_per_hour": "around_coarse",
    }
    store = Store(place)
    store.prepare({**RUN, "config": {"sweep": sweep}})
    store.note_ballpark("here", 2.0)
    # 0.4 and 1.2 times 2 are planned, 2.5 is not.
    rows = [
        point_row(f"{budget:g}", method="enumeration", budget_usd_per_hour=budget)
        for budget in (0.8, 2.4, 2.5)
    ]
    store.append(rows, [])
    found = read_status(store.directory)
    assert (found.done, found.planned_done) == (3, 2)


def test_a_row_that_stands_for_all_multiples_is_no_row_of_another_plan(store: Store) -> None:
    sweep = {"methods": ["enumeration"], "budgets_usd_per_hour": "around_coarse"}
    store.write_run({**RUN, "planned_points": 6, "config": {"sweep": sweep}})
    store.append([error_row("a", method="enumeration")], [])
    assert status_lines(read_status(store.directory))[1] == "6 of 6 points: 1 error"


def test_a_run_without_points_yet_has_a_status(store: Store) -> None:
    found = read_status(store.directory)
    assert (found.done, found.planned, found.points_per_s) == (0, 20, 0)
    assert found.best_usd_per_token is None


def test_a_folder_without_a_run_has_none(place: str) -> None:
    with pytest.raises(ResultsError, match="is this the folder of a sweep"):
        read_status(f"{place}/elsewhere")
