"""What pydantic finds wrong, in plain words."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from pipeline.fault_words import told


class Card(BaseModel):
    count: Annotated[int, Field(ge=1)]
    share: Annotated[float, Field(lt=1, allow_inf_nan=False)] = 0.5


def faults(value: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Card.model_validate(value)
    return [told("card.yaml", detail) for detail in caught.value.errors()]


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"count": "x"}, "count: must be a whole number (got 'x')"),
        ({"count": 1.5}, "count: must be a whole number (got 1.5)"),
        ({"count": 0}, "count: must be at least 1 (got 0)"),
        ({"count": 1, "share": "?"}, "share: must be a number (got '?')"),
        (
            {"count": 1, "share": "0,39"},
            "share: must be a number with a decimal point (got '0,39')",
        ),
        ({"count": 1, "share": 1}, "share: must be less than 1.0 (got 1)"),
        ({"count": 1, "share": float("nan")}, "share: must be a finite number (got nan)"),
        ({}, "count: is missing"),
        (None, "file: must hold fields (got None)"),
    ],
)
def test_a_fault_is_told_as_file_field_reason_and_value(value: Any, fault: str) -> None:
    assert faults(value) == [f"card.yaml: {fault}"]


def test_a_long_value_is_cut() -> None:
    [fault] = faults({"count": "9" * 200 + "x"})
    assert len(fault) < 150
