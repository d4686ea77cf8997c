"""A short fuzz, the same on every machine, and every input that was ever found to break something.

`python -m tests.fuzz` runs the long one.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.fuzz.__main__ import SHARES, batches
from tests.fuzz.cases import Case, Content, Special, from_json
from tests.fuzz.targets import TARGETS
from tests.fuzz.workers import Batch, run_batch, tried

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.json"))
COUNTS: Mapping[str, int] = {
    "yaml_text": 200,
    "config_file": 100,
    "csv_directory": 100,
    "assignments": 200,
    "small_texts": 100,
    "solved": 15,
    "measurement_file": 200,
    "calibration": 8,
    "constants_file": 100,
    "results_folder": 12,
    "report_page": 2,
    "resumed": 30,
    "command_line": 20,
}


@pytest.mark.parametrize("target", TARGETS)
def test_hostile_input_is_answered_or_told(target: str) -> None:
    tally = run_batch(Batch(target, seed=1, count=COUNTS[target]))
    assert tally.inputs == COUNTS[target]
    assert list(tally.failures) == []


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_what_once_broke_the_contract_keeps_it(file: Path) -> None:
    assert tried(from_json(file.read_text(encoding="utf-8"))).failure is None


def test_an_input_survives_being_kept() -> None:
    files: dict[str, Content] = {
        "a": b"\xff\0",
        "b": "é".encode(),
        "c": Special("link", ".."),
        "d": Special("fifo"),
    }
    case = Case("yaml_text", files, ("x", "\ud800"))
    assert from_json(case.to_json()) == case


def test_the_inputs_are_shared_out_over_all_targets() -> None:
    shared = batches(20_000, 0, None)
    assert set(SHARES) == set(TARGETS) == {batch.target for batch in shared}
    assert sum(batch.count for batch in shared) == 20_000
    assert len({(batch.target, batch.seed) for batch in shared}) == len(shared)
