"""Copies of the model side by side, held against what the rest of the pool can place."""

from dataclasses import replace

import pytest

from pipeline import copies
from pipeline.cli.explanation import copies_view
from pipeline.copies import faster_copies, most_copies
from pipeline.instance import GpuType, Instance
from pipeline.methods import AnswerStatus
from pipeline.network import matrix_network, uniform_network
from pipeline.placement import Placement, Stage
from pipeline.points import Point, Problem, Scales
from pipeline.run import Solved, solve_point
from pipeline.settings import SolverSettings
from tests.builders import small_instance


def problem_of(instance: Instance) -> Problem:
    return Problem(str(instance.pool), instance, SolverSettings(), Scales(1.0, 1.0, None), {})


def solved(instance: Instance, method: str, budget: float | None = None) -> Placement | None:
    point = Point("p", "exact", method, budget)
    return solve_point(problem_of(instance), point).answers[0].placement


def on(gpu: str, *degrees: int) -> Placement:
    stages = tuple(Stage(gpu, tuple(range(degree)), 1, 1, 1.0, 1.0, 1.0, 1.0) for degree in degrees)
    return Placement(stages, float("inf"))


def pool_of(a100: int, t4: int) -> Instance:
    return small_instance(
        GpuType("A100", a100, 4.0, 1.0),
        GpuType("T4", t4, 2.0, 0.2),
        network=uniform_network(a100 + t4, 600.0),
    )


@pytest.mark.parametrize(("a100", "t4"), [(5, 3), (7, 0), (0, 19), (4, 16)])
def test_what_all_copies_but_one_leave_of_the_pool_holds_one_more_as_good(
    a100: int, t4: int
) -> None:
    instance = pool_of(a100, t4)
    one = solved(instance, "ratio")
    assert one is not None
    number = most_copies(instance, one)
    assert number > 1
    left = {
        kind.name: kind.count
        - (number - 1) * sum(s.tp_degree for s in one.stages if s.gpu == kind.name)
        for kind in instance.pool
    }
    last = solved(pool_of(left["A100"], left["T4"]), "ratio")
    assert last is not None
    assert (last.tokens_per_s, last.usd_per_hour) == pytest.approx(
        (one.tokens_per_s, one.usd_per_hour)
    )
    used = {s.gpu for s in one.stages}
    assert any(left[gpu] < 2 * sum(s.tp_degree for s in one.stages if s.gpu == gpu) for gpu in used)


@pytest.mark.parametrize(
    ("count", "host", "degrees", "copies"),
    [
        (16, 8, (2, 1), 4),  # two in each host of eight
        (20, 8, (2, 1), 5),  # and one in the last, of four
        (24, 8, (8, 4), 2),  # a host each, and half of the third
        (40, 8, (8, 4), 3),
        (12, 8, (8, 4), 1),  # on a host of eight and one of four
        (16, 4, (4, 2, 1), 2),  # a third would lie on three hosts
        (40, 8, (8, 8), 2),
        (16, 8, (4, 2), 2),  # a third would lie on both hosts
        (16, None, (4, 2), 2),
        (18, None, (4, 2), 3),
    ],
)
def test_copies_lie_on_no_more_hosts_than_the_first(
    count: int, host: int | None, degrees: tuple[int, ...], copies: int
) -> None:
    kind = GpuType("A100", count, 4.0, 1.0, gpus_per_node=host)
    instance = small_instance(kind, network=uniform_network(count, 600.0))
    assert most_copies(instance, on("A100", *degrees)) == copies


def test_the_scarcest_type_says_how_many_copies_there_are() -> None:
    mixed = Placement(on("A100", 2, 1).stages + on("T4", 2).stages, float("inf"))
    assert most_copies(pool_of(9, 6), mixed) == 3
    assert most_copies(pool_of(9, 5), mixed) == 2


def test_gpus_of_a_type_with_other_links_hold_no_copy_for_sure() -> None:
    links = [[600.0] * 4 for _ in range(4)]
    links[2][3] = links[3][2] = 5.0
    instance = small_instance(GpuType("A100", 4, 4.0, 1.0), network=matrix_network(links))
    assert most_copies(instance, on("A100", 2)) == 1


