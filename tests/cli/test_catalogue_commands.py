"""The commands around the roofline model."""

from pathlib import Path

import pytest

from tests.cli.runner import run, run_json
from tests.roofline_helpers import ROW, write_csv

pytest_plugins = ["tests.local_ray"]

CONFIG = Path(__file__).parent.parent.parent / "configs" / "llama-3.1-8b-workstation.yaml"
FEW = ("--set", "workload.concurrency=8", "--set", "workload.micro_batches=[1, 2]")


def test_gpus_are_listed_with_source_and_date() -> None:
    listed = {gpu["name"]: gpu for gpu in run_json("gpus")}
    assert listed["H100"]["memory_gb"]["value"] == 80
    assert listed["H100"]["memory_gb"]["source"]["date"]
    assert "RTX-4090" in run("gpus").stdout


def test_models_are_listed_with_total_and_active_parameters() -> None:
    assert "Llama-3.1-70B" in [entry["shape"]["name"] for entry in run_json("models")]
    line = next(line for line in run("models").stdout.splitlines() if "DeepSeek-V3" in line)
    assert "8 of 256" in line
    # 671 B in all and 37 B active: arXiv 2412.19437.
    assert "671.0 B" in line


@pytest.mark.parametrize("command", [("calibrate", "--out", "x.yaml"), ("validate",)])
def test_a_file_that_is_not_there_is_bad_input(command: tuple[str, ...], tmp_path: Path) -> None:
    name, *rest = command
    result = run(name, tmp_path / "absent.csv", *rest)
    assert result.exit_code == 2
    assert "MEASURED.csv: is no file" in result.stderr


def test_faults_of_a_measurement_file_are_bad_input(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "m.csv", [{**ROW, "gpu": "H1000"}])
    result = run("calibrate", file, "--out", tmp_path / "out.yaml")
    assert result.exit_code == 2
    assert "H1000" in result.stderr
    assert not (tmp_path / "out.yaml").exists()


def test_solve_draws_load_latency_and_what_takes_over() -> None:
    shown = " ".join(run("solve", CONFIG, *FEW).stdout.split())
    assert "8 requests at once in 1 micro-batches: first token after" in shown
    assert "Four of five such predictions lie between" in shown
    assert "of 20 draws of the fitted constants" in shown


def test_solve_gives_machines_the_same() -> None:
    found = run_json("solve", CONFIG, *FEW)
    assert found["cost_low_usd_per_token"] < found["cost_usd_per_token"]
    assert found["robustness"]["draws"] == 20
    assert 0 <= found["robustness"]["winner_share"] <= 1


def test_the_frontier_of_a_served_instance_falls_in_cost_and_throughput() -> None:
    points = run_json("frontier", CONFIG, *FEW)
    costs = [point["cost_usd_per_hour"] for point in points]
    rates = [point["throughput_tokens_per_s"] for point in points]
    assert costs == sorted(costs, reverse=True)
    assert rates == sorted(rates, reverse=True)
    assert len(points) > 1


def test_the_search_space_of_a_served_instance_is_counted() -> None:
    counted = run_json("space", CONFIG, *FEW, "--granularity", "coarse,exact")
    assert counted[0]["options"] < counted[1]["options"]


@pytest.mark.usefixtures("shared_ray")
def test_a_real_config_sweeps_end_to_end_and_every_row_holds(tmp_path: Path) -> None:
    swept = run(
        "sweep",
        CONFIG,
        *FEW,
        "--out",
        tmp_path / "run",
        "--granularity",
        "coarse",
        "--budget",
        "0.4,1",
        "--method",
        "enumeration,ratio",
    )
    assert swept.exit_code == 0, swept.stderr
    audited = run_json("verify", tmp_path / "run")
    assert (audited["points"], audited["mismatches"]) == (3, [])
