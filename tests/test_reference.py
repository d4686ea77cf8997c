"""The reference numbers come out: every search-space row, every frontier row at its budget.

They stand in a folder beside the project and are not part of it; where it is absent, the tests
that need it are skipped and those of the figures that DESIGN.md cites remain.
"""

import csv
import math
from pathlib import Path

import pytest

from pipeline import methods
from pipeline.curve import CostCurve
from pipeline.granularity import PRESETS, granularity
from pipeline.groups import group_classes
from pipeline.methods import AnswerStatus
from pipeline.options import stage_options
from pipeline.search_space import search_space
from pipeline.settings import SolverSettings
from tests.builders import reference_instance

REFERENCE = Path(__file__).parents[2] / "shared" / "reference"
needs_reference = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason="the folder of reference numbers is not there"
)
# Lowest $/token of the reference instance. Source: DESIGN.md §4.
LOWEST = {
    "coarsest": 1.0575e-7,
    "coarse": 1.0356e-7,
    "moderate": 1.0356e-7,
    "fine": 1.0356e-7,
    "exact": 9.8697e-8,
}


def rows(name: str) -> list[dict[str, str]]:
    with (REFERENCE / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def curve_of(name: str) -> CostCurve:
    return CostCurve(reference_instance(), granularity(name, 40), SolverSettings())


@pytest.mark.parametrize("name", PRESETS)
def test_the_lowest_cost_per_token_of_every_granularity_comes_out(name: str) -> None:
    answer = methods.ratio(curve_of(name))
    assert answer.status is AnswerStatus.OPTIMAL
    assert answer.placement is not None
    assert math.isclose(answer.placement.usd_per_token, LOWEST[name], rel_tol=5e-5)


@needs_reference
def test_every_row_of_the_published_search_space_comes_out() -> None:
    for row in rows("search_space_medium.csv"):
        others = 8 if row["max_tp_map"] == "all=8" else 4
        fields = {f"pool.{name}.max_tp": others for name in ("L20", "A10", "V100", "T4")}
        instance = reference_instance({"network.drop_below_percentile": 10, **fields})
        options = stage_options(instance, granularity(row["granularity"], 40).sizes)
        space = search_space(instance, group_classes(instance), options)
        columns = ("segments", "connections_before_filter", "connections", "binary_variables")
        assert {c: getattr(space, c) for c in columns} == {c: int(row[c]) for c in columns}


@needs_reference
@pytest.mark.parametrize("name", PRESETS)
def test_every_frontier_row_comes_out_at_its_budget_and_on_the_frontier(name: str) -> None:
    expected = [row for row in rows("frontier_medium.csv") if row["granularity"] == name]
    found = [answer.placement for answer in methods.frontier(curve_of(name))]
    assert len(found) == len(expected)
    for row, on_frontier in zip(expected, found, strict=True):
        rate, cost = float(row["throughput_tokens_per_s"]), float(row["cost_usd_per_hour"])
        at_budget = methods.enumeration(curve_of(name), cost)
        assert at_budget.status is AnswerStatus.OPTIMAL
        for placement in (at_budget.placement, on_frontier):
            assert placement is not None
            assert math.isclose(placement.tokens_per_s, rate, rel_tol=1e-6)
            assert math.isclose(placement.usd_per_hour, cost, rel_tol=1e-6)
