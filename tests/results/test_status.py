"""How far a run is, from its folder alone."""

from datetime import UTC, datetime

import pytest

from pipeline.errors import ResultsError
from pipeline.results.lock import locked
from pipeline.results.schema import pareto_id
from pipeline.results.status import read_status
from pipeline.results.store import Store
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
    # Three points within the ten seconds from the start to the last of them.
    assert found.points_per_s == pytest.approx(0.3)
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


def test_a_run_without_points_yet_has_a_status(store: Store) -> None:
    found = read_status(store.directory)
    assert (found.done, found.planned, found.points_per_s) == (0, 20, 0)
    assert found.best_usd_per_token is None


def test_a_folder_without_a_run_has_none(place: str) -> None:
    with pytest.raises(ResultsError, match="is this the folder of a sweep"):
        read_status(f"{place}/elsewhere")
