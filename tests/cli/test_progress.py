"""What is shown of a sweep while it runs."""

import io
import json

import pytest
from rich.console import Console

from pipeline.cli.progress import describe, line, watching
from pipeline.driver import Tally

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
        "30/50 points: 2.0 points/s, 3 infeasible, 2 error, best $0.1000/M tokens, 10 s left"
    )
    assert describe(Tally()) == "0.0 points/s"


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
