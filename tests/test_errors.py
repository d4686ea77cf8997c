"""Faults as they are printed, and errors as they travel between processes."""

import math
import pickle

import pytest

from pipeline.errors import Fault, InputError, PlacementError, ResultsError, SolverError, missing


def test_a_fault_reads_file_field_reason_value() -> None:
    fault = Fault("a.yaml", "pool[0].count", "must be at least 1", 0)
    assert str(fault) == "a.yaml: pool[0].count: must be at least 1 (got 0)"


def test_nothing_is_shown_where_nothing_stood() -> None:
    assert str(missing("a.yaml", "name", "is missing")) == "a.yaml: name: is missing"
    assert str(Fault("a.yaml", "name", "must be text", None)).endswith("(got None)")


def test_a_long_value_is_cut() -> None:
    text = str(Fault("a.yaml", "rows", "must be square", list(range(1000))))
    assert text.startswith("a.yaml: rows: must be square (got [0, 1, 2,")
    assert text.endswith("...)")
    assert len(text) < 130


def test_an_input_error_lists_every_fault_once_in_order() -> None:
    one, other = missing("b", "x", "is missing"), Fault("a", "y", "must be finite", math.nan)
    error = InputError([one, other, missing("b", "x", "is missing")])
    assert error.faults == (one, other)
    assert str(error) == "b: x: is missing\na: y: must be finite (got nan)"


def test_an_input_error_survives_the_way_to_another_process() -> None:
    error = InputError([missing("b", "x", "is missing"), Fault("a", "y", "must be text", 3)])
    arrived = pickle.loads(pickle.dumps(error))
    assert arrived.faults == error.faults
    assert str(arrived) == str(error)


@pytest.mark.parametrize("kind", [InputError, ResultsError, SolverError])
def test_every_error_on_purpose_is_a_placement_error(kind: type[Exception]) -> None:
    assert issubclass(kind, PlacementError)
