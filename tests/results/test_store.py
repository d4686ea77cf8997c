"""A folder in which every file is whole, whatever happened to the run."""

import json
import os
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.errors import ResultsError
from pipeline.results import load, parts
from pipeline.results.checked import read_bounded
from pipeline.results.folder import Folder, LocalFolder, Place, folder_at
from pipeline.results.parts import part_files, read_tables
from pipeline.results.schema import pareto_id, swept_column
from pipeline.results.status import _latest_rows
from pipeline.results.store import PARTS_PER_TIER, Store, read_run
from tests.results.builders import error_row, point_row, segment_row

RUN: dict[str, Any] = {
    "status": "running",
    "started_at": "2026-01-01T00:00:00+00:00",
    "instance_hash": "one",
    "swept_fields": [],
    "granularities": ["exact"],
    "config": {},
}
LATER = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def store(place: str) -> Store:
    """Return the store of a run, on each kind of storage."""
    ready = Store(place)
    ready.prepare(RUN)
    return ready


@pytest.fixture
def local_store(tmp_path: Path) -> Store:
    """Return the store of a run in a folder of this machine."""
    ready = Store(tmp_path / "run")
    ready.prepare(RUN)
    return ready


def ids(directory: Place) -> list[str]:
    tables = read_tables(directory)
    assert tables is not None
    return sorted(tables.points["point_id"].to_pylist())


def dies_before(
    monkeypatch: pytest.MonkeyPatch, folder: Folder, method: str, is_time: Callable[[str], bool]
) -> None:
    """Let the process die as a folder writes or removes a file of a certain name."""
    act = getattr(type(folder), method)

    def dies(within: Folder, name: str, *content: bytes) -> None:
        if is_time(name):
            raise KeyboardInterrupt
        act(within, name, *content)

    monkeypatch.setattr(type(folder), method, dies)


def full_disk(*_: Any) -> None:
    raise OSError(28, "No space left on device")


def test_rows_come_back_as_they_were_written(store: Store) -> None:
    store.append([point_row("a")], [segment_row("a", 0), segment_row("a", 1, gpu="Slow")])
    tables = read_tables(store.directory)
    assert tables is not None
    point = tables.points.to_pylist()[0]
    assert (point["throughput_tokens_per_s"], point["cost_usd_per_hour"]) == (400.0, 0.75)
    assert point["budget_usd_per_hour"] is None
    assert [(s["stage"], s["gpu"]) for s in tables.segments.to_pylist()] == [
        (0, "Fast"),
        (1, "Slow"),
    ]


