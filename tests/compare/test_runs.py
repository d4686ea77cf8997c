from pathlib import Path

import pytest

from pipeline.compare import compare_runs
from pipeline.results.config_changes import changed_fields
from pipeline.results.schema import pareto_id
from tests.result_builders import point, write_run


def test_changed_fields_go_by_their_dotted_names_and_gpus_by_their_type() -> None:
    before = {"limits": {"a": 1, "b": 2}, "pool": [{"gpu": "T4", "count": 1}]}
    after = {"limits": {"a": 1, "b": 3}, "pool": [{"gpu": "T4", "count": 2}, {"gpu": "A10"}]}
    changes = {c.field: (c.before, c.after) for c in changed_fields(before, after)}
    assert changes == {
        "limits.b": (2, 3),
        "pool.T4.count": (1, 2),
        "pool.A10": (None, {"gpu": "A10"}),
    }


def test_two_runs_are_compared_in_config_and_answer(tmp_path: Path) -> None:
    before = write_run(tmp_path / "1", [point("a"), point("c", "coarse")])
    after = write_run(
        tmp_path / "2", [point("b", usd_per_million=0.9)], fields={"limits.max_stages": 4}
    )
    found = compare_runs(before, after)
    assert [(c.field, c.before, c.after) for c in found.fields] == [("limits.max_stages", 8, 4)]
    answers = {answer.granularity: answer for answer in found.answers}
    assert answers["exact"].percent == pytest.approx(-10.0)
    assert answers["coarse"].after is None
    assert answers["coarse"].percent is None
    assert found.shared_points == 0


def test_a_point_that_both_proved_differently_is_a_contradiction(tmp_path: Path) -> None:
    before = write_run(tmp_path / "1", [point("a"), point("b")])
    after = write_run(tmp_path / "2", [point("a"), point("b", usd_per_million=0.9)])
    found = compare_runs(before, after)
    assert found.shared_points == 2
    assert found.contradictions == ("b",)


def test_equal_optima_in_other_placements_do_not_contradict(tmp_path: Path) -> None:
    """A dollar for a million tokens at twice the throughput costs twice as much an hour."""
    before = write_run(tmp_path / "1", [point("a")])
    after = write_run(tmp_path / "2", [point("a", tokens_per_s=2000.0)])
    assert compare_runs(before, after).contradictions == ()


def test_a_frontier_in_both_runs_is_one_point_however_many_rows_it_has(tmp_path: Path) -> None:
    rows = [point(pareto_id("f", i), method="frontier") for i in range(3)]
    runs = [write_run(tmp_path / name, [point("a"), *rows]) for name in "12"]
    assert compare_runs(*runs).shared_points == 2
