"""A folder in which every file is whole, whatever happened to the run."""

import json
import os
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.errors import ResultsError
from pipeline.results import load
from pipeline.results.schema import pareto_id, swept_column
from pipeline.results.store import Store, part_files, read_run, read_tables
from tests.results.builders import error_row, point_row, segment_row

RUN: dict[str, Any] = {
    "status": "running",
    "instance_hash": "one",
    "swept_fields": [],
    "granularities": ["exact"],
    "config": {},
}
LATER = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    ready = Store(tmp_path / "run")
    ready.prepare(RUN)
    return ready


def ids(directory: Path) -> list[str]:
    tables = read_tables(directory)
    assert tables is not None
    return sorted(tables.points["point_id"].to_pylist())


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
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed: list[tuple[str, str, int]] = []
    replace = os.replace

    def note(source: Path, target: Path) -> None:
        renamed.append((source.parent.name, target.parent.name, pq.read_table(source).num_rows))
        replace(source, target)

    monkeypatch.setattr(os, "replace", note)
    store.append([point_row("a")], [segment_row("a", 0), segment_row("a", 1)])
    assert renamed == [("run", "segments", 2), ("run", "points", 1)]


def test_a_crash_while_a_file_is_written_leaves_the_tables_as_they_were(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append([point_row("a")], [segment_row("a")])

    def half(_table: Any, file: Path, **_options: Any) -> None:
        file.write_bytes(b"PAR1")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(pq, "write_table", half)
        with pytest.raises(KeyboardInterrupt):
            store.append([point_row("b")], [segment_row("b")])
    assert ids(store.directory) == ["a"]
    store.prepare(RUN)
    assert not list(store.directory.glob(".*")), "what was half written is cleared away"


def test_a_crash_between_segments_and_points_leaves_a_readable_folder(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def dies(source: Path, target: Path) -> None:
        if target.parent.name == "points":
            raise KeyboardInterrupt
        replace(source, target)

    store.append([point_row("a")], [segment_row("a")])
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", dies)
        with pytest.raises(KeyboardInterrupt):
            # The answer that was lost had one stage more than the one found the next time.
            store.append([point_row("b")], [segment_row("b", stage) for stage in range(3)])
    assert store.done_ids() == {"a"}
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
    unlink = Path.unlink
    removed: list[Path] = []

    def dies(file: Path, missing_ok: bool = False) -> None:
        if len(removed) == 2:
            raise KeyboardInterrupt
        removed.append(file)
        unlink(file, missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", dies)
        with pytest.raises(KeyboardInterrupt):
            store.compact()
    results = load(store.directory)
    assert sorted(results.points.point_id) == ["a", "b", "c"]
    assert sorted(results.segments.point_id) == ["a", "b", "c"]


def test_merging_leaves_one_part_of_each_table_with_the_same_rows(store: Store) -> None:
    for name in "abc":
        store.append([point_row(name)], [segment_row(name)])
    store.compact()
    parts = [part_files(store.directory, name) for name in ("points", "segments")]
    assert [len(files) for files in parts] == [1, 1]
    assert ids(store.directory) == ["a", "b", "c"]
    assert pq.read_table(parts[0][0]).schema.metadata[b"schema_version"]


def test_a_failed_point_is_not_done_and_one_without_placement_is(store: Store) -> None:
    store.append([point_row("a"), error_row("b"), error_row("c", status="infeasible")], [])
    assert store.done_ids() == {"a", "c"}


def test_a_point_that_was_run_again_counts_once_as_it_came_out_last(store: Store) -> None:
    store.append([error_row("a")], [])
    store.append([point_row("a", finished_at=LATER)], [segment_row("a")])
    assert list(load(store.directory).points.status) == ["optimal"]
    store.compact()
    assert list(load(store.directory).points.status) == ["optimal"]


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
    note = store.directory / "notes.txt"
    note.write_text("mine")
    store.prepare({**RUN, "instance_hash": "two"}, fresh=True)
    assert read_tables(store.directory) is None
    assert not part_files(store.directory, "segments")
    assert note.read_text() == "mine"


def test_granularities_of_an_earlier_run_stay_before_the_new_ones(store: Store) -> None:
    store.prepare({**RUN, "granularities": ["coarse", "exact"]})
    assert read_run(store.directory)["granularities"] == ["exact", "coarse"]


def test_swept_values_of_every_kind_can_be_written_and_read(tmp_path: Path) -> None:
    over: dict[str, list[Any]] = {"a.list": [[1, 2], [4]], "a.limit": [None, 4], "a.share": [1, 2]}
    store = Store(tmp_path, [swept_column(name, values) for name, values in over.items()])
    run = {**RUN, "swept_fields": list(over)}
    store.prepare(run)
    store.append([point_row("a", **{"a.list": [1, 2], "a.limit": 4, "a.share": 1})], [])
    nothing = point_row("b", **{"a.list": [4], "a.share": 2})
    store.append([type(nothing)({**nothing.values, "a.limit": None})], [])
    # The field's values of a later run are fractions, so the column of both holds fractions.
    later = Store(tmp_path, [swept_column(n, [0.5] if n == "a.share" else over[n]) for n in over])
    later.prepare(run)
    later.append([point_row("c", **{"a.list": [1], "a.limit": 4, "a.share": 0.5})], [])
    later.finish(stopped=False, failed=0)
    points = load(tmp_path).points.set_index("point_id")
    assert list(points.loc[["a", "b", "c"], "a.share"]) == [1.0, 2.0, 0.5]
    assert [json.loads(text) for text in points.loc[["a", "b"], "a.list"]] == [[1, 2], [4]]
    assert [json.loads(text) for text in points.loc[["a", "b"], "a.limit"]] == [4, None]
    assert load(tmp_path).json_columns == {"a.list", "a.limit"}


def test_a_folder_that_cannot_be_written_is_an_error_with_its_name(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ResultsError, match="file/run: cannot write results"):
        Store(file / "run").prepare(RUN)


def test_a_full_disk_is_an_error_with_the_folder(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: Any, **_options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(ResultsError, match="cannot write results: No space left on device"):
        store.append([point_row("a")], [])
