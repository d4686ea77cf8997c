"""The contract sees what breaks it: every kind of breach is one failure, and nothing else is."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import InputError, ResultsError, missing
from tests.fuzz import contract
from tests.fuzz.contract import observed


def test_an_answer_and_an_error_of_the_tree_keep_it() -> None:
    def refused() -> None:
        raise InputError([missing("c.yaml", "name", "is missing")])

    assert observed(lambda: None).failure is None
    assert observed(lambda: None).was_taken
    assert observed(refused).failure is None
    assert not observed(refused).was_taken


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError("x"), "KeyError: 'x'"),
        (RecursionError("deep"), "RecursionError: deep"),
        (MemoryError(), "MemoryError"),
        (SystemExit(3), "SystemExit: 3"),
        (ResultsError(""), "ResultsError without a message"),
    ],
)
def test_any_other_exception_breaks_it(error: BaseException, told: str) -> None:
    def run() -> None:
        raise error

    assert str(observed(run).failure).startswith(told)


@pytest.mark.filterwarnings("ignore")
def test_a_warning_of_arithmetic_breaks_it() -> None:
    outcome = observed(lambda: np.array([1e308, 1e308]).sum())
    assert str(outcome.failure).startswith("RuntimeWarning: overflow")


def _busy() -> None:
    while True:
        pass


@pytest.mark.parametrize("run", [_busy, lambda: time.sleep(60)], ids=["busy", "waiting"])
def test_what_takes_too_long_is_stopped(
    monkeypatch: pytest.MonkeyPatch, run: Callable[[], object]
) -> None:
    monkeypatch.setattr(contract, "MAX_SECONDS", 0.1)
    monkeypatch.setattr(contract, "MAX_WAIT_SECONDS", 3.0)
    assert str(observed(run).failure).startswith("took too long")


def test_memory_is_counted_at_its_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "MAX_GROWTH_MB", 50.0)
    outcome = observed(lambda: len(b"x" * (100 * 1024**2)))
    assert 90 < outcome.growth_mb < 150
    assert str(outcome.failure).startswith("took ")


def _linked(folder: Path) -> None:
    (folder / "link").symlink_to(folder.parent / "elsewhere")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file": lambda out: (out.parent / "x").write_text("x"),
    "a file through a link": lambda out: (out / "link").write_text("x"),
    "a folder": lambda out: (out.parent / "made").mkdir(),
    "a file removed": lambda out: (out.parent / "kept").unlink(),
    "a file renamed": lambda out: (out / "own").rename(out.parent / "renamed"),
    "a link": lambda out: (out.parent / "new").symlink_to("kept"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_outside_the_folder_is_seen(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "own").write_text("own")
    (tmp_path / "kept").write_text("kept")
    _linked(out)
    assert "which is outside" in str(observed(lambda: change(out), out).failure)


def test_a_change_inside_the_folder_is_none_of_its_business(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    _linked(out)

    def change() -> None:
        (out / "file").write_text("x")
        (out / "file").rename(out / "other")
        (out / "other").unlink()
        (out / "link").unlink()

    assert observed(change, out).failure is None
    _linked(out)
    assert "which is outside" in str(observed(change).failure)
