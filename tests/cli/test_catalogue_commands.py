"""The commands around the roofline model."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.points import Point, Problem
from pipeline.roofline.constant_files import read_constants, shipped_table, write_constants
from pipeline.roofline.constants import Spread
from pipeline.run import PointRows, solved_rows
from tests.cli.runner import run, run_json
from tests.roofline_helpers import BLOCK_ROW, ROW, write_csv

pytest_plugins = ["tests.local_ray"]

CONFIG = Path(__file__).parent.parent.parent / "configs" / "llama-3.1-8b-workstation.yaml"
FEW = ("--set", "workload.concurrency=8", "--set", "workload.micro_batches=[1, 2]")


def test_gpus_are_listed_with_source_and_date() -> None:
    listed = {gpu["name"]: gpu for gpu in run_json("gpus")}
    assert listed["H100"]["memory_gb"]["value"] == 80
    assert listed["H100"]["memory_gb"]["source"]["date"]
    assert "RTX-4090" in run("gpus").stdout


def test_a_gpu_is_shown_with_the_source_of_every_figure() -> None:
    told = run("gpus", "h100", "A10G").stdout
    lines = [line.rstrip() for line in told.splitlines()]
    assert lines[0] == "H100, also H100-SXM, H100-SXM5-80G, H100-80G: hopper"
    bandwidth = next(line for line in lines if line.startswith("memory bandwidth"))
    assert bandwidth.split()[3:6] == ["3350", "NVIDIA", "H100"]
    assert bandwidth.endswith("2023-03")
    # of an A10G no price is known
    assert [line.startswith("price") for line in lines].count(True) == 1
    assert [gpu["name"] for gpu in run_json("gpus", "RTX4090")] == ["RTX-4090"]


def test_an_unknown_gpu_lists_the_near_names_and_what_does_instead() -> None:
    result = run("gpus", "H101")
    assert result.exit_code == 2
    assert "near names: H100" in result.stderr
    assert "performance.hardware" in result.stderr
    assert "--hardware" not in result.stderr


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


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """Return a file of six rows of one source."""
    rows = [
        {**ROW, "batch_or_concurrency": str(batch), "tokens_per_s_total": str(1000 * batch**0.7)}
        for batch in (1, 2, 4, 8, 16, 32)
    ]
    return write_csv(tmp_path / "m.csv", rows)


def test_calibrate_says_how_far_it_is_and_how_to_use_what_it_wrote(measured: Path) -> None:
    target = measured.parent / "mine.yaml"
    result = run("calibrate", measured, "--out", target)
    assert result.exit_code == 0
    # two halves of the rows and all rows: one source alone cannot be left out
    assert result.stderr.startswith("fit 1 of 3: random half 101")
    told = " ".join(result.stdout.split())
    assert "could not be determined and stay near their prior." in told
    assert "performance: {model: roofline, constants:" in told
    assert "Nothing of what the constants that come with the package know is in it" in told
    found = run_json("solve", CONFIG, *FEW, "--set", f"performance.constants={target}")
    assert found["throughput_tokens_per_s"] > 0


def test_calibrate_gives_machines_the_same(measured: Path) -> None:
    told = run_json("calibrate", measured, "--out", measured.parent / "mine.yaml")
    assert told["provenance"] == "fitted on 6 rows of m.csv: lab"
    assert told["prediction_spread"]["known"][0] < 1
    assert "hop_latency_s / all all" in told["undetermined"]


def test_calibrate_goes_on_from_constants_that_there_are(measured: Path) -> None:
    folder = measured.parent
    first = run_json("calibrate", measured, "--from", "shipped", "--out", folder / "mine.yaml")
    shipped = shipped_table()
    assert first["provenance"] == f"{shipped.provenance}; then fitted on 6 rows of m.csv: lab"
    assert shipped.seen("gpu") == read_constants(folder / "mine.yaml").seen("gpu")
    result = run(
        "calibrate", measured, "--from", folder / "mine.yaml", "--out", folder / "next.yaml"
    )
    assert (result.exit_code, result.stderr.count("Traceback")) == (0, 0)
    assert "What the rows say nothing of" in result.stdout
    assert read_constants(folder / "next.yaml").provenance.count("; then fitted on 6 rows") == 2


@pytest.mark.parametrize("start", ["shiped", "m.csv", "mine.yaml"])
def test_constants_to_start_from_that_are_none_are_bad_input(measured: Path, start: str) -> None:
    folder, name = measured.parent, start if start == "shiped" else str(measured.parent / start)
    if start == "mine.yaml":
        write_constants(shipped_table(), folder / "mine.yaml")
    result = run("calibrate", measured, "--from", name, "--out", folder / "mine.yaml")
    told = {
        "shiped": "command line: --from: must be shipped, priors or a file (got 'shiped')",
        "m.csv": "m.csv: ",
        "mine.yaml": "command line: --out: is a file that this command reads; name another",
    }
    assert result.exit_code == 2
    assert result.stderr.startswith(told[start])


@pytest.mark.parametrize("target", [".", "absent/mine.yaml", "pipe", "x" * 300])
def test_where_nothing_can_be_written_nothing_is_fitted(measured: Path, target: str) -> None:
    os.mkfifo(measured.parent / "pipe")
    result = run("calibrate", measured, "--out", measured.parent / target)
    assert result.exit_code == 2
    where = measured.parent / target
    assert result.stderr.startswith(("command line: --out: ", f"{where}: cannot be read: "))


@pytest.mark.parametrize("name", ["m.csv", "gpus.yaml", "link.yaml", "notes.txt"])
def test_calibrate_replaces_no_file_that_is_not_of_its_own(measured: Path, name: str) -> None:
    folder = measured.parent
    (folder / "gpus.yaml").write_text("{}\n", encoding="utf-8")
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    (folder / "link.yaml").symlink_to(measured)
    before = (folder / name).read_bytes()
    flags = ("--hardware", folder / "gpus.yaml", "--out", folder / name)
    result = run("calibrate", measured, *flags)
    assert result.exit_code == 2
    own = "is a file that this command has not written"
    reason = own if name == "notes.txt" else "is a file that this command reads"
    assert result.stderr.startswith(f"command line: --out: {reason}")
    assert (folder / name).read_bytes() == before


def test_calibrate_replaces_constants_and_an_empty_file(measured: Path) -> None:
    target = measured.parent / "mine.yaml"
    target.touch()
    for _ in range(2):
        assert run("calibrate", measured, "--out", target).exit_code == 0
    assert target.read_text(encoding="utf-8").startswith("format: roofline-constants/1")


def test_validate_counts_its_fits_and_scores_unseen_rows(measured: Path) -> None:
    result = run("validate", measured)
    assert result.exit_code == 0
    assert result.stderr.startswith("fit 1 of ")
    assert "Unseen rows of 6" in result.stdout


@pytest.mark.parametrize("rows", [1, 6])
def test_validate_gives_machines_json_without_nan(measured: Path, rows: int) -> None:
    lines = measured.read_text(encoding="utf-8").splitlines()[: rows + 1]
    measured.write_text("\n".join(lines), encoding="utf-8")
    told = run_json("validate", measured)
    assert told["rows"] == rows
    # of one row there is neither a half to fit on nor a rank
    assert (told["halves"] == []) == (rows == 1)
    assert (told["no_fit"]["errors"]["spearman"] is None) == (rows == 1)


@pytest.mark.parametrize("name", ["shipped", "priors"])
def test_validate_scores_given_constants_and_says_what_they_may_have_seen(
    measured: Path, name: str
) -> None:
    blocks = write_csv(measured.parent / "kv.csv", [BLOCK_ROW])
    result = run("validate", measured, "--constants", name, "--kv", blocks)
    assert (result.exit_code, result.stderr) == (0, "")
    told = " ".join(result.stdout.split())
    assert "KV blocks (1), median error" in told
    assert "By tp x pp" in told
    assert "Rows that this fit had seen may be among those scored here" in told
    assert run_json("validate", measured, "--constants", name)["scores"]["errors"]["rows"] == 6


def test_validate_scores_a_file_of_calibrate(measured: Path) -> None:
    target = measured.parent / "mine.yaml"
    run("calibrate", measured, "--out", target)
    fitted = run_json("validate", measured, "--constants", target)
    before = run_json("validate", measured, "--constants", "priors")
    assert fitted["provenance"] == "fitted on 6 rows of m.csv: lab"
    assert fitted["scores"]["errors"]["median"] < before["scores"]["errors"]["median"]


def test_constants_that_are_no_file_are_bad_input(measured: Path) -> None:
    result = run("validate", measured, "--constants", "shiped")
    assert result.exit_code == 2
    assert "--constants: must be shipped, priors or a file (got 'shiped')" in result.stderr
    target = measured.parent / "mine.yaml"
    target.write_text("effects: 3", encoding="utf-8")
    result = run("validate", measured, "--constants", target)
    assert result.exit_code == 2
    assert "mine.yaml: effects: " in result.stderr


def test_a_gpu_of_ones_own_is_measured_fitted_and_placed(measured: Path) -> None:
    folder = measured.parent
    text = measured.read_text(encoding="utf-8").replace("H100", "Mine")
    measured.write_text(text, encoding="utf-8")
    refused = run("validate", measured)
    assert refused.exit_code == 2
    assert "in a file of such entries under --hardware (got 'Mine')" in refused.stderr

    card = """Mine:
  {architecture: ada, tflops: {fp16: 165}, memory_gb: 80, gb_per_s: 1008,
   link: {kind: pcie, gb_per_s: 32}}
