from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipeline.cli.comparison import comparison_view, what_was_found
from pipeline.compare import Advice, Comparison, advise, band
from pipeline.compare.advice import against_baseline
from pipeline.report.facts import headline
from pipeline.results.schema import PointRow
from tests.result_builders import point, write_run

SLOW: dict[str, Any] = {"build_seconds": 0.0, "solve_seconds": 9.0}
FAST: dict[str, Any] = {"build_seconds": 0.0, "solve_seconds": 0.5}
BATCH_SIZE = "workload.batch_size"


def swept(batch_size: int) -> dict[str, Any]:
    """Return what a row of a swept batch size has beside the others."""
    return {BATCH_SIZE: batch_size}


def advice_of(directory: Path, rows: list[PointRow], tolerance: float = 1.0) -> Advice:
    advice = advise(Comparison(write_run(directory, rows)), tolerance)
    assert advice is not None
    return advice


def rows_of_three_searches() -> list[PointRow]:
    """Exact by ratio: the optimum in 9 s; coarse: 5 % above, .5 s; fine: .5 % above, 1 s."""
    return [
        point("e", **SLOW),
        point("c", "coarse", usd_per_million=1.05, **FAST),
        point("f", "fine", usd_per_million=1.005),
    ]


@pytest.mark.parametrize(
    ("tolerance", "granularity"), [(0.1, "exact"), (1.0, "fine"), (10.0, "coarse")]
)
def test_the_fastest_search_within_the_tolerance_is_advised(
    tmp_path: Path, tolerance: float, granularity: str
) -> None:
    advice = advice_of(tmp_path, rows_of_three_searches(), tolerance)
    assert advice.search is not None
    assert advice.search.granularity == granularity


def test_the_placement_to_run_is_the_cheapest_whatever_the_search(tmp_path: Path) -> None:
    advice = advice_of(tmp_path, rows_of_three_searches(), 10.0)
    assert advice.best.point_id == "e"
    assert advice.proven
    assert "50.0 % below the baseline" in advice.run_this


def test_of_several_sets_of_swept_values_advice_says_with_which_it_is_the_cheapest(
    tmp_path: Path,
) -> None:
    rows = [point("a", **swept(16)), point("b", usd_per_million=0.9, **swept(32))]
    results = write_run(tmp_path, rows, fields={"sweep.over": {BATCH_SIZE: [16, 32]}})
    advice = advise(Comparison(results))
    assert advice is not None
    assert f"(granularity exact, {BATCH_SIZE} = 32)" in advice.run_this
    assert "the cheapest of 2 sets of swept values; each has a placement" in advice.run_this
    for told in (what_was_found(results, advice.best), headline(results, advice)):
        assert f" with {BATCH_SIZE} = 32, " in told
    alone = advice_of(tmp_path / "alone", rows_of_three_searches())
    assert "swept" not in alone.run_this


def test_a_search_that_failed_somewhere_is_not_advised(tmp_path: Path) -> None:
    broken = point("x", "coarse", usd_per_million=None, status="error", message="crash", **FAST)
    advice = advice_of(tmp_path, [point("e", **SLOW), broken])
    assert advice.search is not None
    assert advice.search.granularity == "exact"


def test_a_search_that_answered_for_only_some_of_the_swept_values_is_not_advised(
    tmp_path: Path,
) -> None:
    """Coarse by ratio finds the optimum fast, but was never asked at the second batch size."""
    rows = [
        point("e1", **SLOW, **swept(16)),
        point("e2", **SLOW, **swept(32)),
        point("c1", "coarse", **FAST, **swept(16)),
    ]
    results = write_run(tmp_path, rows, fields={"sweep.over": {BATCH_SIZE: [16, 32]}})
    advice = advise(Comparison(results))
    assert advice is not None
    assert advice.search is not None
    assert advice.search.granularity == "exact"
    assert advice.others == ()


