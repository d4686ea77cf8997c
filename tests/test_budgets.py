"""Budget presets, absolute and relative to a ballpark."""

from itertools import pairwise

import pytest

from pipeline.budgets import budgets_usd_per_hour, needs_ballpark
from pipeline.formulation.compact import within


def test_absolute_presets_are_those_published() -> None:
    # Source: DESIGN.md §6.
    fine = (0.3, 0.4, 0.5, 0.7, 0.9, 1.0, 1.2, 1.5, 2.0, 3.0)
    assert budgets_usd_per_hour("fine") == fine
    assert budgets_usd_per_hour("coarse") == (0.3, 0.5, 1.0, 2.0, 5.0)


def test_wide_is_eight_points_of_equal_ratio_from_30_cents_to_10_dollars() -> None:
    wide = budgets_usd_per_hour("wide")
    assert len(wide) == 8
    assert (wide[0], wide[-1]) == (0.3, 10.0)
    ratios = [after / before for before, after in pairwise(wide)]
    # Seven steps from 0.3 to 10; budgets are rounded to 4 decimals.
    assert ratios == pytest.approx([(10 / 0.3) ** (1 / 7)] * 7, rel=1e-3)


def test_relative_presets_are_multiples_of_the_ballpark() -> None:
    # Source: DESIGN.md §6, times $2/h.
    coarse = (0.8, 1.4, 1.8, 2.0, 2.4, 3.0)
    fine = (0.5, 0.8, 1.2, 1.5, 1.7, 1.9, 2.0, 2.2, 2.5, 3.0, 3.5, 4.0)
    assert budgets_usd_per_hour("around_coarse", 2.0) == pytest.approx(coarse)
    assert budgets_usd_per_hour("around_fine", 2.0) == pytest.approx(fine)


@pytest.mark.parametrize("cost", [1.2345674, 0.1 + 0.2, 4e-7, 123456.7890123])
def test_a_multiple_of_a_cost_leaves_room_for_what_costs_exactly_that(cost: float) -> None:
    multiples = (0.4, 0.7, 0.9, 1.0, 1.2, 1.5)
    for budget, multiple in zip(
        budgets_usd_per_hour("around_coarse", cost), multiples, strict=True
    ):
        assert within(budget) >= multiple * cost
        assert budget == pytest.approx(multiple * cost, rel=1e-11)


def test_a_multiple_of_a_sum_of_decimals_is_a_plain_number() -> None:
    assert budgets_usd_per_hour("around_coarse", 0.1 + 0.2)[3] == 0.3


def test_only_relative_presets_need_a_ballpark() -> None:
    asks: list[str | list[float]] = [
        "fine",
        "coarse",
        "wide",
        "around_fine",
        "around_coarse",
        [1.0, 2.0],
    ]
    assert [needs_ballpark(budgets) for budgets in asks] == [False, False, False, True, True, False]


def test_a_relative_preset_without_a_ballpark_is_an_error() -> None:
    with pytest.raises(ValueError, match="'around_fine' need a ballpark"):
        budgets_usd_per_hour("around_fine")


def test_a_list_of_budgets_keeps_its_order() -> None:
    assert budgets_usd_per_hour([2, 0.5]) == (2.0, 0.5)