def test_a_file_appears_in_its_table_only_by_renaming(
    local_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed: list[tuple[str, str, int]] = []
    replace = os.replace

    def note(source: Path, target: Path) -> None:
        rows = read_bounded(folder_at(source.parent).opened(source.name)).num_rows
        renamed.append((source.parent.name, target.parent.name, rows))
        replace(source, target)

    monkeypatch.setattr(os, "replace", note)
    local_store.append([point_row("a")], [segment_row("a", 0), segment_row("a", 1)])
    assert renamed == [("run", "segments", 2), ("run", "points", 1)]


def test_a_crash_while_a_file_is_written_leaves_the_tables_as_they_were(
    local_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = local_store
    store.append([point_row("a")], [segment_row("a")])

    def dies(_descriptor: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", dies)
        with pytest.raises(KeyboardInterrupt):
            store.append([point_row("b")], [segment_row("b")])
    assert ids(store.directory) == ["a"]
    assert [name for name in store.directory.names() if name.startswith(".segments-part-0-")]
    store.prepare(RUN)
    assert store.directory.names() == ["run.json"], "what was half written is cleared away"


@pytest.mark.parametrize("kept", [{"here": -1}, {"here": "1"}, [1.0], {"here": [1]}])
def test_a_ballpark_that_is_no_cost_is_refused(store: Store, kept: Any) -> None:
    store.write_run({**RUN, "ballparks_usd_per_hour": kept})
    with pytest.raises(ResultsError, match=r"run\.json: ballparks_usd_per_hour"):
        Store(store.directory).prepare(RUN)


def test_a_crash_between_segments_and_points_leaves_a_readable_folder(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append([point_row("a")], [segment_row("a")])
    with monkeypatch.context() as patched:
        dies_before(patched, store.directory, "write", lambda name: name.startswith("points/"))
        with pytest.raises(KeyboardInterrupt):
            # The answer that was lost had one stage more than the one found the next time.
            store.append([point_row("b")], [segment_row("b", stage) for stage in range(3)])
    assert store.done().ids == {"a"}
    assert set(load(store.directory).segments.point_id) == {"a"}
    store.append([point_row("b")], [segment_row("b", stage) for stage in range(2)])
    store.finish(stopped=False, failed=0)
    assert list(load(store.directory).placement("b").stage) == [0, 1]
    assert len(part_files(store.directory, "segments")) == 1


def test_a_crash_while_parts_are_merged_loses_and_doubles_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The merged part is listed first, so that of equal rows those of the older parts are read.
    names = iter("9870")
    monkeypatch.setattr(uuid, "uuid4", lambda: SimpleNamespace(hex=next(names)))
    for name in "abc":
        store.append([point_row(name)], [segment_row(name)])
    removed: list[str] = []

    def third(name: str) -> bool:
        removed.append(name)
        return len(removed) == 3

    with monkeypatch.context() as patched:
        dies_before(patched, store.directory, "remove", third)
        with pytest.raises(KeyboardInterrupt):
            store.compact()
    assert len(part_files(store.directory, "points")) == 2
    results = load(store.directory)
    assert sorted(results.points.point_id) == ["a", "b", "c"]
    assert sorted(results.segments.point_id) == ["a", "b", "c"]


def test_merging_leaves_one_part_of_each_table_with_the_same_rows(store: Store) -> None:
    for name in "abc":
        store.append([point_row(name)], [segment_row(name)])
    store.compact()
    points, segments = (part_files(store.directory, name) for name in ("points", "segments"))
    assert (len(points), points) == (1, segments)
    assert ids(store.directory) == ["a", "b", "c"]
    table = read_bounded(store.directory.opened(f"points/{points[0]}"))
    assert table.schema.metadata[b"schema_version"]


def test_a_failed_point_is_not_done_and_one_without_placement_is(store: Store) -> None:
    store.append([point_row("a"), error_row("b"), error_row("c", status="infeasible")], [])
    assert store.done().ids == {"a", "c"}


def test_the_best_price_of_the_rows_that_are_there_is_known_before_a_sweep_goes_on(
    store: Store,
) -> None:
    assert store.done().best_usd_per_token is None
    store.append([error_row("a")], [])
    assert store.done().best_usd_per_token is None
    for name, price in (("b", 3e-7), ("c", 2e-7)):
        store.append([point_row(name, cost_usd_per_token=price), error_row(f"{name}2")], [])
    assert store.done().best_usd_per_token == 2e-7


def test_a_point_that_was_run_again_counts_once_as_it_came_out_last(store: Store) -> None:
    store.append([error_row("a")], [])
    store.append([point_row("a", finished_at=LATER)], [segment_row("a")])
    assert list(load(store.directory).points.status) == ["optimal"]
    store.compact()
    assert list(load(store.directory).points.status) == ["optimal"]


def test_an_answer_replaces_an_error_whose_host_had_a_clock_that_is_fast(store: Store) -> None:
    store.append([error_row("a", finished_at=LATER)], [])
    store.append([point_row("a")], [segment_row("a")])
    assert list(load(store.directory).points.status) == ["optimal"]
    assert [row["status"] for row in _latest_rows(store.directory, RUN)] == ["optimal"]
    store.compact()
    assert list(load(store.directory).points.status) == ["optimal"]
    assert list(load(store.directory).segments.point_id) == ["a"]


def test_a_frontier_that_failed_before_leaves_no_error_behind(store: Store) -> None:
    store.append([error_row("a", method="frontier")], [])
    rows = [
        point_row(pareto_id("a", i), finished_at=LATER + timedelta(microseconds=i))
        for i in range(3)
    ]
    store.append(rows, [segment_row(pareto_id("a", i)) for i in range(3)])
    store.finish(stopped=False, failed=0)
    assert ids(store.directory) == ["a-0", "a-1", "a-2"]
    assert sorted(load(store.directory).segments.point_id) == ["a-0", "a-1", "a-2"]


def test_the_end_of_a_run_is_noted(store: Store) -> None:
    store.append([point_row("a")], [])
    store.finish(stopped=True, failed=2)
    run = read_run(store.directory)
    assert (run["status"], run["failed"]) == ("stopped", 2)
    assert datetime.fromisoformat(run["finished_at"])


def test_results_of_another_instance_are_left_alone(store: Store) -> None:
    store.append([point_row("a")], [])
    for change in ({"instance_hash": "two"}, {"swept_fields": ["workload.batch_size"]}):
        with pytest.raises(ResultsError, match=r"another .*--out, or --fresh"):
            store.prepare({**RUN, **change})
    assert ids(store.directory) == ["a"]
    assert read_run(store.directory)["instance_hash"] == "one"


def test_fresh_removes_the_results_of_another_instance_and_nothing_else(store: Store) -> None:
    store.append([point_row("a")], [segment_row("a")])
    store.directory.write("notes.txt", b"mine")
    store.prepare({**RUN, "instance_hash": "two"}, fresh=True)
    assert read_tables(store.directory) is None
    assert not part_files(store.directory, "segments")
    assert store.directory.read("notes.txt") == b"mine"


def test_granularities_of_an_earlier_run_stay_before_the_new_ones(store: Store) -> None:
    store.prepare({**RUN, "granularities": ["coarse", "exact"]})
    assert read_run(store.directory)["granularities"] == ["exact", "coarse"]


def test_swept_values_of_every_kind_can_be_written_and_read(place: str) -> None:
    over: dict[str, list[Any]] = {"a.list": [[1, 2], [4]], "a.limit": [None, 4], "a.share": [1, 2]}
    store = Store(place, [swept_column(name, values) for name, values in over.items()])
    run = {**RUN, "swept_fields": list(over)}
    store.prepare(run)
    store.append([point_row("a", **{"a.list": [1, 2], "a.limit": 4, "a.share": 1})], [])
    nothing = point_row("b", **{"a.list": [4], "a.share": 2})
    store.append([type(nothing)({**nothing.values, "a.limit": None})], [])
    # The field's values of a later run are fractions, so the column of both holds fractions.
    later = Store(place, [swept_column(n, [0.5] if n == "a.share" else over[n]) for n in over])
    later.prepare(run)
    later.append([point_row("c", **{"a.list": [1], "a.limit": 4, "a.share": 0.5})], [])
    later.finish(stopped=False, failed=0)
    points = load(place).points.set_index("point_id")
    assert list(points.loc[["a", "b", "c"], "a.share"]) == [1.0, 2.0, 0.5]
    assert [json.loads(text) for text in points.loc[["a", "b"], "a.list"]] == [[1, 2], [4]]
    assert [json.loads(text) for text in points.loc[["a", "b"], "a.limit"]] == [4, None]
    assert load(place).json_columns == {"a.list", "a.limit"}


@pytest.mark.parametrize(
    ("before", "after"),
    [([2.0, 4.0], [2.0, None]), (["v", "w"], ["v", None]), ([1, 2], ["x"]), ([True], [1])],
)
def test_swept_values_of_another_kind_are_refused_before_anything_is_run(
    place: str, before: list[Any], after: list[Any]
) -> None:
    run = {**RUN, "swept_fields": ["a"]}
    store = Store(place, [swept_column("a", before)])
    store.prepare(run)
    store.append([point_row("a", a=before[0])], [])
    later = Store(place, [swept_column("a", after)])
    with pytest.raises(ResultsError, match=r"holds .* for a, .* --out, or --fresh"):
        later.prepare(run)
    assert ids(store.directory) == ["a"]
    later.prepare(run, fresh=True)


def test_a_folder_that_cannot_be_written_is_an_error_with_its_name(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ResultsError, match="file/run: cannot write results"):
        Store(file / "run").prepare(RUN)


def test_a_full_disk_leaves_what_was_written_readable_and_no_half_file(
    local_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = local_store
    store.append([point_row("a")], [segment_row("a")])
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full_disk)
        with pytest.raises(ResultsError, match="run: cannot write results: No space left on"):
            store.append([point_row("b")], [segment_row("b")])
    assert ids(store.directory) == ["a"]
    assert store.directory.names() == ["run.json"]


def test_a_full_disk_at_the_end_of_a_run_is_an_error_too(
    local_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        local_store.append([point_row(name)], [])
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full_disk)
        with pytest.raises(ResultsError, match="No space left on device"):
            local_store.finish(stopped=False, failed=0)
    assert ids(local_store.directory) == ["a", "b"]


def test_a_table_folder_that_cannot_be_written_is_told_before_anything_is_run(
    tmp_path: Path,
) -> None:
    (tmp_path / "points").write_text("a file where the folder should be")
    with pytest.raises(ResultsError, match="cannot write results"):
        Store(tmp_path).prepare(RUN)


def test_results_of_another_schema_version_are_refused_and_left_alone(store: Store) -> None:
    store.append([point_row("a")], [])
    run = json.loads(store.directory.read("run.json"))
    old = json.dumps({**run, "schema_version": "0"}).encode()
    store.directory.write("run.json", old)
    with pytest.raises(ResultsError, match="schema_version must be"):
        store.prepare(RUN)
    assert store.directory.read("run.json") == old
    assert ids(store.directory) == ["a"]


def test_what_differs_from_the_config_of_an_earlier_run_is_named(store: Store) -> None:
    config = {"pool": [{"gpu": "A", "count": 1}], "limits": {"max_stages": 4}, "sweep": {"a": 1}}
    store.prepare({**RUN, "config": config})
    changed = {**config, "pool": [{"gpu": "A", "count": 2}], "sweep": {"a": 2}}
    with pytest.raises(ResultsError, match=r"instance \(pool.A.count: 1 there, 2 now\); choose"):
        store.prepare({**RUN, "config": changed, "instance_hash": "two"})


def test_many_parts_are_merged_while_they_grow_with_every_row_kept_once(store: Store) -> None:
    most = 0
    for index in range(PARTS_PER_TIER + 10):
        store.append([point_row(f"p{index}")], [segment_row(f"p{index}")])
        most = max(most, len(part_files(store.directory, "points")))
    assert most < PARTS_PER_TIER
    assert len(part_files(store.directory, "segments")) == 1 + 10
    expected = sorted(f"p{index}" for index in range(PARTS_PER_TIER + 10))
    assert ids(store.directory) == expected
    assert store.done().ids == set(expected)
    assert sorted(load(store.directory).segments.point_id) == expected


def test_a_reader_whose_files_are_merged_away_reads_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        store.append([point_row(name)], [segment_row(name)])
    read = parts.read_part
    merged: list[str] = []

    def merging(folder: Folder, table: str, part: str, columns: list[str] | None = None) -> Any:
        if table == "segments" and not merged:
            merged.append(part)
            store.compact()
        return read(folder, table, part, columns)

    monkeypatch.setattr(parts, "read_part", merging)
    tables = read_tables(store.directory)
    assert merged
    assert tables is not None
    assert sorted(tables.points["point_id"].to_pylist()) == ["a", "b", "c"]
    assert sorted(tables.segments["point_id"].to_pylist()) == ["a", "b", "c"]


def test_a_reader_that_finds_points_whose_segments_were_merged_away_reads_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        store.append([point_row(name)], [segment_row(name)])
    listed = parts.part_files
    asked: list[str] = []

    def merging(folder: Place, table: str) -> list[str]:
        asked.append(table)
        if len(asked) == 2:  # the points were read, their segments not yet listed
            store.compact()
        return listed(folder, table)

    monkeypatch.setattr(parts, "part_files", merging)
    tables = read_tables(store.directory)
    assert asked.count("points") == 2
    assert tables is not None
    assert sorted(tables.segments["point_id"].to_pylist()) == ["a", "b", "c"]


def test_results_lie_where_the_address_says(store: Store, place: str) -> None:
    store.append([point_row("a")], [segment_row("a")])
    store.finish(stopped=False, failed=0)
    assert isinstance(store.directory, LocalFolder) == ("://" not in place)
    assert str(store.directory) == str(load(place).directory) == place
    assert store.directory.names() == ["run.json"]
    assert [len(store.directory.names(table)) for table in ("points", "segments")] == [1, 1]


def test_a_resume_reads_every_part_once(
    local_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        local_store.append([point_row(name)], [])
    opened: list[str] = []
    real = LocalFolder.opened

    def noted(folder: LocalFolder, name: str) -> Any:
        opened.append(name)
        return real(folder, name)

    monkeypatch.setattr(LocalFolder, "opened", noted)
    assert local_store.done().ids == {"a", "b", "c"}
    assert len(opened) == len(set(opened)) == 3
