"""space, compare and verify: looking without solving."""

import csv
from pathlib import Path
from typing import Any

import pytest

from tests.cli.runner import run, run_json
from tests.result_builders import point, write_run
from tests.sweeps import REFERENCE, run_without_ray, small_config


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("inspect")
    run_without_ray(small_config(directory), directory / "run")
    return directory / "run"


def test_space_counts_what_the_published_formulation_would_build() -> None:
    # The published "before" row; DESIGN.md section 4.
    limits = [f"--set=pool.{gpu}.max_tp=4" for gpu in ("L20", "A10", "V100", "T4")]
    limits += ["--set=pool.A100.max_tp=8", "--set=network.drop_below_percentile=10"]
    (fine,) = run_json("space", REFERENCE, "--granularity", "fine", *limits)
    assert fine["granularity"] == "fine"
    counts = [fine[name] for name in ("segments", "connections", "binary_variables")]
    assert counts == [4797, 335868, 340665]
    assert fine["connections_before_filter"] == 353516


def test_space_shows_every_granularity_of_the_config_within_100_columns() -> None:
    result = run("space", REFERENCE, columns=100)
    names = [line.split()[0] for line in result.stdout.splitlines()[3:]]
    assert names == ["coarsest", "coarse", "moderate", "fine", "exact"]
    assert "…" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_space_counts_a_granularity_of_two_spellings_once() -> None:
    (space,) = run_json("space", REFERENCE, "--granularity", "5+10,10+5")
    assert space["granularity"] == "5+10"


def test_compare_as_data_has_the_baseline_and_every_granularity(folder: Path) -> None:
    (found,) = run_json("compare", folder)
    assert [row["granularity"] for row in found["granularities"]] == ["exact", "1+3"]
    assert found["granularities"][1]["percent_to_exact"] == pytest.approx(12.5)
    assert found["baseline"][0]["usd_per_token"] == pytest.approx(0.25 / (100 * 3600))


@pytest.mark.parametrize(
    ("fields", "is_told"),
    [({}, True), ({"baseline": None}, False), ({"pool.A100.usd_per_hour": 1.5}, False)],
)
def test_the_published_target_is_told_of_the_instance_it_was_published_for(
    tmp_path: Path, fields: dict[str, Any], is_told: bool
) -> None:
    row = point("a", ratio_to_baseline=None) if "baseline" in fields else point("a")
    write_run(tmp_path, [row], fields=fields)
    compared = run("compare", tmp_path).stdout
    assert "Lowest cost per token" in compared
    assert ("Published target, within" in compared) is is_told


def test_a_baseline_that_does_not_fit_has_no_figures_as_data(tmp_path: Path) -> None:
    """The pool has one Slow: at TP 1 it is the baseline, at TP 2 it cannot be."""
    small = {"limits.tp_degrees": [1, 2]}
    run_without_ray(small_config(tmp_path, small), tmp_path / "run")
    (found,) = run_json("compare", tmp_path / "run")
    fitting, misfit = found["baseline"]
    assert misfit["reason"]
    names = ("tokens_per_s", "throughput_tokens_per_s", "usd_per_token", "cost_usd_per_token")
    assert [misfit[name] for name in names] == [None] * 4
    assert all(fitting[name] for name in names)


def test_figures_as_data_have_the_names_of_the_tables_too(folder: Path) -> None:
    first, second = run_json("compare", folder, folder)
    exact = first["granularities"][0]
    prices = [row["cost_usd_per_token"] for row in (exact, first["methods"][0])]
    assert prices == pytest.approx([0.5 / (300 * 3600)] * 2)
    assert exact["throughput_tokens_per_s"] == pytest.approx(300)
    assert first["baseline"][0]["cost_usd_per_hour"] == pytest.approx(0.25)
    assert second["changes"]["answers"][0]["after"] == exact
    (space,) = run_json("space", REFERENCE, "--granularity", "coarse")
    assert space["binaries"] == space["segments"] + space["connections"]


def test_compare_shows_all_of_it_within_100_columns(folder: Path) -> None:
    result = run("compare", folder, columns=100)
    assert result.exit_code == 0
    said = " ".join(result.stdout.split())
    for text in ("33.3 % below the baseline", "+12.5 %", "1 × 4 layers on Fast TP 1", "optimal"):
        assert text in said
    assert "…" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_compare_takes_several_folders(folder: Path) -> None:
    assert len(run_json("compare", folder, folder)) == 2


def test_the_columns_of_the_figures_are_the_same_for_every_reader(folder: Path) -> None:
    lines = run("compare", folder).stdout.splitlines()
    exact = next(line for line in lines if line.startswith("exact") and "ratio" in line)
    # .5/(300·3600) is $0.462963 per million tokens, a third under .25/(100·3600).
    row = next(csv.reader([exact], delimiter=" ", skipinitialspace=True))
    assert row[1:6] == ["$0.462963", "300", "0.50", "-33.3", "%"]


def test_verify_says_how_much_it_looked_at(folder: Path) -> None:
    result = run("verify", folder)
    assert (result.exit_code, result.stdout) == (0, "10 rows, 6 placements: all hold\n")
    assert run_json("verify", folder) == {"points": 10, "placements": 6, "mismatches": []}
