"""Faults as they are printed, and errors as they travel between processes."""

import math
import pickle
from collections.abc import Callable

import pytest

from pipeline.catalogue import UnknownNameError, find_engine, find_gpu, find_model
from pipeline.errors import (
    MAX_FAULTS_TOLD,
    MAX_LINE_CHARACTERS,
    Fault,
    InputError,
    PlacementError,
    ResultsError,
    SolverError,
    missing,
)


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


@pytest.mark.parametrize("find", [find_gpu, find_model, find_engine])
def test_an_unknown_name_survives_it_too_whatever_it_holds(find: Callable[[str], object]) -> None:
    with pytest.raises(UnknownNameError) as caught:
        find("a: b: To add one")
    arrived = pickle.loads(pickle.dumps(caught.value))
    assert (arrived.name, arrived.reason) == ("a: b: To add one", caught.value.reason)
    assert arrived.reason.startswith("is not in the catalogue; ")
    assert str(arrived) == str(caught.value)


@pytest.mark.parametrize("kind", [InputError, ResultsError, SolverError])
def test_every_error_on_purpose_is_a_placement_error(kind: type[Exception]) -> None:
    assert issubclass(kind, PlacementError)


def test_what_a_terminal_would_obey_is_escaped_in_every_message() -> None:
    odd = "a\x1b[2J\ud800\u202eb"
    assert str(InputError([missing(odd, "name", "is\nmissing")])) == (
        "a\\x1b[2J\\ud800\\u202eb: name: is\\nmissing"
    )
    assert str(ResultsError(f"{odd}: x\ny")) == "a\\x1b[2J\\ud800\\u202eb: x\ny"


def test_a_message_has_an_end_however_many_faults_there_are() -> None:
    error = InputError(missing("a", f"x{i}", "is missing") for i in range(MAX_FAULTS_TOLD + 5))
    *lines, last = str(error).split("\n")
    assert len(lines) == MAX_FAULTS_TOLD
    assert last == "… and 5 more"
    assert len(error.faults) == MAX_FAULTS_TOLD + 5


def test_a_line_has_an_end_and_keeps_its_own() -> None:
    text = str(ResultsError("start" + "x" * 10_000 + "end"))
    assert (text[:5], text[-3:]) == ("start", "end")
    assert len(text) == MAX_LINE_CHARACTERS + len(" … ")


def test_a_number_that_python_does_not_write_is_no_second_error() -> None:
    assert str(Fault("a", "b", "c", 10**5000)) == "a: b: c (got a number too long to write)"
