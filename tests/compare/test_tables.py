from typing import Any

import pandas as pd
import pytest

from pipeline.compare.tables import (
    by_swept,
    effort_seconds,
    in_order,
    lowest,
    percent_above,
    proven_usd_per_token,
)
from pipeline.results.frames import asked
from tests.result_builders import point


def frame(*rows: object) -> pd.DataFrame:
    columns = ["cost_usd_per_token", "cost_usd_per_hour", "bound_cost_usd_per_token"]
    values = [{**dict.fromkeys(columns), **row.values} for row in rows]  # type: ignore[attr-defined]
    return pd.DataFrame(values).astype(dict.fromkeys(columns, float))


def test_of_equal_prices_the_one_whose_method_proves_most_is_the_lowest() -> None:
    points = frame(point("a", method="iterative"), point("b", method="ratio"))
    best = lowest(points)
    assert best is not None
    assert best.point_id == "b"


def test_prices_that_differ_in_the_last_digit_are_equal() -> None:
    rows = frame(point("a", method="iterative", usd_per_million=1 - 1e-12), point("b"))
    best = lowest(rows)
    assert best is not None
    assert best.point_id == "b"


def test_of_what_is_free_the_fastest_is_the_lowest() -> None:
    rows = frame(
        point("a", usd_per_million=0.0), point("b", usd_per_million=0.0, tokens_per_s=2000.0)
    )
    best = lowest(rows)
    assert best is not None
    assert best.point_id == "b"


def test_there_is_no_lowest_of_points_without_placement() -> None:
    assert lowest(frame(point("a", usd_per_million=None))) is None


def test_a_frontier_is_one_question_and_its_time_counts_once() -> None:
    points = frame(point("f-0", method="frontier"), point("f-1", method="frontier"), point("r"))
    assert list(asked(points).point_id) == ["f-0", "r"]
    assert effort_seconds(points) == pytest.approx(2 * (0.25 + 0.75))


def test_a_ratio_cut_short_proves_no_optimum() -> None:
    """Its bound may be far below what there is: a distance from it is none from the optimum."""
    cut = point("a", status="time_limit", bound_cost_usd_per_token=0.8e-6)
    assert proven_usd_per_token(frame(cut), 300) is None
    assert proven_usd_per_token(frame(cut, point("b")), 300) == pytest.approx(1e-6)


def test_a_complete_frontier_proves_its_lowest_price() -> None:
    rows = [point(f"f-{i}", method="frontier", usd_per_million=2.0 - i) for i in range(2)]
    assert proven_usd_per_token(frame(*rows), 300) == pytest.approx(1e-6)


@pytest.mark.parametrize(
    "values", [{"status": "feasible"}, {"total_seconds": 300.0}], ids=["unproven", "out of time"]
)
def test_a_frontier_that_may_lack_points_proves_nothing(values: dict[str, Any]) -> None:
    rows = [point("f-0", method="frontier"), point("f-1", method="frontier", **values)]
    assert proven_usd_per_token(frame(*rows), 300) is None


def test_enumeration_alone_proves_no_price() -> None:
    assert proven_usd_per_token(frame(point("a", method="enumeration")), 300) is None


def test_swept_values_come_in_numeric_order_and_a_null_is_a_value() -> None:
    points = pd.DataFrame({"b": [16.0, 8.0, None]})
    found = [swept["b"] for swept, _ in by_swept(points, ["b"])]
    assert found[:2] == [8.0, 16.0]
    assert len(found) == 3


def test_names_that_the_order_lacks_stand_last() -> None:
    assert in_order(["x", "fine", "coarse"], ["coarse", "fine"]) == ["coarse", "fine", "x"]


def test_a_difference_to_nothing_is_none() -> None:
    assert percent_above(1.0, None) is None
    assert percent_above(1.0, 0.0) is None
    assert percent_above(0.0, 0.0) == 0.0
    assert percent_above(float("nan"), 1.0) is None
    assert percent_above(1.5, 1.2) == pytest.approx(25.0)
