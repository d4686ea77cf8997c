"""The types of a config's fields: what one value may be, by itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator

from pipeline.budgets import PRESETS as BUDGET_PRESETS
from pipeline.config.ids import parse_gpu_ids
from pipeline.granularity import MAX_SIZE, canonical_name

GpuIds = Annotated[frozenset[int], PlainValidator(parse_gpu_ids), PlainSerializer(sorted)]
MAX_LAYERS = MAX_SIZE
# Beyond these a number is a slip, and arithmetic with it would end in 0 or infinity.
SMALLEST, LARGEST = 1e-12, 1e12
MOST_USD_PER_HOUR = 1e6
MAX_LISTED = 1000
# Budgets and cost weights: one point each.
MAX_ASKED = 20_000

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Degree = Annotated[int, Field(ge=1, le=1024)]
NotNegativeCount = Annotated[int, Field(ge=0, le=1_000_000)]
Share = Annotated[float, Field(ge=0, le=1)]
Bandwidth = Annotated[float, Field(ge=0, le=LARGEST)]


def granularity_name(value: object) -> str:
    """Accept the name of a preset, or sizes as a list or joined by +; return its one name."""
    if isinstance(value, list) and value and all(type(size) is int for size in value):
        value = "+".join(map(str, set(value)))
    if not isinstance(value, str):
        raise ValueError("must be a preset or a list of segment sizes")
    return canonical_name(value)


def _budgets(value: object) -> str | list[float]:
    """Accept the name of a preset or a list of budgets, $/h."""
    if isinstance(value, str) and value in BUDGET_PRESETS:
        return value
    if not isinstance(value, list) or not value:
        raise ValueError(f"must be a list of numbers, or one of {', '.join(BUDGET_PRESETS)}")
    numbers = [v for v in value if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) != len(value) or not all(0 <= v < float("inf") for v in numbers):
        raise ValueError("must hold only finite numbers that are not negative")
    if len(value) > MAX_ASKED or max(numbers) > LARGEST:
        raise ValueError(f"must hold at most {MAX_ASKED} numbers, each at most {LARGEST:g}")
    return [float(v) for v in numbers]


def _choice(value: object) -> str | list[int]:
    """Accept `auto`, a positive whole number, or a list of them; return `auto` or a list."""
    if value == "auto":
        return "auto"
    numbers = value if isinstance(value, list) else [value]
    if not numbers or not all(type(n) is int and 1 <= n <= 1_000_000 for n in numbers):
        raise ValueError("must be auto, a positive whole number or a list of them")
    if len(numbers) > MAX_LISTED:
        raise ValueError(f"must hold at most {MAX_LISTED} numbers")
    return list(numbers)


Choice = Annotated[str | list[int], PlainValidator(_choice)]
GranularityName = Annotated[str, PlainValidator(granularity_name)]
Budgets = Annotated[str | list[float], PlainValidator(_budgets)]
Method = Literal["enumeration", "weighted", "iterative", "ratio", "frontier"]


def _price(value: float) -> float:
    """Refuse prices that the solver would take for 0 or for infinity beside others."""
    if value and not 1 / MOST_USD_PER_HOUR <= value <= MOST_USD_PER_HOUR:
        raise ValueError(
            f"must be between {1 / MOST_USD_PER_HOUR:g} and {MOST_USD_PER_HOUR:g}, or 0"
        )
    return value


Price = Annotated[float, Field(ge=0), AfterValidator(_price)]
