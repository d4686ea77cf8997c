"""Budgets, $/h, for which a sweep asks: named lists, or multiples of a ballpark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class BudgetPreset:
    """A named list of budgets. relative: multiples of the ballpark instead of $/h."""

    values: tuple[float, ...]
    relative: bool = False


def _logarithmic(low: float, high: float, points: int) -> tuple[float, ...]:
    """Return points of equal ratio from low to high, to 4 decimals: the same on every machine."""
    ratio = (high / low) ** (1 / (points - 1))
    return tuple(round(low * ratio**i, 4) for i in range(points))


PRESETS: Mapping[str, BudgetPreset] = {
    "fine": BudgetPreset((0.3, 0.4, 0.5, 0.7, 0.9, 1.0, 1.2, 1.5, 2.0, 3.0)),
    "coarse": BudgetPreset((0.3, 0.5, 1.0, 2.0, 5.0)),
    "wide": BudgetPreset(_logarithmic(0.30, 10.0, 8)),
    "around_fine": BudgetPreset(
        (0.25, 0.4, 0.6, 0.75, 0.85, 0.95, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0), relative=True
    ),
    "around_coarse": BudgetPreset((0.4, 0.7, 0.9, 1.0, 1.2, 1.5), relative=True),
}


def needs_ballpark(budgets: str | Sequence[float]) -> bool:
    """Tell whether the budgets are multiples of a ballpark that must be found first."""
    return isinstance(budgets, str) and PRESETS[budgets].relative


def budgets_usd_per_hour(
    budgets: str | Sequence[float], ballpark_usd_per_hour: float | None = None
) -> tuple[float, ...]:
    """Return the budgets that a preset or list stands for, $/h, in their order.

    ballpark_usd_per_hour: cost of a placement of low $/token; only relative presets need it.
    Raises ValueError where it is needed and absent.
    """
    if not isinstance(budgets, str):
        return tuple(float(budget) for budget in budgets)
    preset = PRESETS[budgets]
    if not preset.relative:
        return preset.values
    if ballpark_usd_per_hour is None:
        raise ValueError(f"budgets {budgets!r} need a ballpark, and no placement was found for one")
    return tuple(_plain(factor * ballpark_usd_per_hour) for factor in preset.values)


def _plain(usd_per_hour: float) -> float:
    """Return a product as one would write it: 12 digits, far within the tolerance of a budget."""
    return float(f"{usd_per_hour:.12g}")