"""
    own, target = folder / "gpus.yaml", folder / "mine.yaml"
    own.write_text(card, encoding="utf-8")
    told = run_json("calibrate", measured, "--hardware", own, "--out", target)
    assert "link_efficiency / gpu Mine" in told["undetermined"]
    flags = ("--hardware", own, "--constants", target)
    assert set(run_json("validate", measured, *flags)["by_group"]["gpu"]) == {"Mine"}
    config = CONFIG.read_text(encoding="utf-8").replace("RTX-4090", "Mine")
    config = config.replace("RTX-3090, count: 2", "RTX-3090, count: 1")
    (folder / "c.yaml").write_text(config, encoding="utf-8")
    files = ("--set", f"performance.hardware={own}", "--set", f"performance.constants={target}")
    found = run_json("solve", folder / "c.yaml", *FEW, *files, "--set", "limits.exclude=[RTX-3090]")
    # the constants have seen the card and its engine, so the range is that of known ones;
    # the file has four digits of it
    low, high = told["prediction_spread"]["known"]
    price = found["cost_usd_per_token"]
    assert found["cost_low_usd_per_token"] == pytest.approx(price / high, rel=1e-3)
    assert found["cost_high_usd_per_token"] == pytest.approx(price / low, rel=1e-3)


def test_solve_draws_load_latency_and_what_takes_over() -> None:
    shown = " ".join(run("solve", CONFIG, *FEW).stdout.split())
    assert "8 requests at once in 1 micro-batch: first token after" in shown
    assert "Four of five such predictions lie between" in shown
    assert "tokens/s counts prompt and output, 500 and 200 a request;" in shown
    assert "first token within 2 s, 50 ms per output token at most; the baseline keeps" in shown
    assert "decided again 20 times, with constants drawn" in shown


def test_solve_without_limits_on_latency_says_that_there_are_some() -> None:
    nothing = ("--set", "limits.max_ttft_s=null", "--set", "limits.max_tpot_s=null")
    shown = " ".join(run("solve", CONFIG, *FEW, *nothing, "--brief").stdout.split())
    assert "No limit on latency was asked for; limits.max_ttft_s and limits.max_tpot_s set" in shown
    prompts = ("--set", "workload.phase=prefill", "--set", "workload.output_tokens=null")
    shown = " ".join(run("solve", CONFIG, *FEW, *nothing, *prompts, "--brief").stdout.split())
    assert "No limit on latency was asked for; limits.max_ttft_s sets one." in shown


def test_solve_gives_machines_the_same() -> None:
    found = run_json("solve", CONFIG, *FEW)
    assert found["cost_low_usd_per_token"] < found["cost_usd_per_token"]
    assert found["robustness"]["draws"] == 20
    assert 0 <= found["robustness"]["winner_share"] <= 1


def test_solve_says_that_time_did_not_allow_to_decide_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipeline.serving.uncertainty.solved_robustness", lambda _: None)
    limited = (*FEW, "--set", "solver.time_limit_s=5")
    shown = " ".join(run("solve", CONFIG, *limited).stdout.split())
    assert "Not decided again under drawn constants: the limit of 5 s passed." in shown
    assert run_json("solve", CONFIG, *limited)["robustness"] is None
    assert "robustness" not in run_json("solve", CONFIG, *limited, "--brief")


@pytest.mark.parametrize(("status", "is_decided"), [("time_limit", False), ("feasible", True)])
def test_an_answer_that_took_all_the_time_is_not_decided_again(
    monkeypatch: pytest.MonkeyPatch, status: str, is_decided: bool
) -> None:
    def unproven(problem: Problem, point: Point) -> PointRows:
        rows = solved_rows(problem, point)
        values = {**rows.points[0].values, "status": status}
        return replace(rows, points=(replace(rows.points[0], values=values),))

    monkeypatch.setattr("pipeline.run.solved_rows", unproven)
    shown = run("solve", CONFIG, *FEW, "--set", "solver.time_limit_s=60").stdout
    assert ("limit of 60 s passed" not in " ".join(shown.split())) == is_decided


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


@pytest.mark.usefixtures("shared_ray")
def test_a_sweep_with_constants_of_its_own_holds_without_their_file(tmp_path: Path) -> None:
    target, folder = tmp_path / "mine.yaml", tmp_path / "run"
    spread = Spread((0.8, 1.25), (0.5, 2.0))
    given = ("--set", f"performance.constants={target}", "--out", folder)
    asked = ("--granularity", "coarse", "--budget", "0.4", "--method", "enumeration")
    write_constants(replace(shipped_table(), provenance="mine", spread=spread), target)
    swept = run("sweep", CONFIG, *FEW, *given, *asked)
    assert swept.exit_code == 0, swept.stderr

    # constants that differ in what they hold are another instance
    write_constants(shipped_table(), target)
    resumed = run("sweep", CONFIG, *FEW, *given, *asked)
    assert resumed.exit_code == 2
    assert "performance.constants.provenance: mine there, fitted on" in resumed.stderr

    target.unlink()
    audited = run_json("verify", folder)
    assert (audited["points"], audited["mismatches"]) == (1, [])
    stored = (folder / "run.json").read_text(encoding="utf-8")
    assert stored.count("\n") < 600  # one line for each of the effects, not eight
    changed = stored.replace('"known": [0.8, 1.25]', '"known": [0.7, 1.25]')
    (folder / "run.json").write_text(changed, encoding="utf-8")
    assert run("verify", folder).exit_code == 1


@pytest.mark.parametrize(
    ("phase", "told"),
    [
        ("mixed", "tokens/s counts prompt and output, 500 and 200 a request; of output alone"),
        ("decode", "tokens/s counts output tokens alone."),
        ("prefill", "tokens/s counts prompt tokens alone."),
    ],
)
def test_answers_say_which_tokens_their_rate_and_price_count(phase: str, told: str) -> None:
    """So that rates of whole requests, of prompts and of output are not taken for each other."""
    options = (*FEW, "--set", f"workload.phase={phase}", "--set", "limits.max_tpot_s=null")
    shown = " ".join(run("solve", CONFIG, "--brief", *options).stdout.split())
    assert told in shown
    assert told.partition(";")[0] in " ".join(run("frontier", CONFIG, *options).stdout.split())
    if phase == "mixed":
        found = run_json("solve", CONFIG, "--brief", *options)
        rate, price = found["throughput_tokens_per_s"], found["cost_usd_per_token"]
        output = f"{rate * 200 / 700:,.0f} tokens/s at ${price * 700 / 200 * 1e6:.6f} per million"
        assert f"of output alone it is {output}." in shown
