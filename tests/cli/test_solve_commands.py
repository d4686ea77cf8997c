"""solve and frontier: one question, one answer."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.cli.answers import answer_view, frontier_view
from pipeline.config import load_config
from pipeline.points import make_point
from pipeline.results.schema import PointRow
from pipeline.run import PointRows, run_point
from pipeline.sweep import problem_of
from tests.cli.runner import run, run_json
from tests.sweeps import REFERENCE, write_config


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path / "small.yaml")


def test_solve_finds_the_lowest_price_per_token(config: Path) -> None:
    answer = run_json("solve", config)
    assert answer["status"] == "optimal"
    assert answer["throughput_tokens_per_s"] == pytest.approx(300)
    assert answer["cost_usd_per_hour"] == pytest.approx(0.5)
    assert answer["cost_usd_per_token"] == pytest.approx(0.5 / (300 * 3600))
    assert answer["bound_cost_usd_per_token"] == pytest.approx(0.5 / (300 * 3600))


def test_an_answer_that_nothing_bounds_is_not_said_to_be_close(config: Path) -> None:
    problem = problem_of(load_config(config), {})
    solved = run_point(problem, make_point(problem, "exact", "ratio"))
    cut = {"status": "time_limit", "mip_gap": None, "bound_cost_usd_per_token": None}
    values = {**solved.points[0].values, **cut}
    told = StringIO()
    Console(file=told, width=200).print(
        answer_view(problem, PointRows((PointRow(values),), solved.segments))
    )
    assert "Not proven (time_limit): nothing bounds it (" in told.getvalue()


def test_the_pairwise_formulation_is_asked_for_no_frontier(config: Path) -> None:
    told = run("frontier", config, "--set", "solver.formulation=pairwise")
    assert told.exit_code == 2
    assert "solver.formulation: has no frontier; compact has (got 'pairwise')" in told.stderr


def test_solve_finds_the_fastest_within_a_budget(config: Path) -> None:
    answer = run_json("solve", config, "--budget", 0.8)
    assert answer["throughput_tokens_per_s"] == pytest.approx(400)
    assert answer["bound_throughput_tokens_per_s"] == pytest.approx(400)
    assert {(s["gpu"], s["size"]) for s in answer["segments"]} == {("Fast", 3), ("Slow", 1)}
    assert [s["stage"] for s in answer["segments"]] == [0, 1]
    assert set(answer["segments"][0]) >= {"gpu_ids", "start_layer", "end_layer", "tp_degree"}


def test_solve_says_where_copies_side_by_side_are_faster_than_what_it_found() -> None:
    question = ("solve", "llama-3.1-8b-workstation", "--budget", 0.32)
    answer = run_json(*question)
    copies = answer["faster_copies"]
    assert (copies["copies"], copies["num_gpus_each"]) == (2, 1)
    assert copies["throughput_tokens_per_s"] > answer["throughput_tokens_per_s"]
    assert copies["cost_usd_per_hour"] == pytest.approx(0.32)
    shown = " ".join(run(*question).stdout.split())
    assert "2 copies of the one with the lowest cost per token (1 stage on 1 GPU, " in shown
    assert run_json("solve", "llama-3.1-8b-workstation", "--budget", 0.2)["faster_copies"] is None
    assert "copies" not in run(*question, "--brief").stdout


def test_solve_trades_throughput_against_cost(config: Path) -> None:
    # t/10000 − 9·cost: the cheapest placement of all.
    answer = run_json("solve", config, "--cost-weight", 0.9)
    assert answer["cost_usd_per_hour"] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("weight", "score", "said"),
    [
        (0.9, -2.24, "throughput over 10,000 tokens/s (0.01) minus 9 × cost over $1/h (0.25)"),
        (0, 0.04, "throughput over 10,000 tokens/s (0.04)"),
        (1, -0.25, "minus cost over $1/h (0.25)"),
    ],
)
def test_a_weighted_answer_shows_its_score_and_the_scales(
    config: Path, weight: float, score: float, said: str
) -> None:
    """By hand: 100 tokens/s for $0.25/h wins wherever cost counts, else 400 tokens/s."""
    shown = " ".join(run("solve", config, "--brief", "--cost-weight", weight).stdout.split())
    told = f"Weighted score {score:g} at cost weight {weight:g}: {said}; scales: "
    assert told + "sweep.normalization." in shown
    assert run_json("solve", config, "-w", weight)["weighted_score"] == pytest.approx(score)
    assert "Weighted score" not in run("solve", config, "--brief").stdout


def test_solve_without_placement_exits_3_with_the_reason(config: Path) -> None:
    result = run("solve", config, "--budget", 0.1)
    assert result.exit_code == 3
    reason = "budget: $0.1/h is below the cheapest placement, $0.25/h"
    assert result.stdout == f"infeasible: {reason}\n"
    result = run("solve", config, "--budget", 0.1, "--json")
    assert result.exit_code == 3
    assert '"status": "infeasible"' in result.stdout


def test_solve_that_ran_out_of_time_is_no_success(config: Path) -> None:
    result = run("solve", config, "--set", "solver.time_limit_s=0")
    assert result.exit_code == 1
    assert "time_limit" in result.stdout


@pytest.mark.parametrize(("target", "said"), [(0.5, "met"), (0.4, "missed")])
def test_solve_says_whether_the_price_to_beat_is_met(
    config: Path, target: float, said: str
) -> None:
    """The lowest is $0.5/h for 300 tokens/s, $0.463 per million tokens."""
    given = f"sweep.target_usd_per_million_tokens={target}"
    shown = run("solve", config, "--brief", "--set", given).stdout
    assert f"The target of ${target} per million tokens is {said}." in shown
    assert "target" not in run("solve", config, "--brief").stdout


@pytest.mark.parametrize("budget", ["inf", "nan", "-1", "much", "1.7e308"])
def test_a_budget_that_is_no_amount_is_refused(config: Path, budget: str) -> None:
    result = run("solve", config, f"--budget={budget}")
    assert result.exit_code == 2
    assert "--budget" in result.stderr


def test_a_defect_met_in_solving_says_that_it_is_one_and_what_to_do(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("of a made-up kind")

    monkeypatch.setattr("pipeline.run.solve_point", fail)
    told = run("solve", config)
    assert told.exit_code == 1
    assert "this is a defect: ZeroDivisionError: of a made-up kind (in " in told.stderr
    assert "report it with the command and its files" in told.stderr


def test_a_preset_shows_which_sizes_it_leaves_of_this_model(config: Path) -> None:
    """Of 1 5 10 20 30 40 a model of 4 layers keeps 1, and has all 4 beside it."""
    assert "Proven at coarse (sizes 1 4):" in run("solve", config, "-g", "coarse").stdout
    assert "Proven at exact:" in run("solve", config).stdout
    assert "Proven at 1+3:" in run("solve", config, "-g", "1+3").stdout


def test_budget_and_cost_weight_exclude_each_other(config: Path) -> None:
    result = run("solve", config, "--budget", 1, "--cost-weight", 0.5)
    assert result.exit_code == 2
    assert "exclude each other" in result.stderr


def test_solve_draws_the_pipeline_within_100_columns() -> None:
    result = run("solve", REFERENCE, columns=100)
    # DESIGN.md section 4: the lowest $/token at exact is 9.8697e-8, 18.3 % under the baseline.
    assert "$0.098697 per million tokens" in result.stdout
    assert "-18.3 % against the baseline" in result.stdout
    assert "◀ bottleneck" in result.stdout
    assert "…" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_a_frontier_of_free_gpus_is_listed(config: Path) -> None:
    free = [f"--set=pool.{name}.usd_per_hour=0" for name in ("Fast", "Slow")]
    shown = run("frontier", config, *free).stdout
    assert "Pareto frontier at exact" in shown
    assert "1 point," in shown


def test_frontier_lists_every_pareto_point_fastest_first(config: Path) -> None:
    found = [
        (answer["throughput_tokens_per_s"], answer["cost_usd_per_hour"])
        for answer in run_json("frontier", config)
    ]
    assert found == [
        pytest.approx((400, 0.75)),
        pytest.approx((300, 0.5)),
        pytest.approx((100, 0.25)),
    ]


def test_frontier_marks_the_lowest_price(config: Path) -> None:
    lines = run("frontier", config, columns=100).stdout.splitlines()
    (marked,) = [line for line in lines if "lowest $/token" in line]
    assert marked.split()[:2] == ["300", "0.50"]


def test_frontier_marks_prices_alike_that_differ_in_the_last_digit_alone(config: Path) -> None:
    problem = problem_of(load_config(config), {})
    first = run_point(problem, make_point(problem, "exact", "frontier")).points[0].values
    price = first["cost_usd_per_token"]
    rows = [PointRow({**first, "cost_usd_per_token": p}) for p in (price, price * (1 + 1e-15))]
    told = StringIO()
    Console(file=told, width=200).print(frontier_view(problem, PointRows(tuple(rows), ())))
    assert told.getvalue().count("lowest $/token") == 2


def test_frontier_without_placement_exits_3(config: Path) -> None:
    result = run("frontier", config, "--set", "limits.min_layers_per_stage=5")
    assert result.exit_code == 3
    assert result.stdout.startswith("infeasible: sizes: min_layers_per_stage is 5")
    as_data = run("frontier", config, "--set", "limits.min_layers_per_stage=5", "--json")
    assert (as_data.exit_code, json.loads(as_data.stdout)) == (3, [])
    assert as_data.stderr.startswith("infeasible: sizes: min_layers_per_stage is 5")


def test_set_changes_the_question(config: Path) -> None:
    # At $0.1/h for Slow its tokens are the cheapest: .1/100 against .5/300.
    answer = run_json("solve", config, "--set", "pool.Slow.usd_per_hour=0.1")
    assert answer["cost_usd_per_hour"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        ("vllm-0.6.3", "'vllm-0.6.3'; the figures are those of its family."),
        ("llamacpp", "'llamacpp' or its family; the figures are what all engines have in common."),
        ("vllm", None),
    ],
)
def test_solve_says_when_no_fit_has_seen_the_engine(engine: str, told: str | None) -> None:
    few = ("workload.concurrency=8", "workload.micro_batches=1", f"workload.engine={engine}")
    options = [part for text in few for part in ("--set", text)]
    result = run("solve", "llama-3.1-8b-workstation", "--brief", *options)
    shown = " ".join(result.stdout.split())
    assert (f"No fit has seen engine {told}" in shown) if told else ("No fit" not in shown)