def test_an_unfinished_run_advises_no_search_as_some_were_merely_not_reached(
    tmp_path: Path,
) -> None:
    results = write_run(tmp_path, [point("e", **SLOW)])
    results.run["status"] = "stopped"
    advice = advise(Comparison(results))
    assert advice is not None
    assert advice.best.point_id == "e"
    assert advice.search is None
    assert advice.search_this == "The sweep has not finished, so no search is recommended."


def test_searches_that_found_free_tokens_are_as_good_as_the_optimum(tmp_path: Path) -> None:
    rows = [
        point("e", usd_per_million=0.0, **SLOW),
        point("c", "coarse", usd_per_million=0.0, **FAST),
        point("f", "fine", usd_per_million=1.0, **FAST),
    ]
    advice = advice_of(tmp_path, rows)
    assert advice.search is not None
    assert (advice.search.granularity, advice.search.percent_to_optimum) == ("coarse", 0.0)
    assert [other.granularity for other in advice.others] == ["exact"]
    assert advice.proven


def test_a_search_that_found_a_slower_free_placement_is_as_far_off_as_that_is_slower(
    tmp_path: Path,
) -> None:
    rows = [
        point("e", usd_per_million=0.0, tokens_per_s=1000.0, **SLOW),
        point("f", "fine", usd_per_million=0.0, tokens_per_s=995.0, **FAST),
        point("c", "coarse", usd_per_million=0.0, tokens_per_s=500.0, **FAST),
    ]
    advice = advice_of(tmp_path, rows, 0.1)
    assert advice.search is not None
    assert advice.search.granularity == "exact"
    assert "it found the fastest of the free placements in 9.0 s" in advice.search_this
    assert {o.granularity: round(o.percent_to_optimum, 2) for o in advice.others} == {
        "fine": 0.5,
        "coarse": 100.0,
    }
    assert "it came within 0.50 % of the fastest of the" in advice_of(tmp_path, rows).search_this


def test_without_a_proof_the_best_found_is_not_called_proven(tmp_path: Path) -> None:
    advice = advice_of(tmp_path, [point("w", method="weighted")])
    assert not advice.proven


def test_an_answer_above_the_proven_optimum_is_not_called_proven(tmp_path: Path) -> None:
    late = point("e", status="time_limit", bound_cost_usd_per_token=0.9e-6, mip_gap=0.1)
    assert not advice_of(tmp_path, [late]).proven


@pytest.mark.parametrize(("target", "said"), [(1.0, "met"), (0.99, "missed")])
def test_the_comparison_says_whether_the_price_to_beat_is_met(
    tmp_path: Path, target: float, said: str
) -> None:
    fields = {"sweep.target_usd_per_million_tokens": target}
    results = write_run(tmp_path, [point("e", usd_per_million=1.0)], fields=fields)
    console = Console(width=200, record=True)
    console.print(comparison_view(results))
    assert f"The target of ${target:g} per million tokens is {said}." in console.export_text()


def test_a_run_without_placement_gives_no_advice(tmp_path: Path) -> None:
    results = write_run(tmp_path, [point("a", usd_per_million=None)])
    assert advise(Comparison(results)) is None


@pytest.mark.parametrize(
    ("percent", "name"),
    [
        (None, "–"),
        (-0.1, "below the baseline"),
        (5.0, "within 5 %"),
        (9.9, "within 10 %"),
        (10.1, "beyond 10 %"),
    ],
)
def test_the_target_band_is_named(percent: float | None, name: str) -> None:
    assert band(percent) == name


@pytest.mark.parametrize(
    ("percent", "said"),
    [(0.04, "the same as the baseline"), (-26.6, "26.6 % below the baseline"), (None, "")],
)
def test_a_price_equal_to_the_baseline_is_neither_above_nor_below(
    percent: float | None, said: str
) -> None:
    assert against_baseline(percent).removeprefix(", ") == said


def test_under_swept_values_the_baseline_is_that_of_the_same_values() -> None:
    told = against_baseline(-5.9, swept=True)
    assert told == ", 5.9 % below the baseline of the same values"
