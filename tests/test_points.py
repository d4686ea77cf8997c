"""The id of a point stands for everything that decides its answer, and for nothing else."""

from dataclasses import astuple, replace
from pathlib import Path

import pytest

from pipeline.performance import flops
from pipeline.points import Problem, digest, make_point
from pipeline.results.schema import SCHEMA_VERSION
from tests.sweeps import small_problem


@pytest.fixture
def problem(tmp_path: Path) -> Problem:
    return small_problem(tmp_path)


def test_the_same_question_has_the_same_id(problem: Problem) -> None:
    one = make_point(problem, "exact", "enumeration", 0.5)
    assert one.point_id == make_point(problem, "exact", "enumeration", 0.5).point_id
    assert len(one.point_id) == 20


def test_every_part_of_the_question_changes_the_id(problem: Problem) -> None:
    other = replace(problem, problem_id="another")
    points = [
        make_point(problem, "exact", "enumeration", 0.5),
        make_point(other, "exact", "enumeration", 0.5),
        make_point(problem, "1+3", "enumeration", 0.5),
        make_point(problem, "exact", "ratio"),
        make_point(problem, "exact", "enumeration", 0.25),
        make_point(problem, "exact", "weighted", None, 0.5),
        make_point(problem, "exact", "weighted", None, 0.25),
    ]
    assert len({point.point_id for point in points}) == len(points)


def test_two_granularities_of_equal_sizes_have_rows_of_their_own(problem: Problem) -> None:
    # Of 4 layers, both presets leave the sizes 1 and 4.
    names = ("coarsest", "coarse")
    assert len({make_point(problem, name, "ratio").point_id for name in names}) == 2


def test_a_digest_does_not_depend_on_the_order_of_fields() -> None:
    assert digest({"a": 1, "b": [2, 3]}) == digest({"b": (2, 3), "a": 1})


def test_a_budget_of_minus_nothing_is_one_of_nothing(problem: Problem) -> None:
    point = make_point(problem, "exact", "enumeration", -0.0)
    assert point == make_point(problem, "exact", "enumeration", 0.0)
    assert str(point.budget_usd_per_hour) == "0.0"


def test_figures_that_no_id_stands_for_are_those_of_the_schema_version() -> None:
    """Ids of `flops` points leave them out: whoever changes one raises SCHEMA_VERSION.

    Else a sweep that is resumed would keep the answers to the old figures.
    """
    figures = [
        {name: astuple(gpu) for name, gpu in flops.GPU_FIGURES.items()},
        {str(degree): share for degree, share in flops.TP_EFFICIENCY.items()},
        flops.ACTIVATION_OVERHEAD,
    ]
    assert (SCHEMA_VERSION, digest(figures)) == ("1", "2a2c6b6ca068d7505e6f")