def test_copies_are_told_where_they_are_faster_within_the_budget_and_only_there() -> None:
    instance, told = pool_of(9, 0), []
    one = solved(instance, "ratio")
    assert one is not None
    for budget in (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0):
        asked = budget * one.usd_per_hour
        fastest = solved(instance, "enumeration", asked)
        parts = [solved(instance, "enumeration", asked / number) for number in (2, 3, 4)]
        rates = [0.0]
        for each in (one, *parts):
            number = each and min(
                int(asked / each.usd_per_hour + 1e-6), most_copies(instance, each)
            )
            rates.append(number * each.tokens_per_s if each and number and number > 1 else 0.0)
        found = faster_copies(
            problem_of(instance),
            Point("p", "exact", "enumeration", asked),
            fastest.tokens_per_s if fastest else 0.0,
        )
        if fastest and max(rates) <= fastest.tokens_per_s * (1 + 1e-6):
            assert found is None
            continue
        assert found is not None
        assert found.tokens_per_s == pytest.approx(max(rates))
        assert found.usd_per_hour <= asked * (1 + 1e-9)
        assert found.is_cheapest == (found.placement == one)
        told.append(found.is_cheapest)
    assert 0 < len(told) < 7
    assert set(told) == {True, False}


def test_one_copy_is_no_copies_though_a_gap_left_an_answer_slower_than_it() -> None:
    instance = pool_of(9, 0)
    one = solved(instance, "ratio")
    assert one is not None
    for times, number in ((1.0, None), (2.0, 2)):
        point = Point("p", "exact", "enumeration", times * one.usd_per_hour)
        found = faster_copies(problem_of(instance), point, 0.9 * one.tokens_per_s)
        assert (found and found.number) == number


def test_a_budget_for_more_copies_than_a_float_counts_buys_the_whole_pool() -> None:
    instance = pool_of(0, 100)
    cheap = replace(instance, pool=tuple(replace(k, usd_per_hour=1e-6) for k in instance.pool))
    found = faster_copies(problem_of(cheap), Point("p", "exact", "enumeration", 1e306), 1.0)
    assert found is not None
    assert found.number == most_copies(cheap, found.placement) > 1


def test_copies_of_what_was_met_until_time_ran_out_are_not_called_the_cheapest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def late(problem: Problem, point: Point) -> Solved:
        solved = solve_point(problem, point)
        (answer,) = solved.answers
        return replace(solved, answers=(replace(answer, status=AnswerStatus.TIME_LIMIT),))

    asked = problem_of(pool_of(9, 0)), Point("p", "exact", "enumeration", 4.0), 1.0
    in_time = faster_copies(*asked)
    monkeypatch.setattr(copies, "solve_point", late)
    too_late = faster_copies(*asked)
    assert in_time is not None
    assert too_late is not None
    assert "of the one with the lowest cost per token (" in str(copies_view(in_time, 1.0))
    assert "of the cheapest per token that was found (" in str(copies_view(too_late, 1.0))
    assert "without --budget" not in str(copies_view(too_late, 1.0))
    parts = [replace(found, is_cheapest=False) for found in (in_time, too_late)]
    dollars = f"within ${in_time.placement.usd_per_hour:g}/h ("
    assert f"of the fastest {dollars}" in str(copies_view(parts[0], 1.0))
    assert f"of the fastest found {dollars}" in str(copies_view(parts[1], 1.0))


def test_free_copies_are_as_many_as_the_pool_holds() -> None:
    instance = pool_of(0, 100)
    free = replace(instance, pool=tuple(replace(k, usd_per_hour=0.0) for k in instance.pool))
    one = solved(free, "ratio")
    assert one is not None
    found = faster_copies(problem_of(free), Point("p", "exact", "enumeration", 0.0), 1.0)
    assert found is not None
    assert found.number == most_copies(free, one) > 1
