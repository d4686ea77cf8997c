"""Reading a run's folder for analysis."""

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipeline.errors import ResultsError
from pipeline.results import load
from pipeline.results.frames import each_record, records
from pipeline.results.parts import part_files
from pipeline.results.store import read_run
from tests.sweeps import ANSWERS, run_without_ray, small_config


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("frames")
    run_without_ray(small_config(directory), directory / "run")
    return directory / "run"


def test_a_run_is_one_row_per_point_with_its_answer(folder: Path) -> None:
    found = {}
    for row in records(load(folder).points):
        budget = row["budget_usd_per_hour"]
        found[row["granularity"], row["method"], None if pd.isna(budget) else budget] = row
    assert set(found) == set(ANSWERS)
    for key, answer in ANSWERS.items():
        row = found[key]
        if answer is None:
            assert row["status"] == "infeasible"
            assert row["message"].startswith("budget: ")
            assert pd.isna(row["cost_usd_per_token"])
        else:
            assert row["status"] == "optimal"
            values = (row["throughput_tokens_per_s"], row["cost_usd_per_hour"])
            assert values == pytest.approx(answer, rel=1e-9)


def test_a_placement_comes_stage_by_stage(folder: Path) -> None:
    results = load(folder)
    two = results.points[results.points.num_stages == 2].point_id
    assert len(two) == 3
    for point_id in two:
        frame = results.placement(point_id)
        assert list(frame.stage) == [0, 1]
        assert frame["size"].sum() == 4


def test_a_point_that_is_not_there_is_an_error_and_no_empty_placement(folder: Path) -> None:
    results = load(folder)
    (first, *_) = results.points.point_id
    for ask in (results.point, results.placement):
        with pytest.raises(KeyError, match="zzz"):
            ask("zzz")
        with pytest.raises(KeyError, match=f"begins so: {first}"):
            ask(first[:12])
    unplaced = results.points[results.points.status == "infeasible"].point_id
    assert results.placement(unplaced.iloc[0]).empty


def test_the_tables_can_be_read_by_pandas_alone(folder: Path) -> None:
    assert len(pd.read_parquet(folder / "points")) == len(ANSWERS)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "does not exist; is this the folder of a sweep"),
        ("{", "is not valid JSON"),
        ("[]", "schema_version must be"),
        ('{"schema_version": "0"}', "schema_version must be"),
    ],
)
def test_a_folder_without_a_sound_run_file_is_refused(
    tmp_path: Path, text: str | None, reason: str
) -> None:
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(ResultsError, match=reason):
        load(tmp_path)


def test_a_file_in_place_of_a_folder_is_asked_whether_it_is_one(tmp_path: Path) -> None:
    (tmp_path / "medium.yaml").write_text("name: medium")
    with pytest.raises(ResultsError, match="is this the folder of a sweep"):
        load(tmp_path / "medium.yaml")


def test_a_run_without_points_says_so(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"schema_version": "1"}))
    with pytest.raises(ResultsError, match="holds no points yet"):
        load(tmp_path)


def test_a_part_that_is_no_parquet_or_of_another_version_is_named(tmp_path: Path) -> None:
    run_without_ray(small_config(tmp_path), tmp_path / "run", most=2)
    part = tmp_path / "run" / "points" / part_files(tmp_path / "run", "points")[0]
    table = pq.read_table(part)
    pq.write_table(table.replace_schema_metadata({"schema_version": "0"}), part)
    with pytest.raises(ResultsError, match=f"{part.name}: schema_version must be"):
        load(tmp_path / "run")
    part.write_bytes(b"no parquet")
    with pytest.raises(ResultsError, match=f"{part.name}: cannot be read"):
        load(tmp_path / "run")


def test_the_run_file_holds_what_is_needed_to_judge_the_run(folder: Path) -> None:
    run = read_run(folder)
    assert run["status"] == "finished"
    assert run["config"]["pool"][0]["usd_per_hour"] == 0.5
    assert {"instance_hash", "versions", "started_at", "finished_at", "host"} <= set(run)


@pytest.mark.parametrize("at_once", [1, 3, 10, 1000])
def test_rows_read_a_few_at_a_time_are_the_same_rows(folder: Path, at_once: int) -> None:
    points = load(folder).points
    few, all_at_once = list(each_record(points, at_once)), records(points)
    assert len(few) == len(ANSWERS)
    assert [{k: repr(v) for k, v in row.items()} for row in few] == [
        {k: repr(v) for k, v in row.items()} for row in all_at_once
    ]
    assert list(each_record(points.iloc[:0], at_once)) == []
