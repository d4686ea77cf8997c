from pathlib import Path
from typing import Any

import pytest

from pipeline.compare import Comparison, advise
from pipeline.plots import Plot, all_plots, write_plots
from pipeline.results.frames import Results
from pipeline.results.schema import PointRow
from tests.result_builders import point, segment, write_run

BATCH = "workload.batch_size"


def plots_of(results: Results) -> dict[str, Plot]:
    comparison = Comparison(results)
    advice = advise(comparison)
    assert advice is not None
    return {plot.name: plot for plot in all_plots(comparison, advice.best)}


def rows(**values: Any) -> list[PointRow]:
    suffix = "".join(str(value) for value in values.values())
    return [
        point(f"e{suffix}", **values),
        point(f"c{suffix}", "coarse", usd_per_million=1.1, **values),
        point(f"b{suffix}", method="enumeration", budget_usd_per_hour=4.0, **values),
    ]


def test_a_run_with_everything_has_every_plot(tmp_path: Path) -> None:
    assert list(plots_of(write_run(tmp_path, rows()))) == [
        "pipeline",
        "pareto",
        "budget",
        "regret_size",
        "regret_time",
        "methods",
        "usage",
        "times",
    ]


@pytest.mark.parametrize(("sizes", "pixels"), [(2, 120), (20, 320), (60, 480), (126, 630)])
def test_panels_of_many_segment_sizes_have_thinner_rows(
    tmp_path: Path, sizes: int, pixels: int
) -> None:
    stages = [segment("a", index, size=index + 1) for index in range(sizes)]
    usage = plots_of(write_run(tmp_path, [point("a")], stages))["usage"]
    assert usage.spec["spec"]["height"] == pixels


def test_swept_fields_become_small_multiples(tmp_path: Path) -> None:
    stages = "limits.max_stages"
    over = {BATCH: [16, 32], stages: [4, 8]}
    crossed = [
        row for b in over[BATCH] for s in over[stages] for row in rows(**{BATCH: b, stages: s})
    ]
    plots = plots_of(write_run(tmp_path, crossed, fields={"sweep.over": over}))
    assert plots["swept_workload_batch_size"].spec["facet"]["sort"] == [
        "max_stages 4",
        "max_stages 8",
    ]
    assert len(plots["swept_pareto"].spec["facet"]["sort"]) == 4


def test_a_field_of_many_letters_that_are_no_ascii_has_a_plot_whose_name_a_file_can_have(
    tmp_path: Path,
) -> None:
    kind = "显" * 180
    field = f"pool.{kind}.count"
    fields = {
        "pool": [{"gpu": kind, "count": 1, "memory_gb": 48, "usd_per_hour": 1.0}],
        "performance.gpus": {kind: {"tflops": 1.0, "gb_per_s": 1.0, "efficiency": 1.0}},
        "network.overrides": [],
        "baseline": None,
        "sweep.over": {field: [1, 2]},
    }
    run = write_run(tmp_path, [*rows(**{field: 1}), *rows(**{field: 2})], fields=fields)
    assert all(len(f"{name}.png".encode()) <= 255 for name in plots_of(run))


def test_fields_that_differ_in_punctuation_alone_have_plots_of_their_own(tmp_path: Path) -> None:
    kinds = ["Own-1", "Own_1"]
    figures = {"tflops": 1.0, "gb_per_s": 1.0, "efficiency": 1.0}
    sizes = {"count": 1, "memory_gb": 48, "usd_per_hour": 1.0}
    counts = {f"pool.{kind}.count": [1, 2] for kind in kinds}
    fields = {
        "pool": [{"gpu": kind, **sizes} for kind in kinds],
        "performance.gpus": dict.fromkeys(kinds, figures),
        "network.overrides": [],
        "baseline": None,
        "sweep.over": counts,
    }
    crossed = [
        row
        for a in (1, 2)
        for b in (1, 2)
        for row in rows(**dict(zip(counts, (a, b), strict=True)))
    ]
    plots = plots_of(write_run(tmp_path, crossed, fields=fields))
    assert plots["swept_pool_Own_1_count"].title == "Cost per token against pool.Own-1.count"
    assert plots["swept_pool_Own_1_count_"].title == "Cost per token against pool.Own_1.count"


def test_more_panels_than_fit_are_left_out_and_it_is_said(tmp_path: Path) -> None:
    batches = list(range(1, 15))
    many = [row for b in batches for row in rows(**{BATCH: b})]
    plots = plots_of(write_run(tmp_path, many, fields={"sweep.over": {BATCH: batches}}))
    assert "The first 12 of 14 are shown." in plots["swept_pareto"].caption
    assert len(plots["swept_pareto"].spec["facet"]["sort"]) == 12


def test_without_a_baseline_its_marks_are_left_out(tmp_path: Path) -> None:
    nothing: dict[str, Any] = {
        f"baseline_{name}": None for name in ("throughput_tokens_per_s", "cost_usd_per_hour")
    }
    nothing |= {"baseline_cost_usd_per_token": None, "ratio_to_baseline": None}
    results = write_run(tmp_path, [point("e", **nothing)])
    pareto = plots_of(results)["pareto"]
    assert "baseline" not in f"{pareto.spec['layer']} {pareto.caption}"


def test_a_baseline_dearer_than_all_placements_lies_on_the_axis(tmp_path: Path) -> None:
    dear: dict[str, Any] = {"baseline_cost_usd_per_hour": 50.0}
    pareto = plots_of(write_run(tmp_path, [point("e", **dear)]))["pareto"]
    domain = pareto.spec["layer"][0]["encoding"]["x"]["scale"]["domain"]
    assert domain[1] > 50.0


def test_plots_are_written_as_png_and_svg(tmp_path: Path) -> None:
    plots = plots_of(write_run(tmp_path, rows()))
    files = write_plots([plots["pareto"]], tmp_path / "plots")
    assert files == [str(tmp_path / "plots" / f"pareto.{kind}") for kind in ("svg", "png")]
    assert (tmp_path / "plots" / "pareto.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "plots" / "pareto.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["pareto", "budget", "regret_size", "pipeline"])
def test_charts_bring_no_theme_of_their_own(tmp_path: Path, name: str) -> None:
    assert "config" not in plots_of(write_run(tmp_path, rows()))[name].spec
