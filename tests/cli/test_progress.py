"""What is shown of a sweep while it runs."""

import io
import json

import pytest
from rich.console import Console

from pipeline.cli.progress import counting, describe, line, watching, working
from pipeline.driver import Tally
from pipeline.run import PointRows
from tests.results.builders import point_row

TALLY = Tally(
    total=50,
    skipped=10,
    by_status={"optimal": 15, "infeasible": 3, "error": 2},
    best_usd_per_token=1e-7,
    seconds=10.0,
)


def test_a_line_says_done_failed_infeasible_rate_time_left_and_best_price() -> None:
    # 20 points in 10 s; 50 − 10 − 20 are left.
    assert line(TALLY) == (
        "30/50 points: 2.0 points/s, 3 infeasible, 2 error, "
        "lowest $0.100000 per million tokens, 10 s left"
    )
    assert describe(Tally()) == "0.0 points/s"


def test_a_price_of_nothing_stays_the_best() -> None:
    tally = Tally()
    for price in (1e-7, 0.0, 2e-7):
        tally.add(PointRows((point_row(cost_usd_per_token=price),), ()))
    assert tally.best_usd_per_token == 0.0


@pytest.mark.parametrize(
    ("done", "seconds", "left"),
    # 40 points in all; workers that just started are no measure of the rest
    [(1, 4.0, None), (5, 4.0, None), (4, 29.0, None), (5, 5.0, 35.0), (1, 30.0, 1170.0)],
)
def test_the_time_left_waits_for_a_few_points_and_seconds(
    done: int, seconds: float, left: float | None
) -> None:
    tally = Tally(total=40, by_status={"optimal": done}, seconds=seconds)
    assert tally.seconds_left == left
    assert ("left" in line(tally)) == (left is not None)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_only_a_terminal_is_told_what_is_being_worked_at(is_terminal: bool) -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=is_terminal)
    with working(console, "solving at exact"):
        pass
    assert isinstance(console.file, io.StringIO)
    assert ("solving at exact" in console.file.getvalue()) == is_terminal


def test_long_work_is_counted_with_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    # started at 0; one of four done after 12 s leaves 36 s; at 15 s nothing new is told
    clock = iter([0.0, 0.0, 12.0, 15.0])
    monkeypatch.setattr("pipeline.cli.progress.time.monotonic", lambda: next(clock))
    console = Console(file=io.StringIO(), width=200)
    with counting(console, "fit") as tell:
        for done, what in enumerate(["[half] 1", "half 2", "source a"]):
            tell(done, 4, what)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "fit 1 of 4: [half] 1",
        "fit 2 of 4: half 2, 36 s left",
    ]


def test_on_a_terminal_long_work_is_a_bar_that_goes_away() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    with counting(console, "fit") as tell:
        tell(3, 4, "source a")
    assert isinstance(console.file, io.StringIO)
    assert "3/4" in console.file.getvalue()


def test_lines_come_now_and_then_and_texts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.0, 5.0, 10.0, 10.0])
    monkeypatch.setattr("pipeline.cli.progress.time.monotonic", lambda: next(clock))
    console = Console(file=io.StringIO(), width=200)
    with watching(console, TALLY) as watch:
        for text in ("starting Ray", "", "", ""):
            watch(text)
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue().splitlines()
    assert printed == ["starting Ray", line(TALLY), line(TALLY)]


def test_machines_get_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with watching(Console(), TALLY, as_json=True) as watch:
        watch("starting Ray")
        watch("")
    note, shown = (json.loads(text) for text in capsys.readouterr().err.splitlines())
    assert (note["event"], note["text"]) == ("note", "starting Ray")
    assert shown["event"] == "progress"
    assert (shown["total"], shown["skipped"], shown["done"]) == (50, 10, 20)
    assert (shown["failed"], shown["infeasible"], shown["points_per_s"]) == (2, 3, 2.0)
    assert (shown["seconds_left"], shown["best_usd_per_token"]) == (10.0, 1e-7)
    assert shown["time"]


def test_a_terminal_gets_a_bar() -> None:
    console = Console(file=io.StringIO(), width=160, force_terminal=True)
    with watching(console, TALLY) as watch:
        watch("starting Ray")
        watch("")
    assert isinstance(console.file, io.StringIO)
    assert "30/50" in console.file.getvalue()
