"""Commands on results that lie elsewhere than in a folder named by its path."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline import driver
from pipeline.cli import report_commands
from pipeline.config import load_config
from pipeline.results import load
from pipeline.results.folder import folder_at
from pipeline.results.frames import Results
from tests.cli.runner import run, run_json
from tests.sweeps import run_without_ray, write_config

pytest_plugins = ["tests.local_ray"]

# What two runs of the same sweep do not share.
OF_THE_RUN = ["build_seconds", "solve_seconds", "total_seconds", "finished_at"]
UNREACHABLE = "s3://bucket/run?endpoint_override=127.0.0.1:1"


@pytest.fixture
def shared_ray(local_ray: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """Let sweeps use the Ray that all tests share, instead of starting and ending their own."""
    monkeypatch.setattr(driver, "start_ray", lambda *_: None)
    monkeypatch.setattr(driver, "stop_ray", lambda: None)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path / "small.yaml")


def answers(results: Results) -> pd.DataFrame:
    """Return the rows of a run by point, without what differs from run to run."""
    return results.points.drop(columns=OF_THE_RUN).set_index("point_id").sort_index()


def segments(results: Results) -> pd.DataFrame:
    """Return the stages of a run by point."""
    return results.segments.set_index(["point_id", "stage"]).sort_index()


@pytest.mark.usefixtures("shared_ray")
def test_a_sweep_into_a_store_equals_one_into_a_folder(
    config: Path, tmp_path: Path, memory: str
) -> None:
    here, there = str(tmp_path / "run"), f"{memory}/run"
    flags = ["--method", "enumeration,ratio,frontier", "--flush-points", "3"]
    printed = [run("sweep", config, "--out", out, *flags) for out in (here, there)]
    assert [result.exit_code for result in printed] == [0, 0], printed[1].stderr
    assert f"Tables: {there}/points/*.parquet" in printed[1].stdout
    local, stored = load(here), load(there)
    pd.testing.assert_frame_equal(answers(local), answers(stored))
    pd.testing.assert_frame_equal(segments(local), segments(stored))
    assert folder_at(there).names() == ["run.json"], "neither a lock nor half a file is left"
    assert "8 were there before" not in printed[1].stdout
    again = run("sweep", config, "--out", there, *flags)
    assert (again.exit_code, "points run" in again.stdout) == (0, False)
    assert run("sweep", config, "--out", there, "--method", "ratio", "--fresh").exit_code == 0
    assert set(load(there).points.method) == {"ratio"}


@pytest.mark.usefixtures("shared_ray")
@pytest.mark.parametrize("kind", ["file", "memory"])
def test_every_command_reads_results_by_their_address(
    config: Path, tmp_path: Path, memory: str, kind: str
) -> None:
    out = f"file://{tmp_path}/run" if kind == "file" else f"{memory}/run"
    shown = str(folder_at(out))
    assert run("sweep", config, "--out", out, "--method", "ratio").exit_code == 0
    assert run_json("status", out)["state"] == "finished"
    assert run_json("verify", out) == {"points": 2, "placements": 2, "mismatches": []}
    first, second = run_json("compare", out, out)
    assert first["directory"] == second["directory"] == shown
    assert f"{shown}: lowest cost" in run("compare", out).stdout
    assert "vllm serve" in run("export", out, "--to", "vllm").stdout
    written = run_json("report", out)
    assert written["page"] == f"{shown}/report.html"
    assert folder_at(out).read("report.html").startswith(b"<!doctype html>")
    assert written["plots"]
    assert folder_at(f"{out}/plots").names() == sorted(
        file.rpartition("/")[2] for file in written["plots"]
    )
    page = tmp_path / "here" / "page.html"
    printed = run("report", out, "--out", page).stdout
    assert page.is_file()
    assert f"Plots: {tmp_path}/here/page-plots, " in printed
    if kind == "file":
        assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
            *("plots", "points", "report.html", "run.json", "segments")
        ]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nope://bucket/run", "nope://bucket/run: scheme: is not known; "),
        ("gdrive://bucket/run", "gdrive://bucket/run: scheme: its driver is not installed: "),
        ("s3:/bucket/run", "s3:/bucket/run: address: must have two slashes"),
        (UNREACHABLE, "s3://bucket/run: cannot write results: "),
    ],
)
def test_a_sweep_into_a_store_that_cannot_be_had_ends_before_anything_is_computed(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, reason: str
) -> None:
    started: list[str] = []
    monkeypatch.setattr(driver, "start_ray", lambda *_: started.append("Ray"))
    monkeypatch.chdir(tmp_path)
    result = run("sweep", config, "--out", address)
    assert (result.exit_code, result.stdout, started) == (2, "", [])
    assert result.stderr.startswith(reason)
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


@pytest.mark.parametrize("command", ["status", "verify", "compare", "report", "export"])
def test_reading_an_address_that_cannot_be_opened_is_bad_input(command: str) -> None:
    assert report_commands  # its commands register themselves
    result = run(command, "nope://bucket/run")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("nope://bucket/run: scheme: is not known")


def test_a_page_can_be_written_to_a_store_and_a_launch_only_here(
    config: Path, tmp_path: Path, memory: str
) -> None:
    run_without_ray(load_config(config), tmp_path / "run")
    written = run_json("report", tmp_path / "run", "--no-plots", "--out", f"{memory}/a/page.html")
    assert written == {"page": f"{memory}/a/page.html", "plots": []}
    assert folder_at(f"{memory}/a").names() == ["page.html"]
    refused = run("export", tmp_path / "run", "--out", f"{memory}/launch.sh")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "cannot be written" in refused.stderr
