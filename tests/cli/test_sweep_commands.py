"""The sweep command: run, resume, refuse, stop."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline import driver
from pipeline.config import load_config
from pipeline.results import load
from pipeline.results.lock import locked
from pipeline.results.parts import part_files, read_tables
from pipeline.results.store import read_run
from pipeline.run import failed, run_point
from tests.builders import CONFIGS
from tests.cli.runner import run, run_json
from tests.sweeps import (
    ANSWERS,
    REFERENCE,
    run_without_ray,
    write_config,
    write_published_directory,
)

pytest_plugins = ["tests.local_ray"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path / "small.yaml")


@pytest.mark.usefixtures("shared_ray")
def test_the_reference_sweep_has_45_rows_that_all_hold(tmp_path: Path) -> None:
    result = run("sweep", REFERENCE, "--out", tmp_path / "medium", columns=100)
    assert result.exit_code == 0, result.stderr
    assert "every placement verified" in result.stdout
    assert max(map(len, result.stdout.replace(str(tmp_path), "").splitlines())) <= 100
    results = load(tmp_path / "medium")
    assert len(results.points) == 45
    assert set(results.points.status) == {"optimal", "infeasible"}
    # DESIGN.md section 4: lowest $/token, and the baseline with the reasons against TP 1, 2, 4.
    lowest = results.points.groupby("granularity").cost_usd_per_token.min()
    known = {"coarsest": 1.0575e-7, "coarse": 1.0356e-7, "moderate": 1.0356e-7, "fine": 1.0356e-7}
    assert lowest.to_dict() == pytest.approx({**known, "exact": 9.8697e-8}, rel=5e-5)
    assert result.stdout.count("GB on each GPU, a V100 has 24 GB") == 3
    assert "5,516  2.40" in result.stdout
    reasons = results.points[results.points.status == "infeasible"].message
    assert reasons.str.contains("is below the cheapest placement").all()


@pytest.mark.usefixtures("shared_ray")
def test_a_second_run_runs_only_what_is_missing(config: Path, tmp_path: Path) -> None:
    first = run("sweep", config, "--out", tmp_path / "run", "--granularity", "exact")
    assert "5 points run" in first.stdout
    second = run("sweep", config, "--out", tmp_path / "run")
    assert "5 points run" in second.stdout
    assert "5 were there before" in second.stdout
    third = run("sweep", config, "--out", tmp_path / "run")
    assert "10 were there before" in third.stdout
    assert "points run" not in third.stdout
    assert len(load(tmp_path / "run").points) == len(ANSWERS)


@pytest.mark.usefixtures("shared_ray")
def test_a_sweep_ends_with_the_command_that_comes_next(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "my run"
    shown = run("sweep", config, "--out", out, "--method", "ratio").stdout.splitlines()
    assert shown[-1].startswith(f"Next: placement report '{out}' ")
    command = shlex.split(shown[-1].partition("  # ")[0])[2:]
    assert run(*command, "--no-plots").exit_code == 0


@pytest.mark.usefixtures("shared_ray")
def test_flags_take_the_place_of_the_plan(config: Path, tmp_path: Path) -> None:
    flags = ["--granularity", "exact,2+4", "--budget", "0.5,2", "--method", "enumeration,frontier"]
    report = run_json("sweep", config, "--out", tmp_path / "run", *flags)
    # Each granularity: two budgets, and a frontier that counts as one point.
    assert report["points"] == {"optimal": 6}
    assert report["wrong"] == 0
    assert [row["granularity"] for row in report["granularities"]] == ["exact", "2+4"]
    points = load(tmp_path / "run").points
    assert set(points.method) == {"enumeration", "frontier"}
    assert set(points.budget_usd_per_hour.dropna()) == {0.5, 2.0}


@pytest.mark.usefixtures("shared_ray")
def test_results_go_into_a_folder_of_the_instance_unless_told_otherwise(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "--set=name=../my sweep"
    assert run("sweep", config, "--method", "ratio", name).exit_code == 0
    assert [p.name for p in (tmp_path / "results").iterdir()] == ["-my-sweep"]


@pytest.mark.usefixtures("shared_ray")
def test_a_folder_of_another_instance_is_refused_unless_fresh(config: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "run", "--method", "ratio")
    assert run("sweep", config, *out).exit_code == 0
    dearer = "--set=pool.Fast.usd_per_hour=0.6"
    refused = run("sweep", config, *out, dearer)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "holds results of another instance" in refused.stderr
    assert len(load(tmp_path / "run").points) == 2
    swept = run("sweep", config, *out, "--set=sweep.over={workload.batch_size: [1, 2]}")
    assert "another set of swept fields (none there, workload.batch_size now)" in swept.stderr
    assert run("sweep", config, *out, dearer, "--fresh").exit_code == 0
    assert read_run(tmp_path / "run")["config"]["pool"][0]["usd_per_hour"] == 0.6
    assert len(load(tmp_path / "run").points) == 2


@pytest.mark.usefixtures("shared_ray")
def test_a_point_that_fails_is_a_row_and_exit_code_1(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(problem: Any, point: Any) -> Any:
        if point.method == "ratio":
            return failed(problem, point, "ZeroDivisionError: no layers left")
        return run_point(problem, point)

    with monkeypatch.context() as patched:
        patched.setattr(driver, "run_sweep", partial(driver.run_sweep, solve=broken))
        result = run("sweep", config, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert "2 error" in result.stdout
    assert read_run(tmp_path / "run")["failed"] == 2
    again = run("sweep", config, "--out", tmp_path / "run")
    assert again.exit_code == 0
    assert "2 points run" in again.stdout
    assert "8 were there before" in again.stdout
    assert len(load(tmp_path / "run").points) == len(ANSWERS)


@pytest.mark.usefixtures("shared_ray")
def test_points_without_placement_are_no_failure_and_not_run_again(
    config: Path, tmp_path: Path
) -> None:
    flags = ("--out", tmp_path / "run", "--granularity", "1+3", "--method", "enumeration")
    result = run("sweep", config, *flags, "--budget", "0.1,0.5")
    assert result.exit_code == 0
    assert "1+3: none of 2 points has a placement; budget: " in " ".join(result.stdout.split())
    assert "2 were there before" in run("sweep", config, *flags, "--budget", "0.1,0.5").stdout


@pytest.mark.usefixtures("shared_ray")
def test_a_published_directory_can_be_swept(tmp_path: Path) -> None:
    directory = write_published_directory(tmp_path / "published")
    report = run_json("sweep", directory, "--out", tmp_path / "run")
    assert report["wrong"] == 0
    assert len(load(tmp_path / "run").points) == sum(report["points"].values()) > 0


@pytest.mark.usefixtures("shared_ray")
def test_swept_fields_are_columns_and_every_row_holds(tmp_path: Path) -> None:
    over = {"workload.batch_size": [1, 2], "limits.tp_degrees": [[1], [1, 2]]}
    config = write_config(tmp_path / "small.yaml", {"sweep.over": over})
    result = run("sweep", config, "--out", tmp_path / "run", columns=100)
    assert result.exit_code == 0, result.stderr
    assert "…" not in result.stdout
    points = load(tmp_path / "run").points
    assert len(points) == 4 * len(ANSWERS)
    assert set(points["workload.batch_size"]) == {1, 2}
    assert {tuple(json.loads(text)) for text in points["limits.tp_degrees"]} == {(1,), (1, 2)}


@pytest.mark.usefixtures("shared_ray")
def test_the_designed_columns_are_in_the_file_with_the_version_of_the_schema(
    config: Path, tmp_path: Path
) -> None:
    run("sweep", config, "--out", tmp_path / "run", "--method", "ratio")
    for table, column in (("points", "cost_usd_per_token"), ("segments", "memory_utilization")):
        (part,) = (tmp_path / "run" / table).iterdir()
        schema = pq.read_schema(part)
        assert schema.metadata[b"schema_version"] == b"1"
        assert str(schema.field(column).type) == "double"


@pytest.mark.parametrize(
    ("flags", "field"),
    [
        (("--budget", "1,x"), "--budget"),
        (("--budget", "1,٣"), "--budget"),
        (("--budget", "1_0"), "--budget"),
        (("--budget", "1,-2"), "sweep.budgets_usd_per_hour"),
        (("--method", "guess"), "sweep.methods[0]"),
        (("--granularity", "exact,fien"), "sweep.granularities[1]"),
        (("--granularity", "3"), "sweep.granularities[0]"),
        (("--address", "127.0.0.1:9"), "--address"),
    ],
)
def test_a_flag_that_cannot_be_is_told_by_name(
    config: Path,
    tmp_path: Path,
    flags: tuple[str, str],
    field: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(driver, "stop_ray", lambda: None)  # the tests' own goes on
    result = run("sweep", config, "--out", tmp_path / "run", *flags)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"command line: {field}: " in result.stderr


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1"])
def test_a_slip_in_the_address_leaves_an_earlier_run_as_it_was(
    config: Path, tmp_path: Path, address: str
) -> None:
    run_without_ray(load_config(config), tmp_path / "run")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    flags = ("--granularity", "coarse", "--fresh", "--address", address)
    assert run("sweep", config, "--out", tmp_path / "run", *flags).exit_code == 2
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_ctrl_c_leaves_what_is_done_and_a_second_run_completes_it(tmp_path: Path) -> None:
    budgets = [round(0.1 + 0.0014 * i, 4) for i in range(600)]
    config = write_config(tmp_path / "small.yaml", {"sweep.granularities": ["exact"]})
    out = tmp_path / "run"
    flags = ["--out", str(out), "--method", "enumeration", "--cpus", "2"]
    flags += ["--budget", ",".join(map(str, budgets)), "--flush-points", "10"]
    command = [sys.executable, "-m", "pipeline", "sweep", str(config), *flags]
    # In a process group of its own, all of which gets the signal, as from a terminal.
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while not part_files(out, "points"):
            assert process.poll() is None, "the sweep ended before it could be stopped"
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "Stopped by SIGINT after" in errors
    assert output == ""
    assert read_run(out)["status"] == "stopped"
    tables = read_tables(out)
    assert tables is not None
    stored = tables.points.num_rows
    assert 0 < stored < 600
    again = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr
    assert f"{stored} were there before" in again.stdout
    assert read_run(out)["status"] == "finished"
    points = load(out).points
    found = dict(zip(points.budget_usd_per_hour, points.throughput_tokens_per_s, strict=True))
    assert sorted(found) == budgets
    # By hand: nothing below $0.25/h, then 100, from $0.50/h 300, from $0.75/h 400 tokens/s.
    for budget, rate in found.items():
        expected = 400 if budget >= 0.75 else 300 if budget >= 0.5 else 100
        assert rate == pytest.approx(expected) if budget >= 0.25 else rate != rate


@pytest.mark.usefixtures("shared_ray")
def test_a_signal_behind_the_last_point_leaves_a_finished_run(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended the sweep before its run.json said so, and status took it for killed."""
    monkeypatch.setattr(driver, "stop_ray", lambda: os.kill(os.getpid(), signal.SIGINT))
    result = run("sweep", config, "--out", tmp_path / "run")
    assert result.exit_code == 0
    assert read_run(tmp_path / "run")["status"] == "finished"


