"""The committed reference sweep: a fresh run of a part of it gives the same numbers."""

import math
from pathlib import Path

import pytest

from pipeline.audit import audit
from pipeline.config import load_config
from pipeline.points import make_point
from pipeline.results import load
from pipeline.results.frames import Results
from pipeline.run import run_point
from pipeline.sweep import problem_of
from tests.builders import REFERENCE_CONFIG

REFERENCE = Path(__file__).parent.parent / "results" / "reference"
METRICS = ("throughput_tokens_per_s", "cost_usd_per_hour", "cost_usd_per_token")
# Lowest $/token by granularity. Source: the published numbers of the reference instance.
LOWEST = {
    "coarsest": 1.0575e-7,
    "coarse": 1.0356e-7,
    "moderate": 1.0356e-7,
    "fine": 1.0356e-7,
    "exact": 9.8697e-8,
}


@pytest.fixture(scope="module")
def stored() -> Results:
    return load(REFERENCE)


@pytest.mark.parametrize("granularity", ["coarsest", "coarse", "exact"])
@pytest.mark.parametrize("method", ["ratio", "frontier"])
def test_a_fresh_run_gives_the_stored_numbers(
    stored: Results, granularity: str, method: str
) -> None:
    problem = problem_of(load_config(REFERENCE_CONFIG), {})
    fresh = run_point(problem, make_point(problem, granularity, method)).points
    points = stored.points
    kept = points[(points.granularity == granularity) & (points.method == method)]
    kept = kept.sort_values("throughput_tokens_per_s", ascending=False)
    assert len(kept) == len(fresh)
    for (_, row), new in zip(kept.iterrows(), fresh, strict=True):
        assert row.status == new.values["status"] == "optimal"
        for metric in METRICS:
            assert math.isclose(row[metric], new.values[metric], rel_tol=1e-9), metric


def test_the_stored_sweep_holds_the_known_lowest_prices(stored: Results) -> None:
    found = stored.points.groupby("granularity").cost_usd_per_token.min()
    assert {name: f"{price:.4e}" for name, price in found.items()} == {
        name: f"{price:.4e}" for name, price in LOWEST.items()
    }


def test_the_stored_sweep_is_complete_small_and_beside_its_report(stored: Results) -> None:
    assert set(stored.points.method) == {
        "enumeration",
        "ratio",
        "frontier",
        "weighted",
        "iterative",
    }
    assert not (stored.points.status == "error").any()
    files = [file for file in REFERENCE.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 4_000_000
    assert (REFERENCE / "report.html").is_file()
    assert len(list((REFERENCE / "plots").glob("*.png"))) >= 8


def test_the_stored_placements_hold_against_their_config() -> None:
    """Ids change with the config's schema and say nothing of the numbers: they are left out."""
    wrong = [str(m) for m in audit(REFERENCE).mismatches if m.what != "question"]
    assert wrong == []
