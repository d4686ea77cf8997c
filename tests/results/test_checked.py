"""Results folders from elsewhere: what they claim, what they lack, and what they lead to."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.compare import Comparison
from pipeline.errors import ResultsError
from pipeline.results import checked, load
from pipeline.results.lock import holder, locked
from pipeline.results.parts import part_files
from pipeline.results.schema import LOAD_COLUMNS
from pipeline.results.status import read_status
from pipeline.sweep import run_record
from tests.sweeps import run_without_ray, small_config, store_for

Change = Callable[[pa.Table], pa.Table]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    run_without_ray(small_config(folder), folder / "run")
    return folder / "run"


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "run"))


def part_of(folder: Path, table: str) -> Path:
    """Return the one part file of a table."""
    (name,) = part_files(folder, table)
    return folder / table / name


def change_part(folder: Path, table: str, change: Change) -> None:
    part = part_of(folder, table)
    pq.write_table(change(pq.read_table(part)), part)


def change_run(folder: Path, **values: Any) -> None:
    file = folder / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def refusal(folder: Path, read: Callable[[Path], object] = load) -> str:
    with pytest.raises(ResultsError) as raised:
        read(folder)
    return str(raised.value)


def compared(folder: Path) -> Comparison:
    return Comparison(load(folder))


def with_column(table: pa.Table, name: str, cells: pa.Array) -> pa.Table:
    """Return a table with other cells in a column, its field as it was."""
    return table.set_column(table.schema.get_field_index(name), table.schema.field(name), cells)


def replaced(name: str, values: Callable[[pa.ChunkedArray], Any]) -> Change:
    def change(table: pa.Table) -> pa.Table:
        cells = pa.array(values(table[name]), table.schema.field(name).type)
        return with_column(table, name, cells)

    return change


def filled(name: str, cell: Any) -> Change:
    """Fill a column with a cell that no sound file has, cast to its type without a check."""

    def change(table: pa.Table) -> pa.Table:
        cells = pa.array([cell] * table.num_rows)
        return with_column(table, name, cells.cast(table.schema.field(name).type, safe=False))

    return change


PARTS: dict[str, tuple[str, Change, str]] = {
    "a column less": ("points", lambda t: t.drop_columns(["status"]), "lacks the columns status"),
    "another type": (
        "points",
        lambda t: t.set_column(0, "point_id", pa.array(range(t.num_rows))),
        "point_id: must be of type string (got int64)",
    ),
    "a column that nobody can group by": (
        "points",
        lambda t: t.append_column("x", pa.array([[1]] * t.num_rows)),
        "x: must be of type string or int64 or double or bool (got list<element: int64>)",
    ),
    "a method that is none": (
        "points",
        replaced("method", lambda column: ["luck"] * len(column)),
        "method: must be one of ratio, frontier, enumeration, weighted, iterative (got 'luck')",
    ),
    "a number that is none": (
        "points",
        replaced("total_seconds", lambda column: [float("nan")] * len(column)),
        "total_seconds: must be finite",
    ),
    "infinity": (
        "segments",
        replaced("memory_gb", lambda column: [float("inf")] * len(column)),
        "memory_gb: must be finite",
    ),
    "a number whose sum with itself is none": (
        "points",
        filled("solve_seconds", 1e308),
        "solve_seconds: must be 0 or of a size from 1e-100 to 1e+100",
    ),
    "a number by which nothing can be divided": (
        "segments",
        filled("memory_utilization", -5e-324),
        "memory_utilization: must be 0 or of a size from 1e-100 to 1e+100",
    ),
    "a time that no calendar has": (
        "points",
        filled("finished_at", 2**63 - 1),
        "finished_at: must be a time of the years 1970 to 9998",
    ),
    "a text that is none": (
        "points",
        filled("node", b"\xf4"),
        "cannot be read: node holds bytes that are no text",
    ),
    "bytes that are no text": (
        "points",
        lambda t: t.replace_schema_metadata({"schema_version": b"\xff"}),
        "schema_version must be 1",
    ),
}


@pytest.mark.parametrize(("table", "change", "told"), PARTS.values(), ids=PARTS.keys())
def test_a_table_that_no_reader_can_use_is_refused_by_its_file(
    folder: Path, table: str, change: Change, told: str
) -> None:
    change_part(folder, table, change)
    part = part_of(folder, table)
    assert refusal(folder).startswith(f"{part}: ")
    assert told in refusal(folder)


def test_a_column_whose_name_is_no_text_is_refused(folder: Path) -> None:
    change_part(folder, "points", lambda t: t.append_column("zzzz", pa.array([1] * t.num_rows)))
    part = part_of(folder, "points")
    part.write_bytes(part.read_bytes().replace(b"zzzz", b"\xc6zzz"))
    assert refusal(folder) == (f"{part}: cannot be read: names a column in bytes that are no text")


def test_a_column_that_came_later_is_read_as_nulls(folder: Path) -> None:
    change_part(folder, "points", lambda t: t.drop_columns(["ttft_s"]))
    assert load(folder).points.ttft_s.isna().all()


def test_an_empty_table_is_a_table(folder: Path) -> None:
    change_part(folder, "segments", lambda t: t.slice(0, 0))
    assert len(load(folder).segments) == 0


def test_texts_that_a_terminal_would_obey_are_made_harmless(folder: Path) -> None:
    change_part(folder, "points", replaced("message", lambda c: ["\x1b[2Ja\nb\u202e"] * len(c)))
    assert set(load(folder).points.message) == {"\ufffd[2Ja\nb\ufffd"}


def test_a_small_file_that_claims_many_rows_is_refused_unread(folder: Path) -> None:
    part = part_of(folder, "points")
    rows = pq.read_table(part).take(pa.array(np.zeros(200_000, dtype=np.int64)))
    pq.write_table(rows, part, compression="zstd")
    assert "claims 200000 rows in " in refusal(folder)


def test_texts_are_counted_before_they_are_written_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked, "MAX_TEXT_BYTES", 10**6)
    part = part_of(folder, "points")
    rows = pq.read_table(part).take(pa.array(np.zeros(600, dtype=np.int64)))
    index = rows.schema.get_field_index("message")
    pq.write_table(rows.set_column(index, "message", pa.array(["x" * 2000] * 600)), part)
    assert part.stat().st_size < 10**5
    # 600 messages of 2,000 bytes, beside shorter texts.
    assert re.search(r"cannot be read: holds 12\d{5} bytes of text", refusal(folder))


def test_a_folder_among_the_parts_is_none_of_them(folder: Path) -> None:
    before = len(load(folder).points)
    (folder / "points" / "x.parquet").mkdir()
    assert len(load(folder).points) == before


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_refused_where_a_part_belongs(folder: Path, kind: str) -> None:
    part = folder / "points" / "x.parquet"
    if kind == "pipe":
        os.mkfifo(part)
    else:
        part.symlink_to("/dev/zero")
    assert refusal(folder) == f"{part}: cannot be read: is no plain file"
    assert refusal(folder, read_status) == f"{part}: cannot be read: is no plain file"


RUNS: dict[str, tuple[dict[str, Any], Callable[[Path], object], str]] = {
    "swept fields": ({"swept_fields": [1]}, load, "swept_fields.0: must be text"),
    "a field without a column": ({"swept_fields": ["x"]}, load, "lacks the columns x"),
    "a field that is a column": (
        {"swept_fields": ["sizes"]},
        read_status,
        "swept_fields: must name fields of the config, each once",
    ),
    "a field twice": (
        {"swept_fields": ["limits.max_stages"] * 2},
        load,
        "swept_fields: must name fields of the config, each once",
    ),
    "a plan of other fields": ({"config": {"sweep": {"over": [1]}}}, read_status, "sweep.over"),
    "a time without a zone": (
        {"started_at": "2026-01-01T00:00:00"},
        read_status,
        "started_at: must be a time with its zone",
    ),
    "a name for a terminal": (
        {"name": "\x1b[2J"},
        read_status,
        "name: must hold only characters that can be printed (got '\\x1b[2J')",
    ),
    "failures that are no number": ({"failed": {}}, compared, "failed: must be a whole number"),
    "no config": ({"config": 3}, compared, "config: must hold fields"),
    "half a baseline": ({"baseline": [{"gpu": "A"}]}, compared, "baseline.0.tp_degree: is missing"),
}


@pytest.mark.parametrize(("values", "read", "told"), RUNS.values(), ids=RUNS.keys())
def test_a_run_file_is_checked_for_what_is_read_of_it(
    folder: Path, values: dict[str, Any], read: Callable[[Path], object], told: str
) -> None:
    change_run(folder, **values)
    assert told in refusal(folder, read)


@pytest.mark.parametrize(
    ("workload", "told"),
    [
        (None, "config.workload: must hold fields"),
        (
            {"phase": "mixed", "input_tokens": 5, "output_tokens": 0},
            "config.workload: must state the tokens of whole requests",
        ),
    ],
)
def test_a_run_says_what_was_served(folder: Path, workload: dict[str, Any], told: str) -> None:
    config = json.loads((folder / "run.json").read_text())["config"]
    change_run(folder, config={**config, "workload": workload})
    assert told in refusal(folder, compared)
    del config["workload"]
    change_run(folder, config=config)
    assert "config.workload: is missing" in refusal(folder, compared)


@pytest.mark.parametrize(
    ("what", "figure"),
    [
        ("placement", "num_stages"),
        ("placement", "throughput_tokens_per_s"),
        ("placement", "cost_usd_per_token"),
        ("baseline", "baseline_throughput_tokens_per_s"),
    ],
)
def test_an_answer_without_its_figures_cannot_be_compared(
    folder: Path, what: str, figure: str
) -> None:
    change_part(folder, "points", replaced(figure, lambda column: [None] * len(column)))
    assert f"has a {what} but no {figure}" in refusal(folder, compared)


def test_a_load_without_its_figures_cannot_be_compared(folder: Path) -> None:
    change_part(folder, "points", replaced("concurrency", lambda column: [3] * len(column)))
    assert "has a load but no micro_batches" in refusal(folder, compared)


@pytest.mark.parametrize("name", ["concurrency", "micro_batches"])
def test_a_load_of_nothing_cannot_be_compared(folder: Path, name: str) -> None:
    for column in LOAD_COLUMNS:
        change_part(folder, "points", filled(column, 0 if column == name else 1))
    assert "has a load without requests" in refusal(folder, compared)


@pytest.mark.parametrize(
    ("name", "cell", "workload"),
    [
        ("workload.output_tokens", 0, {"phase": "mixed", "input_tokens": 9, "output_tokens": 9}),
        ("workload.output_tokens", -9, {"phase": "mixed", "input_tokens": 9, "output_tokens": 9}),
        ("workload.input_tokens", "x", {"phase": "mixed", "input_tokens": 9, "output_tokens": 9}),
        ("workload.phase", "mixed", {"phase": "prefill"}),
    ],
)
def test_swept_values_leave_whole_requests_their_tokens(
    folder: Path, name: str, cell: Any, workload: dict[str, Any]
) -> None:
    config = json.loads((folder / "run.json").read_text())["config"]
    change_run(folder, config={**config, "workload": workload}, swept_fields=[name])
    change_part(
        folder, "points", lambda table: table.append_column(name, pa.array([cell] * len(table)))
    )
    assert f"points: {name}: must state the tokens of whole requests" in refusal(folder, compared)


def test_a_stage_without_gpus_cannot_be_compared(folder: Path) -> None:
    change_part(folder, "segments", replaced("gpu_ids", lambda column: [[]] * len(column)))
    assert "has a stage without layers or GPUs" in refusal(folder, compared)


@pytest.mark.parametrize("table", ["points", "segments"])
@pytest.mark.parametrize("fresh", [False, True])
def test_a_run_writes_and_removes_nothing_through_a_link(
    folder: Path, tmp_path: Path, table: str, fresh: bool
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (folder / table).rename(elsewhere)
    (folder / table).symlink_to(elsewhere)
    before = sorted(file.name for file in elsewhere.iterdir())
    loaded = small_config(tmp_path)
    with pytest.raises(ResultsError, match=f"{table} is a link to another folder"):
        store_for(loaded, folder).prepare(run_record(loaded), fresh)
    assert sorted(file.name for file in elsewhere.iterdir()) == before


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_a_lock_that_is_a_link_empties_no_file_elsewhere(
    folder: Path, tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    link(folder / "run.lock", victim)
    with pytest.raises(ResultsError, match="cannot write results"), locked(folder):
        pass
    assert victim.read_text() == "mine"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 4000,
        "[1]",
        "null",
        '{"host": "h", "pid": 1e400, "since": ""}',
        '{"host": "h", "pid": -1, "since": ""}',
        '{"host": "h", "pid": 99999999999, "since": ""}',
        '{"host": 1, "pid": 1, "since": ""}',
    ],
)
def test_a_lock_that_names_nobody_is_nobodys(folder: Path, text: str) -> None:
    (folder / "run.lock").write_text(text)
    assert holder(folder) is None
    with locked(folder):
        pass


def test_a_holder_is_told_without_what_a_terminal_would_obey(folder: Path) -> None:
    text = json.dumps({"host": "\x1b[2J", "pid": 1, "since": "\n"})
    (folder / "run.lock").write_text(text)
    assert str(holder(folder)) == r"process 1 on \x1b[2J since \n"


def test_a_lock_that_is_a_pipe_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "run.lock")
    assert holder(folder) is None
    with pytest.raises(ResultsError, match="cannot write results"), locked(folder):
        pass


@pytest.mark.parametrize("name", ["cost_usd_per_token", "throughput_tokens_per_s", "num_gpus"])
def test_a_figure_below_nothing_is_told_before_anything_is_compared(
    folder: Path, name: str
) -> None:
    change_part(
        folder,
        "points",
        replaced(name, lambda column: [value and -1 for value in column.to_pylist()]),
    )
    told = f"has a placement whose {name} is below 0; placement verify tells what else is wrong"
    assert refusal(folder, compared).endswith(told)