def test_a_folder_in_which_another_sweep_runs_is_refused(config: Path, tmp_path: Path) -> None:
    with locked(tmp_path / "run"):
        result = run("sweep", config, "--out", tmp_path / "run", "--fresh")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"in use by process {os.getpid()} on " in result.stderr
    assert not (tmp_path / "run" / "run.json").exists()


def test_the_plan_counts_points_and_runs_nothing(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    shown = run("sweep", config, "--plan", "--cpus", "2").stdout
    assert "10 points" in shown
    assert "on 2 CPUs" in shown
    assert "up to three points of each kind, solved here;" in shown
    report = run_json("sweep", config, "--plan", "--method", "ratio")
    assert report["points"] == 2
    assert {kind["granularity"] for kind in report["kinds"]} == {"exact", "1+3"}
    assert report["estimated_seconds"] > 0
    assert sorted(tmp_path.rglob("*")) == before


def test_the_plan_refuses_a_problem_in_the_words_of_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It told how long the sweep would take in which every point is refused."""
    monkeypatch.setattr("pipeline.serving.tables.MAX_FIGURES", 100)
    changes = {"limits.max_stages": 3, "sweep.methods": ["ratio"], "sweep.granularities": ["exact"]}
    flags = [f"--set={name}={json.dumps(value)}" for name, value in changes.items()]
    config = CONFIGS / "llama-3.1-8b-workstation.yaml"
    planned = run("sweep", config, "--out", tmp_path / "run", *flags, "--plan", columns=400)
    run_without_ray(load_config(config, list(changes.items())), tmp_path / "run")
    (message,) = load(tmp_path / "run").points.message
    assert "limits.max_stages: asks for 216 loads of groups, and there may be 100" in message
    assert f"exact: {message}\n" in planned.stdout
    assert planned.exit_code == 1
    report = run("sweep", config, "--out", tmp_path / "run", *flags, "--plan", "--json")
    assert (json.loads(report.stdout)["kinds"][0]["error"], report.exit_code) == (message, 1)


def test_the_plan_refuses_a_folder_that_the_sweep_would_refuse(
    config: Path, tmp_path: Path
) -> None:
    run_without_ray(load_config(config), tmp_path / "run")
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "points").symlink_to(tmp_path)
    over = "--set=sweep.over={workload.batch_size: [1, 2]}"
    wrong: list[tuple[Any, ...]] = [
        (tmp_path / "run", "--set=pool.Fast.usd_per_hour=0.6"),
        (tmp_path / "run", over),
        (tmp_path / "file",),
        (tmp_path / "file" / "run",),
        (tmp_path / "link",),
        (tmp_path / ("x" * 300),),
        (linked,),
        ("nosuch://bucket/run",),
        ("",),
    ]
    before = sorted(tmp_path.rglob("*"))
    for out, *flags in wrong:
        planned = run("sweep", config, "--out", out, *flags, "--plan")
        assert (planned.exit_code, planned.stdout) == (2, ""), out
        assert sorted(tmp_path.rglob("*")) == before
        assert planned.stderr == run("sweep", config, "--out", out, *flags).stderr
        for file in set(tmp_path.rglob("*")) - set(before):
            file.rmdir()
    with locked(tmp_path / "run"):
        planned = run("sweep", config, "--out", tmp_path / "run", "--plan")
        assert planned.stderr == run("sweep", config, "--out", tmp_path / "run").stderr
        assert "in use by process" in planned.stderr
    assert run("sweep", config, "--out", tmp_path / "run", "--plan").exit_code == 0
    fresh = ("--set=pool.Fast.usd_per_hour=0.6", "--fresh")
    assert run("sweep", config, "--out", tmp_path / "run", *fresh, "--plan").exit_code == 0
    assert len(load(tmp_path / "run").points) == len(ANSWERS)


def test_swept_values_that_do_not_go_together_are_bad_input_and_leave_no_folder(
    tmp_path: Path,
) -> None:
    over = {"model.num_attention_heads": [1, 4], "model.hidden_size": [4, 2]}
    changes = {"sweep.over": over, "model.hidden_size": 4}
    config = write_config(tmp_path / "small.yaml", changes)
    result = run("sweep", config, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "must divide hidden_size 2" in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("shared_ray")
def test_relative_budgets_where_nothing_can_be_placed_give_rows_that_say_why(
    tmp_path: Path,
) -> None:
    changes = {"sweep.budgets_usd_per_hour": "around_fine", "limits.min_layers_per_stage": 5}
    config = write_config(tmp_path / "small.yaml", changes)
    result = run("sweep", config, "--out", tmp_path / "run", "--method", "enumeration")
    assert result.exit_code == 0, result.stderr
    points = load(tmp_path / "run").points
    assert list(points.status) == ["infeasible"] * 2
    assert points.message.str.startswith("sizes: min_layers_per_stage is 5").all()


@pytest.mark.usefixtures("shared_ray")
def test_machines_can_follow_a_sweep_and_ask_for_its_status(config: Path, tmp_path: Path) -> None:
    result = run("sweep", config, "--out", tmp_path / "run", "--log-json")
    events = [json.loads(text) for text in result.stderr.splitlines()]
    assert (events[-1]["event"], events[-1]["done"], events[-1]["infeasible"]) == (
        "progress",
        10,
        4,
    )
    found = run_json("status", tmp_path / "run")
    assert (found["state"], found["planned"]) == ("finished", 10)
    assert found["by_status"] == {"optimal": 6, "infeasible": 4}
    shown = run("status", tmp_path / "run").stdout
    assert "small: finished" in shown
    assert "10 of 10 points: 4 infeasible, 6 optimal" in shown
    assert run("status", tmp_path / "nowhere").exit_code == 2


@pytest.mark.usefixtures("shared_ray")
def test_the_progress_of_a_resumed_sweep_knows_the_best_price_from_before(
    config: Path, tmp_path: Path
) -> None:
    """$0.50/h for 300 tokens/s was there; $0.25/h for 100 tokens/s is dearer."""
    flags = ("--out", tmp_path / "run", "--method", "enumeration", "--log-json")
    run("sweep", config, *flags, "--budget", "0.5")
    again = run("sweep", config, *flags, "--budget", "0.25")
    last = json.loads(again.stderr.splitlines()[-1])
    assert last["best_usd_per_token"] == pytest.approx(0.5 / (300 * 3600))


@pytest.mark.usefixtures("shared_ray")
def test_an_error_is_a_line_of_json_too_where_that_was_asked_for(
    config: Path, tmp_path: Path
) -> None:
    with locked(tmp_path / "run"):
        result = run("sweep", config, "--out", tmp_path / "run", "--log-json")
    assert result.exit_code == 2
    assert "in use by process" in json.loads(result.stderr)["message"]


@pytest.mark.usefixtures("shared_ray")
def test_nothing_outside_the_folder_of_results_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    granularities = {"sweep.granularities": ["exact", [1, 3]], "model.name": "/etc/../x"}
    config = write_config(home / "small.yaml", {**granularities, "name": "../../escaped"})
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.is_file()}
    assert run("sweep", config, "--method", "ratio").exit_code == 0
    after = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.is_file()}
    new = {file for file, changed in after.items() if before.get(file) != changed}
    assert {file.relative_to(home).parts[:2] for file in new} == {("results", "-..-escaped")}
    written = {file.relative_to(home / "results" / "-..-escaped").parts[0] for file in new}
    assert written == {"run.json", "points", "segments"}


def test_a_sweep_whose_messages_nobody_reads_any_more_goes_on(tmp_path: Path) -> None:
    config = write_config(tmp_path / "small.yaml")
    command = [sys.executable, "-m", "pipeline", "sweep", str(config), "--cpus", "1"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "run")], stdout=subprocess.PIPE, stderr=writer
    )
    os.close(writer)
    assert done.returncode == 0
    assert b"10 points run" in done.stdout
